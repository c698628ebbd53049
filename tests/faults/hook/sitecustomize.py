"""Loaded by every Python that a fault test starts: ends it at a chosen moment, or hides packages from it.

FAULT_HIDDEN names packages that cannot be imported. FAULT_FOLDER holds `plan.json` (see harness.Kill), the driver's
process id in `driver`, and receives `fired` when the kill happened and `answered-STAGE`, a line for each answer of the
engine. A process is killed with signal 9 only, which no handler sees; what a hook adds is the exact moment.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import threading
import time
from base64 import b64decode
from contextlib import suppress
from pathlib import Path

SCRIPTS = f"{os.sep}.snakemake{os.sep}scripts{os.sep}"
METADATA = f"{os.sep}metadata{os.sep}"


class Hidden:
    """An import finder that finds no hidden package, as where it is not installed."""

    def __init__(self, names: list[str]) -> None:
        self.names = set(names)

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


class Killer:
    """Watches this process, and kills it, its driver or both at the moment of the plan."""

    def __init__(self, folder: Path, stage: str | None) -> None:
        self.folder = folder
        self.stage = stage
        plan = json.loads((folder / "plan.json").read_text()) if (folder / "plan.json").exists() else {}
        mine = plan.get("stage") == stage if stage else plan.get("moment") == "noted"
        self.plan = plan if mine and not (folder / "fired").exists() else {}
        self.answers = self.renames = 0
        self.patched = self.after = False
        sys.addaudithook(self.watch)
        if stage and self.plan:
            if self.plan["moment"] == "clock":
                threading.Timer(self.plan["number"] / 1000, self.strike).start()
            atexit.register(self.strike)  # a moment that never came: kill at the very end

    def watch(self, event: str, arguments: tuple) -> None:
        if event == "os.rename" and self.stage and str(arguments[0]).endswith(".tmp"):
            self.renames += 1
            if self.is_due("publish", self.renames):
                self.strike()
        elif event == "open" and isinstance(arguments[0], str):
            if self.stage and not self.patched and arguments[0].endswith(".jsonl"):
                self.patch()
            elif self.plan and not self.stage and METADATA in arguments[0] and "w" in (arguments[1] or ""):
                self.strike_when_noted(Path(arguments[0]).name)

    def strike_when_noted(self, key: str) -> None:
        """Kill the driver while it writes down that the stage's job is done."""
        with suppress(ValueError):
            if self.plan["note"] in b64decode(key + "=" * (-len(key) % 4)).decode(errors="replace"):
                self.strike()

    def patch(self) -> None:
        """Count what the engine answers, and stop around the answer of the plan."""
        journal = sys.modules.get("isheep.runner.journal")
        if journal is None:
            return
        self.patched = True
        append = journal.Journal.append

        def counted(this, request, result):
            with open(self.folder / f"answered-{self.stage}", "a") as handle:
                handle.write(f"{this.fingerprint} {request}\n")
            self.answers += 1
            if self.is_due("answer", self.answers):
                self.strike()
            place = append(this, request, result)
            if self.is_due("torn", self.answers):
                this._file.truncate(this._file.tell() - 1 - self.plan["number"] % 7)
                self.strike()
            if self.is_due("line", self.answers):
                self.strike()
            if self.after:
                time.sleep(0.1)  # an orphan takes its time, so that the next driver meets it
            return place

        journal.Journal.append = counted

    def is_due(self, moment: str, count: int) -> bool:
        return self.plan.get("moment") == moment and self.plan["number"] == count

    def strike(self) -> None:
        """Kill whom the plan names, once."""
        if not self.plan or self.after:
            return
        try:
            os.close(os.open(self.folder / "fired", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return
        self.after = True
        if self.plan["whom"] in ("driver", "both"):
            os.kill(int((self.folder / "driver").read_text()), signal.SIGKILL)
        if self.plan["whom"] in ("job", "both"):
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    if os.environ.get("FAULT_HIDDEN"):
        sys.meta_path.insert(0, Hidden(os.environ["FAULT_HIDDEN"].split(",")))
    folder = os.environ.get("FAULT_FOLDER")
    if folder is None:
        return
    scripts = [argument for argument in sys.orig_argv if SCRIPTS in argument]
    if scripts:
        Killer(Path(folder), scripts[0].rsplit(".", 2)[-2])
    elif "snakemake" in sys.orig_argv:
        Killer(Path(folder), None)


main()
