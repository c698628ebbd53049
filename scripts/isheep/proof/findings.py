"""What a verification found: findings, notes, and how they are told to people and to machines."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from isheep.documents.records import Stages
from isheep.proof.results import MANIFEST

NAMED = 3  # artifacts of a list that a line names


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong; docs/reproducibility.md lists the kinds.

    `stage` is its name in the manifest, `artifact` the path as recorded; `downstream` are the artifacts that were
    made from it, directly or not.
    """

    kind: str
    stage: str
    artifact: str
    message: str
    expected: str | None = None
    found: str | None = None
    downstream: tuple[str, ...] = ()

    def line(self, run: str) -> str:
        """Return the finding in one line."""
        text = f"{run}: {self.kind.replace('_', ' ')}: {self.artifact}: {self.message}"
        if self.downstream:
            some = ", ".join(self.downstream[:NAMED])
            rest = len(self.downstream) - NAMED
            text += f"; made from it: {some}" + (f" and {rest} more" if rest > 0 else "")
        return " ".join(text.split())


@dataclass
class Verification:
    """What was checked in a run, what is wrong with it, and what could not be checked."""

    run: str
    manifest: str | None
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Note what is no fault, once."""
        if text not in self.notes:
            self.notes.append(text)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def sort(self, stages: Stages) -> None:
        """Put findings into the order in which the run was made, and give each what was made from its artifact."""
        order = _order(stages)
        manifest = f"results/{self.run}/{MANIFEST}"
        place = {key: index for index, key in enumerate(order)}

        def made(finding: Finding) -> int:
            """Tell when its artifact was made: what no stage makes (report, archive) comes last."""
            return -1 if finding.artifact == manifest else place.get(finding.stage, len(order))

        self.findings.sort(key=lambda finding: (made(finding), finding.artifact))
        self.findings = [
            replace(finding, downstream=tuple(_downstream(stages, order, finding, manifest)))
            for finding in self.findings
        ]

    def lines(self) -> list[str]:
        """Return one line per finding, in order, then one line with the outcome."""
        lines = [finding.line(self.run) for finding in self.findings]
        lines += [f"{self.run}: note: {note}" for note in self.notes]
        what = f"{self.checked['artifacts']} artifacts, {self.checked['files']} files, {self.checked['bytes']:,} bytes"
        if self.ok:
            return [*lines, f"{self.run}: verified: {what}; manifest sha256 {self.manifest}"]
        count = f"{len(self.findings)} finding{'s' if len(self.findings) > 1 else ''}"
        return [*lines, f"{self.run}: NOT verified: {count} in {what}; first: {self._first()}"]

    def _first(self) -> str:
        return f"{self.findings[0].artifact} ({self.findings[0].kind.replace('_', ' ')})"

    def document(self) -> dict[str, Any]:
        """Return all of it as a JSON value."""
        return {
            "run": self.run,
            "ok": self.ok,
            "manifest": self.manifest,
            "checked": self.checked,
            "findings": [{**asdict(finding), "downstream": list(finding.downstream)} for finding in self.findings],
            "notes": self.notes,
        }


def _order(stages: Stages) -> list[str]:
    """Return the stages so that each comes after those whose results it read."""
    made = {path: key for key, stage in stages.items() for path in stage["outputs"]}
    reads = {key: {made[path] for path in stage["inputs"] if path in made} - {key} for key, stage in stages.items()}
    try:
        return list(TopologicalSorter(reads).static_order())
    except CycleError:  # only an edited record makes one; it has its own finding
        return list(stages)


def _downstream(stages: Stages, order: list[str], finding: Finding, manifest: str) -> list[str]:
    """Return the artifacts that were made from a finding's artifact, or from all that its stage made."""
    stage = stages.get(finding.stage)
    inputs, outputs = (stage["inputs"], stage["outputs"]) if stage else ({}, {})
    if finding.artifact in (*outputs, manifest):
        touched, paths = {finding.artifact}, []
    elif finding.kind == "edited_record":  # later stages read no records; the manifest is made from them
        paths = [manifest] if stage and manifest not in inputs else []
        touched = set(paths)
    else:  # a stale stage, one without record or with other inputs: all that it made is in doubt
        paths = list(outputs)
        touched = set(paths)
    # A model is known to later stages by its identity.
    if finding.artifact.endswith("/model"):
        touched.update(path for path in outputs if path.endswith("/identity.json"))
    for key in order:
        if key != finding.stage and touched & set(stages[key]["inputs"]):
            paths += [path for path in stages[key]["outputs"] if path not in touched]
            touched.update(stages[key]["outputs"])
    return paths
