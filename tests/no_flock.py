"""A library that makes every flock fail, as on a file system that has none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = """
#include <errno.h>
int flock(int descriptor, int operation) { errno = %s; return -1; }
"""


def preload(folder: Path, error: str = "ENOSYS") -> dict[str, str]:
    """Return the environment in which processes fail so; the library is made in a folder.

    Parameters
    ----------
    folder
        Where the library is compiled.
    error
        What the calls fail with.
    """
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    source, library = folder / "flock.c", folder / "flock.so"
    source.write_text(SOURCE % error)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return {"LD_PRELOAD": str(library)}
