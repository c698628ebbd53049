"""A GGUF as a float32 model folder that reads and writes as the file says."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from isheep.config.gguf import Gguf
from isheep.data.files import publish
from isheep.errors import UserError
from isheep.serving.gguf.header import Header, read_header
from isheep.serving.gguf.parts import gather
from isheep.serving.gguf.tokens import Vocabulary
from isheep.serving.layouts import write_both_layouts


def convert(gguf: Gguf, out: Path) -> None:
    """Publish a GGUF as a model folder: config.json, tokenizer with chat template, weights in float32.

    The file's metadata decides start and end tokens, and its tokenizer is held against it: ids of a table of texts.

    Parameters
    ----------
    gguf
        Section `model.gguf` of the settings.
    out
        Folder to publish.

    Raises
    ------
    UserError
        A part is missing, the file cannot be read, or its conversion would read or write something else than it.
    """
    out = Path(out)
    # Beside `out`: what a killed fetch got stays, and nothing half made is taken for a model.
    partial = out.with_name(f".{out.name}.partial")
    source = gather(gguf, partial)
    header = read_header(source)
    vocabulary = Vocabulary(header.metadata)
    with publish(out) as temporary:
        _save_weights(source, header, vocabulary, temporary)
        tokenizer = _tokenizer(source, vocabulary)
        tokenizer.save_pretrained(temporary)
        write_both_layouts(temporary)
        check_tokenizer(temporary, vocabulary)
    shutil.rmtree(partial, ignore_errors=True)


def _save_weights(source: Path, header: Header, vocabulary: Vocabulary, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    try:
        # Without dequantize=True transformers keeps the quantised blocks, which it cannot save.
        network, loading = AutoModelForCausalLM.from_pretrained(
            source.parent,
            gguf_file=source.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise UserError(
            f"model.gguf: transformers cannot read it ({error}); is its architecture a known one?"
        ) from None
    lost = sorted({*loading["missing_keys"], *loading["unexpected_keys"]})
    if lost:
        raise UserError(f"model.gguf: transformers finds no place for, or nothing in place of, {', '.join(lost[:3])}")
    _check_positions(header, network.config)
    _scale_attention(network.config)
    for token in ("bos", "eos"):
        network.config.update({f"{token}_token_id": vocabulary.named(token)})
        network.generation_config.update(**{f"{token}_token_id": vocabulary.named(token)})
    network.save_pretrained(folder)


def _check_positions(header: Header, config: Any) -> None:
    """Refuse a file whose positions are scaled for long texts, which transformers does not take over."""
    key = f"{header.architecture}.rope.scaling.type"
    scaled = header.metadata.get(key, "none") != "none" or any("rope_f" in tensor.name for tensor in header.tensors)
    taken = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default") != "default"
    if scaled and not taken:
        raise UserError(
            f"model.gguf: its positions are scaled for long texts ({key} or rope_freqs), which the conversion would "
            "lose; take the model in its own form (model.path or model.hub)"
        )


def _scale_attention(config: Any) -> None:
    """Give Gemma 2 and 3 the scale of their attention, which a GGUF leaves to whoever reads it.

    By the size of a head, but by that of the hidden state per head in the largest of each family (27B), known by its
    layers; transformers takes 256 for all.
    """
    largest = {"gemma2": 46, "gemma3_text": 62}.get(config.model_type)
    if largest is not None:
        of_all = config.hidden_size // config.num_attention_heads
        config.query_pre_attn_scalar = of_all if config.num_hidden_layers == largest else config.head_dim


def _tokenizer(source: Path, vocabulary: Vocabulary) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    for token in ("bos", "eos"):
        if (id := vocabulary.named(token)) is not None:
            setattr(tokenizer, f"{token}_token", vocabulary.tokens[id])
    if vocabulary.starts:
        start_texts(tokenizer)
    return tokenizer


def start_texts(tokenizer: Any) -> None:
    """Have a tokenizer put its start token before plain text, which transformers forgets when it reads a GGUF."""
    from tokenizers.processors import TemplateProcessing

    start = tokenizer.bos_token_id
    if start is None or tokenizer("a").input_ids[:1] == [start]:
        return
    tokenizer.add_bos_token = True  # some classes are rebuilt by this at every load
    if tokenizer("a").input_ids[:1] != [start]:
        name = tokenizer.bos_token
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single=f"{name} $A", pair=f"{name} $A {name} $B", special_tokens=[(name, start)]
        )


def check_tokenizer(folder: Path, vocabulary: Vocabulary) -> None:
    """Hold a converted tokenizer, as it is loaded, against the metadata of its GGUF.

    Raises
    ------
    UserError
        A text has other ids, or another start, than the file says.
    """
    from transformers import AutoTokenizer

    from isheep.serving.agreement import TEXTS

    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        ids, wanted = tokenizer(text, add_special_tokens=False).input_ids, vocabulary.encode(text)
        if ids != wanted:
            raise UserError(
                f"model.gguf: {text!r} is {_shown(vocabulary, wanted)} by the file's own tokenizer, and "
                f"{_shown(vocabulary, ids)} as transformers converts it; take the model in its own form (model.path)"
            )
    start = [vocabulary.named("bos")] if vocabulary.starts else []
    if tokenizer("a").input_ids != [*start, *vocabulary.encode("a")]:
        raise UserError(
            f"model.gguf: the file says that texts start {'with' if start else 'without'} a start token, and the "
            f"converted {type(tokenizer).__name__} does otherwise; take the model in its own form (model.path)"
        )


def _shown(vocabulary: Vocabulary, ids: list[int]) -> str:
    return " ".join(vocabulary.tokens[id] for id in ids)
