"""Files that settings name: the user's from the working folder, shipped ones from the workflow."""

from __future__ import annotations

import json
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
        """Return where a file is: in the working folder, or else, when it is not there, among the shipped ones.

        A folder that `save_to_disk` of the library datasets wrote stands for the one file of its one split: the
        workflow knows its inputs by the content of files.
        """
        path = _one_table(path)
        if path.startswith("config/") and not Path(path).exists() and (self.root / path).exists():
            return str(self.root / path)
        return os.path.abspath(path) if self.whole and not path.startswith("data/hub/") else path


def _one_table(path: str) -> str:
    """Return the one table in a folder of datasets; any other path as it is."""
    for name, key in (("dataset_dict.json", "splits"), ("state.json", "_data_files")):
        try:
            (one,) = json.loads((Path(path) / name).read_text(encoding="utf-8"))[key]
            path = os.path.join(path, one["filename"] if isinstance(one, dict) else one)
        except (OSError, ValueError, LookupError, TypeError):
            continue  # no such folder, or one that holds several
    return path


def _find(path: str, info: ValidationInfo) -> str:
    places: Places | None = info.context
    return places.find(path) if places else path


File = Annotated[str, AfterValidator(_find)]
"""A path in the settings."""
