# The graph's only functions: each asks isheep.workflow.graph, which knows nothing of Snakemake.
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from isheep.workflow.check import check
from isheep.config import read_config
from isheep.config.resources import Need
from isheep.errors import UserError
from isheep.workflow.graph import Graph, base_folder
from isheep.proof.reproduce import prepare
from isheep.workflow import lock
from isheep.runner.code import code_digest
from isheep.workflow.stages import ONCE

ROOT = Path(workflow.basedir)
PYTHON_ENVIRONMENT = "../envs/cpu.yaml"
driver = None  # the lock, while this process drives the workflow
GATHERING = Need(gpus=0, cpus=1, mem_gib=4, minutes=30)

try:
    # `snakemake reproduce --config manifest=FILE`: that run again, in a folder of its own
    reproduction = (
        prepare(config, workflow.overwrite_workdir) if "manifest" in config else None
    )
except UserError as error:
    raise WorkflowError(str(error))


if reproduction:

    workdir: str(reproduction.folder)


try:
    reading = read_config(config, ROOT, workflow.configfiles)
    graph = Graph(reading.config, ROOT)
    check(graph, reading.problems)
except UserError as error:
    raise WorkflowError(str(error))


def result(stage, offset=0):
    """Input function: the result of a stage in this round (or `offset` rounds away)."""
    return lambda wildcards: graph.result(
        wildcards.run, stage, int(wildcards.i) + offset
    )


def seeds_file(wildcards):
    """Input function: the seed tasks."""
    return graph.config.runs[wildcards.run].seeds.path


def meta_prompt_file(wildcards):
    """Input function: the text before the list of tasks."""
    return graph.config.runs[wildcards.run].prompts.meta_prompt


def training_report(wildcards):
    """Input function: the report of the adapter's training, by which a changed adapter shows."""
    return str(Path(result("train_adapter")(wildcards)).with_name("training.json"))


def earlier_prompts(wildcards):
    """Input function: the prompts of earlier rounds, when new ones are compared with them."""
    stages = graph.upstream(wildcards.run, "generate_prompts", int(wildcards.i))
    return [
        graph.result(wildcards.run, *stage)
        for stage in stages
        if stage[0] == "generate_prompts"
    ]


def selected_earlier(wildcards):
    """Input function: what earlier rounds trained on, d_0 first."""
    rounds = range(int(wildcards.i))
    return [graph.result(wildcards.run, "select_data", i) for i in rounds]


def probes(suffix):
    """Input function: what the base model made of this round and of d_0."""
    return lambda wildcards: [
        str(Path(graph.result(wildcards.run, "probe_data", i)).with_suffix(suffix))
        for i in graph.probed(wildcards.run, int(wildcards.i))
    ]


def checked(wildcards):
    """Input function: no file, but not before d_{i-1} was checked, where an alarm may stop the run."""
    if graph.config.runs[wildcards.run].health.alarms.stopping:
        checkpoints.check_data.get(run=wildcards.run, i=int(wildcards.i) - 1)
    return []


def base(wildcards):
    """Which model probes the data, and which others are compared with: iter_0."""
    return 0


def current(wildcards):
    """Which model works in this round: iter_i."""
    return int(wildcards.i)


def judge(wildcards):
    """Which model assesses in this round: the base, or iter_i."""
    return graph.judge_of(wildcards.run, int(wildcards.i))


def start(wildcards):
    """Which model the training of iter_i starts from: the base, or iter_{i-1}."""
    return graph.start_of(wildcards.run, int(wildcards.i))


def identity(which):
    """Input function: the identity of a model."""
    return lambda wildcards: graph.identity(wildcards.run, which(wildcards))


def model(which):
    """Input function: the folder of a model; nothing for the fake engine's base.

    Snakemake knows a folder by its time only, so rules take it as ancient: a changed model shows in its identity file.
    """
    return lambda wildcards: graph.model_folder(wildcards.run, which(wildcards)) or []


def model_folder(which):
    """Params function: the folder of a model."""
    return lambda wildcards: graph.model_folder(wildcards.run, which(wildcards))


