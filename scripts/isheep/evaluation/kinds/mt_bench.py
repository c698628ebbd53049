"""MT-Bench style: two turns answered, each graded by a judge (Zheng et al. 2023, arXiv 2306.05685, section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from isheep.config.places import File
from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.evaluation.base import Answers, Ask, Item, Metric, Turn, ratio, whole, written
from isheep.evaluation.benchmark import Benchmark
from isheep.evaluation.files import load_items, read, strings, take
from isheep.evaluation.judge import rating, read_rating
from isheep.serving.engines.base import Sampling

TEMPERATURES = {"writing": 0.7, "roleplay": 0.7, "stem": 0.1, "humanities": 0.1}
LONG_WORDS = 300


class MtBench(Benchmark):
    """One or two turns, each graded from 1 to 10 by the judge."""

    headline: ClassVar[tuple[str, ...]] = ("local_judge_score",)
    form: ClassVar[Literal["rate", "compare"] | None] = "rate"

    kind: Literal["mt_bench"] = "mt_bench"
    references: File | None = Field(None, description="File of right answers that the judge is shown.")
    max_tokens: int = Field(1024, ge=1, description="New tokens of an answer at most.")

    @property
    def files(self) -> tuple[str, ...]:
        """Questions and right answers."""
        return (*super().files, self.references) if self.references else super().files

    def load(self) -> list[Item]:
        """Return the questions of a file with question_id, category and turns.

        The right answers are those of `references` (question_id, choices[0].turns); without that file the questions'
        own `reference`, if any.
        """
        known = dict(_reference(*row) for row in read(Path(self.references))) if self.references else {}

        def make(place: str, row: Row) -> Item:
            id = str(take(place, row, "question_id", (int, str)))
            turns = strings(place, row, "turns")
            if not turns:
                raise UserError(f"{place}: 'turns' is empty")
            own = row.get("reference") if not self.references else None
            right = known.get(id) or (
                own if isinstance(own, list) and all(isinstance(text, str) for text in own) else []
            )
            return Item(id, {"category": take(place, row, "category", str), "turns": turns, "references": right})

        return load_items(self.data, make, self.limit)

    def requests(self, item: Item, answers: Answers) -> list[Ask]:
        """Return the first turn that is unanswered; when all are answered, the judge's grades that are missing."""
        turns: list[Turn] = []
        for number, text in enumerate(item.fields["turns"], start=1):
            turns.append({"role": "user", "content": text})
            if f"turn-{number}" not in answers:
                sampling = Sampling(TEMPERATURES.get(item.fields["category"], 0.0), 1.0, self.max_tokens)
                return [Ask(f"turn-{number}", tuple(turns), sampling=sampling)]
            turns.append({"role": "assistant", "content": written(answers, f"turn-{number}")})
        said = [(user["content"], model["content"]) for user, model in zip(turns[::2], turns[1::2], strict=True)]
        asks = [
            rating(f"judge-{number}", said[:number], item.fields["references"][:number], self._method)
            for number in range(1, len(said) + 1)
        ]
        return [ask for ask in asks if ask.key not in answers]

    def beside(self, item: Item) -> dict[str, str]:
        """Return the references that the judge is shown, where there are any."""
        numbered = enumerate(item.fields["references"], start=1)
        return {f"reference {number}": text for number, text in numbered if text}

    def score(self, item: Item, answers: Answers) -> Row:
        """Return grade (None when unread) and length in words of every turn."""
        numbers = range(1, len(item.fields["turns"]) + 1)
        return {
            "category": item.fields["category"],
            "grades": [read_rating(answers[f"judge-{number}"]) for number in numbers],
            "words": [len(written(answers, f"turn-{number}").split()) for number in numbers],
        }

    def summarise(self, rows: Sequence[Row]) -> dict[str, Metric]:
        """Return the mean grade over all read turns, per turn, what was not read, and what length alone explains.

        `length_only_score` grades by words alone, rising from 1 to 10 at 300 words.
        """
        metrics = {"local_judge_score": ratio(_grades(rows, None), "1-10")}
        for turn in range(max((len(row["grades"]) for row in rows), default=0)):
            metrics[f"local_judge_score_turn_{turn + 1}"] = ratio(_grades(rows, turn), "1-10")
        unread = ((row["id"], row["grades"].count(None), len(row["grades"])) for row in rows)
        metrics["local_judge_parse_failures"] = ratio(unread, better="lower")
        by_length = ((row["id"], sum(length_grade(words) for words in row["words"]), len(row["words"])) for row in rows)
        metrics["length_only_score"] = ratio(by_length, "1-10", "")
        graded = {row["id"]: _graded(row) for row in rows}
        count = sum(map(len, graded.values()))
        metrics["local_judge_length_correlation"] = whole(graded, _correlation, count, "Spearman's rho", "")
        metrics["mt_bench_words"] = ratio(
            ((row["id"], sum(row["words"]), len(row["words"])) for row in rows), "words", ""
        )
        return metrics

    def groups(self, rows: Sequence[Row]) -> dict[str, dict[str, Metric]]:
        """Return the mean grade per category."""
        categories = sorted({row["category"] for row in rows})
        return {
            name: {"local_judge_score": ratio(_grades([row for row in rows if row["category"] == name], None), "1-10")}
            for name in categories
        }


def _reference(place: str, row: Row) -> tuple[str, list[str]]:
    try:
        turns = row["choices"][0]["turns"]
    except (KeyError, IndexError, TypeError):
        raise UserError(f"{place}: a reference needs question_id and choices[0].turns") from None
    return str(take(place, row, "question_id", (int, str))), strings(place, {"turns": turns}, "turns")


def _grades(rows: Sequence[Row], turn: int | None) -> list[tuple[str, float, float]]:
    """Return for every row the sum and the number of its read grades, of one turn or of all."""
    terms: list[tuple[str, float, float]] = []
    for row in rows:
        chosen = row["grades"] if turn is None else row["grades"][turn : turn + 1]
        read_ones = [grade for grade in chosen if grade is not None]
        terms.append((row["id"], sum(read_ones), len(read_ones)))
    return terms


def _graded(row: Row) -> list[tuple[float, float]]:
    """Return grade and words of every turn whose grade was read."""
    return [pair for pair in zip(row["grades"], row["words"], strict=True) if pair[0] is not None]


def _correlation(items: list[list[tuple[float, float]]]) -> float | None:
    return rank_correlation([pair for item in items for pair in item])


def length_grade(words: int) -> float:
    """Return the grade of a judge that looks at nothing but the number of words."""
    return 1 + 9 * min(words, LONG_WORDS) / LONG_WORDS


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Spearman's rank correlation; None for fewer than three pairs or where one side never varies."""
    if len(pairs) < 3 or any(len(set(side)) < 2 for side in zip(*pairs, strict=True)):
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(*zip(*pairs, strict=True)).statistic)
