# What rules share. Which file feeds which rule, what decides a stage and who owns an artifact follow from the table of
# stages (scripts/isheep/stages); the functions here only hand its answers to Snakemake.
import inspect
import sys
from functools import cache
from pathlib import Path

from snakemake.common import overwrite_function_params

sys.path.insert(0, str(Path(str(workflow.current_basedir)).parent / "scripts"))

from isheep.config import read_config
from isheep.errors import UserError
from isheep.plan import estimate, text
from isheep.proof.reproduce import prepare
from isheep.report import renewal
from isheep.runner.code import code_digest
from isheep.runner.portable import ROOT, shipped_in, stand_first
from isheep.workflow import budget, endpoints, frozen, lock, screen, targets
from isheep.workflow.check import check
from isheep.workflow.graph import Graph, base_folder
from isheep.workflow.study import lay_out

stand_first()  # for the scripts of jobs, too
screen.begin(workflow, logger, lambda: plan_text())

# Snakemake follows files back to their makers by recursion, some forty calls for each round of a run.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 20_000))

# Where results lie when a workflow that imports this one gives its files a prefix.
PLACE = workflow.modifier.path_modifier.prefix or ""


def forces():
    """Whether the user forces what stands (`--forcerun`, `--forceall`, `--force`); jobs of a cluster are forced, too."""
    asked = workflow.dag_settings  # known when jobs are made, not while rules are read
    return bool(asked.forceall or asked.forcerun or asked.forcetargets)


gpu = config.pop("gpu", None)  # `--config gpu=A100`: what a plan counts with
driver = None  # the lock, while this process drives the workflow

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
    # `snakemake study --config study=FILE`: a base run and what varies, as runs of one graph
    study = lay_out(config, ROOT)
    reading = read_config(config, ROOT, workflow.configfiles, PLACE)
    named = (
        study.name
        if study
        else Path(str((workflow.configfiles or ["config"])[-1])).stem
    )
    graph = Graph(reading.config, ROOT, PLACE, forces, named)
    check(graph, reading.problems)
except UserError as error:
    raise WorkflowError(str(error))
# Jobs of this process get what was resolved: a preset or recipe that is edited meanwhile is not theirs.
config.clear()
config.update(frozen.resolved(graph.config))
pages = renewal.of(graph.config)  # of runs that are not finished


def known(function):
    """A function of a job that tells its parameters: Snakemake asks at every call, else a tenth of a dry run."""
    overwrite_function_params(function, inspect.signature(function).parameters)
    return function


def of_job(method, stage, *more):
    """Function of a job: what the graph says of a stage in the job's run and round; its shards get the same answer."""
    answer = cache(lambda run, i: method(run, stage, i, *more))
    return known(lambda wildcards: answer(wildcards.run, int(wildcards.get("i", 0))))


def reads(stage, name):
    """Input function: what a stage reads of other stages, under a name of its declaration."""
    return of_job(graph.reads, stage, name)


def files(stage):
    """Input function: the user's files that a stage reads. Their content decides, in params; their time does not.

    Results of other runs among them are waited for.
    """

    linked = of_job(graph.linked, stage)

    def of(wildcards):
        run = wildcards.run
        own = [
            file for file in graph.files(run, stage) if not graph.links.of(run, file)
        ]
        return [*map(ancient, own), *linked(wildcards)]

    return known(of)


def identified(stage):
    """Input function: the folder of a model whose files a stage hashes. A user's counts by their state, in params."""

    found = weights(stage)

    def of(wildcards):
        folder = found(wildcards)
        made_here = not folder or folder in graph.sources()
        return folder if made_here else ancient(folder)

    return known(of)


def runs_model(stage):
    """Inputs of a stage that runs a model: its identity, its folder, the user's files, the markers of shards.

    Snakemake knows a folder by its time only, so rules take it as ancient: a changed model shows in its identity file.
    """
    inputs = {
        "files": files(stage),
        "identity": of_job(graph.identity, stage),
        "model": ancient(weights(stage)),
    }
    if graph.table[stage].shards:
        gathered = of_job(graph.shards, stage)
        inputs["shards"] = known(
            lambda job: [] if "shard" in job.keys() else gathered(job)
        )
    return inputs


def weights(stage):
    """Input function: the folder of the model that a stage runs; nothing for a fake or an endpoint."""
    awaits = of_job(graph.awaits_model, stage)
    folder = of_job(graph.weights, stage)
    return known(lambda job: (awaits(job) and folder(job)) or [])


def decides(stage):
    """Params of a stage: the settings and the code that decide what it makes; a change of either re-runs it."""
    params = {
        "settings": known(lambda wildcards: graph.settings(wildcards.run, stage)),
        "code": known(lambda wildcards: graph.code(wildcards.run, stage)),
        "reads": of_job(graph.refers, stage),
    }
    declared = graph.table[stage]
    if declared.model or declared.weights:
        params["model_folder"] = of_job(graph.weights, stage)
    if declared.weights:
        params["weights"] = known(
            lambda wildcards: graph.remains.weights.asked(wildcards.run, stage)
        )
    return params


def need(stage, wildcards, attempt):
    i, is_shard = int(wildcards.get("i", 0)), "shard" in wildcards.keys()
    return graph.need(wildcards.run, stage, i, attempt, is_shard)


def cpus(stage):
    """Threads of a stage's jobs."""
    return known(lambda wildcards, attempt: need(stage, wildcards, attempt).cpus)


