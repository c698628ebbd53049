"""AlpacaEval style: is the model's answer better than a rival's to the same prompt? (Li et al. 2023).

Shown in both orders. The rival is a file's reference outputs or another model's answers, the base model's say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.evaluation.base import Answers, Ask, Item, Metric, mean, ratio, whole, written
from isheep.evaluation.benchmark import Benchmark
from isheep.evaluation.comparing import both_orders, read_both
from isheep.evaluation.files import load_items, take
from isheep.serving.chat import join, user
from isheep.serving.engines.base import Sampling


class Pairwise(Benchmark):
    """Win rate against a rival by the judge, in both orders."""

    headline: ClassVar[tuple[str, ...]] = ("local_judge_win_rate",)
    form: ClassVar[Literal["rate", "compare"] | None] = "compare"

    kind: Literal["pairwise"] = "pairwise"
    rival: Literal["file", "base"] = Field("file", description="Against the file's outputs, or the base model's.")
    max_tokens: int = Field(1024, ge=1, description="New tokens of an answer at most.")

    @property
    def against_base(self) -> bool:
        """Whether the base model's answers are the rival's; `against` puts them in."""
        return self.rival == "base"

    def against(self, items: Sequence[Item], rivals: Mapping[str, str]) -> list[Item]:
        """Return the items that a rival answered, each with its answer; `rivals` maps item id to text."""
        return [Item(item.id, item.fields | {"rival": rivals[item.id]}) for item in items if item.id in rivals]

    def load(self) -> list[Item]:
        """Return the prompts of a file, each with the rival's answer (None until `against` puts it in).

        Rows have instruction (with input) and output, as AlpacaEval's and Self-Instruct's files do, or question_id and
        turns, of which the first is the prompt.
        """

        def make(place: str, row: Row) -> Item:
            id, prompt, output = _prompt(place, row)
            if self.rival == "file" and output is None:
                raise UserError(f"{place}: no rival's answer to {id}; the file needs `output`, or set rival: base")
            return Item(id, {"prompt": prompt, "rival": output if self.rival == "file" else None})

        return load_items(self.data, make, self.limit)

    def requests(self, item: Item, answers: Answers) -> list[Ask]:
        """Return the prompt; once it is answered and there is a rival, the judge's two comparisons."""
        if "answer" not in answers:
            return [Ask("answer", tuple(user(item.fields["prompt"])), sampling=Sampling(0.0, 1.0, self.max_tokens))]
        if item.fields["rival"] is None:
            return []
        said = written(answers, "answer")
        asks = both_orders("judge", item.fields["prompt"], said, item.fields["rival"], self._method)
        return [ask for ask in asks if ask.key not in answers]

    def beside(self, item: Item) -> dict[str, str]:
        """Return the rival's answer."""
        return {"rival": item.fields["rival"]}

    def score(self, item: Item, answers: Answers) -> Row:
        """Return what both orders say together, and what length alone would say."""
        words, rival_words = (len(text.split()) for text in (written(answers, "answer"), item.fields["rival"]))
        by_length = 0.5 if words == rival_words else float(words > rival_words)
        verdict = read_both("judge", answers)
        win = verdict["win"]
        decided = win is not None and win != 0.5 and by_length != 0.5
        return {
            **verdict,
            "words": words,
            "rival_words": rival_words,
            "length_win": by_length,
            "as_length": float((win > 0.5) == (by_length > 0.5)) if decided else None,
        }

    def summarise(self, rows: Sequence[Row]) -> dict[str, Metric]:
        """Return the win rate, the judge's position bias and consistency, what it left unread, and length's part."""
        judged = {row["id"]: (row["win"], row["words"] - row["rival_words"]) for row in rows if row["win"] is not None}
        return {
            "local_judge_win_rate": mean(rows, "win"),
            "local_judge_win_rate_at_equal_length": whole(judged, at_equal_length, len(judged), "share"),
            "local_judge_first_shown": mean(rows, "first_shown", better=""),
            "local_judge_consistency": mean(rows, "consistent"),
            "local_judge_parse_failures": ratio(((row["id"], row["unread"], 2) for row in rows), better="lower"),
            "length_only_win_rate": mean(rows, "length_win", better=""),
            "local_judge_as_length": mean(rows, "as_length", better=""),
            "pairwise_words": mean(rows, "words", "words", ""),
        }


def _prompt(place: str, row: Row) -> tuple[str, str, str | None]:
    """Return id, prompt and output (None when the row has none)."""
    if "turns" in row:
        turns = take(place, row, "turns", list)
        return (
            str(take(place, row, "question_id", (int, str))),
            take(place, {"turns[0]": (turns or [None])[0]}, "turns[0]", str),
            None,
        )
    instruction, source = take(place, row, "instruction", str), row
    if isinstance(row.get("instances"), list) and row["instances"] and isinstance(row["instances"][0], dict):
        source = row["instances"][0]
    prompt = join(instruction, take(place, source, "input", str, ""))
    id = next((str(row[key]) for key in ("id", "question_id") if row.get(key) is not None), prompt)
    return id, prompt, take(place, source, "output", str, None)


def at_equal_length(judged: Sequence[tuple[float, int]]) -> float | None:
    """Return the win rate that a logistic model predicts where both answers are equally long.

    logit p(win) = a + b tanh(d / sd(d)), d in words; sigmoid(a) is returned. The length term of length-controlled
    AlpacaEval (Dubois et al. 2024, arXiv 2404.04475) without its terms for instructions, so not that number.

    Parameters
    ----------
    judged
        Preference, 0-1, kept within 0.01-0.99 so that the fit is finite (where all are the same, that is returned);
        words of ours minus words of theirs.
    """
    import numpy as np

    if not judged:
        return None
    wins, raw = np.array(judged, float).T
    if wins.min() == wins.max():
        return float(wins[0])
    target = np.clip(wins, 0.01, 0.99)
    length = np.tanh(raw / raw.std()) if raw.std() else np.zeros_like(raw)
    design = np.stack([np.ones_like(length), length], axis=1)[:, : 2 if length.std() else 1]
    weights = np.zeros(design.shape[1])
    for _ in range(100):
        predicted = 1 / (1 + np.exp(-design @ weights))
        curvature = design.T @ (design * (predicted * (1 - predicted))[:, None]) + 1e-9 * np.eye(len(weights))
        step = np.linalg.solve(curvature, design.T @ (target - predicted))
        weights += np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-10:
            break
    return float(1 / (1 + np.exp(-weights[0])))
