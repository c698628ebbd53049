"""The digest of the code behind a stage: what decides its result, and nothing else.

Snakemake does not see imported modules, so rules carry this digest in their params. It holds the modules that the
stage's declaration names and all that they import, without comments, docstrings, blank lines and the descriptions of
settings. Plumbing is left out: it moves files and asks engines, but writes nothing into a result of its own. Where a
change of it does change results, `FORMAT` is raised by hand, and everything is made again.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import os
import tokenize
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from isheep.config.section import Section
from isheep.data.files import digest, digest_file, write_json
from isheep.errors import UserError

FORMAT = 1
PACKAGE = Path(__file__).parents[1]
PLUMBING = (
    *("__init__", "config", "errors", "runner", "workflow", "stages.__init__", "stages.base", "stages.table"),
    *("data.files", "data.rows", "documents", "serving.engines.__init__"),
)
DECLARATION = "STAGE"


def code_digest(*modules: str) -> str:
    """Return the sha256 of the source of some modules and of everything in this package that they import.

    Imports inside functions count too, and so do the files beside a module that its `ASSETS` names (templates, style
    sheets).

    Parameters
    ----------
    modules
        Paths relative to the folder of scripts, like `isheep/stages/select_data.py`, or folders of modules.
    """
    return digest({"format": FORMAT, "files": code_files(*modules)})


def code_files(*modules: str) -> dict[str, str]:
    """Return the sha256 of what decides in every file behind `code_digest`, by its path in the folder of scripts."""
    digests: dict[Path, str] = {}
    for module in modules:
        path = PACKAGE.parent / module
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            _follow(file, digests)
    MODULES.save()
    return {str(file.relative_to(PACKAGE.parent)): digests[file] for file in sorted(digests)}


def kinds_in(value: Any) -> list[str]:
    """Return the modules of the kinds (assessors, benchmarks, ...) that settings name: their code is in use."""
    if isinstance(value, Section):
        module = type(value).__module__.replace(".", "/") + ".py"
        inner = [kind for key in type(value).model_fields for kind in kinds_in(getattr(value, key))]
        return [module, *inner] if not module.startswith("isheep/config/") else inner
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [kind for each in values for kind in kinds_in(each)]


class Module(NamedTuple):
    """A module as digests see it: the sha256 of its code, the names it imports, the files it is made of besides."""

    sha256: str
    imports: tuple[str, ...]
    assets: tuple[str, ...]


class Modules:
    """What digests need of modules, by the sha256 of their source; kept on disk, since every start needs all of them.

    To parse a hundred modules takes a second, and every job of a cluster starts Snakemake. The file lies in the user's
    cache folder and may be deleted; where it cannot be written, nothing is kept.
    """

    def __init__(self) -> None:
        own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]  # another way to read makes another file
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.file = folder / "isheep" / f"code-{own}.json"
        self._known: dict[str, Module] | None = None
        self._is_new = False

    @property
    def known(self) -> dict[str, Module]:
        """The modules by the sha256 of their source."""
        if self._known is None:
            self._known = {}
            with suppress(OSError, ValueError, TypeError):
                kept = json.loads(self.file.read_text(encoding="utf-8"))
                self._known = {key: Module(sha256, *map(tuple, lists)) for key, (sha256, *lists) in kept.items()}
        return self._known

    def of(self, source: str) -> Module:
        """Return what a digest needs of a module's source."""
        key = hashlib.sha256(source.encode()).hexdigest()
        if key not in self.known:
            tree = ast.parse(source)
            self.known[key] = Module(digest(code_of(source)), tuple(_imports(tree)), tuple(_assets(tree)))
            self._is_new = True
        return self.known[key]

    def save(self) -> None:
        """Keep what was read anew."""
        if self._is_new:
            self._is_new = False
            with suppress(OSError, UserError):
                write_json(self.file, self.known)


MODULES = Modules()


@cache
def read(file: Path) -> str:
    """Return the source of a module."""
    return file.read_text(encoding="utf-8")


def code_of(source: str) -> str:
    """Return the source of a module without comments, docstrings, blank lines and descriptions of settings.

    What is left is not made to run: spans are cut out of the text, so that it does not depend on Python's version. A
    stage's declaration is left out, too: its values are settings, or found in what it makes.
    """
    lines = source.splitlines(keepends=True)
    for start, end in sorted(_idle_spans(ast.parse(source), source), reverse=True):
        (top, left), (bottom, right) = start, end
        lines[top - 1 : bottom] = [lines[top - 1][:left] + lines[bottom - 1][right:]]
    kept = (line.rstrip() for line in "".join(lines).splitlines())
    return "\n".join(line for line in kept if line)


Span = tuple[tuple[int, int], tuple[int, int]]


def _idle_spans(tree: ast.Module, source: str) -> list[Span]:
    """Return the spans (line from 1, character from 0) of what decides nothing, none inside another."""
    cut: list[Span] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            cut.append(_span(node, source))  # a docstring, of a module, class, function or value
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Field":
            cut += [_span(given, source) for given in node.keywords if given.arg == "description"]
        elif isinstance(node, ast.Assign) and [getattr(to, "id", "") for to in node.targets] == [DECLARATION]:
            cut.append(_span(node, source))
    comments = (token for token in tokenize.generate_tokens(io.StringIO(source).readline))
    cut += [(token.start, token.end) for token in comments if token.type == tokenize.COMMENT]
    return [span for span in cut if not any(_within(span, other) for other in cut)]


def _span(node: Any, source: str) -> Span:
    lines = source.splitlines(keepends=True)

    def characters(line: int, byte: int) -> int:
        return len(lines[line - 1].encode()[:byte].decode())

    start = (node.lineno, characters(node.lineno, node.col_offset))
    return start, (node.end_lineno, characters(node.end_lineno, node.end_col_offset))


def _within(span: Span, other: Span) -> bool:
    return span != other and other[0] <= span[0] and span[1] <= other[1]


def _follow(file: Path, digests: dict[Path, str]) -> None:
    if file in digests:
        return
    if file.suffix != ".py":
        digests[file] = digest_file(file)
        return
    module = MODULES.of(read(file))
    digests[file] = module.sha256
    for used in (*map(file.with_name, module.assets), *filter(None, map(_file_of, module.imports))):
        _follow(used, digests)


def _assets(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "ASSETS" for to in node.targets):
            yield from ast.literal_eval(node.value)


def _imports(tree: ast.Module) -> Iterator[str]:
    """Yield the dotted names within this package that a module imports; `from a import b` may mean the module a.b."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name.split(".")[0] == "isheep")


@cache
def _file_of(name: str) -> Path | None:
    base = PACKAGE.joinpath(*name.split(".")[1:])
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        if base != PACKAGE and file.exists():
            dotted = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
            return None if any(f"{dotted}.".startswith(f"{plumbing}.") for plumbing in PLUMBING) else file
    return None
