"""Instances, after Self-Instruct (arXiv 2212.10560): up to five inputs with outputs for one instruction.

Where answers are a small set, the label comes first and an input that fits it second, or else the model would write
inputs of one label only. Elsewhere the input comes first.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from isheep.config.places import File
from isheep.config.sampling import Sampling
from isheep.data.rows import Row
from isheep.outputs.style import OutputStyle
from isheep.prompts.tasks import NO_INPUT
from isheep.serving.addressee import Addressee
from isheep.serving.chat import neutralise
from isheep.serving.engines.base import Completion, Prompt

if TYPE_CHECKING:
    from isheep.config.run import Run

EXAMPLE = re.compile(r"^[ \t]*Example[ \t]+\d+[ \t]*:?[ \t]*$", re.MULTILINE)
LABEL = re.compile(r"^[ \t]*Class label[ \t]*:", re.MULTILINE)
INPUT = re.compile(r"^[ \t]*Input[ \t]*:[ \t]*", re.MULTILINE)
OUTPUT = re.compile(r"^[ \t]*Output[ \t]*:[ \t]*", re.MULTILINE)


class Instances(OutputStyle):
    """Stages generate_outputs and filter_outputs: write inputs and outputs for every instruction, drop broken rows."""

    kind: Literal["instances"] = Field("instances", description="What the model is shown beside the prompt.")
    input_first: File = Field("config/prompts/instances_input_first.txt", description="Demonstrations, input first.")
    output_first: File = Field(
        "config/prompts/instances_output_first.txt", description="Demonstrations for classification, label first."
    )
    most: int = Field(5, ge=1, description="Instances of one prompt.")
    sampling: Sampling = Field(
        Sampling(temperature=0.0, top_p=1.0, max_tokens=350), description="How instances are drawn."
    )

    goes_on = False  # it writes inputs of its own for an instruction

    @property
    def files(self) -> tuple[str, ...]:
        """Both files of demonstrations."""
        return (self.input_first, self.output_first)

    @property
    def needs(self) -> tuple[str, ...]:
        """What stage classify_prompts found."""
        return ("is_classification",)

    @property
    def columns(self) -> tuple[str, ...]:
        """The output, and why an instance cannot be used; the row's own input is replaced by the instance's."""
        return ("output", "unusable")

    def contradictions(self, run: Run) -> Iterator[str]:
        """Yield that cuts, which end an answer, would end a list of instances within its first."""
        if self.cuts:
            yield "outputs.cuts end an answer where a task begins, and each of outputs.kind instances is one: set []"

    def prompt(self, row: Row, model: Addressee) -> Prompt:
        """Return the demonstrations and the task up to its first label or example, as plain text for any model."""
        label_first = row["is_classification"]
        shown = model.load(_read, self.output_first if label_first else self.input_first)
        task = neutralise(row["instruction"], model.control_tokens)
        cue = "Class label:" if label_first else "Example 1\n"
        return Prompt(f"{shown.strip()}\n\nTask: {task}\n{cue}", add_special_tokens=True)

    def stop(self, model: Addressee) -> tuple[str, ...]:
        """Return where the next task or one example too many would begin."""
        return ("\nTask:", f"\nExample {self.most + 1}")

    def read(self, row: Row, completion: Completion) -> list[Row]:
        """Return the instances that a completion holds; a row without one says so in `unusable`."""
        found = list(_labelled(completion.text) if row["is_classification"] else _examples(completion.text))
        pairs = found[: self.most]
        cut = completion.finish_reason != "stop" and len(found) <= self.most
        outputs: dict[str, set[str]] = defaultdict(set)
        for given, output in pairs:
            outputs[given].add(output)
        contradicted = any(given and len(outputs[given]) > 1 for given in outputs)
        rows = []
        for place, (given, output) in enumerate(pairs):
            unusable = None
            if cut and place == len(pairs) - 1:
                unusable = "cut"
            elif contradicted:
                unusable = "contradicted"
            elif (given, output) in pairs[:place]:
                unusable = "repeated"
            rows.append({"input": given, "output": output, "unusable": unusable})
        return rows or [{"output": "", "unusable": "none"}]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _labelled(text: str) -> Iterator[tuple[str, str]]:
    """Yield (input, label) of what follows the cue `Class label:`."""
    for chunk in LABEL.split(text):
        label, _, rest = chunk.strip().partition("\n")
        if label.strip():
            yield _given(rest), label.strip()


def _examples(text: str) -> Iterator[tuple[str, str]]:
    """Yield (input, output) of what follows the cue `Example 1`."""
    for chunk in EXAMPLE.split(text):
        before, *after = OUTPUT.split(chunk, maxsplit=1)
        if after:
            yield _given(before), after[0].strip()


def _given(text: str) -> str:
    parts = INPUT.split(text, maxsplit=1)
    given = parts[-1].strip()
    return "" if given == NO_INPUT else given
