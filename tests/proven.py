"""A whole run of somebody with a name, on a machine with a name, and ways to damage it and to look at it."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from pathlib import Path

import pytest
from workplace import FAKE, REPOSITORY, Workplace

from isheep.proof.findings import Finding
from isheep.proof.results import Results, read_sealed
from isheep.proof.verify import verify

PERSON, MACHINE, SECRET = "zaphod-beeblebrox", "heart-of-gold", "hf_" + "Q7x" * 12
# What Python reads first: the machine is named, whatever this one is called.
NAMING = f"""
import os, platform, socket
told = os.uname()
os.uname = lambda: type(told)((told[0], {MACHINE!r}, *told[2:]))
platform.node = socket.gethostname = lambda: {MACHINE!r}
"""


def make_run(home: Path, judge: str) -> Workplace:
    """Run two rounds, measured and judged, as a person with a name and secrets, and publish and pack them.

    Seeds and questions lie outside the folder of the run. A second run shares the data of round 0 with the first, up
    to its selection.

    Parameters
    ----------
    home
        The person's home folder, which is made.
    judge
        Address of the judge.
    """
    own, work, naming = (home / name for name in ("own", "work", "naming"))
    for folder in (own, work, naming):
        folder.mkdir(parents=True)
    (naming / "sitecustomize.py").write_text(NAMING)
    shutil.copy(REPOSITORY / "config/seeds/isheep.jsonl", own / "tasks.jsonl")
    (own / "README.md").write_text("My tasks.\n\nLicence: CC-BY-4.0\n")
    question = {"question_id": 1, "category": "writing", "turns": ["Describe a lamp.", "Now as a haiku."]}
    (own / "questions.jsonl").write_text(json.dumps(question) + "\n")
    benchmarks = {
        "heldout": {"limit": 4, "max_tokens": 60},
        "constraints": {"limit": 3, "max_tokens": 60},
        "questions": {"kind": "mt_bench", "path": str(own / "questions.jsonl"), "max_tokens": 60},
    }
    endpoint = {"kind": "endpoint", "base_url": judge, "model": "j", "calibration": {"limit": 4}}
    place = Workplace(work)
    place.settings = {
        **deepcopy(FAKE),
        "seeds": {"path": str(own / "tasks.jsonl")},
        "evaluation": {"benchmarks": benchmarks, "judge": endpoint},
    }
    selected = {"rounds": 1, "select": {**FAKE["select"], "share": 0.3}, "evaluation": FAKE["evaluation"]}
    place.runs = {"a": place.settings, "b": {**place.settings, **selected}}
    place.configure(place.runs)
    told = {"USER": PERSON, "LOGNAME": PERSON, "HOME": str(home), "PYTHONPATH": str(naming)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**told, "HF_TOKEN": SECRET, "OPENAI_API_KEY": SECRET}.items():
            patch.setenv(name, value)
        place.snakemake()
        place.snakemake("publish", "archive")
    return place


def results(place: Workplace) -> Results:
    """Return the folder of the first run."""
    return Results(place.folder / "results/a")


def manifest(place: Workplace) -> dict:
    """Return its manifest."""
    return read_sealed(place.folder / "results/a/manifest.json")


def findings(place: Workplace) -> list[Finding]:
    """Return what verification finds in it."""
    return verify(results(place), threads=2)[0].findings


def flip(file: Path, position: float = 0.5) -> None:
    """Change one bit of the byte that lies at a share of a file's length; of an empty file, make a byte."""
    data = bytearray(file.read_bytes() or b" ")
    data[int(position * (len(data) - 1))] ^= 1
    file.unlink()  # published weights may be hard links
    file.write_bytes(data)


class Changed:
    """A file changed inside a `with` block, and put back after it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __enter__(self) -> Path:
        self.kept = self.file.with_name(f".{self.file.name}.kept")
        shutil.copy2(self.file, self.kept)
        return self.file

    def __exit__(self, *error: object) -> None:
        self.kept.replace(self.file)
