"""Weights on disk, one tensor in memory at a time: read from a model folder by name, written in shards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from isheep.data.files import read_json
from isheep.errors import UserError
from isheep.serving.models import INDEX, WEIGHTS

# The words of the format, and the order in which its own writer places them: this one writes the same bytes.
TYPES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16", "int64": "I64", "int32": "I32", "uint8": "U8"}
TYPES |= {"bool": "BOOL", "float64": "F64", "int8": "I8"}
ORDER = ("I64", "F64", "F32", "I32", "BF16", "F16", "I8", "U8", "BOOL")


class Weights:
    """The tensors of a model folder by their names in its files; safetensors, else what torch saved.

    A file is opened for each tensor and closed after it: no page of another tensor stays in memory.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places = dict(self._find())

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def _find(self) -> Iterator[tuple[str, Path]]:
        from safetensors import SafetensorError, safe_open

        index = self.folder / INDEX
        if index.is_file():
            yield from ((name, self.folder / file) for name, file in read_json(index)["weight_map"].items())
        elif (file := self.folder / WEIGHTS).is_file():
            try:
                with safe_open(file, framework="pt") as opened:
                    yield from ((name, file) for name in opened.keys())  # noqa: SIM118 - no mapping
            except SafetensorError as error:
                raise UserError(f"{file}: damaged ({error}); fetch or merge the model again") from None
        else:
            for pickled in sorted(self.folder.glob("pytorch_model*.bin")):
                yield from ((name, pickled) for name in _unpickled(pickled))

    def __getitem__(self, name: str) -> Any:
        """Return a tensor, on the CPU, in the number format of its file."""
        from safetensors import safe_open

        file = self._places[name]
        if file.suffix == ".bin":
            return _unpickled(file)[name]
        with safe_open(file, framework="pt") as opened:
            return opened.get_tensor(name)


def _unpickled(file: Path) -> dict[str, Any]:
    import torch

    tensors: dict[str, Any] = torch.load(file, mmap=True, weights_only=True)
    return tensors


def write_shards(
    folder: Path, layout: Mapping[str, Any], tensor: Callable[[str], Any], largest: int, parameters: int
) -> None:
    """Write tensors as safetensors files of bounded size, with an index where there are several.

    Parameters
    ----------
    folder
        Where to; there.
    layout
        Every tensor by its name, in order, on the device `meta`: shape and number format.
    tensor
        Gives a tensor of the layout when its turn comes.
    largest
        Bytes of a file; a tensor above it has a file of its own.
    parameters
        Number of weights, for the index.
    """
    from huggingface_hub import split_torch_state_dict_into_shards

    pattern = WEIGHTS.replace(".safetensors", "{suffix}.safetensors")
    split = split_torch_state_dict_into_shards(dict(layout), filename_pattern=pattern, max_shard_size=largest)
    for file, names in split.filename_to_tensors.items():
        _write(folder / file, {name: layout[name] for name in names}, tensor)
    if split.is_sharded:
        index = {
            "metadata": {"total_parameters": parameters, **split.metadata},
            "weight_map": split.tensor_to_filename,
        }
        (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _write(path: Path, layout: Mapping[str, Any], tensor: Callable[[str], Any]) -> None:
    """Write one safetensors file: the length of the header (8 bytes, little endian), the header, the tensors."""
    import torch

    words = {name: TYPES[str(meta.dtype).removeprefix("torch.")] for name, meta in layout.items()}
    names = sorted(layout, key=lambda name: (ORDER.index(words[name]), name))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        start, end = end, end + layout[name].numel() * layout[name].element_size()
        header[name] = {"dtype": words[name], "shape": list(layout[name].shape), "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            values = tensor(name)
            if (values.shape, values.dtype) != (layout[name].shape, layout[name].dtype):
                raise UserError(f"{path}: {name} is {list(values.shape)}, the model wants {list(layout[name].shape)}")
            file.write(values.contiguous().reshape(-1).view(torch.uint8).numpy().data)
            del values
