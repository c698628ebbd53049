"""What the Snakefile asks: which file feeds a rule, what decides a stage, which run owns an artifact.

Everything here is light (no pandas, torch or vllm): every cluster job reads the Snakefile twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from isheep.config import Config
from isheep.config.evaluation import JUDGED, OnFile
from isheep.config.model import Model
from isheep.config.resources import Need
from isheep.config.run import Run
from isheep.data.files import digest
from isheep.workflow.stages import DECIDES, ONCE, OPERATIONAL, PARTS, RESULT


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
        self._stages = cache(lambda run: frozenset(self.stages(run)))

    # What decides a stage ------------------------------------------------------------------------------------------

    def settings(self, run: str, stage: str) -> dict[str, Any]:
        """Return the settings that decide what a stage makes, as plain JSON values."""
        decides = {}
        for section in DECIDES[stage]:
            decides[section] = deciding(self.config.runs[run], section)
            if parts := PARTS.get((stage, section)):
                decides[section] = {key: decides[section][key] for key in parts}
        if stage == "measure_data":
            decides["evaluation"] = evaluation_files(self.config.runs[run])
        return decides

    def files(self, run: str, stage: str) -> list[str]:
        """Return the user's files (templates, rubrics, seeds) that a stage reads."""
        settings = self.config.runs[run]
        template = [settings.model.chat_template] if settings.model.chat_template else []
        if stage == "generate_prompts":
            return [settings.seeds.path, settings.prompts.meta_prompt, *template]
        if stage == "assess_outputs":
            return [*(a.rubric for a in settings.assess.assessors if a.kind == "judge"), *template]
        data = evaluation_data(settings)
        if stage in ("evaluate_model", "judge_answers"):
            return [*data, *template]
        if stage == "calibrate_judge":
            return [*data, settings.evaluation.judge.calibration.path, *template]
        if stage == "score_model":
            return data
        if stage == "run_harness" and settings.evaluation.harness.include_path:
            tasks = Path(settings.evaluation.harness.include_path).rglob("*.yaml")
            return [*sorted(str(task) for task in tasks), *template]
        if stage == "measure_data":
            return [settings.seeds.path, *evaluation_files(settings).values()]
        addressing = ("generate_outputs", "probe_data", "train_adapter", "merge_model", "run_harness")
        return template if stage in addressing else []

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
        elif stage == "probe_data":
            yield from [("select_data", i), self.model_stage(0)]
        elif stage == "measure_data":
            yield from [("generate_outputs", i), ("assess_outputs", i)]
            yield from (("select_data", earlier) for earlier in range(i + 1))
            yield from (("probe_data", probed) for probed in self.probed(run, i))
        elif stage == "train_adapter":
            yield from [("select_data", i - 1), self.model_stage(self.start_of(run, i))]
        elif stage == "merge_model":
            yield from [("train_adapter", i), ("select_data", i - 1), self.model_stage(self.start_of(run, i))]
        else:
            yield from self._evaluation_upstream(run, stage, i)

    def _evaluation_upstream(self, run: str, stage: str, i: int) -> Iterator[tuple[str, int]]:
        stages = self.evaluation_stages(run)
        benchmarks = self.config.runs[run].evaluation.on.values()
        if stage in ("evaluate_model", "run_harness"):
            yield self.model_stage(i)
        elif stage in ("calibrate_judge", "judge_answers"):
            if judge := self.judge_stage(run):
                yield judge
            if stage == "judge_answers":
                yield "evaluate_model", i
            if any(getattr(entry, "rival", None) == "base" for entry in benchmarks):
                yield "evaluate_model", 0
        elif stage == "score_model":
            feeding = [one for one in ("evaluate_model", "judge_answers", "run_harness") if one in stages]
            yield from ((one, i) for one in feeding)
            if "calibrate_judge" in stages:
                yield "calibrate_judge", 0
            if i:
                yield from (("score_model", earlier) for earlier in sorted({0, i - 1}))

    def evaluation_stages(self, run: str) -> list[str]:
        """Return the stages that measure every model of a run, in the order in which they can run."""
        evaluation = self.config.runs[run].evaluation
        found = ["evaluate_model"] if evaluation.on else []
        if any(entry.kind in JUDGED for entry in evaluation.on.values()):
            found += ["calibrate_judge", "judge_answers"]
        if evaluation.harness:
            found += ["run_harness"]
        return [*found, "score_model"] if found else []

    def judge_stage(self, run: str) -> tuple[str, int] | None:
        """Return the stage whose result is the identity of the evaluation's judge; None for an endpoint."""
        judge = self.config.runs[run].evaluation.judge
        if judge is None or judge.kind == "endpoint":
            return None
        return ("identify_judge", 0) if judge.model else self.model_stage(0)

    def stages(self, run: str) -> list[tuple[str, int]]:
        """Return every stage of a run with its round, in an order in which they can run."""
        measures = self.config.runs[run].health.measures
        absent = {"probe_data"} if "probe" not in measures else set()
        absent |= {"measure_data"} if not measures else set()
        of_round = [stage for stage, result in RESULT.items() if result.startswith("d_") and stage not in absent]
        of_model = self.evaluation_stages(run)
        once = [stage for stage in of_model if stage in ONCE]
        judge = [self.judge_stage(run)] if once and self.judge_stage(run) == ("identify_judge", 0) else []
        found = [("identify_model", 0), *judge]
        found += [(stage, 0) for stage in of_model]
        for i in range(self.config.runs[run].rounds):
            found += [*((stage, i) for stage in of_round), ("train_adapter", i + 1), ("merge_model", i + 1)]
            found += [(stage, i + 1) for stage in of_model if stage not in ONCE]
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

    def probed(self, run: str, i: int) -> list[int]:
        """Return the rounds whose probes the health of round `i` is measured by: its own, and d_0 to compare with."""
        return sorted({i, 0}, reverse=True) if "probe" in self.config.runs[run].health.measures else []

    # Which run owns a result ---------------------------------------------------------------------------------------

    def _upstream_digest(self, run: str, stage: str, i: int) -> str:
        """Return a digest of everything that decides a result: equal in two runs means equal results."""
        own: dict[str, Any] = {"stage": stage, "round": i, "settings": self.settings(run, stage)}
        if stage in ("identify_model", "identify_judge"):
            settings = self.config.runs[run]
            model = settings.model if stage == "identify_model" else settings.evaluation.judge.model
            own["model"] = [model.path, model.hub, model.revision, model.gguf]
            own["engine"] = settings.engine.name == "fake"
        if stage == "train_adapter":
            # A run that an alarm may stop never waits in another's stead, nor makes another stop.
            own["stops"] = self.config.runs[run].health.alarms.stopping
        own["files"] = self.files(run, stage)
        own["upstream"] = [self._digest(run, *feeding) for feeding in self.upstream(run, stage, i)]
        return digest(own)

    def _find_owner(self, run: str, stage: str, i: int) -> str:
        """Return the run whose folder holds a result: the first equal one that has it, else the first equal one."""
        wanted = self._digest(run, stage, i)
        equal = [
            other
            for other in self.config.runs
            if other == run or ((stage, i) in self._stages(other) and self._digest(other, stage, i) == wanted)
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
        return base_folder(self.config.runs[run].model)

    def judge_folder(self, run: str) -> str | None:
        """Return the folder of the evaluation's judge; None for an endpoint and for the fake engine's base."""
        judge = self.config.runs[run].evaluation.judge
        if judge is None or judge.kind == "endpoint":
            return None
        return base_folder(judge.model) if judge.model else self.model_folder(run, 0)

    def sources(self) -> dict[str, Model]:
        """Return the folders of models that the workflow makes itself, each with what says from where."""
        runs = self.config.runs.values()
        judges = (getattr(run.evaluation.judge, "model", None) for run in runs)
        models = [*(run.model for run in runs), *(judge for judge in judges if isinstance(judge, Model))]
        return {str(base_folder(model)): model for model in models if model.hub or model.gguf}

    def datasets(self) -> dict[str, OnFile]:
        """Return the data files that the workflow fetches itself, each with what says from where."""
        entries = [entry for run in self.config.runs.values() for entry in run.evaluation.on.values()]
        return {entry.path: entry for entry in entries if entry.hub}

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
        scored = [run for run in self.config.runs if self.evaluation_stages(run)]
        return [
            *(self.identity(run, settings.rounds) for run, settings in self.config.runs.items()),
            *(self.result(run, "score_model", i) for run in scored for i in range(self.config.runs[run].rounds + 1)),
            *(self.result(run, *stage) for run, _ in made for stage in self.stages(run) if stage[0] == "measure_data"),
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
    return without_operational(section, run.model_dump(mode="json")[section])


def without_operational(section: str, values: Any) -> Any:
    """Return the JSON values of a section without the keys that do not decide what comes out."""
    return _without(values, OPERATIONAL.get(section, ()))


def evaluation_files(run: Run) -> dict[str, str]:
    """Return the data files of a run's benchmarks by name: what its data must not hold."""
    return {name: entry.path for name, entry in run.evaluation.on.items()}


def evaluation_data(run: Run) -> list[str]:
    """Return every file that a run's benchmarks read."""
    references = [getattr(entry, "references", None) for entry in run.evaluation.on.values()]
    return [*evaluation_files(run).values(), *filter(None, references)]


def shard_count_file(run: str, stage: str, i: int) -> str:
    """Return the file in which a finished stage keeps the number of its shards."""
    folder = RESULT[stage].format(i=i).rpartition("/")[0]
    return f"results/{run}/{folder}/.shards/{stage}/count"


def base_folder(model: Model) -> str | None:
    """Return the folder of a model that was not trained here; models/ holds those that the workflow fetches itself."""
    if model.gguf:
        return "models/" + model.gguf.partition(":")[2].removesuffix(".gguf").replace("/", "--")
    if model.hub:
        return f"models/{model.hub.replace('/', '--')}--{model.revision.replace('/', '--')}"
    return model.path


def _without(value: Any, keys: Iterable[str]) -> Any:
    if not isinstance(value, dict):
        return value
    kept = {key: child for key, child in value.items() if key not in keys}
    for key in keys:
        outer, _, inner = key.partition(".")
        if inner and isinstance(kept.get(outer), dict):
            kept[outer] = _without(kept[outer], [inner])
    return kept
