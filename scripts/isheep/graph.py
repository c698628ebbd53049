"""What the Snakefile asks: which file feeds a rule, what decides a stage, which run owns an artifact.

Everything here is light (no pandas, torch or vllm): every cluster job reads the Snakefile twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from isheep.config import Config
from isheep.config.resources import Need
from isheep.config.run import Run
from isheep.records import digest

# The sections of a run that decide what a stage makes from its inputs.
DECIDES: dict[str, tuple[str, ...]] = {
    "identify_model": (),
    "generate_prompts": ("seed", "model", "engine", "prompts"),
    "generate_outputs": ("seed", "model", "engine", "outputs"),
    "filter_outputs": ("outputs",),
    "assess_outputs": ("seed", "model", "engine", "outputs", "assess"),
    "select_data": ("select",),
    "train_adapter": ("seed", "model", "train"),
    "merge_model": ("model", "train", "merge"),
}
# Keys that change how fast or where a stage runs, or where its model is read, but not what comes out.
OPERATIONAL: dict[str, tuple[str, ...]] = {
    "model": ("path", "hub", "revision", "gguf"),
    "engine": (
        "max_num_seqs",
        "gpu_memory_utilization",
        "cpu_cache_gib",
        "prefix_caching",
        "chunked_prefill",
        "batch_size",
        "misbehave.crash_after",
        "misbehave.delay_ms",
    ),
    "train": ("checkpoint_steps",),
}
# Of a section, what a stage uses only.
PARTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("generate_outputs", "outputs"): ("sampling", "plain"),
    ("filter_outputs", "outputs"): ("rules",),
    ("assess_outputs", "outputs"): ("plain",),
    ("merge_model", "train"): ("start_from", "trainer"),
}
SHARDED = ("generate_prompts", "generate_outputs", "assess_outputs")
# The file by which later stages know each stage's result, in the folder of its round.
RESULT: dict[str, str] = {
    "identify_model": "iter_{i}/identity.json",
    "generate_prompts": "d_{i}/prompts.jsonl",
    "generate_outputs": "d_{i}/outputs.jsonl",
    "filter_outputs": "d_{i}/filtered.jsonl",
    "assess_outputs": "d_{i}/evaluated.jsonl",
    "select_data": "d_{i}/selected.jsonl",
    "train_adapter": "iter_{i}/adapter",
    "merge_model": "iter_{i}/identity.json",
}


class Graph:
    """The runs of a config as one graph; work that two runs share is done once.

    Parameters
    ----------
    config
        The resolved settings.
    root
        Repository root: relative paths in the settings start there.
    """

    def __init__(self, config: Config, root: Path) -> None:
        self.config = config
        self.root = root
        self._digest = cache(self._upstream_digest)
        self._owner = cache(self._find_owner)

    # What decides a stage ------------------------------------------------------------------------------------------

    def settings(self, run: str, stage: str) -> dict[str, Any]:
        """Return the settings that decide what a stage makes, as plain JSON values."""
        decides = {}
        for section in DECIDES[stage]:
            decides[section] = deciding(self.config.runs[run], section)
            if parts := PARTS.get((stage, section)):
                decides[section] = {key: decides[section][key] for key in parts}
        return decides

    def files(self, run: str, stage: str) -> list[str]:
        """Return the user's files (templates, rubrics, seeds) that a stage reads."""
        settings = self.config.runs[run]
        template = [settings.model.chat_template] if settings.model.chat_template else []
        if stage == "generate_prompts":
            return [settings.seeds.path, settings.prompts.meta_prompt, *template]
        if stage == "assess_outputs":
            return [*(a.rubric for a in settings.assess.assessors if a.kind == "judge"), *template]
        return template if stage in ("generate_outputs", "train_adapter", "merge_model") else []

    # Which stages feed a stage -------------------------------------------------------------------------------------

    def upstream(self, run: str, stage: str, i: int) -> Iterator[tuple[str, int]]:
        """Yield the stages, with their rounds, whose results stage `stage` of round `i` reads.

        For train_adapter and merge_model, `i` is the number of the model they make.
        """
        settings = self.config.runs[run]
        if stage == "generate_prompts":
            yield self.model_stage(i)
            if "earlier_rounds" in settings.prompts.compare_with:
                yield from (("generate_prompts", earlier) for earlier in range(i))
        elif stage == "generate_outputs":
            yield from [("generate_prompts", i), self.model_stage(i)]
        elif stage == "filter_outputs":
            yield "generate_outputs", i
        elif stage == "assess_outputs":
            yield from [("filter_outputs", i), self.model_stage(self.judge_of(run, i))]
        elif stage == "select_data":
            yield "assess_outputs", i
        elif stage == "train_adapter":
            yield from [("select_data", i - 1), self.model_stage(self.start_of(run, i))]
        elif stage == "merge_model":
            yield from [("train_adapter", i), ("select_data", i - 1), self.model_stage(self.start_of(run, i))]

    def stages(self, run: str) -> list[tuple[str, int]]:
        """Return every stage of a run with its round, in an order in which they can run."""
        of_round = [stage for stage, result in RESULT.items() if result.startswith("d_")]
        found = [("identify_model", 0)]
        for i in range(self.config.runs[run].rounds):
            found += [*((stage, i) for stage in of_round), ("train_adapter", i + 1), ("merge_model", i + 1)]
        return found

    @staticmethod
    def model_stage(i: int) -> tuple[str, int]:
        """Return the stage that makes iter_i."""
        return ("merge_model", i) if i else ("identify_model", 0)

    def judge_of(self, run: str, i: int) -> int:
        """Return which model assesses in round i."""
        return i if self.config.runs[run].assess.model == "current" else 0

    def start_of(self, run: str, i: int) -> int:
        """Return which model the training of iter_i starts from."""
        return i - 1 if self.config.runs[run].train.start_from == "previous" else 0

    # Which run owns a result ---------------------------------------------------------------------------------------

    def _upstream_digest(self, run: str, stage: str, i: int) -> str:
        """Return a digest of everything that decides a result: equal in two runs means equal results."""
        own: dict[str, Any] = {"stage": stage, "round": i, "settings": self.settings(run, stage)}
        if stage == "identify_model":
            model = self.config.runs[run].model
            own["model"] = [model.path, model.hub, model.revision, model.gguf]
            own["engine"] = self.config.runs[run].engine.name == "fake"
        own["files"] = self.files(run, stage)
        own["upstream"] = [self._digest(run, *feeding) for feeding in self.upstream(run, stage, i)]
        return digest(own)

    def _find_owner(self, run: str, stage: str, i: int) -> str:
        """Return the run whose folder holds a result: the first equal one that has it, else the first equal one."""
        wanted = self._digest(run, stage, i)
        equal = [
            other
            for other, settings in self.config.runs.items()
            if i <= settings.rounds and self._digest(other, stage, i) == wanted
        ]
        return next((other for other in equal if Path(self._place(other, stage, i)).exists()), equal[0])

    @staticmethod
    def _place(run: str, stage: str, i: int) -> str:
        return f"results/{run}/" + RESULT[stage].format(i=i)

    def result(self, run: str, stage: str, i: int) -> str:
        """Return the path of a stage's result, in the folder of the run that owns it."""
        return self._place(self._owner(run, stage, i), stage, i)

    def record(self, run: str, stage: str, i: int) -> str:
        """Return the path of a stage's record, beside its result."""
        return str(Path(self.result(run, stage, i)).parent / "records" / f"{stage}.json")

    # Models --------------------------------------------------------------------------------------------------------

    def identity(self, run: str, i: int) -> str:
        """Return the identity file of iter_i."""
        return self.result(run, *self.model_stage(i))

    def model_folder(self, run: str, i: int) -> str | None:
        """Return the folder of iter_i's weights; None for the fake engine's base, which has none."""
        if i:
            return str(Path(self.identity(run, i)).with_name("model"))
        return base_folder(self.config.runs[run])

    def base_sources(self) -> dict[str, Run]:
        """Return the folders of base models that the workflow makes itself, with a run that says from what."""
        runs = self.config.runs.values()
        return {str(base_folder(run)): run for run in runs if run.model.hub or run.model.gguf}

    # Shards --------------------------------------------------------------------------------------------------------

    def shards(self, run: str, stage: str, i: int) -> list[str]:
        """Return the markers of a stage's shard jobs; none when one job does it all.

        A finished stage keeps the count that made it, so that another count in the config never repeats it.
        """
        count = getattr(self.config.shards, stage)
        if Path(self._place(run, stage, i)).exists():
            made_by = Path(shard_count_file(run, stage, i))
            count = int(made_by.read_text()) if made_by.exists() else 1
        folder = Path(shard_count_file(run, stage, i)).parent
        return [f"{folder}/shard-{shard}-of-{count}.done" for shard in range(1, count + 1)] if count > 1 else []

    # Resources -----------------------------------------------------------------------------------------------------

    def need(self, run: str, kind: str) -> Need:
        """Return what a job of a kind of stage (a key of section `resources`) asks for."""
        return getattr(self.config.runs[run].resources, kind)

    def targets(self) -> list[str]:
        """Return what `snakemake` makes by default: for every run its last model, summary, settings, manifest."""
        made = [(run, f"results/{run}") for run in self.config.runs]
        return [
            *(self.identity(run, settings.rounds) for run, settings in self.config.runs.items()),
            *(f"{folder}/summary.txt" for _, folder in made),
            *(f"{folder}/config.yaml" for _, folder in made),
            *self.pages(),
            *(f"{folder}/manifest.json" for _, folder in made),
        ]

    def pages(self) -> list[str]:
        """Return the pages that people read: one a run, and one that compares several."""
        pages = [f"results/{run}/report.html" for run in self.config.runs]
        return [*pages, "results/comparison.html"] if len(pages) > 1 else pages


def deciding(run: Run, section: str) -> Any:
    """Return a section of a run as plain JSON values, without the keys that do not decide what comes out."""
    return _without(run.model_dump(mode="json")[section], OPERATIONAL.get(section, ()))


def shard_count_file(run: str, stage: str, i: int) -> str:
    """Return the file in which a finished stage keeps the number of its shards."""
    return f"results/{run}/d_{i}/.shards/{stage}/count"


def base_folder(run: Run) -> str | None:
    """Return the folder of a run's base model; models/ holds those that the workflow makes itself."""
    if run.model.gguf:
        return "models/" + run.model.gguf.partition(":")[2].removesuffix(".gguf").replace("/", "--")
    if run.model.hub:
        return f"models/{run.model.hub.replace('/', '--')}--{run.model.revision.replace('/', '--')}"
    return run.model.path


def _without(value: Any, keys: Iterable[str]) -> Any:
    if not isinstance(value, dict):
        return value
    kept = {key: child for key, child in value.items() if key not in keys}
    for key in keys:
        outer, _, inner = key.partition(".")
        if inner and isinstance(kept.get(outer), dict):
            kept[outer] = _without(kept[outer], [inner])
    return kept
