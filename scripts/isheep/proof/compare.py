"""Two runs that should be equal, artifact by artifact: identical, equal within a tolerance, or different and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from isheep.data.values import differences
from isheep.documents.records import Manifest
from isheep.proof.numbers import Distance, distance
from isheep.proof.results import Results
from isheep.proof.stale import modules_behind, recorded_run
from isheep.runner.code import code_files
from isheep.runner.portable import in_run

IDENTICAL, CLOSE, DIFFERENT, MISSING = "identical", "close", "different", "missing"


@dataclass(frozen=True)
class Compared:
    """One artifact of two runs; `largest` is the largest difference of its numbers, None when more differs."""

    stage: str
    artifact: str
    verdict: str
    largest: float | None = 0.0
    where: str = ""
    causes: tuple[str, ...] = ()

    def line(self, run: str) -> str:
        """Return the outcome in one line."""
        text = f"{run}: {self.verdict}: {self.artifact}"
        if self.verdict == CLOSE:
            text += f": numbers differ by at most {self.largest:.2g} ({self.where})"
        elif self.verdict == DIFFERENT and self.where:
            text += f": {self.where}"
        return text + (f"; cause: {'; '.join(self.causes)}" if self.causes else "")


def compare(
    old: Manifest, new: Manifest, originals: Results | None, results: Results, tolerance: float
) -> list[Compared]:
    """Compare two runs by their manifests, and by their files where hashes differ.

    Parameters
    ----------
    old, new
        Manifests.
    originals, results
        Where the files of `old` and `new` are; without `originals` different hashes mean different artifacts.
    tolerance
        Largest |a - b| / max(1, |a|, |b|) of two numbers that count as equal.
    """
    compared: list[Compared] = []
    for key, ours in old["made"]["stages"].items():
        theirs = new["made"]["stages"].get(key)
        remade = {in_run(path): (path, sha256) for path, sha256 in theirs["outputs"].items()} if theirs else {}
        causes = tuple(_causes(key, old, new)) if theirs else ()
        for path, sha256 in ours["outputs"].items():
            name = in_run(path)
            if name not in remade:
                compared.append(Compared(key, name, MISSING, None))
            elif remade[name][1] == sha256:
                compared.append(Compared(key, name, IDENTICAL))
            else:
                apart = _distance(path, remade[name][0], originals, results)
                finite = math.isfinite(apart.largest)
                verdict = CLOSE if apart.largest <= tolerance else DIFFERENT
                largest = apart.largest if finite else None
                where = apart.where if verdict == CLOSE or not finite else f"by {apart.largest:.2g} at {apart.where}"
                compared.append(Compared(key, name, verdict, largest, where, causes))
    return compared


def _distance(old: str, new: str, originals: Results | None, results: Results) -> Distance:
    if originals is None or not originals.find(old).exists():
        return Distance(math.inf, "another sha256, and the original is not at hand for more")
    return distance(originals.find(old), results.find(new))


def _causes(key: str, old: Manifest, new: Manifest) -> Iterator[str]:
    """Yield what differed when a stage was run: its inputs, else its settings, code, libraries and hardware."""
    ours, theirs = (manifest["made"]["stages"][key] for manifest in (old, new))
    inputs = [{in_run(path): sha256 for path, sha256 in stage["inputs"].items()} for stage in (ours, theirs)]
    changed = [name for name, sha256 in inputs[0].items() if inputs[1].get(name) != sha256]
    if changed:
        yield f"it follows from {', '.join(changed)}"
    hardware = [manifest["observed"]["stages"][key]["hardware"] for manifest in (old, new)]
    named = False
    if ours["seed"] != theirs["seed"]:
        named = True
        yield f"other seed ({ours['seed']}, now {theirs['seed']})"
    others = [change for change in differences(ours["settings"], theirs["settings"]) if change[0] != "seed"]
    for kind, changes in (
        ("settings", others),
        ("library version", list(differences(ours["versions"], theirs["versions"]))),
        ("hardware", list(differences(hardware[0], hardware[1]))),
    ):
        if changes:
            named = True
            yield f"other {kind} ({', '.join(f'{place} {was}, now {now}' for place, was, now in changes)})"
    if ours["code"] != theirs["code"]:
        named = True
        files = [manifest["made"]["code"]["files"] for manifest in (old, new)]
        which = sorted(name for name in {*files[0], *files[1]} if files[0].get(name) != files[1].get(name))
        behind = code_files(*modules_behind(ours["stage"], recorded_run(old)))
        which = [name for name in which if name in behind] or which
        yield f"other code ({', '.join(which[:3])}{f' and {len(which) - 3} more' if len(which) > 3 else ''})"
    if not changed and not named:
        yield "none is recorded: this stage does not repeat its bytes with this engine, dtype and device"


def outcome(compared: list[Compared]) -> str:
    """Return the verdict on a whole run: the worst of its artifacts'."""
    verdicts = {artifact.verdict for artifact in compared}
    return next((worst for worst in (MISSING, DIFFERENT, CLOSE) if worst in verdicts), IDENTICAL)


def lines(run: str, compared: list[Compared], tolerance: float) -> list[str]:
    """Return one line for every artifact that is not identical, then one with the outcome."""
    counts = Counter(artifact.verdict for artifact in compared)
    counted = ", ".join(f"{counts[kind]} {kind}" for kind in (IDENTICAL, CLOSE, DIFFERENT, MISSING) if counts[kind])
    last = f"{run}: {outcome(compared)}: {counted} (close: numbers within {tolerance:g})"
    return [*(artifact.line(run) for artifact in compared if artifact.verdict != IDENTICAL), last]


def document(run: str, compared: list[Compared], tolerance: float) -> dict[str, Any]:
    """Return the comparison as a JSON value."""
    return {
        "run": run,
        "outcome": outcome(compared),
        "tolerance": tolerance,
        "artifacts": [{**asdict(artifact), "causes": list(artifact.causes)} for artifact in compared],
    }
