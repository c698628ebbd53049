"""What a terminal shows of a run: what is at work, what ended, how far it is; and last, after a failure, why.

Snakemake's records come as before; only who writes them to the terminal is another. Nothing has to be installed, as a
logger plugin would have to be. Its own output comes back with `--verbose`, `--quiet host`, `--printshellcmds`,
`--debug-dag` or a plugin (`--logger`), and its log file in `.snakemake/log` is not touched.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from isheep.runner.progress import CLEAR, duration, title

STAMP = re.compile(r"\d\d:\d\d:\d\d ")
SAID = re.compile(r"\d\d:\d\d:\d\d isheep\.runner\.job: failed[:;] ")  # the last that a job says, `job.of`
RAISED = re.compile(r"^(?:WorkflowError|RuleException)[^\n]*:\n|\n  File \"[^\n]*\", line \d+, in [^\n]*")
AGAIN = re.compile(r"Trying to restart job (\d+)")
STATUS = re.compile(r"died with <Signals\.(\w+)|returned non-zero exit status (\d+)")
# What Snakemake tells of its own work.
BOOKKEEPING = (
    *("Building DAG of jobs", "Using shell: ", "Select jobs to execute", "Execute ", "Complete log", "Elapsed time"),
    *("Exiting because a job execution failed", "Assuming unrestricted shared", "Shutting down, this might"),
    *("Removing output files of failed job", "Group jobs: inactive", "Rules claiming more threads", "Job stats"),
    *("Removing temporary output", "Updating checkpoint dependencies", "Will exit after finishing currently running"),
)
STOPPING = "Terminating processes on user request"
DRY_RUN = "This was a dry-run"
FAILED = "At least one job did not complete successfully"


@dataclass
class Started:
    """A job that was started: whose it is, when (seconds), and where it logs."""

    about: str
    at: float
    logs: Sequence[str]


class Screen(logging.Handler):
    """Writes Snakemake's records as lines for people.

    Parameters
    ----------
    write
        Takes a text with its line ends.
    with_logs
        Show the log of a failed job: for those that run elsewhere and tell this terminal nothing.
    live
        Whether the text goes to a terminal, where a job's line of progress may stand and is to be cleared.
    """

    def __init__(self, write: Callable[[str], object], with_logs: bool = False, live: bool = False) -> None:
        super().__init__()
        self._write = write
        self._with_logs = with_logs
        self._clear = CLEAR if live else ""
        self._jobs: dict[int, Started] = {}
        self._ended: list[int] = []
        self._failed: dict[int, str] = {}
        self._status = ""
        self._done = self._total = 0
        self._start = time.monotonic()
        self._stopped = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write what a record tells, if it is for people."""
        try:
            show = getattr(self, f"_{getattr(record, 'event', None) or 'message'}", None)
            for line in show(record.__dict__) if show else ():
                self._write(f"{self._clear}{line}\n")
        except Exception:  # a line that cannot be written ends no run
            self.handleError(record)

    def _run_info(self, said: Mapping[str, Any]) -> list[str]:
        self._total = said["stats"].get("total", 0)
        return [_now(f"{self._total} job{'s' if self._total != 1 else ''} to do")]

    def _job_info(self, said: Mapping[str, Any]) -> list[str]:
        about = title(said["rule_name"], said["wildcards"])
        self._jobs[said["jobid"]] = Started(about, time.monotonic(), said["log"])
        return [] if said["rule_name"] == "all" else [_now(f"{about}: started")]

    def _job_finished(self, said: Mapping[str, Any]) -> list[str]:
        self._ended.append(said["job_id"])
        self._failed.pop(said["job_id"], None)
        return []

    def _progress(self, said: Mapping[str, Any]) -> list[str]:
        """Tell which jobs have ended, once it is known how many that makes."""
        self._done, self._total = said["done"], said["total"]
        ended = [job for number in self._ended if (job := self._jobs.get(number))]
        self._ended.clear()
        far = f"{self._done} of {self._total} jobs done"
        return [_now(f"{job.about}: done in {duration(time.monotonic() - job.at)} ({far})") for job in ended]

    def _job_error(self, said: Mapping[str, Any]) -> list[str]:
        if self._stopped:
            return []
        job = self._jobs.get(said["jobid"])
        about = job.about if job else said["rule_name"]
        own = told(said["log"])
        reason = own or said["rule_msg"] or self._status or "ended without a word"
        logs = ", ".join(said["log"])
        where = f" (log: {logs})" if logs and logs not in reason else ""
        self._failed[said["jobid"]] = f"{about} failed: {reason}{where}"
        if own and not self._with_logs:  # it has just said so on this terminal
            return []
        how = f": {said['rule_msg']}" if said["rule_msg"] else ""
        lines = [line for log in said["log"] if Path(log).is_file() for line in _lines(log)] if self._with_logs else []
        return [_now(f"{about}: failed{how}"), *lines]

    def _group_error(self, said: Mapping[str, Any]) -> list[str]:
        jobs = said["job_error_info"]
        return [line for job in jobs for line in self._job_error({"rule_msg": said["msg"], **job})]

    def _error(self, said: Mapping[str, Any]) -> list[str]:
        text = str(said["msg"])
        if FAILED in text:
            return self._end()
        if said.get("exception") in ("CalledProcessError", "RuleException") and (status := STATUS.search(text)):
            self._status = ended(*status.groups())  # the job itself has said why, or what ended it stands here
            return []
        return [] if self._stopped else [RAISED.sub("", text).strip()]

    def _end(self) -> list[str]:
        """Return the last lines of a run that did not finish: what is kept, and why it ended."""
        took = duration(time.monotonic() - self._start)
        done = f"{self._done} of {self._total} jobs are done"
        kept = "what they made, answers so far and checkpoints are kept; the same command goes on from there"
        if self._stopped:
            return [f"stopped by you after {took}: {done}; {kept}"]
        return ["", f"not finished after {took}: {done}; {kept}", *self._failed.values()]

    def _message(self, said: Mapping[str, Any]) -> list[str]:
        text = str(said["msg"] or "").rstrip()
        if text.startswith(STOPPING):
            self._stopped = True
            return [_now("stopping")]
        if said["levelno"] < logging.INFO or not text or text.startswith(BOOKKEEPING):
            return []
        if again := AGAIN.match(text):
            return [_now(f"{self._jobs[int(again[1])].about}: tried again")]
        return [text if said["levelno"] > logging.INFO else _now(text)]


