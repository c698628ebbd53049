"""Section `model`: the base model and how it is addressed."""

from __future__ import annotations

import datetime
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from isheep.config.gguf import Gguf, add_short_form
from isheep.config.places import File
from isheep.config.section import Section

DATE = "2024-07-26"
"""The day that templates are told; Llama's own templates name it where they have no clock."""
# What the workflow itself gives to a template, or to the function that renders it.
TAKEN = ("messages", "add_generation_prompt", "continue_final_message", "tokenize", "chat_template", "strftime_now")


class Model(Section):
    """The base model (iter_0). Exactly one of `path`, `hub` and `gguf` says where it comes from."""

    operational = frozenset({"path", "hub", "revision", "gguf"})

    path: File | None = Field(None, description="Folder with config.json, tokenizer and *.safetensors.")
    hub: str | None = Field(None, description="Hugging Face hub id; fetched once into models/.")
    revision: str = Field("main", description="Branch, tag or commit on the hub; a commit makes the run repeatable.")
    gguf: Gguf | None = Field(
        None,
        description="A GGUF: a file, a pattern or a list of its parts, `package:file` of an installed Python package, "
        "or keys; turned into float32 safetensors once, into models/.",
        json_schema_extra=add_short_form,
    )
    chat: bool = Field(
        True,
        description="The base model was already tuned on its own chat template. False: round 0 uses the plain format "
        "of `outputs.plain`, `outputs.kind` is `few_shot` where nothing else is named, and training adds "
        "`chat_template`.",
    )
    chat_template: File | None = Field(
        None, description="File with a Jinja chat template, used instead of the tokenizer's (or when it has none)."
    )
    end_of_turn: str | None = Field(
        None,
        description="Token that ends an answer, in place of the one that the template writes after an answer (where it "
        "writes none: the tokenizer's end-of-sequence token).",
    )
    system: str | None = Field(None, description="System message before every instruction; none when not given.")
    template_arguments: dict[str, bool | int | float | str] = Field(
        {}, description="Switches of the chat template itself, such as `enable_thinking: false`."
    )
    date: str = Field(
        DATE,
        description="Day (YYYY-MM-DD) that a chat template is told when it asks for today's date; never the clock's.",
    )
    reasoning: Literal["strip", "keep", "refuse"] = Field(
        "strip",
        description="Reasoning that a model writes before its answer (`<think>` and its like): strip leaves the "
        "answer, keep leaves both, refuse drops such answers (output rule `reasoning`).",
    )
    trust_remote_code: bool = Field(False, description="Run Python files that come with the model (logged warning).")
    allow_pickle: bool = Field(False, description="Accept weights that are only in pickle files (logged warning).")

    @field_validator("date", mode="before")
    @classmethod
    def _a_day(cls, value: Any) -> Any:
        """YAML reads 2026-01-31 as a date; it is kept as text."""
        text = value.isoformat() if isinstance(value, datetime.date) else value
        try:
            return datetime.date.fromisoformat(text).isoformat()
        except (TypeError, ValueError):
            raise ValueError(f"{value!r} is no day; write it as 2026-01-31") from None

    @field_validator("template_arguments")
    @classmethod
    def _not_taken(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(set(value) & set(TAKEN)):
            raise ValueError(f"{taken[0]} is given by the workflow itself; leave it out (the date is model.date)")
        return value

    @property
    def source(self) -> list[Any]:
        """Where it comes from, as plain JSON values."""
        return [self.path, self.hub, self.revision, self.gguf.model_dump(mode="json") if self.gguf else None]

    @model_validator(mode="after")
    def _one_source(self) -> Model:
        given = [key for key in ("path", "hub", "gguf") if getattr(self, key)]
        if len(given) > 1:
            raise ValueError(f"give one of path, hub and gguf, not {' and '.join(given)}")
        return self


Dtype = Literal["float32", "bfloat16", "float16"]
