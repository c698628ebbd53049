"""Files that settings name: the user's from the working folder, shipped ones from the workflow."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo


@dataclass(frozen=True)
class Places:
    """Where the paths in settings start.

    Parameters
    ----------
    root
        Folder of the workflow, whose `config/` has what comes with it.
    whole
        Whether paths are told whole, since jobs work in another folder than the user.
    """

    root: Path
    whole: bool

    def find(self, path: str) -> str:
        """Return where a file is: in the working folder, or else, when it is not there, among the shipped ones."""
        if path.startswith("config/") and not Path(path).exists() and (self.root / path).exists():
            return str(self.root / path)
        return os.path.abspath(path) if self.whole and not path.startswith("data/hub/") else path


def _find(path: str, info: ValidationInfo) -> str:
    places: Places | None = info.context
    return places.find(path) if places else path


File = Annotated[str, AfterValidator(_find)]
"""A path in the settings."""
