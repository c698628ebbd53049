"""Nothing personal leaves by accident: user name, host name, folders of this machine, tokens."""

from __future__ import annotations

import getpass
import platform
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from isheep.errors import Problems

# Compressed or binary: what is in them stands in a text file beside them, or is weights.
SKIPPED = frozenset({".parquet", ".gz", ".safetensors"})
# Each kind of token by its beginning, which is quick to look for, and what must follow.
TOKENS = {
    **dict.fromkeys((b"hf_", b"gho_", b"ghp_", b"ghs_", b"ghu_"), rb"[A-Za-z0-9]{30}"),
    **{b"sk-": rb"[A-Za-z0-9_-]{20}", b"github_pat_": rb"\w{30}", b"glpat-": rb"[\w-]{20}"},
    **{b"AKIA": rb"[0-9A-Z]{16}\b", b"xoxa-": rb"[\w-]{20}", b"xoxb-": rb"[\w-]{20}", b"xoxp-": rb"[\w-]{20}"},
    b"-----BEGIN ": rb"[A-Z ]*PRIVATE KEY-----",
}
# Names that say nothing about anyone and are words in texts.
COMMON = frozenset("root user admin ubuntu debian runner localhost home guest test main".split())
SHORTEST = 4  # letters of a name worth looking for
WINDOW, OVERLAP = 1 << 22, 1 << 10  # bytes


@dataclass(frozen=True)
class Private:
    """Something not to be told: a literal beginning, what must follow it, and what must not stand before it."""

    what: str
    start: bytes
    rest: re.Pattern[bytes]
    not_after: re.Pattern[bytes]

    def is_in(self, text: bytes, begin: int, end: int) -> bool:
        """Return whether it stands in text[begin:end]; the literal is looked for first, which is far quicker."""
        at = text.find(self.start, begin)
        while at >= 0:
            before = text[at - 1 : at] if at else b""
            match = None if self.not_after.match(before) else self.rest.match(text, at + len(self.start))
            if match and match.end() <= end:
                return True
            at = text.find(self.start, at + 1)
        return False


def wanted() -> list[Private]:
    """Return what to look for: tokens, and the names and folders of whoever runs this on whatever machine."""
    word = re.compile(rb"\w")
    private = [Private("a token", start, re.compile(rest), word) for start, rest in TOKENS.items()]
    names = {"the user name": _user(), "the host name": platform.node().split(".")[0]}
    for what, name in names.items():
        if len(name) >= SHORTEST and name.lower() not in COMMON:
            private.append(Private(what, name.encode(), re.compile(rb"(?![\w-])"), re.compile(rb"[\w-]")))
    for what, folder in {"the home folder": Path.home(), "the current folder": Path.cwd()}.items():
        if len(folder.parts) > 1:
            private.append(Private(what, str(folder).encode(), re.compile(rb"(?![\w.-])"), re.compile(rb"[\w.-]")))
    return private


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
    private = wanted()
    problems = Problems("not handed over, because it would tell who made it, where, or a secret")
    for path in files:
        if path.suffix not in SKIPPED:
            for what in sorted(_found(path, private)):
                problems.add(
                    str(path), f"{what}; mend it, or set publish.check_private: false if that is as it should be"
                )
    problems.raise_if_any()


def _found(path: Path, private: list[Private]) -> set[str]:
    kinds: set[str] = set()
    with open(path, "rb") as handle:
        text = handle.read(WINDOW)
        begin = 0
        while text:
            following = handle.read(WINDOW)
            # What touches the end of a block is looked at again with what follows; what is cut off before its
            # beginning was looked at already.
            end = len(text) - 1 if following else len(text)
            kinds.update(
                secret.what for secret in private if secret.what not in kinds and secret.is_in(text, begin, end)
            )
            text, begin = (text[-OVERLAP:] + following if following else b""), 1
    return kinds
