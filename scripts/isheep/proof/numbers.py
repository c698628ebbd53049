"""How far two artifacts lie apart: the largest difference of their numbers, or where they differ in something else."""

from __future__ import annotations

import filecmp
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

DIGEST = re.compile(r"[0-9a-f]{64}")
OWNER = re.compile(r"\bresults/[^/\s]+/")


@dataclass(frozen=True)
class Distance:
    """The largest difference found, |a - b| / max(1, |a|, |b|), and where; infinite when more than numbers differ."""

    largest: float
    where: str


def distance(old: Path, new: Path) -> Distance:
    """Return how far two files, or the files of two folders, lie apart.

    Tensors of safetensors files and numbers of JSON files are compared as numbers, all else must be equal. A sha256
    inside a file follows from the file that it is of, which is compared itself.
    """
    if old.is_dir() and new.is_dir():
        return _folders(old, new)
    if not old.is_file() or not new.is_file():
        return Distance(float("inf"), "one of the two is not there")
    if filecmp.cmp(old, new, shallow=False):
        return Distance(0.0, "")
    if old.suffix == ".safetensors":
        return max(_tensors(old, new), key=lambda each: each.largest, default=Distance(0.0, ""))
    if old.suffix == ".jsonl":
        return max(_rows(old, new), key=lambda each: each.largest, default=Distance(0.0, ""))
    if old.suffix == ".json":
        return max(_values(_read(old), _read(new), ""), key=lambda each: each.largest, default=Distance(0.0, ""))
    texts = [OWNER.sub("results/", file.read_text(encoding="utf-8", errors="replace")) for file in (old, new)]
    return Distance(0.0, "") if texts[0] == texts[1] else Distance(float("inf"), "another text")


def _folders(old: Path, new: Path) -> Distance:
    from isheep.data.files import files_in

    ours, theirs = files_in(old), files_in(new)
    if set(ours) != set(theirs):
        only = sorted(set(ours) ^ set(theirs))
        return Distance(float("inf"), f"only one of the two has {', '.join(only[:3])}")
    distances = [(name, distance(ours[name], theirs[name])) for name in sorted(ours)]
    name, worst = max(distances, key=lambda pair: pair[1].largest)
    return Distance(worst.largest, f"{name} {worst.where}".strip())


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _tensors(old: Path, new: Path) -> Iterator[Distance]:
    from safetensors import safe_open

    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(safe_open(path, framework="numpy")) for path in (old, new))
        names = set(ours.keys()) | set(theirs.keys())
        if set(ours.keys()) != set(theirs.keys()):
            yield Distance(float("inf"), "other tensors")
            return
        kinds = {name: (ours.get_slice(name).get_dtype(), theirs.get_slice(name).get_dtype()) for name in names}
        if any("BF16" in pair for pair in kinds.values()):  # numpy has no such numbers
            ours, theirs = (stack.enter_context(safe_open(path, framework="pt")) for path in (old, new))
        for name in sorted(names):
            a, b = ours.get_tensor(name), theirs.get_tensor(name)
            if kinds[name][0] != kinds[name][1] or tuple(a.shape) != tuple(b.shape):
                yield Distance(float("inf"), f"{name}: other shape or number format")
            else:
                yield Distance(_apart(a, b), name)


def _apart(a: Any, b: Any) -> float:
    """Return the largest |a - b| / max(1, |a|, |b|) of two arrays or torch tensors; infinite for new NaNs."""
    import numpy as np

    a, b = (np.asarray(x.float() if hasattr(x, "float") else x, dtype=np.float64) for x in (a, b))
    if not a.size:
        return 0.0
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b) / np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
    apart[(a == b) | (np.isnan(a) & np.isnan(b))] = 0.0
    return float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max())


def _rows(old: Path, new: Path) -> Iterator[Distance]:
    with open(old, encoding="utf-8") as ours, open(new, encoding="utf-8") as theirs:
        for number, (a, b) in enumerate(zip_longest(ours, theirs), start=1):
            if a is None or b is None:
                yield Distance(float("inf"), f"line {number}: only one of the two has it")
                return
            if a != b:
                yield from _values(json.loads(a), json.loads(b), f"line {number}")


def _values(a: Any, b: Any, place: str) -> Iterator[Distance]:
    """Yield the distance of every pair of values in which two JSON values differ."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (a, b))
    if a == b:
        return
    if isinstance(a, dict) and isinstance(b, dict) and list(a) == list(b):
        for key in a:
            yield from _values(a[key], b[key], f"{place} {key}".strip())
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, pair in enumerate(zip(a, b, strict=True)):
            yield from _values(*pair, f"{place}[{index}]")
    elif numbers:
        yield Distance(abs(a - b) / max(1.0, abs(a), abs(b)), place)
    elif isinstance(a, str) and isinstance(b, str) and _says_the_same(a, b):
        return
    else:
        yield Distance(float("inf"), place)


def _says_the_same(a: str, b: str) -> bool:
    both_digests = DIGEST.fullmatch(a) is not None and DIGEST.fullmatch(b) is not None
    return both_digests or OWNER.sub("results/", a) == OWNER.sub("results/", b)
