"""Stages that would come out differently now: their settings, files or code were changed since."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from isheep.config.run import Run
from isheep.data.files import digest_file
from isheep.data.values import differences
from isheep.documents.records import Manifest, RecordedStage, Stages
from isheep.proof.findings import Finding
from isheep.proof.results import stage_key
from isheep.runner.code import PACKAGE, code_digest, code_files
from isheep.runner.portable import portable, portable_places, renamed
from isheep.stages.table import table
from isheep.workflow.graph import Graph


def stale(graph: Graph, run: str, stages: Stages, code: dict[str, str] | None) -> list[Finding]:
    """Return a finding for every stage of a run that was made with other settings, files or code than there are now.

    Parameters
    ----------
    graph, run
        The settings as they are now; the run's name.
    stages
        Its stages as recorded.
    code
        Files of the code by the manifest (path: sha256), to name those that changed.
    """
    findings = []
    for stage, i in graph.made(run):
        record = graph.record(run, stage, i)
        key = stage_key(record)
        recorded = stages.get(key)
        if recorded is None:
            findings.append(
                Finding(
                    "missing_record",
                    key,
                    record,
                    "the settings ask for this stage, but it was not run to its end; type `snakemake`",
                )
            )
            continue
        findings += _changed_files(graph.files(run, stage), key, recorded)
    findings += changed_settings(graph, run, stages)
    return findings + stale_code(stages, code, graph.config.runs[run]) + stale_page(run, code)


def changed_settings(graph: Graph, run: str, stages: Stages) -> list[Finding]:
    """Return a finding for every recorded stage of a run that was made with other settings than the graph's."""
    places = portable_places(graph.config.runs[run].model_dump(mode="json"))
    keys = {stage_key(graph.record(run, stage, i)): stage for stage, i in graph.stages(run)}
    found = []
    for key, stage in keys.items():
        if (told := stages.get(key)) is None:
            continue
        names = places | {file: portable(file, _digest(file)) for file in graph.files(run, stage)}
        changes = list(differences(told["settings"], renamed(graph.settings(run, stage), names)))
        if changes:
            some = "; ".join(f"{place}: {old!r}, now {new!r}" for place, old, new in changes[:3])
            rest = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
            message = f"{stage} was made with {some}{rest}; type `snakemake`, or put the setting back"
            found.append(Finding("stale_settings", key, told["record"], message))
    return found


def stale_code(stages: Stages, code: dict[str, str] | None, run: Run | None) -> list[Finding]:
    """Return a finding for every stage whose code is not the code that is here.

    Parameters
    ----------
    stages, code
        As of `stale`.
    run
        The run's settings, which say what code is behind a stage; without them nothing is known of it.
    """
    findings = []
    for key, recorded in stages.items():
        modules = modules_behind(recorded["stage"], run)
        if not modules or recorded["code"] in (None, code_digest(*modules)):
            continue
        now = code_files(*modules)
        which = f" ({named})" if (named := _changed_code(now, code or now)) else ""
        message = f"{recorded['stage']} was made by other code than there is now{which}; type `snakemake`"
        findings.append(
            Finding("stale_code", key, recorded["record"], message, recorded["code"], code_digest(*modules))
        )
    return findings


def stale_page(run: str, code: dict[str, str] | None) -> list[Finding]:
    """Return a finding when a run's page, which has no record, is not what the code, templates and styles here make."""
    which = _changed_code(code_files("write_report.py"), code) if code else ""
    message = f"the page was written by other code than there is now ({which}); type `snakemake`"
    return [Finding("stale_code", "", f"results/{run}/report.html", message)] if which else []


def _changed_code(now: dict[str, str], then: dict[str, str]) -> str:
    """Return the names of files that differ, the first three of many."""
    which = sorted(name for name, sha256 in now.items() if then.get(name) != sha256)
    named = ", ".join(f"scripts/{name}" for name in which[:3])
    return named + (f" and {len(which) - 3} more" if len(which) > 3 else "")


def recorded_run(manifest: Manifest | None) -> Run | None:
    """Return the settings of a run as its manifest has them; None when they are not such as this version reads."""
    try:
        return Run.model_validate(manifest["made"]["settings"]) if manifest else None
    except ValidationError:
        return None


def modules_behind(stage: str, run: Run | None) -> list[str]:
    """Return the modules behind a stage, or behind a script that is none; nothing for what is not known here."""
    if stage in table():
        return table()[stage].modules(run) if run else []
    script = f"{stage}.py"
    return [script] if (PACKAGE.parent / script).is_file() else []


def _changed_files(files: list[str], key: str, recorded: RecordedStage) -> list[Finding]:
    findings = []
    for file in files:
        now = _digest(file)
        same_name = [
            (name, sha256) for name, sha256 in recorded["inputs"].items() if Path(name).name == Path(file).name
        ]
        if now in (sha256 for _, sha256 in same_name):
            continue
        name, sha256 = same_name[0] if same_name else (portable(file, now), None)
        message = "the file was changed since {} read it" if sha256 else "{} did not read it"
        message += "; type `snakemake`, or put the file back"
        findings.append(Finding("stale_file", key, name, message.format(recorded["stage"]), sha256, now or None))
    return findings


def _digest(file: str) -> str:
    try:
        return digest_file(file)
    except OSError:
        return ""
