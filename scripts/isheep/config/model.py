"""Section `model`: the base model and how it is addressed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from isheep.config.places import File
from isheep.config.section import Section


class Model(Section):
    """The base model (iter_0). Exactly one of `path`, `hub` and `gguf` says where it comes from."""

    operational = frozenset({"path", "hub", "revision", "gguf"})

    path: File | None = Field(None, description="Folder with config.json, tokenizer and *.safetensors.")
    hub: str | None = Field(None, description="Hugging Face hub id; fetched once into models/.")
    revision: str = Field("main", description="Branch, tag or commit on the hub; a commit makes the run repeatable.")
    gguf: str | None = Field(
        None,
        description="`package:file` of a GGUF inside an installed Python package; dequantised once into models/.",
    )
    chat: bool = Field(
        True,
        description="The base model was already tuned on its own chat template. False: round 0 uses the plain format "
        "of `outputs.plain`, and training adds `chat_template`.",
    )
    chat_template: File | None = Field(
        None, description="File with a Jinja chat template, used instead of the tokenizer's (or when it has none)."
    )
    end_of_turn: str | None = Field(
        None, description="Token that ends an answer; the tokenizer's end-of-sequence token when not given."
    )
    system: str | None = Field(None, description="System message before every instruction; none when not given.")
    trust_remote_code: bool = Field(False, description="Run Python files that come with the model (logged warning).")
    allow_pickle: bool = Field(False, description="Accept weights that are only in pickle files (logged warning).")

    @model_validator(mode="after")
    def _one_source(self) -> Model:
        given = [key for key in ("path", "hub", "gguf") if getattr(self, key)]
        if len(given) > 1:
            raise ValueError(f"give one of path, hub and gguf, not {' and '.join(given)}")
        return self


Dtype = Literal["float32", "bfloat16", "float16"]
