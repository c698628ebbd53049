"""A forward pass over a GGUF's own tensors in plain torch, after llama.cpp's graphs: what a conversion is held against.

By hand, for real weights: `PYTHONPATH=scripts:tests python tests/gguf_reference.py FILE.gguf FOLDER`.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

from isheep.serving.gguf.header import read_header

TEXT = "The capital of France is Paris. The capital of Germany is Berlin. The capital of Italy is"


class Reference:
    """llama, qwen2 and gemma3; weights are read and dequantised by the library `gguf`, one at a time."""

    def __init__(self, path: Path) -> None:
        from gguf import GGUFReader

        self.said, self.kind = read_header(path).metadata, read_header(path).architecture
        self.stored = {tensor.name: tensor for tensor in GGUFReader(path).tensors}
        self.heads, self.kv_heads = self._key("attention.head_count"), self._key("attention.head_count_kv")
        self.epsilon = self._key("attention.layer_norm_rms_epsilon")

    def _key(self, name: str, otherwise: Any = None) -> Any:
        return self.said.get(f"{self.kind}.{name}", otherwise)

    def _weight(self, name: str) -> Any:
        import numpy as np
        import torch
        from gguf import dequantize

        tensor = self.stored[name]
        return torch.from_numpy(np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32))

    def logits(self, ids: list[int]) -> Any:
        """Return the logits (tokens, vocabulary) behind each token."""
        import torch

        embedding = self._weight("token_embd.weight")
        x = embedding[torch.tensor(ids)]
        if self.kind == "gemma3":
            x = x * math.sqrt(x.shape[-1])
        for layer in range(self._key("block_count")):
            name = f"blk.{layer}."
            x = x + self._normed(self._attended(x, layer), name + "post_attention_norm.weight", optional=True)
            x = x + self._normed(self._fed(x, name), name + "post_ffw_norm.weight", optional=True)
        head = self._weight("output.weight") if "output.weight" in self.stored else embedding
        return self._normed(x, "output_norm.weight") @ head.T

    def _normed(self, x: Any, name: str, optional: bool = False) -> Any:
        if optional and name not in self.stored:
            return x
        return x / (x.square().mean(-1, keepdim=True) + self.epsilon).sqrt() * self._weight(name)

    def _fed(self, x: Any, name: str) -> Any:
        import torch

        x = self._normed(x, name + "ffn_norm.weight")
        gate, up, down = (self._weight(f"{name}ffn_{part}.weight") for part in ("gate", "up", "down"))
        gelu = self.kind == "gemma3"
        gated = (
            torch.nn.functional.gelu(x @ gate.T, approximate="tanh") if gelu else torch.nn.functional.silu(x @ gate.T)
        )
        return (gated * (x @ up.T)) @ down.T

    def _attended(self, x: Any, layer: int) -> Any:
        import torch

        name, count = f"blk.{layer}.", x.shape[0]
        x = self._normed(x, name + "attn_norm.weight")
        q, k, v = (self._projected(x, f"{name}attn_{part}") for part in "qkv")
        q, k, v = (
            part.view(count, heads, -1) for part, heads in ((q, self.heads), (k, self.kv_heads), (v, self.kv_heads))
        )
        q, k = (
            self._normed(part, f"{name}attn_{letter}_norm.weight", optional=True)
            for part, letter in ((q, "q"), (k, "k"))
        )
        local = self.kind == "gemma3" and (layer + 1) % 6 != 0
        base = 10_000.0 if local else self._key("rope.freq_base", 10_000.0)
        q, k = (self._turned(part, base) for part in (q, k))
        k, v = (part.repeat_interleave(self.heads // self.kv_heads, dim=1) for part in (k, v))
        scores = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(q.shape[-1])
        places = torch.arange(count)
        hidden = places[:, None] < places[None, :]
        if local:
            hidden = hidden | (places[:, None] - places[None, :] >= self._key("attention.sliding_window"))
        weights = scores.masked_fill(hidden, -math.inf).softmax(-1)
        return torch.einsum("hqk,khd->qhd", weights, v).reshape(count, -1) @ self._weight(name + "attn_output.weight").T

    def _projected(self, x: Any, name: str) -> Any:
        bias = self._weight(f"{name}.bias") if f"{name}.bias" in self.stored else 0
        return x @ self._weight(f"{name}.weight").T + bias

    def _turned(self, x: Any, base: float) -> Any:
        """Rotary positions: llama's files pair neighbours, the others a dimension with one half a head away."""
        import torch

        size = x.shape[-1]
        angles = torch.arange(x.shape[0])[:, None] * base ** (-torch.arange(0, size, 2) / size)
        cos, sin = angles.cos()[:, None], angles.sin()[:, None]
        one, two = (x[..., 0::2], x[..., 1::2]) if self.kind == "llama" else x.split(size // 2, -1)
        turned = (one * cos - two * sin, one * sin + two * cos)
        return torch.stack(turned, -1).flatten(-2) if self.kind == "llama" else torch.cat(turned, -1)


def compare(path: Path, folder: Path, ids: list[int]) -> tuple[float, list[list[int]], list[list[int]]]:
    """Return how far logits are apart at most, and the five likeliest next tokens at every place, in both."""
    import torch
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        converted, original = network(torch.tensor([ids])).logits[0], Reference(path).logits(ids)
    best = [logits.topk(5, dim=-1).indices.tolist() for logits in (original, converted)]
    return (converted - original).abs().max().item(), best[0], best[1]


if __name__ == "__main__":
    from transformers import AutoTokenizer

    from isheep.serving.gguf.tokens import Vocabulary

    path, folder = Path(sys.argv[1]), Path(sys.argv[2])
    vocabulary, tokenizer = Vocabulary(read_header(path).metadata), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(TEXT).input_ids
    start = [vocabulary.named("bos")] if vocabulary.starts else []
    print(f"ids equal: {ids == [*start, *vocabulary.encode(TEXT)]} ({len(ids)} tokens)")
    apart, original, converted = compare(path, folder, ids)
    same = sum(one == two for one, two in zip(original, converted, strict=True))
    print(f"logits apart by at most {apart:.2g}; five likeliest next tokens in the same order at {same} of {len(ids)}")
    said = [tokenizer.decode(best[-1][:1]) for best in (original, converted)]
    print(f"next token: {said[0]!r} by the file, {said[1]!r} converted")
