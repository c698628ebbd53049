"""The digest of the code behind a stage."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from isheep.data.files import digest, digest_file

PACKAGE = Path(__file__).parents[1]
# Settings and paths reach a stage as values, messages and records do not reach its results: editing these re-runs
# nothing.
NOT_CODE = ("config", "errors", "workflow", "runner.code", "runner.portable", "runner.record")


def code_digest(*modules: str) -> str:
    """Return the sha256 of the source of some modules and of everything in this package that they import.

    Imports inside functions count too, and so do the files beside a module that its `ASSETS` names (templates, style
    sheets). Snakemake sees none of them, so rules carry this in their params.

    Parameters
    ----------
    modules
        Paths relative to the folder of scripts, like `generate_prompts.py` or `isheep/serving/engines`.
    """
    return digest(code_files(*modules))


def code_files(*modules: str) -> dict[str, str]:
    """Return the sha256 of every file behind `code_digest`, by its path relative to the folder of scripts."""
    found: set[Path] = set()
    for module in modules:
        path = PACKAGE.parent / module
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            _follow(file, found)
    return {str(file.relative_to(PACKAGE.parent)): _digest_source(file) for file in sorted(found)}


@cache
def _digest_source(file: Path) -> str:
    return digest_file(file)


def _follow(file: Path, found: set[Path]) -> None:
    if file in found:
        return
    found.add(file)
    if file.suffix == ".py":
        for used in _uses(file):
            _follow(used, found)


@cache
def _uses(file: Path) -> tuple[Path, ...]:
    names: list[str] = []
    assets: list[Path] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "ASSETS" for to in node.targets):
            assets += [file.with_name(name) for name in ast.literal_eval(node.value)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    files = (file for name in names if name.split(".")[0] == "isheep" for file in _module_files(name))
    return (*assets, *files)


def _module_files(name: str) -> list[Path]:
    """Return the file of a module; of a package of kinds, which are found by being there, every file."""
    parts = name.split(".")[1:]
    if not parts or parts[0] in NOT_CODE or ".".join(parts[:2]) in NOT_CODE:
        return []
    if parts[-1] == "kinds":
        return sorted(PACKAGE.joinpath(*parts).glob("*.py"))
    base = PACKAGE.joinpath(*parts)
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        if file.exists():
            return [file]
    return []
