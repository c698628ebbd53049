"""Starts of the workflow, counted: which jobs ran, which requests were asked anew, what was given back."""

from __future__ import annotations

import re
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workplace import FAKE, Workplace

JOB = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):$", re.MULTILINE)
ASKED = re.compile(r"\d+ requests: \d+ already done, (\d+) to do")
GIVEN_BACK = "given back; to make it anew delete"
# Made of what is there in a moment, whenever anything that they tell of is made again.
TELLING = {"freeze_config", "summarise_run", "write_report", "write_comparison", "gather_manifest", "all"}


@dataclass(frozen=True)
class Start:
    """What one start of Snakemake did.

    Parameters
    ----------
    jobs
        How many jobs of each rule ran, but for those that only tell of others.
    asked
        Requests that an engine answered anew.
    given_back
        Results that were kept and given back instead of made again.
    code, said
        Exit status; everything that was printed.
    """

    jobs: Counter[str]
    asked: int
    given_back: int
    code: int
    said: str


class Scenario(Workplace):
    """A folder in which a user works."""

    def start(self, *arguments: str, check: bool = True) -> Start:
        """Start Snakemake as a user would; return what it did."""
        done = self.snakemake(*arguments, "--quiet", "host", check=check)
        said = done.stdout + done.stderr
        jobs = Counter(rule for rule in JOB.findall(said) if rule not in TELLING)
        return Start(jobs, sum(map(int, ASKED.findall(said))), said.count(GIVEN_BACK), done.returncode, said)

    def path(self, name: str) -> Path:
        """Return a path in the folder of run a."""
        return self.folder / "results/a" / name


def settings(**changes: Any) -> dict[str, Any]:
    """Return the settings of two short rounds that are measured, with sections changed."""
    made = deepcopy(FAKE)
    made["prompts"] |= {"rows": 12, "tasks_per_request": 3}
    made["assess"] = {"discrimination": {"pairs": 4}}
    made["select"] |= {"floor": 2}
    made["evaluation"] = {"benchmarks": {"heldout": {"limit": 2, "max_tokens": 16}, "constraints": None}}
    for section, values in changes.items():
        made[section] = {**made.get(section, {}), **values} if isinstance(values, dict) else values
    return made
