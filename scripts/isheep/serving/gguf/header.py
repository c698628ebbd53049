"""What stands in front of a GGUF's weights: its metadata and its table of tensors.

Layout (little endian): "GGUF", version, counts of tensors and of keys; the keys, each a string, a type and a value; the
tensors, each a name, dimensions, a type and an offset; padding; the tensors' data. The library `gguf` reads it too, but
takes a quarter of a minute for a vocabulary of 49,152 tokens.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isheep.errors import UserError

MAGIC = b"GGUF"
VERSION = 3
# Codes of struct by the format's number of a type; 8 is a string, 9 an array.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


@dataclass(frozen=True)
class Tensor:
    """A row of the table of tensors: its dimensions run fastest first, its offset is from the start of the data."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int

    @property
    def size(self) -> int:
        """Bytes of its data."""
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(self.type)]
        count = 1
        for length in self.shape:
            count *= length
        return count // block * size


@dataclass(frozen=True)
class Header:
    """The metadata (values, and the bytes they were read from), the tensors, and where their data begins."""

    metadata: dict[str, Any]
    raw: dict[str, bytes]
    tensors: tuple[Tensor, ...]
    data: int

    @property
    def alignment(self) -> int:
        """What the offsets of tensors are multiples of, in bytes."""
        return int(self.metadata.get("general.alignment", 32))

    @property
    def architecture(self) -> str:
        """The model's architecture, as llama.cpp calls it."""
        return str(self.metadata["general.architecture"])


def read_header(path: Path) -> Header:
    """Return what stands in front of a GGUF's weights, having checked that the weights are all there.

    Raises
    ------
    UserError
        It is no GGUF, of another version, or cut off.
    """
    if not is_gguf(path):
        raise UserError(f"{path}: is no GGUF (it does not begin with the letters GGUF)")
    with open(path, "rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            header = _parse(_Cursor(data), path)
            end = header.data + max((tensor.offset + tensor.size for tensor in header.tensors), default=0)
        except (struct.error, UnicodeDecodeError, KeyError, ValueError, OverflowError, MemoryError):
            raise UserError(f"{path}: is cut off or broken at its start; fetch it again") from None
        if end > len(data):
            raise UserError(f"{path}: has {len(data)} bytes, and its tensors end at {end}; fetch it or its parts again")
    return header


def is_gguf(path: Path) -> bool:
    """Return whether a file begins as a GGUF does."""
    with open(path, "rb") as handle:
        return handle.read(len(MAGIC)) == MAGIC


class _Cursor:
    """Reads one value after the other."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at = data, 0

    def scalars(self, code: str, count: int = 1) -> tuple[Any, ...]:
        form = f"<{count}{code}"
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def string(self) -> str:
        (length,) = self.scalars("Q")
        raw = self.data[self.at : self.at + length]
        if len(raw) < length:
            raise ValueError("the file ends within a string")
        self.at += length
        return raw.decode("utf-8")

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.scalars(SCALARS[kind])[0]
        of, count = self.scalars("I")[0], self.scalars("Q")[0]
        return list(self.scalars(SCALARS[of], count)) if of in SCALARS else [self.value(of) for _ in range(count)]


def _parse(cursor: _Cursor, path: Path) -> Header:
    cursor.at = len(MAGIC)
    (version,) = cursor.scalars("I")
    if version not in (2, VERSION):
        raise UserError(
            f"{path}: is a GGUF of version {version}, and versions 2 and {VERSION} are read; convert it anew"
        )
    tensor_count, key_count = cursor.scalars("Q", 2)
    metadata, raw = {}, {}
    for _ in range(key_count):
        start, key = cursor.at, cursor.string()
        metadata[key] = cursor.value(cursor.scalars("I")[0])
        raw[key] = cursor.data[start : cursor.at]
    tensors = []
    for _ in range(tensor_count):
        name, dimensions = cursor.string(), cursor.scalars("I")[0]
        shape = cursor.scalars("Q", dimensions)
        tensors.append(Tensor(name, shape, cursor.scalars("I")[0], cursor.scalars("Q")[0]))
    header = Header(metadata, raw, tuple(tensors), 0)
    return Header(metadata, raw, header.tensors, _padded(cursor.at, header.alignment))


def _padded(length: int, alignment: int) -> int:
    return length + -length % alignment


def write_merged(shards: list[tuple[Path, Header]], out: Path) -> None:
    """Write the files that `gguf-split` made of a model as one: the first one's metadata, all tensors in order.

    Parameters
    ----------
    shards
        Each file with its header, in the order of their numbers.
    out
        File to write.
    """
    first = shards[0][1]
    keys = [raw for key, raw in first.raw.items() if not key.startswith("split.")]
    table, offset = [], 0
    for _, header in shards:
        for tensor in header.tensors:
            table.append(_row(tensor, offset))
            offset = _padded(offset + tensor.size, first.alignment)
    head = b"".join([MAGIC, struct.pack("<IQQ", VERSION, len(table), len(keys)), *keys, *table])
    with open(out, "wb") as target:
        target.write(head.ljust(_padded(len(head), first.alignment), b"\0"))
        for path, header in shards:
            with open(path, "rb") as source:
                for tensor in header.tensors:
                    source.seek(header.data + tensor.offset)
                    target.write(source.read(tensor.size).ljust(_padded(tensor.size, first.alignment), b"\0"))


def _row(tensor: Tensor, offset: int) -> bytes:
    name = tensor.name.encode("utf-8")
    form = f"<Q{len(name)}sI{len(tensor.shape)}QIQ"
    return struct.pack(form, len(name), name, len(tensor.shape), *tensor.shape, tensor.type, offset)
