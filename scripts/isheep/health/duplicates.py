"""Texts that were there before: within the round, among the seeds, in earlier rounds."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from hashlib import blake2b

from isheep.data.dedup import NearDuplicates
from isheep.data.rows import Row
from isheep.data.text import Tokens
from isheep.documents.rounds import Duplicates
from isheep.health.quantity import share

FIELDS = ("instruction", "output")
Rows = Callable[[], Iterable[Row]]


def duplicates(
    rows: Rows, earlier: Rows, seeds: Rows, sampled: Container[str], similarity: float, tokens: Tokens = "words"
) -> Duplicates:
    """Return the shares of exact and near-duplicates for instructions and outputs.

    Exact ones (equal but for blanks at the ends) are counted over all rows. Whether a text is a near-duplicate (ROUGE-L
    F1, `dedup.NearDuplicates`) is asked of the sampled rows, against all texts before it, all seeds or all earlier
    rounds: an estimate of the share over all rows. As likeness goes both ways, only the sampled texts are indexed, and
    all others pass by; of each other text, a digest of 16 bytes is held.

    Parameters
    ----------
    rows, earlier, seeds
        Read the round's rows in file order, those of earlier rounds, the seeds; called once or twice a field.
    sampled
        Ids of the rows that are looked at for near-duplicates.
    similarity
        ROUGE-L F1 above which two texts are near-duplicates.
    tokens
        What they are compared by (`prompts.tokens`).
    """
    shares: Duplicates = {"exact": {}, "near": {}}
    for field in FIELDS:
        sample = NearDuplicates(similarity, tokens)
        for row in rows():
            if row["id"] in sampled:
                sample.add(row["id"], row[field])
        pools = {name: _Pool(sample) for name in ("within_round", "seeds", "earlier_rounds")}
        for name, others in (("seeds", seeds), ("earlier_rounds", earlier)):
            for row in others():
                pools[name].add(row[field])
        exact, near = dict.fromkeys(pools, 0), dict.fromkeys(pools, 0)
        n = looked_at = 0
        for row in rows():
            text = row[field]
            n += 1
            looked_at += row["id"] in sampled
            for name, pool in pools.items():
                held = pool.holds(text)
                exact[name] += held
                near[name] += row["id"] in sampled and (held or row["id"] in pool.near)
            pools["within_round"].add(text)
        shares["exact"][field] = {name: share(exact[name], n) for name in pools}
        shares["near"][field] = {name: share(near[name], looked_at) for name in pools}
    return shares


class _Pool:
    """Texts that pass by, each looked at once, and the ids of the sampled rows that are like one of them."""

    def __init__(self, sample: NearDuplicates) -> None:
        self.near: set[str] = set()
        self._sample = sample
        self._texts: set[bytes] = set()

    def add(self, text: str) -> None:
        if (key := _digest(text)) not in self._texts:
            self._texts.add(key)
            self.near.update(self._sample.find_all(text.strip()))

    def holds(self, text: str) -> bool:
        return _digest(text) in self._texts


def _digest(text: str) -> bytes:
    return blake2b(text.strip().encode("utf-8", "surrogatepass"), digest_size=16).digest()
