"""IFEval: instructions that a program can check (Zhou et al. 2023, arXiv 2311.07911)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.evaluation.base import Answers, Ask, Item, Metric, mean, ratio, written
from isheep.evaluation.benchmark import Benchmark
from isheep.evaluation.files import load_items, strings, take
from isheep.evaluation.instructions import NEED_PUNKT, check_arguments, checkers, echoes, followed, require_punkt
from isheep.serving.chat import user
from isheep.serving.engines.base import Sampling

ECHO = "combination:repeat_prompt"


class Ifeval(Benchmark):
    """Instructions that a program checks; the project's own constraints, or IFEval's file."""

    headline: ClassVar[tuple[str, ...]] = ("instruction_strict", "prompt_strict")
    manner: ClassVar[tuple[str, ...]] = ("echo",)

    kind: Literal["ifeval"] = "ifeval"
    max_tokens: int = Field(1280, ge=1, description="New tokens of an answer at most.")

    def load(self) -> list[Item]:
        """Return the prompts of a file with key, prompt, instruction_id_list and kwargs.

        Raises
        ------
        UserError
            A row is broken or names an instruction that no checker knows, or Punkt is needed and missing.
        """
        known = checkers()

        def make(place: str, row: Row) -> Item:
            instructions = strings(place, row, "instruction_id_list")
            settings = take(place, row, "kwargs", list)
            unknown = [name for name in instructions if name not in known]
            if unknown or not instructions:
                raise UserError(f"{place}: no checker for the instruction {', '.join(unknown) or '(none given)'}")
            if len(settings) != len(instructions) or not all(isinstance(entry, dict) for entry in settings):
                raise UserError(f"{place}: kwargs must be a list of one object for each of the instructions")
            fields = {"prompt": take(place, row, "prompt", str), "instructions": instructions, "kwargs": settings}
            for name, arguments in zip(instructions, settings, strict=True):
                check_arguments(place, name, arguments)
            return Item(str(take(place, row, "key", (int, str))), fields)

        items = load_items(self.data, make, self.limit)
        if any(name in NEED_PUNKT for item in items for name in item.fields["instructions"]):
            require_punkt()
        return items

    def requests(self, item: Item, answers: Answers) -> list[Ask]:
        """Return the prompt, to be answered greedily, as lm-eval does."""
        sampling = Sampling(0.0, 1.0, self.max_tokens)
        return [Ask("answer", tuple(user(item.fields["prompt"])), sampling=sampling)] if not answers else []

    def beside(self, item: Item) -> dict[str, str]:
        """Return the names of the constraints that are checked."""
        return {"constraints": ", ".join(item.fields["instructions"])}

    def score(self, item: Item, answers: Answers) -> Row:
        """Return per instruction whether it was followed, strictly and loosely, and whether the prompt was echoed."""
        response = written(answers, "answer")
        strict, loose = followed(item, response)
        return {
            "instructions": item.fields["instructions"],
            "strict": strict,
            "loose": loose,
            "echo": echoes(item, response),
        }

    def summarise(self, rows: Sequence[Row]) -> dict[str, Metric]:
        """Return the four accuracies (Zhou et al. 2023, section 2) and the share of echoed prompts.

        Prompt accuracy is the share of prompts with every instruction followed; instruction accuracy pools all
        instructions. Prompts that ask to be repeated do not count as echoed.
        """
        metrics = {}
        for kind in ("strict", "loose"):
            metrics[f"prompt_{kind}"] = ratio((row["id"], all(row[kind]), 1) for row in rows)
            metrics[f"instruction_{kind}"] = ratio((row["id"], sum(row[kind]), len(row[kind])) for row in rows)
        metrics["echo"] = mean([row for row in rows if ECHO not in row["instructions"]], "echo", better="lower")
        return metrics

    def groups(self, rows: Sequence[Row]) -> dict[str, dict[str, Metric]]:
        """Return both instruction accuracies for every type of instruction."""
        types = sorted({name for row in rows for name in row["instructions"]})
        return {
            name: {f"instruction_{kind}": _of_type(rows, name, kind) for kind in ("strict", "loose")} for name in types
        }


def _of_type(rows: Sequence[Row], name: str, kind: str) -> Metric:
    terms = []
    for row in rows:
        hits = [hit for instruction, hit in zip(row["instructions"], row[kind], strict=True) if instruction == name]
        terms.append((row["id"], sum(hits), len(hits)))
    return ratio(terms)