class DryRun(logging.Filter):
    """Lets Snakemake show a dry run as ever, and has something follow it.

    Parameters
    ----------
    closing
        What follows.
    write
        Takes it.
    """

    def __init__(self, closing: Callable[[], str], write: Callable[[str], object]) -> None:
        super().__init__()
        self._closing, self._write = closing, write

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything pass; put what follows before the last line, and have a user's mistake stand alone."""
        if getattr(record, "event", None) == "error":
            record.msg = RAISED.sub("", str(record.msg)).strip()
        if str(record.msg).startswith(DRY_RUN):
            self._write(self._closing())
        return True


def begin(workflow: Any, logger: logging.Logger, closing: Callable[[], str]) -> None:
    """Take the terminal over from Snakemake's own handler, in a driver whose user wants no more than the profile says.

    Parameters
    ----------
    workflow
        Snakemake's, as it reads the Snakefile.
    logger
        Snakemake's.
    closing
        Gives the text that follows a dry run.
    """
    own = next((each for each in logger.handlers if each.name == "DefaultStreamHandler"), None)
    modes = {str(getattr(each, "name", each)).lower() for each in (workflow.output_settings.quiet or ())}
    settings = workflow.output_settings
    asked = settings.verbose or settings.debug_dag or settings.printshellcmds
    imported = workflow.modifier.parent_modifier is not None
    if own is None or imported or workflow.exec_mode.name != "DEFAULT":
        return
    stream = own.stream  # type: ignore[attr-defined] # a StreamHandler
    if settings.dryrun:
        own.addFilter(DryRun(closing, lambda text: stream.write(f"{text}\n") if text else None))
    elif "rules" in modes and not asked and not modes & {"all", "progress"}:

        def write(text: str) -> None:
            stream.write(text)
            stream.flush()

        logger.removeHandler(own)
        logger.addHandler(Screen(write, settings.show_failed_logs, stream.isatty()))


def told(logs: Sequence[str]) -> str:
    """Return what a failed job said last in its log, in one paragraph; nothing where it did not come to that."""
    lines = [line for log in logs if Path(log).is_file() for line in _lines(log)]
    starts = [number for number, line in enumerate(lines) if SAID.match(line)]
    if not starts:
        return ""
    first, *more = lines[starts[-1] :]
    message = SAID.sub("", first)
    if any(line.startswith("Traceback (most recent call last)") for line in more):
        return f"{message}: {more[-1]}"
    return "\n".join([message, *(line for line in more if not STAMP.match(line))])


def ended(signal: str | None, status: str | None) -> str:
    """Return how a process ended that said nothing itself."""
    killed = signal or {"137": "SIGKILL", "143": "SIGTERM"}.get(status or "")
    memory = "; often the machine had no memory left" if killed == "SIGKILL" else ""
    return f"killed ({killed}{memory})" if killed else f"ended with exit status {status}"


def _lines(log: str) -> list[str]:
    return [line for line in Path(log).read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]


def _now(text: str) -> str:
    return f"{datetime.now():%H:%M:%S} {text}"
