"""A new kind of benchmark is one new module: the workflow then measures models by it, and nothing else was touched."""

from __future__ import annotations

import json
import shutil

import workplace
from exams import TOY
from workplace import FAKE, Workplace


def test_a_benchmark_of_a_new_kind_goes_through_the_workflow(tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("Snakefile", "rules", "scripts", "config", "profiles", "envs", "pyproject.toml"):
        source = workplace.REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    (copy / "scripts/isheep/evaluation/kinds/counting.py").write_text(TOY)
    monkeypatch.setattr(workplace, "REPOSITORY", copy)
    (tmp_path / "here").mkdir()
    place = Workplace(tmp_path / "here")
    rows = [{"id": number, "q": f"Count to {number}."} for number in range(4)]
    (place.folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    counting = {"kind": "counting", "path": "q.jsonl", "max_tokens": 40}
    benchmarks = {"words": counting, "heldout": None, "constraints": None}
    place.configure({"a": {**FAKE, "evaluation": {"benchmarks": benchmarks}}})
    target = "results/a/iter_0/evaluation/scores.json"
    place.snakemake(target)
    scores = json.loads((place.folder / target).read_text())["benchmarks"]["words"]
    assert (scores["kind"], scores["items"], scores["error"]) == ("counting", 4, None)
    assert scores["metrics"]["words_words"]["value"] > 1 == scores["floors"]["lol"]["words_words"]["value"]
    # The module is code of the stages that use it: an edit runs them again.
    assert "score_model" not in place.snakemake("-n", target).stdout
    with open(copy / "scripts/isheep/evaluation/kinds/counting.py", "a") as module:
        module.write("\nWORDS = 'more'\n")
    assert "score_model" in place.snakemake("-n", target).stdout
