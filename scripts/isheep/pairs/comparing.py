"""Two answers compared on one principle in both orders: what the judge is shown, and what its likelihoods say.

After SALMON (Sun et al. 2023, arXiv 2310.05910): principles drawn for each pair and negated at random, the score of a
principle the mean of both orders and nothing where they disagree, each divided by how far that principle's scores
spread, and the strongest deciding. Prompt and principles are this project's own.
"""

from __future__ import annotations

import math
import random
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from isheep.assess.rubric import fenced, harmless
from isheep.data.entries import read_entries
from isheep.data.rows import Row
from isheep.errors import Problems, UserError
from isheep.pairs.base import Candidate
from isheep.serving.addressee import Addressee
from isheep.serving.chat import gap, transcript
from isheep.serving.engines.base import Prompt, Score, ScoreRequest

PLACES = ("instruction", "first", "second", "principle")
PLACEHOLDER = re.compile(rf"\{{({'|'.join(PLACES)})\}}")
SIDES = ("A", "B")
ORDERS = ("ab", "ba")


@dataclass(frozen=True)
class Principle:
    """What an answer can have more of: how more of it looks, and how less."""

    name: str
    more: str
    less: str


@dataclass(frozen=True)
class Drawn:
    """A principle as a pair is compared by it: as it stands, or negated."""

    principle: Principle
    negated: bool

    @property
    def text(self) -> str:
        """What the judge is shown."""
        return self.principle.less if self.negated else self.principle.more


@dataclass(frozen=True)
class Opinion:
    """How far a judge puts the first answer above the second by one principle, in nats, as shown first and second."""

    drawn: Drawn
    orders: tuple[float, float]

    @property
    def agrees(self) -> bool:
        """Whether both orders name the same answer."""
        return self.orders[0] * self.orders[1] > 0

    @property
    def score(self) -> float:
        """Mean of both orders; positive where the first answer is the better."""
        mean = sum(self.orders) / len(self.orders)
        return -mean if self.drawn.negated else mean


@dataclass(frozen=True)
class Comparison:
    """A template: `body` with a place for task, answers and principle, and `cue`, after which the letter stands."""

    body: str
    cue: str

    def prompt(self, first: Row, second: Row, drawn: Drawn, model: Addressee) -> Prompt:
        """Return what the judge is shown: both answers to a task, fenced, and the principle; the cue opens its turn."""
        texts = {"instruction": transcript(first)}
        texts |= {"first": first["output"], "second": second["output"]}
        shown = fenced({name: harmless(text, model.control_tokens) for name, text in texts.items()})
        shown["principle"] = drawn.text
        asked = model.ask(PLACEHOLDER.sub(lambda match: shown[match[1]], self.body))
        return Prompt(asked.text + self.cue, asked.add_special_tokens)


def read_comparison(path: str | Path) -> Comparison:
    """Return the template in a file; its last line is the cue.

    Raises
    ------
    UserError
        The file cannot be read, or lists all that is wrong with it.
    """
    body, _, cue = _text(path, "pairs.prompt").removesuffix("\n").rpartition("\n")
    problems = Problems(str(path))
    for name in PLACES:
        if (found := PLACEHOLDER.findall(body).count(name)) != 1:
            problems.add(f"{{{name}}}", f"must stand once above the last line, stands there {found} times")
    if not cue.strip() or PLACEHOLDER.search(cue):
        problems.add("last line", "must be the cue after which the letter stands, like Answer:, without a placeholder")
    problems.raise_if_any()
    return Comparison(body.rstrip(), cue)


def read_principles(path: str | Path) -> list[Principle]:
    """Return the principles in a YAML file, a list of {name, more, less}.

    Raises
    ------
    UserError
        The file cannot be read, or lists all that is wrong with it.
    """
    entries = read_entries(path, ("name", "more", "less"), "pairs.principles", unique="name")
    return [Principle(**entry) for entry in entries]


def _text(path: str | Path, key: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserError(f"{path}: cannot be read ({reason}); set {key} to a file") from None


def draw(principles: Sequence[Principle], count: int, negate: float, seed: int) -> list[Drawn]:
    """Return the principles by which a pair is compared.

    Parameters
    ----------
    principles, count
        Of which, and how many at most, none twice.
    negate
        Chance (0-1) of each to be negated.
    seed
        Decides it.
    """
    drawing = random.Random(seed)
    return [
        Drawn(principle, drawing.random() < negate)
        for principle in drawing.sample(list(principles), min(count, len(principles)))
    ]


def scorings(candidate: Candidate, drawn: Iterable[Drawn], shown: Comparison, model: Addressee) -> list[ScoreRequest]:
    """Return the requests that compare a candidate by some principles, two for each: one for either order."""
    first, second = candidate.answers
    sides = tuple(f"{gap(shown.cue)}{side}" for side in SIDES)
    return [
        ScoreRequest(_id(candidate, one, order), shown.prompt(*pair, one, model), sides)
        for one in drawn
        for order, pair in zip(ORDERS, ((first, second), (second, first)), strict=True)
    ]


def opinions(candidate: Candidate, drawn: Iterable[Drawn], score: Callable[[str], Score]) -> list[Opinion]:
    """Return what the judge says of a candidate; a principle by which the pair did not fit the context is left out."""
    found = []
    for one in drawn:
        as_shown, swapped = (score(_id(candidate, one, order)).log_likelihoods for order in ORDERS)
        if as_shown and swapped:
            found.append(Opinion(one, (as_shown[0] - as_shown[1], swapped[1] - swapped[0])))
    return found


def _id(candidate: Candidate, drawn: Drawn, order: str) -> str:
    return f"{candidate.id}/{drawn.principle.name}/{order}"


def spreads(found: Iterable[Sequence[Opinion]]) -> dict[str, float]:
    """Return the standard deviation of each principle's scores over all pairs, 1 where there is none."""
    scores: dict[str, list[float]] = defaultdict(list)
    for opinion in (opinion for each in found for opinion in each):
        scores[opinion.drawn.principle.name].append(opinion.score)
    return {name: (statistics.pstdev(values) if len(values) > 1 else 0.0) or 1.0 for name, values in scores.items()}


def strongest(found: Sequence[Opinion], spread: Mapping[str, float], must_agree: bool) -> tuple[Opinion, float] | None:
    """Return the opinion with the largest score in spreads of its principle, and that; None where none counts.

    Parameters
    ----------
    found
        Opinions of one pair, in the order in which principles were drawn; of equal ones the earlier counts.
    spread
        As `spreads`; 1 for a principle that is not in it.
    must_agree
        Whether only opinions count whose orders name the same answer.
    """
    counted = [
        (opinion, opinion.score / spread.get(opinion.drawn.principle.name, 1.0))
        for opinion in found
        if opinion.agrees or not must_agree
    ]
    counted = [(opinion, score) for opinion, score in counted if math.isfinite(score)]
    return max(counted, key=lambda told: abs(told[1]), default=None)
