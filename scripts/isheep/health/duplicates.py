"""Texts that were there before: within the round, among the seeds, in earlier rounds."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

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
    rounds: an estimate of the share over all rows whose cost grows with the round, not with its square.

    Parameters
    ----------
    rows, earlier, seeds
        Read the round's rows in file order, those of earlier rounds, the seeds; each is called once a field.
    sampled
        Ids of the rows that are looked at for near-duplicates.
    similarity
        ROUGE-L F1 above which two texts are near-duplicates.
    tokens
        What they are compared by (`prompts.tokens`).
    """
    shares: Duplicates = {"exact": {}, "near": {}}
    for field in FIELDS:
        pools = {"within_round": _Pool(similarity, tokens)}
        for name, others in (("seeds", seeds), ("earlier_rounds", earlier)):
            pools[name] = _Pool(similarity, tokens)
            for row in others():
                pools[name].add(row[field])
        exact, near = dict.fromkeys(pools, 0), dict.fromkeys(pools, 0)
        n = looked_at = 0
        for row in rows():
            text = row[field]
            n += 1
            looked_at += row["id"] in sampled
            for name, pool in pools.items():
                exact[name] += pool.holds(text)
                near[name] += row["id"] in sampled and pool.has_like(text)
            pools["within_round"].add(text)
        shares["exact"][field] = {name: share(exact[name], n) for name in pools}
        shares["near"][field] = {name: share(near[name], looked_at) for name in pools}
    return shares


class _Pool:
    """Texts, each once, to compare new ones with."""

    def __init__(self, similarity: float, tokens: Tokens) -> None:
        self._texts: set[str] = set()
        self._near = NearDuplicates(similarity, tokens)

    def add(self, text: str) -> None:
        text = text.strip()
        if text not in self._texts:
            self._texts.add(text)
            self._near.add("", text)

    def holds(self, text: str) -> bool:
        return text.strip() in self._texts

    def has_like(self, text: str) -> bool:
        return self.holds(text) or self._near.find(text) is not None
