"""SQuAD 2.0 (Rajpurkar et al. 2018, arXiv 1806.03822)."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from isheep.data.files import read_json
from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.evaluation.base import Answers, Ask, Item, Metric, mean, written
from isheep.evaluation.benchmark import Benchmark
from isheep.evaluation.files import collect, missing, read, strings, take
from isheep.evaluation.short_answers import ask, first_line, plain, without_articles

NO_ANSWER = "impossible to answer"
DECLINING_WORDS = 8
PROMPT = (
    "Read the passage and answer the question with the fewest words copied from the passage, and nothing else. "
    f"If the passage does not hold the answer, write: {NO_ANSWER}\n\nPassage: {{}}\n\nQuestion: {{}}\nAnswer:"
)


class Squad2(Benchmark):
    """Questions about a passage, half of which it does not answer: SQuAD 2.0."""

    headline: ClassVar[tuple[str, ...]] = ("squad2_f1", "squad2_em")

    kind: Literal["squad2"] = "squad2"
    max_tokens: int = Field(50, ge=1, description="New tokens of an answer at most.")

    def load(self) -> list[Item]:
        """Return the questions of a file in the official format (data / paragraphs / qas), or in the hub's rows."""
        return collect(self.data, _items(self.data), self.limit)

    def requests(self, item: Item, answers: Answers) -> list[Ask]:
        """Return passage and question, zero-shot and greedy."""
        text = PROMPT.format(item.fields["context"], item.fields["question"])
        return ask(text, self.max_tokens) if not answers else []

    def beside(self, item: Item) -> dict[str, str]:
        """Return the answers that are right."""
        return {"right answers": "; ".join(dict.fromkeys(item.fields["answers"])) or NO_ANSWER}

    def score(self, item: Item, answers: Answers) -> Row:
        """Return exact match and F1 (official) and OpenCompass's score of the first line."""
        text, golds = written(answers, "answer"), item.fields["answers"]
        prediction = first_line(text)
        if says_no_answer(prediction):
            prediction = ""
        return {
            "has_answer": bool(golds),
            "em": max(float(normalise(prediction) == normalise(gold)) for gold in golds or [""]),
            "f1": max(f1(prediction, gold) for gold in golds or [""]),
            "opencompass": opencompass(text, golds or [*item.fields["plausible"], NO_ANSWER]),
        }

    def summarise(self, rows: Sequence[Row]) -> dict[str, Metric]:
        """Return exact match and F1, in all and apart for questions with and without an answer, and OpenCompass's."""
        with_answer = [row for row in rows if row["has_answer"]]
        without = [row for row in rows if not row["has_answer"]]
        return {
            "squad2_em": mean(rows, "em"),
            "squad2_f1": mean(rows, "f1"),
            "squad2_has_answer_em": mean(with_answer, "em"),
            "squad2_has_answer_f1": mean(with_answer, "f1"),
            "squad2_no_answer": mean(without, "em"),
            "squad2_opencompass": mean(rows, "opencompass"),
        }


def _items(path: Path) -> Iterator[Item]:
    if path.suffix != ".json":
        yield from (_row(place, row) for place, row in read(path))
        return
    if not path.is_file():
        raise missing(path)
    whole = read_json(path)
    try:
        for article in whole["data"]:
            for paragraph in article["paragraphs"]:
                for row in paragraph["qas"]:
                    yield _item(paragraph["context"], row)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: not SQuAD's format (data / paragraphs / qas): {error}") from None


def _row(place: str, row: Row) -> Item:
    """Return a question of the form that the hub has: one row each, no plausible answers."""
    texts = strings(place, take(place, row, "answers", dict), "text")
    question = {key: take(place, row, key, str) for key in ("id", "question")}
    return _item(take(place, row, "context", str), {**question, "answers": [{"text": text} for text in texts]})


def _item(context: str, row: dict[str, Any]) -> Item:
    answers = [] if row.get("is_impossible") else [answer["text"] for answer in row["answers"]]
    fields = {
        "context": context,
        "question": row["question"],
        # As the official script: answers that normalise to nothing do not count.
        "answers": sorted({text for text in answers if normalise(text)}),
        "plausible": sorted({answer["text"] for answer in row.get("plausible_answers") or []}),
    }
    return Item(str(row["id"]), fields)


def normalise(text: str) -> str:
    """Return text in lower case without punctuation, English articles and extra blanks (SQuAD's official script)."""
    return without_articles("".join(char for char in text.lower() if char not in string.punctuation))


def f1(prediction: str, gold: str) -> float:
    """Return the F1 of the bags of normalised words; where either is empty, 1 if both are (SQuAD's official script)."""
    ours, theirs = normalise(prediction).split(), normalise(gold).split()
    if not ours or not theirs:
        return float(ours == theirs)
    common = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * common / (len(ours) + len(theirs))


def says_no_answer(prediction: str) -> bool:
    """Return whether the prediction declines to answer: in a short line with the words that the prompt asks for."""
    said = normalise(prediction)
    return said in ("unanswerable", "no answer", "") or (NO_ANSWER in said and len(said.split()) <= DECLINING_WORDS)


def opencompass(text: str, golds: Sequence[str]) -> float:
    """Return 1 if the first line equals an accepted answer after `plain`, else 0 (OpenCompass's SQuAD 2.0).

    For a question without an answer the accepted ones are the plausible answers and "impossible to answer", so that a
    model that always answers can score there too.
    """
    said = first_line(text).lower().split("answer is")[-1]
    return float(plain(said) in {plain(gold).lower() for gold in golds})
