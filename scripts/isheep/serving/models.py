"""Base models: is a folder fit to start from, by what hash is it known, and how it gets here."""

from __future__ import annotations

import json
import logging
import shutil
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from isheep.config.model import Model
from isheep.data.files import digest, digest_named, publish, read_json
from isheep.documents.models import Identity
from isheep.errors import Problems, UserError

logger = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
# Each line is enough for a tokenizer.
TOKENIZERS = (
    ("tokenizer.json",),
    ("tokenizer.model",),
    ("spiece.model",),
    ("vocab.json", "merges.txt"),
    ("vocab.txt",),
)
# Everything beside the weights that decides what the model reads and writes.
DECIDES = (
    *("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("tokenizer.json", "vocab.json", "merges.txt", "vocab.txt", "*.model", "*.tiktoken"),
    *("chat_template.json", "*.jinja", "additional_chat_templates/*.jinja", "*.py"),
)
MAX_HEADER = 100_000_000  # bytes; the bound of the safetensors format


def check_folder(folder: Path, model: Model, context_length: int) -> None:
    """Check that a model folder can be used, from its small files and the headers of its weights alone.

    Parameters
    ----------
    folder
        Folder with config.json, tokenizer and weights.
    model
        What the settings allow: pickled weights, Python files, an own chat template.
    context_length
        Tokens that the engine is to hold (`engine.context_length`).

    Raises
    ------
    UserError
        Lists everything that is wrong, with the file or key and what to type.
    """
    find_problems(folder, model, context_length).raise_if_any()


def find_problems(folder: Path, model: Model, context_length: int) -> Problems:
    """Return what `check_folder` would raise; a folder that is not there is raised at once."""
    folder = Path(folder)
    if not folder.is_dir():
        looks_like_id = len(folder.parts) == 2 and not folder.is_absolute()
        hint = f"; for a model of the Hugging Face hub write model.hub: {folder}" if looks_like_id else ""
        raise UserError(f"model.path: there is no folder {folder}{hint}")
    problems = Problems(str(folder))
    config = _read_object(folder / "config.json", problems, "every model folder has one")
    tokenizer_config = _read_object(folder / "tokenizer_config.json", problems)
    _check_weights(folder, model, problems)
    _check_tokenizer(folder, model, tokenizer_config, problems)
    _check_code(folder, model, (config, tokenizer_config), problems)
    longest = longest_context(config)
    if longest is not None and context_length > longest:
        problems.add(
            "engine.context_length",
            f"{context_length} tokens, but the model was made for {longest} (config.json); write {longest} or less",
        )
    return problems


def longest_context(config: dict[str, Any]) -> int | None:
    """Return the tokens a model was made for, by its config.json; None when it does not say.

    A rotary scaling that the file declares (linear, dynamic, yarn) multiplies the length, as it does in the engines.
    """
    inner = config.get("text_config")  # models that see images keep their language model there
    config = inner if isinstance(inner, dict) else config
    names = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
    length = next((config[name] for name in names if isinstance(config.get(name), int)), None)
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    if length is None or rope.get("rope_type", rope.get("type")) not in ("linear", "dynamic", "yarn"):
        return length
    length = rope.get("original_max_position_embeddings") or length
    return int(length * rope.get("factor", 1))


def _read_object(path: Path, problems: Problems, wanted: str | None = None) -> dict[str, Any]:
    """Return a file's JSON object; note a problem and return an empty one when there is none."""
    if not path.is_file():
        if wanted:
            problems.add(path.name, f"is missing; {wanted}")
        return {}
    try:
        value = read_json(path)
    except (UserError, UnicodeDecodeError):
        value = None
    if not isinstance(value, dict):
        problems.add(path.name, "is not a JSON object; fetch the file again")
        return {}
    return value


def _check_weights(folder: Path, model: Model, problems: Problems) -> None:
    if (folder / INDEX).is_file():
        _check_shards(folder, problems)
        if (folder / WEIGHTS).is_file() and WEIGHTS not in _weights(folder):
            problems.add(WEIGHTS, f"stands beside {INDEX}, and engines differ in which they take; keep one of the two")
    elif (folder / WEIGHTS).is_file():
        _read_header(folder / WEIGHTS, problems)
    elif pickles := _files(folder, PICKLES):
        if model.allow_pickle:
            logger.warning("%s: loading pickled weights (model.allow_pickle): they can run any code", folder)
        else:
            problems.add(
                pickles[0],
                "these weights are pickled, and loading a pickle can run any code; save the model with "
                "save_pretrained (it writes safetensors), or write model.allow_pickle: true if you trust it",
            )
    elif (folder / "adapter_config.json").is_file():
        problems.add("weights", "this is an adapter, not a model; merge it into its base model first")
    elif ggufs := _files(folder, ("*.gguf",)):
        problems.add(ggufs[0], f"GGUF is not read from a folder; give {WEIGHTS}, or model.gguf (docs/models.md)")
    else:
        problems.add("weights", f"there is neither {WEIGHTS} nor {INDEX}; fetch the model again, with its weights")


def _check_shards(folder: Path, problems: Problems) -> None:
    placed = _placement(folder)
    if not placed:
        problems.add(INDEX, "has no weight_map of tensor names to shards; fetch the file again")
    for shard in sorted(set(placed.values())):
        if Path(shard).name != shard:
            problems.add(INDEX, f"names a shard outside the folder: {shard!r}")
        elif not (folder / shard).is_file():
            problems.add(shard, f"{INDEX} names this shard, but it is missing; fetch it again")
        elif (tensors := _read_header(folder / shard, problems)) is not None:
            lost = sorted(name for name, where in placed.items() if where == shard and name not in tensors)
            if lost:
                problems.add(shard, f"lacks the tensor {lost[0]} that {INDEX} places in it; fetch the shard again")


def _placement(folder: Path) -> dict[str, str]:
    """Return what the index says, tensor to shard; nothing when there is no index or it cannot be read."""
    placed = _read_object(folder / INDEX, Problems("")).get("weight_map")
    if isinstance(placed, dict) and all(isinstance(shard, str) for shard in placed.values()):
        return placed
    return {}


def _weights(folder: Path) -> list[str]:
    """Return the files that an engine takes the weights from."""
    if (folder / INDEX).is_file():
        return [INDEX, *sorted(set(_placement(folder).values()))]
    return [WEIGHTS] if (folder / WEIGHTS).is_file() else _files(folder, PICKLES)


def _read_header(path: Path, problems: Problems) -> set[str] | None:
    """Return the names of the tensors in a safetensors file; note a problem unless header and size agree.

    Format: 8 bytes length of the header (little endian), the header (JSON: name to dtype, shape and data_offsets),
    the data; the last offset is the length of the data.
    """
    size = path.stat().st_size
    try:
        with open(path, "rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            if not 2 <= length <= min(MAX_HEADER, size - 8):
                raise ValueError
            header = json.loads(handle.read(length))
        header.pop("__metadata__", None)
        ends = [tensor["data_offsets"][1] for tensor in header.values()]
        expected = 8 + length + max(ends)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error):
        problems.add(path.name, "is not a safetensors file, or is corrupt at its start; fetch it again")
        return None
    if size != expected:
        problems.add(path.name, f"is {size} bytes, but its header tells of {expected}: fetch it again")
        return None
    return set(header)


def _check_tokenizer(folder: Path, model: Model, tokenizer_config: dict[str, Any], problems: Problems) -> None:
    present = [names for names in TOKENIZERS if all((folder / name).is_file() for name in names)]
    if not present and (folder / "tekken.json").is_file():
        problems.add(
            "tekken.json",
            "is a tokenizer of mistral-common, which has no chat template and no place in a saved model; take the "
            "model's form for transformers, which has tokenizer.json",
        )
    elif not present and not _files(folder, ("*.tiktoken",)):
        problems.add("tokenizer.json", "there is no tokenizer; fetch the tokenizer's files into the folder")
    _read_object(folder / "tokenizer.json", problems)
    templates = _files(folder, ("chat_template.jinja", "chat_template.json"))
    if not (model.chat_template or templates or tokenizer_config.get("chat_template")):
        problems.add(
            "model.chat_template",
            "the tokenizer has no chat template; write model.chat_template: config/prompts/chat.jinja "
            "and, for a base model, model.chat: false",
        )


def _check_code(folder: Path, model: Model, configs: Iterable[dict[str, Any]], problems: Problems) -> None:
    code = _files(folder, ("*.py",))
    if not code and not any("auto_map" in config for config in configs):
        return
    if model.trust_remote_code:
        logger.warning("%s: running the Python files that came with the model (model.trust_remote_code)", folder)
        return
    problems.add(
        code[0] if code else "auto_map",
        "the model brings its own Python code; read it and write model.trust_remote_code: true, or, if transformers "
        "knows this model by itself, delete the *.py files and the auto_map entries of config.json and "
        "tokenizer_config.json",
    )


def _files(folder: Path, patterns: Iterable[str]) -> list[str]:
    """Return the files that match, as sorted names relative to the folder."""
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return sorted(path.relative_to(folder).as_posix() for path in found)


def identity(folder: Path) -> Identity:
    """Return the hash by which a model is known: its weights and every file that decides how it reads and writes.

    Returns
    -------
    dict
        `sha256` over the sorted pairs of name and hash, and `files`, name to sha256. README, licences, other copies
        of the weights and Snakemake's own marks do not count.
    """
    return identity_of(digest_named({name: Path(folder) / name for name in deciding_files(folder)}))


def deciding_files(folder: str | Path) -> list[str]:
    """Return the names of the files of a model folder that its identity covers."""
    folder = Path(folder)
    return sorted({*_weights(folder), *_files(folder, DECIDES)})


def state(folder: str | Path) -> str:
    """Return a digest of size, times, and place on the disk of every file that an identity covers.

    Equal states mean equal bytes; a file that was moved, copied or linked has another state and may have the same
    bytes.
    """
    told = {name: (Path(folder) / name).stat() for name in deciding_files(folder) if (Path(folder) / name).exists()}
    return digest(
        {name: [each.st_size, each.st_mtime_ns, each.st_ctime_ns, each.st_ino] for name, each in told.items()}
    )


def identity_of(files: dict[str, str]) -> Identity:
    """Return the identity of a model with these files (name to sha256)."""
    return {"sha256": digest(sorted(files.items())), "files": files}


def download(
    hub: str, revision: str, out: Path, *, allow_pickle: bool = False, trust_remote_code: bool = False
) -> None:
    """Fetch a model from the Hugging Face hub; an interrupted download goes on where it stopped.

    Parameters
    ----------
    hub, revision
        Repository id, and a branch, tag or commit of it.
    out
        Folder to publish.
    allow_pickle, trust_remote_code
        Fetch pickled weights and Python files too; left out otherwise.

    Raises
    ------
    UserError
        No such model or revision, no access to it, or no network.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    out = Path(out)
    # Beside `out`, not in it: what a killed download got stays, and nothing half fetched is taken for a model.
    partial = out.with_name(f".{out.name}.partial")
    wanted = ["*.safetensors", "*.safetensors.index.json", "LICENSE*", *DECIDES]
    unwanted = ["*/*.safetensors", "*/*.json", "*/*.model", "consolidated*"]  # other copies of the same weights
    if allow_pickle:
        wanted += ["pytorch_model*.bin", "pytorch_model.bin.index.json"]
    if not trust_remote_code:
        unwanted.append("*.py")
    try:
        snapshot_download(hub, revision=revision, local_dir=partial, allow_patterns=wanted, ignore_patterns=unwanted)
    except GatedRepoError:
        raise UserError(f"model.hub: {hub} asks for consent: accept it on its page, then type hf auth login") from None
    except RevisionNotFoundError:
        raise UserError(f"model.revision: {hub} has no branch, tag or commit {revision!r}") from None
    except (RepositoryNotFoundError, HFValidationError):
        raise UserError(f"model.hub: the hub has no model {hub!r}, or shows it only after hf auth login") from None
    except OSError as error:
        raise UserError(
            f"model.hub: {hub} cannot be fetched ({str(error).splitlines()[0]}). Without a network, fetch it elsewhere "
            f"(hf download {hub} --revision {revision} --local-dir FOLDER) and give model.path: FOLDER; type the same "
            "command again to go on after a broken connection"
        ) from None
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    with publish(out) as temporary:
        partial.rename(temporary)
