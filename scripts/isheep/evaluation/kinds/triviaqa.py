"""TriviaQA (Joshi et al. 2017, arXiv 1705.03551), closed-book."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from isheep.data.files import read_json
from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.evaluation.base import Answers, Ask, Item, Metric, mean, written
from isheep.evaluation.benchmark import Benchmark
from isheep.evaluation.files import collect, missing, read, strings, take
from isheep.evaluation.short_answers import ask, first_line, plain, without_articles

PROMPT = "Answer this question with a name, a number or a few words, and nothing else.\n\nQuestion: {}\nAnswer:"
PUNCTUATION = dict.fromkeys(map(ord, string.punctuation + "\u2018\u2019\u00b4`"), " ")


class TriviaQa(Benchmark):
    """Closed-book questions with lists of accepted answers: TriviaQA."""

    headline: ClassVar[tuple[str, ...]] = ("triviaqa_em", "triviaqa_contains")

    kind: Literal["triviaqa"] = "triviaqa"
    max_tokens: int = Field(50, ge=1, description="New tokens of an answer at most.")

    def load(self) -> list[Item]:
        """Return the questions of a file, with all accepted answers.

        Accepts rows of question with aliases (and gold_answer), rows as the hub has them (answer.aliases,
        answer.value), and TriviaQA's own JSON ({"Data": [...]}). Where the file gives the answers normalised, as the
        last two do, an exact match is one of these and of the normalised HumanAnswers, as in the official script.
        """
        return collect(self.data, (_item(place, row) for place, row in _rows(self.data)), self.limit)

    def requests(self, item: Item, answers: Answers) -> list[Ask]:
        """Return the question, zero-shot and greedy."""
        return ask(PROMPT.format(item.fields["question"]), self.max_tokens) if not answers else []

    def beside(self, item: Item) -> dict[str, str]:
        """Return the answers that are right."""
        return {"right answers": "; ".join(dict.fromkeys(item.fields["answers"]))}

    def score(self, item: Item, answers: Answers) -> Row:
        """Return exact match, and containment, of the first line."""
        text = written(answers, "answer")
        said = normalise(first_line(text))
        return {
            "em": float(said != "" and said in item.fields["normalised"]),
            "contains": contains(text, item.fields["answers"]),
        }

    def summarise(self, rows: Sequence[Row]) -> dict[str, Metric]:
        """Return both accuracies."""
        return {"triviaqa_em": mean(rows, "em"), "triviaqa_contains": mean(rows, "contains")}


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    if path.suffix != ".json":
        yield from read(path)
        return
    if not path.is_file():
        raise missing(path)
    whole = read_json(path)
    rows = whole.get("Data") if isinstance(whole, dict) else whole
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path}: expected a list of questions, or an object with the list `Data`")
    yield from ((f"{path}[{number}]", row) for number, row in enumerate(rows))


def _item(place: str, row: Row) -> Item:
    row = {key.lower(): value for key, value in row.items()}
    id = next((row[key] for key in ("question_id", "questionid", "qid", "id") if row.get(key) is not None), place)
    nested = row.get("answer")
    source = {key.lower(): value for key, value in nested.items()} if isinstance(nested, dict) else row
    golds = {*strings(place, source, "aliases", [])}
    golds |= {source[key] for key in ("value", "gold_answer") if isinstance(source.get(key), str)}
    if not golds:
        raise UserError(f"{place}: no accepted answer (aliases, answer.aliases or gold_answer)")
    given = [text for key in ("normalizedaliases", "normalized_aliases") for text in strings(place, source, key, [])]
    human = strings(place, source, "humananswers", [])
    normalised = sorted({*(given or map(normalise, golds)), *map(normalise, human)})
    fields = {"question": take(place, row, "question", str), "answers": sorted(golds), "normalised": normalised}
    return Item(str(id), fields)


def normalise(text: str) -> str:
    """Return text in lower case, blanks for punctuation, without English articles and extra blanks.

    As TriviaQA's official script: unlike SQuAD's, "forty-five" and "forty five" are one, and the signs with which
    quotes and apostrophes are written are punctuation.
    """
    return without_articles(text.lower().translate(PUNCTUATION))


def contains(text: str, golds: Sequence[str]) -> float:
    """Return 1 if an accepted answer stands anywhere in the first line (OpenCompass's TriviaQA), else 0.

    An alias that is nothing but signs or an article would stand in every answer; here it does not count.
    """
    said = first_line(text).lower()
    for lead in ("answer is", "a:", "answer:"):
        said = said.split(lead)[-1]
    said = plain(said.strip())
    return float(any(gold and gold in said for gold in (plain(gold).lower() for gold in golds)))
