"""Nothing personal leaves by accident: user name, host name, folders of this machine, tokens."""

from __future__ import annotations

import getpass
import platform
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from isheep.errors import Problems

# Compressed or binary: what is in them stands in a text file beside them, or is weights.
SKIPPED = frozenset({".parquet", ".gz", ".safetensors"})
TOKENS = re.compile(
    rb"\bhf_[A-Za-z0-9]{30,}|\bsk-[A-Za-z0-9_-]{20,}|\bgh[opsu]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bglpat-[\w-]{20,}"
    rb"|\bAKIA[0-9A-Z]{16}\b|\bxox[abp]-[\w-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
# Names that say nothing about anyone and are words in texts.
COMMON = frozenset("root user admin ubuntu debian runner localhost home guest test main".split())
SHORTEST = 4  # letters of a name worth looking for
WINDOW, OVERLAP = 1 << 22, 1 << 10  # bytes


def patterns() -> dict[str, re.Pattern[bytes]]:
    """Return what to look for: tokens, and the names and folders of whoever runs this on whatever machine."""
    found = {"a token": TOKENS}
    names = {"the user name": _user(), "the host name": platform.node().split(".")[0]}
    for what, name in names.items():
        if len(name) >= SHORTEST and name.lower() not in COMMON:
            found[what] = re.compile(rb"(?<![\w-])" + re.escape(name.encode()) + rb"(?![\w-])")
    for what, folder in {"the home folder": Path.home(), "the current folder": Path.cwd()}.items():
        if len(folder.parts) > 1:
            found[what] = re.compile(rb"(?<![\w.-])" + re.escape(str(folder).encode()) + rb"(?![\w.-])")
    return found


def _user() -> str:
    with suppress(KeyError, OSError, ImportError):  # nobody: a container's number without a name
        return getpass.getuser()
    return ""


def check(files: Iterable[Path]) -> None:
    """Look through files that are about to be handed over.

    Raises
    ------
    UserError
        Lists every file that holds a token, or a name or folder of this machine.
    """
    wanted = patterns()
    problems = Problems("not handed over, because it would tell who made it, where, or a secret")
    for path in files:
        if path.suffix not in SKIPPED:
            for what in sorted(_found(path, wanted)):
                problems.add(
                    str(path), f"{what}; mend it, or set publish.check_private: false if that is as it should be"
                )
    problems.raise_if_any()


def _found(path: Path, wanted: dict[str, re.Pattern[bytes]]) -> set[str]:
    found: set[str] = set()
    with open(path, "rb") as handle:
        before = b""
        while block := handle.read(WINDOW):
            text = before + block
            found.update(what for what, pattern in wanted.items() if pattern.search(text))
            before = text[-OVERLAP:]
    return found
