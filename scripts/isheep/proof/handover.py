"""Published folders: a data set of d_i, a model of iter_i, each with its card and the manifest."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from isheep.config.run import Run
from isheep.data.files import files_in, publish
from isheep.data.rows import read_rows
from isheep.documents.choice import Choice, choose
from isheep.documents.models import read_scores
from isheep.documents.rounds import read_health
from isheep.proof import cards, dataset, licences, privacy
from isheep.proof.health import tell_health
from isheep.proof.results import MANIFEST, Results
from isheep.proof.scores import tell_scores

TAGS = ["self-alignment", "i-sheep"]
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def publish_data(
    results: Results, run: Run, i: int, selected: Path, adapter: Path, base: Path | None, template: Path, out: Path
) -> None:
    """Publish d_i as a folder that `datasets.load_dataset` reads.

    Parameters
    ----------
    results, run, i
        The run with its manifest; its settings; the round.
    selected, adapter
        The rows, and the adapter that was trained on them.
    base
        Folder of the base model, whose README.md may state its licence.
    template, out
        Template of the card; the folder to write.

    Raises
    ------
    UserError
        The manifest is missing, or something private would be told.
    """
    facts = _facts(results)
    rows = list(read_rows(selected))
    splits, untrained = dataset.split(run, rows, adapter)
    training = facts.training(i + 1)
    counted = (len(splits["train"]), len(splits.get("heldout", [])))
    if counted != (training["rows"], training["heldout_rows"]):
        raise RuntimeError(f"d_{i}: split into {counted} rows, but the training reports {training}")
    stated = licences.stated(run, base)
    facets = facts.round(i)
    measured = facts.file(f"d_{i}/health.json")
    health, alarms = tell_health(read_health(measured)) if measured else ([], [])
    with publish(out) as folder:
        folder.mkdir()
        configs = dataset.write(folder, splits, run)
        head = {
            "pretty_name": f"{facts.made['run']} d_{i}",
            **licences.header(stated),
            "task_categories": ["text-generation"],
            "size_categories": [next((name for most, name in SIZES if len(rows) < most), "n>1M")],
            "tags": ["synthetic", "preference" if run.pairs.present else "instruction-tuning", *TAGS],
            "configs": configs,
        }
        more: cards.Facets = {
            "rows": sum(map(len, splits.values())),
            "splits": {name: len(kept) for name, kept in splits.items()},
            "untrained": untrained,
            "forms": dataset.forms(run),
            "goes_on": dataset.goes_on(splits),
            "sample": cards.sample(dataset.shape(dataset.forms(run)[1], splits["train"][0], run)),
            "selection": run.select.words,
            "pairing": run.pairs.words if run.pairs.present else None,
            "pair_columns": list(run.pairs.columns),
            "health": health,
            "alarms": alarms,
        }
        facets |= facts.common() | _stated(run, stated)
        _finish(folder, results, run, cards.render(template, head, facets | more))


def publish_model(
    results: Results, run: Run, i: int, merged: Path, adapter: Path, base: Path | None, template: Path, out: Path
) -> None:
    """Publish iter_i as a folder that `from_pretrained` reads; weights are hard links where the disk allows it.

    Parameters are those of `publish_data`; `merged` and `adapter` are the folders of iter_i.
    """
    facts = _facts(results)
    stated = licences.stated(run, base)
    with publish(out) as folder:
        _copy(merged, folder)
        _copy(adapter, folder / "adapter")
        head = {
            **licences.header({"base model": stated["base model"]}),
            **({"base_model": run.model.hub} if run.model.hub else {}),
            "library_name": "transformers",
            "pipeline_tag": "text-generation",
            "tags": TAGS,
        }
        evaluation = facts.file(f"iter_{i}/evaluation/scores.json")
        scores, notes = tell_scores(read_scores(evaluation)) if evaluation else ([], [])
        if evaluation:
            shutil.copyfile(evaluation, folder / "scores.json")
        judged = any(row["metric"].startswith("local_judge") for row in scores)
        judge = cards.judge_name(facts.settings) if judged else None
        more = {"i": i, "judge": judge, "scores": scores, "score_notes": notes, "best": _best(facts, run)}
        facets = {"training": facts.training(i), "merging": facts.merging(i)} | facts.common() | _stated(run, stated)
        _finish(folder, results, run, cards.render(template, head, facets | more))


def _best(facts: cards.Facts, run: Run) -> Choice | None:
    if run.publish.best is None:
        return None
    files = (facts.file(f"iter_{i}/evaluation/scores.json") for i in range(run.rounds + 1))
    scores = [read_scores(file) for file in files if file]
    return choose(scores, run.publish.best.benchmark, run.publish.best.metric)


def _facts(results: Results) -> cards.Facts:
    return cards.Facts(results.need_manifest(), results.find)


def _stated(run: Run, licences: dict[str, str | None]) -> cards.Facets:
    stated = {what: licence or "not stated" for what, licence in licences.items()}
    return {"licences": stated, "with_manifest": run.publish.manifest}


def _copy(source: Path, target: Path) -> None:
    for name, file in files_in(source).items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".safetensors":
            try:
                os.link(file, target / name)
                continue
            except OSError:  # another disk, or one without hard links
                pass
        shutil.copyfile(file, target / name)


def _finish(folder: Path, results: Results, run: Run, card: str) -> None:
    (folder / "README.md").write_text(card, encoding="utf-8")
    if run.publish.manifest:
        shutil.copyfile(results.folder / MANIFEST, folder / MANIFEST)
    if run.publish.check_private:
        privacy.check(files_in(folder).values())
