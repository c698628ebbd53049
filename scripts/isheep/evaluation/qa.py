"""TriviaQA (Joshi et al. 2017, arXiv 1705.03551) and SQuAD 2.0 (Rajpurkar et al. 2018, arXiv 1806.03822).

Each is scored twice on one and the same answer: as its authors do, and as OpenCompass does, on which the paper's
numbers rest. The two are not comparable and have separate names.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from isheep.data.files import read_json
from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.evaluation.base import Answers, Ask, Benchmark, Item, Metric, mean, written
from isheep.evaluation.files import collect, missing, read, strings, take
from isheep.serving.chat import user
from isheep.serving.engines.base import Sampling

NO_ANSWER = "impossible to answer"
DECLINING_WORDS = 8
TRIVIA_PROMPT = "Answer this question with a name, a number or a few words, and nothing else.\n\nQuestion: {}\nAnswer:"
SQUAD_PROMPT = (
    "Read the passage and answer the question with the fewest words copied from the passage, and nothing else. "
    f"If the passage does not hold the answer, write: {NO_ANSWER}\n\nPassage: {{}}\n\nQuestion: {{}}\nAnswer:"
)


@dataclass(frozen=True)
class TriviaQa(Benchmark):
    """Closed-book questions with lists of accepted answers."""

    headline: ClassVar[tuple[str, ...]] = ("triviaqa_em", "triviaqa_contains")
    name: str = "triviaqa"
    max_tokens: int = 50

    def load(self, path: Path, limit: int | None = None) -> list[Item]:
        """Return the questions of a file, with all accepted answers.

        Accepts rows of question with aliases (and gold_answer), rows as the hub has them (answer.aliases,
        answer.value), and TriviaQA's own JSON ({"Data": [...]}).
        """
        return collect(path, (_trivia(place, row) for place, row in _trivia_rows(Path(path))), limit)

    def requests(self, item: Item, answers: Answers) -> list[Ask]:
        """Return the question, zero-shot and greedy."""
        return _ask(TRIVIA_PROMPT.format(item.fields["question"]), self.max_tokens) if not answers else []

    def score(self, item: Item, answers: Answers) -> Row:
        """Return exact match, and containment, of the first line."""
        text, golds = written(answers, "answer"), item.fields["answers"]
        said = normalise(first_line(text))
        return {
            "em": float(said != "" and any(said == normalise(gold) for gold in golds)),
            "contains": contains(text, golds),
        }

    def summarise(self, rows: Sequence[Row]) -> dict[str, Metric]:
        """Return both accuracies."""
        return {"triviaqa_em": mean(rows, "em"), "triviaqa_contains": mean(rows, "contains")}


@dataclass(frozen=True)
class Squad2(Benchmark):
    """Questions about a passage, half of which it does not answer."""

    headline: ClassVar[tuple[str, ...]] = ("squad2_f1", "squad2_em")
    name: str = "squad2"
    max_tokens: int = 50

    def load(self, path: Path, limit: int | None = None) -> list[Item]:
        """Return the questions of a file in the official format (data / paragraphs / qas), or in the hub's rows."""
        return collect(path, _squad(Path(path)), limit)

    def requests(self, item: Item, answers: Answers) -> list[Ask]:
        """Return passage and question, zero-shot and greedy."""
        text = SQUAD_PROMPT.format(item.fields["context"], item.fields["question"])
        return _ask(text, self.max_tokens) if not answers else []

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
            "opencompass": squad_opencompass(text, golds or [*item.fields["plausible"], NO_ANSWER]),
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


def _ask(prompt: str, max_tokens: int) -> list[Ask]:
    return [Ask("answer", tuple(user(prompt)), sampling=Sampling(0.0, 1.0, max_tokens))]


def _trivia_rows(path: Path) -> Iterator[tuple[str, Row]]:
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


def _trivia(place: str, row: Row) -> Item:
    row = {key.lower(): value for key, value in row.items()}
    id = next((row[key] for key in ("question_id", "questionid", "qid", "id") if row.get(key) is not None), place)
    nested = row.get("answer")
    source = {key.lower(): value for key, value in nested.items()} if isinstance(nested, dict) else row
    golds = strings(place, source, "aliases", [])
    golds += [source[key] for key in ("value", "gold_answer") if isinstance(source.get(key), str)]
    if not golds:
        raise UserError(f"{place}: no accepted answer (aliases, answer.aliases or gold_answer)")
    return Item(str(id), {"question": take(place, row, "question", str), "answers": sorted(set(golds))})


def _squad(path: Path) -> Iterator[Item]:
    if path.suffix != ".json":
        yield from (_squad_row(place, row) for place, row in read(path))
        return
    if not path.is_file():
        raise missing(path)
    whole = read_json(path)
    try:
        for article in whole["data"]:
            for paragraph in article["paragraphs"]:
                for row in paragraph["qas"]:
                    yield _squad_item(paragraph["context"], row)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: not SQuAD's format (data / paragraphs / qas): {error}") from None


def _squad_row(place: str, row: Row) -> Item:
    """Return a question of the form that the hub has: one row each, no plausible answers."""
    texts = strings(place, take(place, row, "answers", dict), "text")
    question = {key: take(place, row, key, str) for key in ("id", "question")}
    return _squad_item(take(place, row, "context", str), {**question, "answers": [{"text": text} for text in texts]})


def _squad_item(context: str, row: dict[str, Any]) -> Item:
    answers = [] if row.get("is_impossible") else [answer["text"] for answer in row["answers"]]
    fields = {
        "context": context,
        "question": row["question"],
        # As the official script: answers that normalise to nothing do not count.
        "answers": sorted({text for text in answers if normalise(text)}),
        "plausible": sorted({answer["text"] for answer in row.get("plausible_answers") or []}),
    }
    return Item(str(row["id"]), fields)


def first_line(text: str) -> str:
    """Return the first line that is not blank, stripped."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def normalise(text: str) -> str:
    """Return text in lower case without punctuation, English articles and extra blanks (SQuAD's official script)."""
    lowered = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", lowered).split())


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


def plain(text: str) -> str:
    """Return text up to the first line end, full stop or comma, without punctuation, articles, extra blanks.

    OpenCompass's general post-processing; unlike `normalise` it keeps case and cuts.
    """
    head = re.split(r"[\n.,]", text, maxsplit=1)[0]
    words = re.sub(r"\b(a|an|the)\b", "", re.sub(r"[^\w\s]", "", head), flags=re.IGNORECASE)
    return " ".join(words.split())


def contains(text: str, golds: Sequence[str]) -> float:
    """Return 1 if an accepted answer stands anywhere in the first line (OpenCompass's TriviaQA), else 0.

    An alias that is nothing but signs or an article would stand in every answer; here it does not count.
    """
    said = first_line(text).lower()
    for lead in ("answer is", "a:", "answer:"):
        said = said.split(lead)[-1]
    said = plain(said.strip())
    return float(any(gold and gold in said for gold in (plain(gold).lower() for gold in golds)))


def squad_opencompass(text: str, golds: Sequence[str]) -> float:
    """Return 1 if the first line equals an accepted answer after `plain`, else 0 (OpenCompass's SQuAD 2.0).

    For a question without an answer the accepted ones are the plausible answers and "impossible to answer", so that a
    model that always answers can score there too.
    """
    said = first_line(text).lower().split("answer is")[-1]
    return float(plain(said) in {plain(gold).lower() for gold in golds})
