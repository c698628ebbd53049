"""Tokenizers of every kind, trained in a blink on a few lines, and chat templates of the shapes that models have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LINES = [
    "How are you doing today? The capital of France is Paris, and the score is 10 of 10.",
    "ASSISTANT: Hello there! USER: Name three rivers. A: Score: 7",
    "def add(a, b):\n    return a + b\n",
    "Grüße aus Köln, façade, naïve; 1 2 3 4 5 6 7 8 9 10",
    "user assistant system think table answer question instruction",
]
SPECIAL = ("<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{number:02X}>" for number in range(256))
KINDS = ("byte_level", "qwen", "metaspace_always", "metaspace_first", "prepend", "replace", "unigram")
OF_BYTES = ("byte_level", "qwen")
# How Qwen's tokenizers cut a text into words.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

TEMPLATES = {
    "chatml": (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    "vicuna": (
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}USER: {{ m['content'] }}"
        "{% elif m['role'] == 'system' %}{{ m['content'] }} {% else %} ASSISTANT: {{ m['content'] }}{{ eos_token }}"
        "{% endif %}{% endfor %}{% if add_generation_prompt %} ASSISTANT:{% endif %}"
    ),
    "inst": (
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]"
        "{% else %} {{ m['content'] }} {{ eos_token }}{% endif %}{% endfor %}"
    ),
    "gemma": (
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
        "{% endif %}{% for m in messages %}<start_of_turn>"
        "{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
        "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
    ),
    "phi": (
        "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
    ),
    "glm": (
        "[gMASK]<sop>{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    ),
    "dated": (
        "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
        "{{ bos_token }}Today: {{ date_string }}, {{ strftime_now('%Y-%m-%d') }}\n"
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    "thinking": (
        "{% for m in messages %}{% set c = m['content'].split('</think>')[-1] %}<|im_start|>{{ m['role'] }}\n"
        "{{ c }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
        "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
    ),
    "headings": Path(__file__).parents[1].joinpath("config/prompts/chat.jinja").read_text(encoding="utf-8"),
}
MARKS = {
    "chatml": ("<|im_start|>", "<|im_end|>"),
    "gemma": ("<start_of_turn>", "<end_of_turn>"),
    "phi": ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>"),
    "glm": ("[gMASK]", "<sop>", "<|user|>", "<|assistant|>", "<|system|>"),
    "dated": ("<|im_start|>", "<|im_end|>"),
    "thinking": ("<|im_start|>", "<|im_end|>"),
}
"""The special tokens that a template brings."""
ENDS = {"chatml": "<|im_end|>", "gemma": "<end_of_turn>", "phi": "<|end|>", "glm": "<|user|>"}
ENDS |= {"dated": "<|im_end|>", "thinking": "<|im_end|>", "vicuna": "</s>", "inst": "</s>", "headings": "</s>"}
"""The token after which an answer is over, by template."""


def backend(kind: str, add_start: bool = True) -> Any:
    """Return a `tokenizers.Tokenizer` of a kind; `add_start` lets it put <s> before plain text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    plain = Tokenizer(models.Unigram() if kind == "unigram" else models.BPE(unk_token="<unk>"))
    _dress(plain, kind)
    if kind == "unigram":
        trainer: Any = trainers.UnigramTrainer(
            vocab_size=200, special_tokens=list(SPECIAL), unk_token="<unk>", show_progress=False
        )
    else:
        letters = pre_tokenizers.ByteLevel.alphabet() if kind in OF_BYTES else []
        trainer = trainers.BpeTrainer(
            vocab_size=420, special_tokens=list(SPECIAL), initial_alphabet=letters, show_progress=False
        )
    dress = plain.pre_tokenizer
    if dress is None:  # trained on words, as SentencePiece does, though it will see whole texts
        plain.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="never")
    plain.train_from_iterator(LINES, trainer)
    written = _with_bytes(json.loads(plain.to_str()), kind)
    made = Tokenizer.from_str(json.dumps(written | ({"pre_tokenizer": None} if dress is None else {})))
    if add_start:
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", made.token_to_id("<s>"))]
        )
    return made


def _dress(tokenizer: Any, kind: str) -> None:
    from tokenizers import Regex, decoders, normalizers, pre_tokenizers

    if kind == "qwen":
        tokenizer.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(Regex(WORDS), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
        tokenizer.decoder = decoders.ByteLevel()
        return
    if kind == "byte_level":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        return
    fused = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    strips = kind != "replace"
    tokenizer.decoder = decoders.Sequence([*fused, decoders.Strip(" ", 1, 0)] if strips else fused)
    if kind in ("prepend", "replace"):
        steps = [normalizers.Prepend("▁")] if kind == "prepend" else []
        tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
    else:
        scheme = "first" if kind == "metaspace_first" else "always"
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme=scheme)


def _with_bytes(made: dict[str, Any], kind: str) -> dict[str, Any]:
    """Give a model the 256 byte tokens and have it fall back on them, as SentencePiece models do."""
    if kind in OF_BYTES:
        return made
    model = made["model"]
    model["byte_fallback"] = True
    if kind == "unigram":
        model["vocab"] += [[byte, -20.0] for byte in BYTES]
    else:
        first = max(model["vocab"].values()) + 1
        model["vocab"] |= {byte: first + number for number, byte in enumerate(BYTES)}
    return made


def tokenizer(kind: str, template: str = "chatml", added: Sequence[str] = (), **changes: Any) -> Any:
    """Return a transformers tokenizer with a template and its special tokens; `added` are added, not special."""
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    made = backend(kind, add_start=changes.pop("add_start", True))
    made.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in MARKS.get(template, ())])
    made.add_tokens([AddedToken(token, special=False, normalized=False) for token in added])
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "</s>"} | changes
    fast = PreTrainedTokenizerFast(tokenizer_object=made, **names)
    fast.chat_template = TEMPLATES[template]
    return fast
