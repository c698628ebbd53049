"""Questions by kind and topic beside the list, after Dromedary's topic-guided red-teaming (arXiv 2305.03047, stage 1).

Some requests show triples of kind, topic and question and let the model go on with more; the others are those of the
numbered list. Dromedary asks for topics first and for questions on them second; here one request gives both.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from isheep.config.places import File
from isheep.data.rows import Row, read_rows
from isheep.data.seeds import Seed
from isheep.errors import UserError
from isheep.prompts.kinds.numbered import TaskList
from isheep.prompts.source import Material
from isheep.serving.engines.base import Completion, Prompt, Request

HEADER = re.compile(r"^(?:#{1,6}[ \t]*)?Question[ \t]+\d+[ \t]*[.:]?[ \t]*$", re.MULTILINE)
ENTRY = re.compile(r"\s*Kind:(?P<kind>[^\n]+)\n\s*Topic:(?P<topic>[^\n]+)\n\s*Question:(?P<question>.+)", re.DOTALL)
KEYS = ("kind", "topic", "question")


@dataclass(frozen=True)
class Triple:
    """A question, its topic, and of which kind that is."""

    id: str
    kind: str
    topic: str
    question: str

    @property
    def text(self) -> str:
        """The triple as it is shown."""
        return f"Kind: {self.kind}\nTopic: {self.topic}\nQuestion: {self.question}"


class Topics(TaskList):
    """Stage generate_prompts: questions by kind and topic, beside the numbered list of tasks."""

    kind: Literal["topics"] = Field("topics", description="How a model is asked for prompts.")
    share: float = Field(0.25, gt=0, le=1, description="Share of requests that ask for questions by topic.")
    triples_shown: int = Field(5, ge=1, description="Triples of kind, topic and question shown in such a request.")
    questions_per_request: int = Field(5, ge=1, description="New questions after which such a completion is stopped.")
    topic_words: int = Field(3, ge=1, description="Words of a topic at most.")
    ask: File = Field("config/prompts/topics.txt", description="The text before the triples.")
    topics: File = Field("config/prompts/topics.jsonl", description="JSON Lines {kind, topic, question}.")

    @property
    def files(self) -> tuple[str, ...]:
        """The texts before both lists."""
        return (self.meta_prompt, self.ask)

    @property
    def data(self) -> tuple[str, ...]:
        """The triples."""
        return (self.topics,)

    @property
    def columns(self) -> tuple[str, ...]:
        """Kind and topic of a question; null for a task of the list."""
        return (*super().columns, "topic_kind", "topic")

    @property
    def most_per_request(self) -> int:
        """The longer of both lists."""
        return max(self.tasks_per_request, self.questions_per_request)

    @cached_property
    def triples(self) -> tuple[Triple, ...]:
        """The triples of the file."""
        return tuple(read_triples(self.topics))

    def check(self, seeds: Sequence[Seed]) -> None:
        """Raise UserError when there are fewer seeds or triples than are shown."""
        super().check(seeds)
        if self.triples_shown > len(self.triples):
            raise UserError(f"prompts.triples_shown: {self.triples_shown}, but {self.topics} has {len(self.triples)}")

    def by_topic(self, number: int, material: Material) -> bool:
        """Return whether request `number` asks for questions by topic."""
        return random.Random(material.seed_for(f"{number}/by topic")).random() < self.share

    def drawn(self, number: int, material: Material) -> tuple[list[Triple], str]:
        """Return the triples that request `number` shows, and the kind of the first new question."""
        draw = random.Random(material.seed_for(f"{number}/triples"))
        kinds = sorted({triple.kind for triple in self.triples})
        return draw.sample(self.triples, self.triples_shown), draw.choice(kinds)

    def request(self, number: int, material: Material) -> Request:
        """Return request `number` (from 0): a plain completion of triples, or of the list."""
        meta_prompt, ask = material.texts
        if not self.by_topic(number, material):
            return super().request(number, replace(material, texts=[meta_prompt]))
        shown, kind = self.drawn(number, material)
        triples = [f"{_header(place)}\n{triple.text}" for place, triple in enumerate(shown, start=1)]
        cue = f"{_header(len(shown) + 1)}\nKind: {kind}\nTopic:"
        return Request(
            id=material.request_id(number),
            prompt=Prompt("\n\n".join([ask.strip(), *triples, cue]), add_special_tokens=True),
            sampling=self.sampling.until(f"\n{_header(len(shown) + self.questions_per_request + 1)}\n"),
            seed=material.seed_for(number),
        )

    def candidates(self, number: int, completion: Completion, material: Material) -> Iterator[tuple[Row, str | None]]:
        """Yield the questions or the tasks of a completion, each with a complaint or None."""
        if not self.by_topic(number, material):
            for task, problem in super().candidates(number, completion, material):
                yield {**task, "topic_kind": None, "topic": None}, problem
            return
        shown, kind = self.drawn(number, material)
        chunks = [chunk for chunk in HEADER.split(f"Kind: {kind}\nTopic:{completion.text}") if chunk.strip()]
        for place, chunk in enumerate(chunks, start=1):
            cut = completion.finish_reason != "stop" and place == len(chunks)
            row, problem = self._read(chunk)
            yield {"seeds": [triple.id for triple in shown], **row}, "unfinished" if cut else problem

    def _read(self, chunk: str) -> tuple[Row, str | None]:
        found = ENTRY.fullmatch(chunk)
        if found is None:
            return {"instruction": chunk.strip(), "input": "", "topic_kind": None, "topic": None}, "malformed"
        kind, topic, question = (" ".join(found[name].split()) for name in ("kind", "topic", "question"))
        row = {"instruction": question, "input": "", "topic_kind": kind, "topic": topic}
        ends = topic[-1:].isalnum() or topic.endswith(")")
        return row, None if ends and len(topic.split()) <= self.topic_words else "no_topic"


def read_triples(path: str | Path) -> Iterator[Triple]:
    """Yield the triples of a file.

    Raises
    ------
    UserError
        There is no such file, or a line is no {kind, topic, question}.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file; set prompts.topics to one")
    for number, row in enumerate(read_rows(path), start=1):
        texts = [text for key in KEYS if isinstance(text := row.get(key), str) and text.strip()]
        if len(texts) < len(KEYS):
            raise UserError(f"{path}:{number}: write {{kind, topic, question}}, each a text")
        yield Triple(f"topic-{number:02d}", *texts)


def _header(number: int) -> str:
    return f"### Question {number}"
