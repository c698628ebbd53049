"""A model as a stage addresses it: what kinds of assessors and output styles need to write their requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from isheep.config.plain import PlainFormat
from isheep.data.conversations import Turn
from isheep.serving import chat
from isheep.serving.engines.base import Prompt, Template

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Addressee:
    """How a model is addressed, and what draws follow from.

    Parameters
    ----------
    template
        The model's chat template; its control tokens are broken in what the model is shown, whatever the format.
    plain
        None when the model knows the template; else the format for a base model that was trained on none.
    seed_for
        Gives the seed of a request by its id.
    root
        Folder from which relative paths of the settings count.
    """

    template: Template
    plain: PlainFormat | None
    seed_for: Callable[[str], int]
    root: Path = Path()
    _loaded: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """What has to be broken in texts of the data."""
        return tuple(self.template.control_tokens)

    def ask(self, text: str) -> Prompt:
        """Return a text of our own as the model is shown it, up to where its answer starts."""
        if self.plain is None:
            return self.template.render(chat.user(text))
        return Prompt(f"{text}\n", add_special_tokens=True)

    def task(self, turns: list[Turn], beside: str | None = None) -> Prompt:
        """Return a conversation of the data as the model is shown it, up to its answer; as in `chat.address`."""
        return chat.address(turns, self.template, self.plain, beside)

    @property
    def seam(self) -> str:
        """What separates an answer from its task."""
        return chat.seam(self.template, self.plain)

    @property
    def stop(self) -> tuple[str, ...]:
        """Strings that end an answer in the plain format; a template has its end of turn."""
        return self.plain.stop if self.plain else ()

    def load(self, read: Callable[[Path], Loaded], file: str) -> Loaded:
        """Return what `read` makes of a file that the settings name; each file is read once."""
        if file not in self._loaded:
            self._loaded[file] = read(self.root / file)
        return self._loaded[file]