def files(stage):
    """Input function: the user's files that a stage reads."""
    return lambda wildcards: graph.files(wildcards.run, stage)


def settings(stage):
    """Params function: the settings that decide what a stage makes; a change re-runs it."""
    return lambda wildcards: graph.settings(wildcards.run, stage)


def shards(stage):
    """Input function: the markers of a stage's shard jobs."""
    return lambda wildcards: graph.shards(wildcards.run, stage, int(wildcards.i))


def code(stage):
    """Digest of the code behind a stage: Snakemake does not see imported modules."""
    return code_digest(f"{stage}.py")


def need(wildcards, attempt, kind, gathers):
    """What a job asks for. One that only gathers its shards' results needs no engine, or else it is tried again."""
    if (
        gathers
        and attempt == 1
        and graph.shards(wildcards.run, gathers, int(wildcards.i))
    ):
        return GATHERING
    return graph.config.runs[wildcards.run].resources.at(kind, attempt)


def cpus(kind, gathers=None):
    """Threads of a model stage; `gathers` is the stage whose shards it may gather."""
    return lambda wildcards, attempt: need(wildcards, attempt, kind, gathers).cpus


def gpus(kind, gathers=None):
    """GPUs of a model stage."""
    return lambda wildcards, attempt: need(wildcards, attempt, kind, gathers).gpus


def memory(kind, gathers=None):
    """Memory of a model stage in MB (MiB for SLURM), doubled at each retry."""
    return lambda wildcards, attempt: int(
        need(wildcards, attempt, kind, gathers).mem_gib * 1024
    )


def minutes(kind, gathers=None):
    """Run time of a model stage in minutes, doubled at each retry."""
    return lambda wildcards, attempt: need(wildcards, attempt, kind, gathers).minutes


def model_source(wildcards):
    """Params function: where a base model comes from."""
    source = graph.sources()[f"models/{wildcards.model}"]
    return source.model_dump(include={"hub", "revision", "gguf"})


def data_source(wildcards):
    """Params function: where a benchmark's data set comes from."""
    source = graph.datasets()[f"data/hub/{wildcards.dataset}.jsonl"]
    return source.model_dump(include={"hub", "subset", "split", "revision"})


def base_model_folder(wildcards):
    """Params function: the folder of a run's base model; None for the fake engine's."""
    return base_folder(graph.config.runs[wildcards.run].model)


def base_model(wildcards):
    """Input function: the folder of a run's base model."""
    return base_model_folder(wildcards) or []


def judge_folder(wildcards):
    """Input and params function: the folder of the evaluation's judge; nothing for an endpoint."""
    return graph.judge_folder(wildcards.run) or []


def judge_identity(wildcards):
    """Input function: the identity of the evaluation's judge; nothing for an endpoint."""
    stage = graph.judge_stage(wildcards.run)
    return graph.result(wildcards.run, *stage) if stage else []


def previous(wildcards):
    """Which model the round before made."""
    return int(wildcards.i) - 1


def evaluated(stage, of=current, name=None):
    """Input function: what an evaluation stage made of a model, or a file beside it; nothing when there is no such.

    The base is not compared with itself; it has no earlier model.
    """

    def find(wildcards):
        i, once = of(wildcards), stage in ONCE
        compared = of is not current and not once
        if stage not in graph.evaluation_stages(wildcards.run) or (
            compared and wildcards.i == "0"
        ):
            return []
        found = Path(graph.result(wildcards.run, stage, i))
        return str(found.with_name(name) if name else found)

    return find


def rival_answers(wildcards):
    """Input function: the base model's answers, when they are a benchmark's rival."""
    benchmarks = graph.config.runs[wildcards.run].evaluation.on.values()
    rival = any(getattr(entry, "rival", None) == "base" for entry in benchmarks)
    return graph.result(wildcards.run, "evaluate_model", 0) if rival else []


def resolved(wildcards):
    """Params function: all settings of a run."""
    return graph.config.runs[wildcards.run].model_dump(mode="json")


def rounds(wildcards):
    """Params function: how many rounds a run has."""
    return graph.config.runs[wildcards.run].rounds


