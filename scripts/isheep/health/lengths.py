"""How long texts are, and how many were cut or left blank."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from isheep.data.rows import Row
from isheep.documents.rounds import Lengths, Quantiles
from isheep.health.quantity import share

PERCENTS = (5, 25, 50, 75, 95)
# The tokens of a prompt are those that the model was shown, with its template and system message.
FIELDS = {"instruction": "prompt_tokens", "output": "output_tokens"}


def lengths(rows: Iterable[Row]) -> Lengths:
    """Return, for instructions and outputs, quantiles of words and tokens, and shares of cut and blank texts.

    Parameters
    ----------
    rows
        Rows with outputs; read once, streaming.
    """
    words: dict[str, list[int]] = {field: [] for field in FIELDS}
    tokens: dict[str, list[int]] = {field: [] for field in FIELDS}
    cut = 0
    for row in rows:
        for field, counted in FIELDS.items():
            words[field].append(len(row[field].split()))
            if row[counted] is not None:  # of a text that a person wrote, nobody counted them
                tokens[field].append(row[counted])
        cut += row["finish_reason"] != "stop"
    measured: Lengths = {}
    for field in FIELDS:
        n = len(words[field])
        measured[field] = {
            "words": quantiles(words[field], "words"),
            "tokens": quantiles(tokens[field], "tokens"),
            "share_empty": share(words[field].count(0), n),
        }
    measured["output"]["share_at_limit"] = share(cut, len(words["output"]))
    return measured


def quantiles(values: Sequence[int], unit: str) -> Quantiles:
    """Return p5 to p95 by nearest rank (the smallest value that so many per cent do not exceed), None of nothing."""
    ordered = sorted(values)
    n = len(ordered)
    p5, p25, p50, p75, p95 = (ordered[-(-percent * n // 100) - 1] if n else None for percent in PERCENTS)
    return {"p5": p5, "p25": p25, "p50": p50, "p75": p75, "p95": p95, "n": n, "unit": unit}
