"""Contamination: sequences of words that a round's rows share with an evaluation file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from isheep.data.files import read_json
from isheep.data.rows import Row
from isheep.data.text import words
from isheep.documents.rounds import Overlap, SharedGrams, Unread
from isheep.errors import UserError
from isheep.evaluation.files import read
from isheep.health.quantity import share
from isheep.runner.portable import without_place

FIELDS = ("instruction", "input", "output")
Grams = dict[int, set[bytes]]


def overlap(rows: Iterable[Row], files: Mapping[str, str], lengths: Sequence[int]) -> Overlap:
    """Return, for each evaluation file and n-gram length, how many rows share a sequence with it.

    Words are runs of letters and digits, case folded (`data.text.words`); a sequence lies within one text. Thirteen
    words are what GPT-3 was cleaned by (Brown et al. 2020, appendix C); eight, as Tulu 3 (Lambert et al. 2024), also
    find texts that have no thirteen.

    Parameters
    ----------
    rows
        All rows of the round; read once, streaming.
    files
        Name of the benchmark: its data file. One that cannot be read has `{"error": line}` in place of numbers.
    lengths
        Words in a sequence, like (13, 8).
    """
    held: dict[str, Grams] = {}
    shortest = min(lengths)
    quick: set[int] = set()  # of the shortest sequences of all files
    errors: dict[str, Unread] = {}
    for name, file in files.items():
        try:
            held[name] = {n: set() for n in lengths}
            for tokens in map(words, texts(_contents(Path(file)))):
                add_grams(tokens, held[name])
                quick.update(_quick(tokens, shortest))
        except UserError as error:
            errors[name] = {"error": without_place(str(error), file)}
            del held[name]
    hits = {(name, n): 0 for name in held for n in lengths}
    count = 0
    for row in rows:
        count += 1
        texts_of_row = [words(row[field]) for field in FIELDS]
        if all(quick.isdisjoint(_quick(tokens, shortest)) for tokens in texts_of_row):
            continue  # most rows: what shares no short sequence shares no long one
        own: Grams = {n: set() for n in lengths}
        for tokens in texts_of_row:
            add_grams(tokens, own)
        for name, n in hits:
            hits[name, n] += not own[n].isdisjoint(held[name][n])
    measured: dict[str, dict[str, SharedGrams]] = {
        name: {str(n): {"rows": hits[name, n], "share": share(hits[name, n], count)} for n in lengths} for name in held
    }
    return {name: errors.get(name) or measured[name] for name in files}


def _contents(file: Path) -> Iterator[Any]:
    """Yield what is in an evaluation file: its rows, or the whole of a .json, which need not be a list (SQuAD's)."""
    if file.suffix == ".json" and file.exists():
        yield read_json(file)
    else:
        yield from (row for _, row in read(file))


def add_grams(tokens: Sequence[str], grams: Grams) -> None:
    """Add the hashes of all sequences of words in a text to those of each length."""
    for n, known in grams.items():
        known.update(hashes(tokens, n))


def _quick(tokens: Sequence[str], n: int) -> Iterator[int]:
    """Yield Python's own hash of every sequence of n words: quick, another one in each process, never the last word."""
    return map(hash, zip(*(tokens[start:] for start in range(n)), strict=False))


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value (or several), however deep; keys of objects are not texts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from texts(value.values())
    elif isinstance(value, Iterable):
        for child in value:
            yield from texts(child)


def hashes(tokens: Sequence[str], n: int) -> Iterator[bytes]:
    """Yield a hash (8 bytes) of every sequence of n words: large evaluation files stay small in memory."""
    for start in range(len(tokens) - n + 1):
        yield blake2b(" ".join(tokens[start : start + n]).encode("utf-8", "replace"), digest_size=8).digest()