def beside(stage, name, first=0):
    """Input function: a file that a stage writes beside its result, in every round."""
    return lambda wildcards: [
        str(Path(graph.result(wildcards.run, stage, i)).with_name(name))
        for i in range(first, rounds(wildcards) + first)
    ]


def funnels(wildcards):
    """Input function: the funnels of every stage in every round."""
    stages = {
        "generate_prompts": "prompts",
        "generate_outputs": "outputs",
        "filter_outputs": "filtered",
        "assess_outputs": "evaluated",
        "select_data": "selected",
    }
    return [
        file
        for stage, name in stages.items()
        for file in beside(stage, f"{name}.funnel.json")(wildcards)
    ]


discriminations = beside("assess_outputs", "discrimination.json")
trainings = beside("train_adapter", "training.json", first=1)
mergings = beside("merge_model", "merging.json", first=1)


def all_scores(wildcards):
    """Input function: the scores of the base and of every model, when they are measured."""
    if not graph.evaluation_stages(wildcards.run):
        return []
    return [
        graph.result(wildcards.run, "score_model", i)
        for i in range(rounds(wildcards) + 1)
    ]


def begin_driving():
    """Take the folder's lock for this driver; end what a killed one left on SLURM."""
    global driver
    try:
        driver = lock.begin(workflow, logger.info)
    except UserError as error:
        raise WorkflowError(str(error))


def stage_records(wildcards):
    """Input function: the records of every stage of every round."""
    return [
        graph.record(wildcards.run, *stage) for stage in graph.stages(wildcards.run)
    ]


def compared_runs(wildcards):
    """Params function: the settings and records of every run of the config."""
    return {
        run: {
            "settings": settings.model_dump(mode="json"),
            "records": [graph.record(run, *stage) for stage in graph.stages(run)],
        }
        for run, settings in graph.config.runs.items()
    }


def all_stage_records(wildcards):
    """Input function: the records of every stage of every run."""
    told = compared_runs(wildcards).values()
    return sorted({record for run in told for record in run["records"]})


def records(wildcards):
    """Input function: the records of every stage of every round, and of the summary."""
    return [
        *stage_records(wildcards),
        f"results/{wildcards.run}/records/summarise_run.json",
    ]


def exports(wildcards):
    """Input function: files that the manifest vouches for though two equal runs may differ in them."""
    return [
        f"results/{wildcards.run}/{name}" for name in ("config.yaml", "report.html")
    ]


def user_files(wildcards):
    """Input function: every file of the user's that a stage of the run reads."""
    stages = {stage for stage, _ in graph.stages(wildcards.run)}
    return sorted(
        {file for stage in stages for file in graph.files(wildcards.run, stage)}
    )


def asked_again(wildcards):
    """Params function: which manifest a reproduction is compared with, and how closely."""
    asked = reproduction
    return {
        "manifest": str(asked.manifest),
        "run": asked.run,
        "tolerance": asked.tolerance,
    }


def reproduced(wildcards):
    """Input function: the manifest of the run that was made again."""
    if reproduction is None:
        raise WorkflowError("reproduce: say which run, with --config manifest=FILE")
    return f"results/{reproduction.run}/manifest.json"


def published(wildcards):
    """Input function: a data set of every d_i and a model of every iter_i after the base, of every run."""
    return [
        f"results/{run}/published/{name}"
        for run, settings in graph.config.runs.items()
        for i in range(settings.rounds)
        for name in (f"d_{i}", f"iter_{i + 1}")
    ]


def settings_of(section):
    """Params function: a section of a run as it stands."""
    return lambda wildcards: getattr(
        graph.config.runs[wildcards.run], section
    ).model_dump(mode="json")


def print_summaries():
    """Print every run's summary and where its report is, but not after targets that have something else to say."""
    if workflow.dag_settings.targets:
        return
    for run in graph.config.runs:
        summary = Path("results") / run / "summary.txt"
        if summary.exists():
            print(summary.read_text())
    for page in graph.pages():
        if Path(page).exists():
            print(f"Report: {page} (open it in a browser)")
