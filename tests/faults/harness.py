"""Kills the workflow at chosen moments, starts it again as docs/recovery.md says, and looks at what is left."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workplace import FAKE, Workplace

HOOK = Path(__file__).parent / "hook"
KILLS = int(os.environ.get("KILLS", "25"))
KILLS_A_LIFE = 5
PATIENCE = 600
# The stages in the order in which they run, and the file by which a driver notes that one is done.
STAGES = {
    "generate_prompts": "d_0/prompts.jsonl",
    "generate_outputs": "d_0/outputs.jsonl",
    "filter_outputs": "d_0/filtered.jsonl",
    "assess_outputs": "d_0/evaluated.jsonl",
    "select_data": "d_0/selected.jsonl",
    "probe_data": "d_0/probe.jsonl",
    "measure_data": "d_0/health.json",
    "train_adapter": "iter_1/training.json",
    "merge_model": "iter_1/merging.json",
    "evaluate_model": "iter_1/evaluation/answers.jsonl",
    "score_model": "iter_1/evaluation/scores.json",
}
ANSWERING = ("generate_prompts", "generate_outputs", "assess_outputs", "probe_data", "evaluate_model")
# The kills of every run that ended as if nothing had happened, with the number of requests answered twice.
SURVIVED: list[tuple[list[Kill], int]] = []


def small(**more: Any) -> dict:
    """Return the settings of one short round."""
    settings = deepcopy(FAKE) | {"rounds": 1}
    settings["prompts"] |= {"rows": 12, "tasks_per_request": 3}
    settings["assess"] = {"discrimination": {"pairs": 4}}
    settings["select"] = settings["select"] | {"floor": 2}
    return settings | more


def every_stage() -> dict:
    """Return the settings of one short round that is measured, too; an alarm that may stop it lets nothing overtake."""
    return small(
        evaluation={
            "benchmarks": {"heldout": {"limit": 2, "max_tokens": 16}, "constraints": {"limit": 2, "max_tokens": 16}}
        },
        health={"alarms": {"contamination": {"at": 1.0, "action": "stop"}}},
    )


@dataclass(frozen=True)
class Kill:
    """What is killed, and when.

    Parameters
    ----------
    stage
        The stage whose job is at work.
    moment
        `answer`: when the engine has answered its `number`-th request, before the journal knows; `torn`: half-way
        through that line of the journal; `line`: behind it; `publish`: before the `number`-th rename of a finished
        file; `clock`: `number` milliseconds after the job's start; `noted`: while the driver notes that the job is
        done. A job that ends before its moment is killed at its end.
    number
        See `moment`.
    whom
        `driver`, `job` or `both`.
    """

    stage: str
    moment: str
    number: int
    whom: str

    @property
    def note(self) -> str:
        """By what the driver's notes name the stage."""
        return {**STAGES, "check_budget": "iter_1/budget.json"}[self.stage]


def draw_kills(seed: int, count: int) -> list[Kill]:
    """Return `count` kills in different stages, in the order of the stages; the same for the same seed."""
    draw = random.Random(seed)
    kills = []
    for stage in sorted(draw.sample(list(STAGES), count), key=list(STAGES).index):
        moments = ["publish", "publish", "clock", "noted"]
        if stage in ANSWERING:
            moments += ["answer", "torn", "torn", "line", "line"]
        moment = draw.choice(moments)
        number = {"publish": draw.randint(1, 5), "clock": draw.randint(0, 1500)}.get(moment, draw.randint(1, 5))
        # A torn line is what a writer leaves that dies; nobody but the driver notes what is done.
        whom = {"torn": ["job", "both"], "noted": ["driver"]}.get(moment, ["driver", "job", "both"])
        kills.append(Kill(stage, moment, number, draw.choice(whom)))
    return kills


def finished(folder: Path, settings: dict) -> FaultPlace:
    """Return a folder in which a run was finished without a fault."""
    place = FaultPlace(folder)
    place.configure({"a": settings})
    place.finish()
    return place


class FaultPlace(Workplace):
    """A folder in which the workflow is killed and started again."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.faults = folder / ".faults"
        self.faults.mkdir()

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a driver and its jobs, with the hook in it."""
        path = os.pathsep.join(filter(None, [str(HOOK), os.environ.get("PYTHONPATH")]))
        return {**os.environ, "PYTHONPATH": path, "FAULT_FOLDER": str(self.faults), **more}

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a driver in a session of its own; what it prints goes to a file, which orphans may keep open."""
        with open(self.faults / "output.txt", "w") as output:
            running = subprocess.Popen(
                self.command(*arguments),
                cwd=self.folder,
                env=self.environment(**environment),
                start_new_session=True,
                stdout=output,
                stderr=output,
            )
        (self.faults / "driver").write_text(str(running.pid))
        return running

    def run(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run a driver to its end; return its exit status and what it printed."""
        running = self.start(*arguments, **environment)
        try:
            running.wait(PATIENCE)
        except BaseException:
            self.end_processes()
            raise
        return running.returncode, (self.faults / "output.txt").read_text()

    def finish(self, *arguments: str, **environment: str) -> str:
        """Run a driver that has to succeed; return what it printed."""
        code, text = self.run(*arguments, **environment)
        assert code == 0, text
        return text

    def fail(self, *arguments: str, **environment: str) -> str:
        """Run a driver that has to fail without a traceback; return what it printed."""
        code, text = self.run(*arguments, **environment)
        assert code != 0, text
        assert "Traceback" not in text, text
        return text

    def kill(self, kill: Kill) -> str:
        """Start the workflow, have it killed, and remove the lock that only a killed driver leaves."""
        (self.faults / "fired").unlink(missing_ok=True)
        (self.faults / "plan.json").write_text(json.dumps({**asdict(kill), "note": kill.note}))
        code, text = self.run()
        (self.faults / "plan.json").unlink()
        assert (self.faults / "fired").exists(), f"{kill} never happened\n{text}"
        assert code == (1 if kill.whom == "job" else -signal.SIGKILL), f"{kill}: exit status {code}\n{text}"
        self.unlock()
        return text

    def unlock(self) -> None:
        """Type `snakemake --unlock`, but only where a killed driver left its lock."""
        if any(self.folder.glob(".snakemake/locks/*")):
            self.finish("--unlock")

    def answered(self, stage: str) -> list[str]:
        """Return fingerprint and digest of every request that the engine answered in a stage, as often as it did."""
        file = self.faults / f"answered-{stage}"
        return file.read_text().splitlines() if file.exists() else []

    def journals(self, stage: str) -> list[Path]:
        """Return the journal files of a stage."""
        return sorted(self.folder.glob(f"results/a/**/.work/{stage}/*/*.jsonl"))

    def entries(self, stage: str) -> int:
        """Return how many requests the journals of a stage hold."""
        return sum(max(file.read_bytes().count(b"\n") - 1, 0) for file in self.journals(stage))

    def leftovers(self) -> list[str]:
        """Return what writers left behind that were killed."""
        found = (path for kind in ("tmp", "lock") for path in self.folder.glob(f"results/**/.*.{kind}"))
        return sorted(str(path.relative_to(self.folder)) for path in found)

    def made(self) -> dict[str, Any]:
        """Return what the record of every stage says was made; how long it took is left out."""
        files = sorted(self.folder.glob("results/a/**/records/*.json"))
        return {str(file.relative_to(self.folder)): json.loads(file.read_text())["made"] for file in files}

    def end_processes(self) -> None:
        """Kill every process that works in this folder."""
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if Path(os.readlink(process / "cwd")) == self.folder and int(process.name) != os.getpid():
                    os.kill(int(process.name), signal.SIGKILL)
