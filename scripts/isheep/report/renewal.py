"""The page of a run at work, made anew after each round by a process beside the driver."""

from __future__ import annotations

import logging
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import isheep
from isheep.config import Config
from isheep.report.status import PAGE
from isheep.stages.table import table
from isheep.workflow.targets import MEASURES


class Renewal(logging.Handler):
    """Listens to Snakemake's records and starts a process where a round has ended.

    Parameters
    ----------
    last
        The last stage of a round, by run.
    """

    def __init__(self, last: dict[str, str]) -> None:
        super().__init__()
        self._last = last
        self._jobs: dict[int, str] = {}
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._worked: set[str] = set()  # runs of which a stage was at work since this driver began

    def emit(self, record: logging.LogRecord) -> None:
        """Take notice of whose stages are at work, and of a job that has ended a round."""
        event, said = getattr(record, "event", None), record.__dict__
        if event == "job_info" and said["rule_name"].removesuffix("_shard") in table():
            self._worked.add(run := said["wildcards"].get("run", ""))
            if self._last.get(run) == said["rule_name"]:
                self._jobs[said["jobid"]] = run
        elif event == "job_finished" and (ended := self._jobs.pop(said["job_id"], None)):
            self.renew(ended)

    def renew(self, run: str) -> None:
        """Start to write the page of a run, unless that is still being done."""
        at_work = self._started.get(run)
        if at_work is None or at_work.poll() is not None:
            self._started[run] = write(run)

    def end(self, finished: bool) -> list[Path]:
        """Write the pages of runs that were at work and did not end; take away those of runs that have finished.

        Returns
        -------
        list
            The pages that there are of runs which have not ended.
        """
        with suppress(KeyboardInterrupt):  # who stops a run twice has no use for a page
            for process in self._started.values():
                process.wait()
            begun = [run for run in self._last if Path("results", run).is_dir()]
            for run in begun:
                if not finished:
                    if run in self._worked:  # a study has many runs, and who stops it waits for these
                        write(run).wait()
                elif Path("results", run, "report.html").exists():
                    Path("results", run, PAGE).unlink(missing_ok=True)
        return [] if finished else [page for run in self._last if (page := Path("results", run, PAGE)).exists()]


def write(run: str) -> subprocess.Popen[bytes]:
    """Return the process that writes the page of a run; whatever goes wrong there is no matter of the run."""
    scripts = str(Path(isheep.__file__).parents[1])
    code = f"import sys; sys.path.insert(0, {scripts!r}); from isheep.report.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", code, f"results/{run}"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)


def of(config: Config) -> Renewal:
    """Return what listens for a config's runs."""
    stages = [table()[name] for name in MEASURES]
    last = {name: next((stage.name for stage in stages if stage.present(run)), "") for name, run in config.runs.items()}
    return Renewal(last)
