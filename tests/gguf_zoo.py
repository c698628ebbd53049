"""Tiny GGUF files (random weights) of the architectures that presets come as, written as llama.cpp's converter does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tokenizer_zoo

SHAPE = {"hidden": 64, "feed": 96, "heads": 4, "kv_heads": 2, "head": 16, "context": 256, "window": 8}
LAYERS = {"llama": 2, "qwen2": 2, "gemma3": 6}  # every sixth layer of Gemma 3 sees everything
THETA = {"llama": 100_000.0, "qwen2": 500_000.0, "gemma3": 500_000.0}
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
GEMMA = ("<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>")
SPACES, TAG = "  ", "<b>"  # runs of blanks are written as blanks, in Gemma's files


def write(path: Path, architecture: str, **said: Any) -> Path:
    """Write a tiny GGUF; `said` are keys of its tokenizer over those that its architecture usually has."""
    import numpy as np
    from gguf import GGUFWriter

    vocabulary = _sentencepiece() if architecture == "gemma3" else _byte_level("qwen2")
    if said.get("model") == "llama":
        vocabulary = _sentencepiece()
    vocabulary |= said
    writer = GGUFWriter(path, architecture)
    key = f"{architecture}."
    for name, value in (
        *(("context_length", SHAPE["context"]), ("embedding_length", SHAPE["hidden"])),
        *(("feed_forward_length", SHAPE["feed"]), ("block_count", LAYERS[architecture])),
        *(("attention.head_count", SHAPE["heads"]), ("attention.head_count_kv", SHAPE["kv_heads"])),
        *(("rope.dimension_count", SHAPE["head"]), ("vocab_size", len(vocabulary["tokens"]))),
    ):
        writer.add_uint32(key + name, value)
    if architecture == "gemma3":
        writer.add_uint32("gemma3.attention.key_length", SHAPE["head"])
        writer.add_uint32("gemma3.attention.value_length", SHAPE["head"])
        writer.add_uint32("gemma3.attention.sliding_window", SHAPE["window"])
    writer.add_float32(key + "rope.freq_base", THETA[architecture])
    writer.add_float32(key + "attention.layer_norm_rms_epsilon", 1e-6)
    for name, value in vocabulary.items():
        if value is not None:
            _add(writer, f"tokenizer.ggml.{name}", value)
    draw = np.random.default_rng(0)
    for name, shape in _shapes(architecture, len(vocabulary["tokens"])):
        scale, centre = (0.1, 1.0) if "norm" in name else (0.2, 0.0)
        writer.add_tensor(name, (centre + scale * draw.standard_normal(shape)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: Any, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, list):
        writer.add_array(key, value)
    else:
        writer.add_uint32(key, value)


def _shapes(architecture: str, tokens: int) -> list[tuple[str, tuple[int, ...]]]:
    hidden, feed, head = SHAPE["hidden"], SHAPE["feed"], SHAPE["head"]
    wide, narrow = SHAPE["heads"] * head, SHAPE["kv_heads"] * head
    shapes: list[tuple[str, tuple[int, ...]]] = [
        ("token_embd.weight", (tokens, hidden)),
        ("output_norm.weight", (hidden,)),
    ]
    for layer in range(LAYERS[architecture]):
        named = {
            "attn_norm.weight": (hidden,),
            "attn_q.weight": (wide, hidden),
            "attn_k.weight": (narrow, hidden),
            "attn_v.weight": (narrow, hidden),
            "attn_output.weight": (hidden, wide),
            "ffn_norm.weight": (hidden,),
            "ffn_gate.weight": (feed, hidden),
            "ffn_up.weight": (feed, hidden),
            "ffn_down.weight": (hidden, feed),
        }
        if architecture == "qwen2":
            named |= {"attn_q.bias": (wide,), "attn_k.bias": (narrow,), "attn_v.bias": (narrow,)}
        if architecture == "gemma3":
            named |= {"attn_q_norm.weight": (head,), "attn_k_norm.weight": (head,)}
            named |= {"post_attention_norm.weight": (hidden,), "post_ffw_norm.weight": (hidden,)}
        shapes += [(f"blk.{layer}.{name}", shape) for name, shape in named.items()]
    return shapes


def _byte_level(pre: str) -> dict[str, Any]:
    made = json.loads(tokenizer_zoo.backend("qwen" if pre == "qwen2" else "byte_level").to_str())["model"]
    own = [token for token, _ in sorted(made["vocab"].items(), key=lambda item: item[1])][len(tokenizer_zoo.SPECIAL) :]
    return {
        "model": "gpt2",
        "pre": pre,
        "tokens": [*own, *CHATML, TAG],
        "token_type": [*[NORMAL] * len(own), *[CONTROL] * 3, USER_DEFINED],
        "merges": [" ".join(pair) for pair in made["merges"]],
        "bos_token_id": len(own),
        "eos_token_id": len(own) + 2,
        "add_bos_token": False,
    }


def _sentencepiece() -> dict[str, Any]:
    made = json.loads(tokenizer_zoo.backend("replace").to_str())["model"]
    own = [token for token, _ in sorted(made["vocab"].items(), key=lambda item: item[1])]
    own = [token for token in own if token not in (*tokenizer_zoo.SPECIAL, *tokenizer_zoo.BYTES)]
    tokens = [*GEMMA, SPACES, TAG, *tokenizer_zoo.BYTES, *own]
    kinds = [CONTROL, CONTROL, CONTROL, UNKNOWN, CONTROL, CONTROL, USER_DEFINED, USER_DEFINED, *[BYTE] * 256]
    return {
        "model": "llama",
        "pre": "default",
        "tokens": tokens,
        "scores": [float(-id) for id in range(len(tokens))],
        "token_type": [*kinds, *[NORMAL] * len(own)],
        "padding_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
        "unknown_token_id": 3,
        "add_bos_token": True,
        "add_space_prefix": False,
    }


def cut(path: Path, count: int) -> list[Path]:
    """Cut a file into pieces, as packages that may not be large do, and delete it."""
    data, size = path.read_bytes(), -(-path.stat().st_size // count)
    pieces = [path.with_name(f"{path.stem}.part{number}") for number in range(1, count + 1)]
    for number, piece in enumerate(pieces):
        piece.write_bytes(data[number * size : (number + 1) * size])
    path.unlink()
    return pieces


def split(path: Path, count: int) -> list[Path]:
    """Split a file as `gguf-split` does: every file has a header and some of the tensors; delete the whole one."""
    import numpy as np
    from gguf import GGUFReader, GGUFWriter

    reader = GGUFReader(path)
    size = -(-len(reader.tensors) // count)
    files = []
    for number in range(count):
        files.append(path.with_name(f"{path.stem}-{number + 1:05d}-of-{count:05d}.gguf"))
        writer = GGUFWriter(files[-1], reader.fields["general.architecture"].contents())
        if number == 0:
            for name, field in reader.fields.items():
                if not name.startswith(("GGUF.", "general.architecture")):
                    writer.add_key_value(name, field.contents(), field.types[0], field.types[-1])
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", count)
        for tensor in reader.tensors[number * size : (number + 1) * size]:
            writer.add_tensor(tensor.name, np.array(tensor.data))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    path.unlink()
    return files