def asks(stage, engine=True):
    """Resources of a stage's jobs: memory in MB (MiB for SLURM) and minutes, doubled at each retry; GPUs for an engine."""

    def of(convert):
        return known(
            lambda wildcards, attempt: convert(need(stage, wildcards, attempt))
        )

    resources = {
        "mem_mb": of(lambda needs: int(needs.mem_gib * 1024)),
        "runtime": of(lambda needs: needs.minutes),
    }
    gpus = {"gpu": of(lambda needs: needs.gpus), "model": 1} if engine else {}
    return resources | gpus


def reproduced():
    """The manifest of the run that is made again."""
    if reproduction is None:
        raise WorkflowError("reproduce: say which run, with --config manifest=FILE")
    return f"results/{reproduction.run}/manifest.json"


def beside(stage, file):
    """Input function: a file that a stage makes, in every round; none when the run does not have the stage."""
    return of_whole(lambda run: graph.beside(run, stage, file))


def checked(wildcards):
    """Input function: no file, but not before d_{i-1} was checked, where an alarm may stop the run."""
    if graph.config.runs[wildcards.run].health.alarms.stopping:
        checkpoints.check_data.get(run=wildcards.run, i=int(wildcards.i) - 1)
    return []


def whole(run):
    """Wait for every decision on another round of a run that has a budget: before them, nobody knows its rounds."""
    settings = graph.config.runs[run]
    if not (
        settings.budget.limits and workflow.is_main_process
    ):  # jobs start when all is decided
        return run
    for i in range(1, settings.rounds):
        checkpoints.check_budget.get(run=run, i=i)
        if graph.run(run).rounds == i:
            break
    return run


def of_whole(function):
    """Input function: what a function gives of a run, once its rounds are known."""
    return lambda wildcards: function(whole(wildcards.run))


def of_every_run(function):
    """Input function: what a function gives of every run of the config, each once, when all their rounds are known."""
    return lambda wildcards: sorted(
        {file for run in graph.config.runs for file in function(whole(run))}
    )


def asked(wildcards):
    """Params function: all settings of a run, as asked for."""
    return shipped_in(graph.config.runs[wildcards.run].model_dump(mode="json"))


def resolved(wildcards):
    """Params function: all settings of a run, with the rounds that it has."""
    return shipped_in(graph.run(wildcards.run).model_dump(mode="json"))


def section(name):
    """Params function: a section of a run as it stands."""
    return lambda wildcards: getattr(graph.config.runs[wildcards.run], name).model_dump(
        mode="json"
    )


def base_model(wildcards):
    """Params function: the folder of a run's base model; None for the fake engine's."""
    return base_folder(graph.config.runs[wildcards.run].model)


def compared_runs(wildcards):
    """Params function: the settings and records of every run of the config."""
    return {
        run: {
            "settings": shipped_in(graph.run(run).model_dump(mode="json")),
            "records": graph.records(run),
        }
        for run in graph.config.runs
    }


def made_of(run):
    """Input function: what `snakemake` makes of a run by default."""
    return lambda wildcards: targets.of_run(graph, whole(run))


def studied():
    """What `snakemake study` makes beside all of its runs: their tables and plot."""
    if study is None:
        raise WorkflowError("study: say which, with --config study=FILE")
    return [
        f"results/studies/{study.name}.{end}" for end in ("csv", "seeds.csv", "svg")
    ]


def published(run):
    """A data set of every d_i and a model of every iter_i after the base."""
    return [
        f"results/{run}/published/{name}"
        for i in range(graph.run(run).rounds)
        for name in (f"d_{i}", f"iter_{i + 1}")
    ]


def plans():
    """What every run will still take."""
    asked = workflow.resource_settings
    return estimate.of_graph(graph, gpu, local=asked.cores is not None)


def plan_text():
    """The plans of all runs, for a terminal."""
    return "\n\n".join(map(text.render, plans()))


def begin_driving():
    """Take the folder's lock for this driver, for runs that fit; end what a killed one left on SLURM; freeze settings."""
    global driver
    try:
        jobs = list(workflow.dag.needrun_jobs())
        if lock.drives(job.rule.name for job in jobs):
            for each in plans():
                each.refuse_if_it_cannot_fit()
        asked = ((job.rule.name, job.wildcards_dict.get("run", "")) for job in jobs)
        for line in endpoints.silent(graph.config, asked):
            logger.warning(line)
        driver = lock.begin(workflow, logger.info)
        if driver:
            frozen.freeze(workflow, graph.config, Path.cwd())
            logger.addHandler(pages)
    except UserError as error:
        raise WorkflowError(str(error))


def end_driving(finished):
    """Remove what was frozen, give the lock back."""
    if driver:
        frozen.thaw(Path.cwd())
    lock.release(driver, finished)
    if driver:
        for page in pages.end(finished):
            logger.info(f"Page of the run so far: {page}")


def print_summaries():
    """Print every run's summary and where its report is, of a study where its files are; nothing after other targets."""
    asked = set(workflow.dag_settings.targets)
    if asked - {"study"}:
        return
    for run in graph.config.runs:
        summary = PLACE / Path("results") / run / "summary.txt"
        if summary.exists() and not asked:
            print(summary.read_text())
        if stop := budget.stopped(graph, run):
            print(f"{run}: {stop}")
    for file in (
        [*studied(), *targets.comparison(graph)] if asked else targets.pages(graph)
    ):
        if (PLACE / Path(file)).exists():
            print(targets.line(f"{PLACE}{file}"))
