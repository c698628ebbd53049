"""Can the judge judge? Right answers against spoilt ones, which any judge worth asking must tell apart."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PrivateAttr

from isheep.config.places import File
from isheep.config.section import Section
from isheep.data.files import digest
from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.evaluation.base import Answers, Ask, Item, Metric, mean, ratio
from isheep.evaluation.comparing import both_orders, read_both
from isheep.evaluation.files import load_items
from isheep.evaluation.intervals import interval
from isheep.evaluation.judge import Method, rating, read_rating
from isheep.evaluation.pairs import mismatched, pair

Form = Literal["rate", "compare"]
KINDS = ("truncated", "shuffled", "mismatched")
MOST_UNREAD = 0.1
FEWEST_WORDS = 8


class Calibration(Section):
    """Pairs by which the judge must show that it can judge, before its numbers count."""

    path: File = Field("config/evaluation/heldout.jsonl", description="Pairs of instruction and human answer.")
    limit: int | None = Field(None, ge=1, description="Only the first so many pairs.")

    _form: Form = PrivateAttr("compare")
    _method: Method = PrivateAttr("text")

    def bound(self, form: Form, method: Method) -> Self:
        """Return the trial for one form of use: "compare" two answers, or "rate" each alone; `method`: how to ask."""
        trial = self.model_copy()
        trial._form, trial._method = form, method
        return trial

    @property
    def form(self) -> Form:
        """The form of use that is tried."""
        return self._form

    @property
    def name(self) -> str:
        """What its answers are kept under."""
        return f"calibration_{self._form}"

    def load(self) -> list[Item]:
        """Return the pairs whose answers have at least eight words, with their spoilt answers.

        These are the same answer cut to a third, its words shuffled, and the answer to another prompt.
        """
        everything = load_items(Path(self.path), pair)
        items = [item for item in everything if len(item.fields["output"].split()) >= FEWEST_WORDS]
        if len(items) < 2:
            raise UserError(f"{self.path}: calibration needs at least two answers of {FEWEST_WORDS} words or more")
        return [Item(item.id, item.fields | spoilt(items, item)) for item in items[: self.limit]]

    def requests(self, item: Item, answers: Answers) -> list[Ask]:
        """Return what the judge is to be asked; the model is not."""
        fields = item.fields
        if self._form == "compare":
            asks = [
                ask
                for kind in KINDS
                for ask in both_orders(kind, fields["prompt"], fields["output"], fields[kind], self._method)
            ]
        else:
            texts = {"right": fields["output"], **{kind: fields[kind] for kind in KINDS}}
            asks = [rating(key, [(fields["prompt"], text)], [], self._method) for key, text in texts.items()]
        return [ask for ask in asks if ask.key not in answers]

    def score(self, item: Item, answers: Answers) -> Row:
        """Return for each way of spoiling whether the right answer wins (1, 0.5 tied, 0, None unread)."""
        row: Row = {}
        if self._form == "compare":
            verdicts = {kind: read_both(kind, answers) for kind in KINDS}
            for kind, verdict in verdicts.items():
                row[kind] = None if verdict["win"] is None else _outcome(verdict["win"], 0.5)
            firsts = [verdict["first_shown"] for verdict in verdicts.values() if verdict["first_shown"] is not None]
            row["first_shown"] = sum(firsts) / len(firsts) if firsts else None
            row |= {"unread": sum(verdict["unread"] for verdict in verdicts.values()), "asked": 2 * len(KINDS)}
        else:
            grades = {key: read_rating(answers[key]) for key in ("right", *KINDS)}
            right = grades["right"]
            for kind in KINDS:
                spoilt_grade = grades[kind]
                row[kind] = None if right is None or spoilt_grade is None else _outcome(right, spoilt_grade)
            row |= {"unread": list(grades.values()).count(None), "asked": len(grades)}
        sizes = {key: len(item.fields[key].split()) for key in ("output", *KINDS)}
        row["length_only"] = sum(_outcome(sizes["output"], sizes[kind]) for kind in KINDS) / len(KINDS)
        return row

    def summarise(self, rows: Sequence[Row]) -> dict[str, Metric]:
        """Return accuracy for each way of spoiling, the length-only judge's, position bias and unread replies."""
        metrics = {f"calibration_{kind}": mean(rows, kind) for kind in KINDS}
        metrics["calibration_length_only"] = mean(rows, "length_only", better="")
        if self._form == "compare":
            metrics["calibration_first_shown"] = mean(rows, "first_shown", better="")
        unread = ((row["id"], row["unread"], row["asked"]) for row in rows)
        metrics["calibration_parse_failures"] = ratio(unread, better="lower")
        return metrics


def _outcome(ours: float, theirs: float) -> float:
    return 0.5 if ours == theirs else float(ours > theirs)


def spoilt(items: Sequence[Item], item: Item) -> dict[str, str]:
    """Return the three spoilt answers; the shuffle depends on the item's id alone."""
    words = item.fields["output"].split()
    shuffled = list(words)
    random.Random(int(digest(["shuffle", item.id])[:16], 16)).shuffle(shuffled)
    return {
        "truncated": " ".join(words[: len(words) // 3]),
        "shuffled": " ".join(shuffled),
        "mismatched": mismatched(items, item),
    }


def objections(metrics: Mapping[str, Metric]) -> list[str]:
    """Return why the judge's numbers must not count, one short line each; empty when it passed.

    It passes if it prefers the right answer to each kind of spoilt one more often than chance (the 95 % interval lies
    above one half), is better than a judge that looks at length alone, and nearly always says something readable.
    """
    reasons = []
    shares = []
    for kind in KINDS:
        metric = metrics[f"calibration_{kind}"]
        limits = interval(metric)
        shares.append(metric.value or 0.0)
        if metric.value is None or limits is None or limits.low <= 0.5:
            said = "no verdict could be read" if metric.value is None else f"right in {metric.value:.0%} of {metric.n}"
            reasons.append(f"cannot tell a right answer from a {kind} one ({said})")
    by_length = metrics["calibration_length_only"].value or 0.0
    if sum(shares) / len(shares) <= by_length:
        reasons.append(f"no better ({sum(shares) / len(shares):.0%}) than looking at length alone ({by_length:.0%})")
    unread = metrics["calibration_parse_failures"].value
    if unread is None or unread > MOST_UNREAD:
        reasons.append(f"{unread or 0:.0%} of its replies hold no verdict (at most {MOST_UNREAD:.0%})")
    return reasons
