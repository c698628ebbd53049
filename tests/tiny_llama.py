"""A two-layer Llama with random weights and a tokenizer of bytes: everything that training needs, in a second."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from isheep.config.model import Model
from isheep.config.train import Lora, Train
from isheep.data.files import digest_file
from isheep.training import checkpoint, trainer

END, SEPARATOR, START = "<|im_end|>", "<|endoftext|>", "<|im_start|>"
TEMPLATE = Path(__file__).parents[1] / "config" / "prompts" / "chat.jinja"
MODEL = Model(path="tiny")
TRAIN = Train(
    lora=Lora(rank=4, alpha=8, dropout=0.1),
    epochs=2,
    learning_rate=1e-2,
    batch_size=4,
    micro_batch_size=2,
    max_length=160,
    heldout_share=0.2,
    checkpoint_steps=1,
)
ANSWERS = ["Blue.", "Two and two make four.", "Oslo", "No, it is not.", "A poem:\nrain falls,\nI wait."]


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {"id": f"r{i}", "instruction": f"Do task {i}.", "input": "It rains." * (i % 2), "output": ANSWERS[i % 5]}
        for i in range(count)
    ]


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file of a folder."""
    return {path.name: digest_file(path) for path in sorted(folder.iterdir())}


def without_timing(report: dict[str, Any]) -> dict[str, Any]:
    """Return what two equal trainings report alike."""
    return {key: value for key, value in report.items() if key != "timing"}


@contextmanager
def dying_in_save(number: int, monkeypatch: Any) -> Iterator[None]:
    """Have a training die at the checkpoint of this number (from 1), before it is marked as whole."""
    marked, mark = itertools.count(1), checkpoint.mark_complete

    def die(path: Path) -> None:
        if next(marked) == number:
            raise KeyboardInterrupt
        mark(path)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(trainer, "mark_complete", die)
        yield


def save_tokenizer(folder: Path, **changes: Any) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, bos_token=SEPARATOR, **changes)
    fast.add_special_tokens({"additional_special_tokens": [START]})
    fast.chat_template = TEMPLATE.read_text(encoding="utf-8")
    fast.save_pretrained(folder)


def save(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """Write the model and its tokenizer into a folder; `changes` go to LlamaConfig."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    save_tokenizer(folder)
    torch.manual_seed(seed)
    shape = {
        "vocab_size": 272,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "eos_token_id": 257,
        "bos_token_id": 256,
    }
    LlamaForCausalLM(LlamaConfig(**(shape | changes))).save_pretrained(folder)
    return folder
