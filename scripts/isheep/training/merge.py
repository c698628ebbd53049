"""Fold an adapter into the weights, and prove on real prompts that the saved model is base plus adapter."""

from __future__ import annotations

import gc
import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isheep.config.model import Model
from isheep.config.train import Merge
from isheep.data.files import publish, read_json, write_json
from isheep.data.rows import Row
from isheep.documents.models import MergeReport, TimedMerge
from isheep.errors import UserError
from isheep.serving import chat
from isheep.serving.agreement import check_same
from isheep.serving.layouts import write_both_layouts
from isheep.serving.models import longest_context
from isheep.serving.repeatable import make_repeatable
from isheep.training.checks import check_adapter, check_free_space, full_disk_named
from isheep.training.encode import encode_row
from isheep.training.lora import load_model

logger = logging.getLogger(__name__)
# Differences of logits. Measured on SmolLM2-135M: 0.0001 in float32, 0.04 in float16, 0.72 in bfloat16.
TOLERANCE = {"float32": 1e-3, "float16": 0.25, "bfloat16": 2.0}


@dataclass(frozen=True)
class Probe:
    """What base plus adapter says to one prompt: its greedy answer, and the logits (tokens, vocabulary) before each."""

    prompt: list[int]
    answer: list[int]
    logits: Any


def merge(
    settings: Merge,
    model: Model,
    model_folder: Path,
    adapter: Path,
    out: Path,
    rows: list[Row],
    threads: int,
) -> TimedMerge:
    """Publish base plus adapter as a model folder of its own, after checking it, and return the report.

    The sum is made in float32 and rounded once to `settings.dtype`. Greedy answers of base plus adapter are compared
    with the merged model as read back from disk: the largest difference of their logits must be within the tolerance,
    and in float32 every greedy token must be the same (where the two best tokens are nearer to each other than the
    tolerance, either may win: a tie).

    Parameters
    ----------
    settings, model
        Sections `merge` and `model` of the run.
    model_folder, adapter
        The model that the adapter was trained on; the adapter's folder with its tokenizer and chat template.
    out
        Folder of the merged model.
    rows
        Selected rows; the first `settings.probe_prompts` are the probes.
    threads
        CPU threads.

    Raises
    ------
    UserError
        The adapter is no good, the disk is too small, or the merged model differs from base plus adapter.
    """
    from peft import PeftModel

    started = time.monotonic()
    check_adapter(adapter)
    check_free_space(model_folder, out, settings.dtype)
    make_repeatable(threads)
    template = chat.load_template(adapter, model)
    tokenizer, end = template.tokenizer, template.tokenizer.convert_tokens_to_ids(template.end_of_turn)
    logger.info("1 of 4: read the weights in float32")
    network = load_model(model_folder, model, "float32").eval()
    tied = bool(network.config.tie_word_embeddings)
    try:
        network = PeftModel.from_pretrained(network, str(adapter)).eval()
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{adapter}: does not fit {model_folder} ({reason}); merge it with the model it was trained on"
        ) from None
    logger.info("2 of 4: have base plus adapter answer %d prompts", len(rows[: settings.probe_prompts]))
    probes = probe(network, template, end, rows[: settings.probe_prompts], settings.probe_tokens)
    logger.info("3 of 4: fold the adapter in and write the model as %s", settings.dtype)
    merged = network.merge_and_unload()
    with full_disk_named(out), publish(out) as temporary:
        save_merged(merged, tokenizer, end, temporary, settings)
        del merged, network
        gc.collect()
        names = (str(model_folder), str(adapter), str(out))
        folders = (model_folder, adapter, temporary)
        check_same({name: chat.load_tokenizer(each, model) for name, each in zip(names, folders, strict=True)})
        logger.info("4 of 4: read it back and compare")
        report = compare(temporary, model, probes, end, tied, settings)
    return {**report, "timing": {"seconds": round(time.monotonic() - started, 1)}}


def probe(network: Any, template: chat.ChatTemplate, end: int, rows: list[Row], new_tokens: int) -> list[Probe]:
    """Return greedy answers of at most `new_tokens` tokens to the prompts of some rows, with their logits."""
    import torch

    tokenizer = template.tokenizer
    prompts = [encode_row(template, row, max_length=sys.maxsize).prompt for row in rows]
    if not prompts:
        return []
    width = max(map(len, prompts))
    longest = longest_context(network.config.to_dict())  # no position is there beyond it, in some models
    if longest is not None:
        new_tokens = min(new_tokens, longest - width)
    if new_tokens < 1:
        return []
    tokenizer.padding_side = "left"
    batch = tokenizer.pad({"input_ids": prompts}, return_tensors="pt")
    with torch.no_grad():
        written = network.generate(
            **batch,
            do_sample=False,
            max_new_tokens=new_tokens,
            eos_token_id=end,
            pad_token_id=tokenizer.pad_token_id,
        )
    answers = [_up_to(end, ids.tolist()) for ids in written[:, width:]]
    return [
        Probe(prompt, answer, _logits(network, prompt, answer)) for prompt, answer in zip(prompts, answers, strict=True)
    ]


def _up_to(end: int, ids: list[int]) -> list[int]:
    return ids[: ids.index(end) + 1] if end in ids else ids


def _logits(network: Any, prompt: list[int], answer: list[int]) -> Any:
    """Return the logits that chose each token of the answer, float32, shape (answer tokens, vocabulary)."""
    import torch

    with torch.no_grad():
        logits = network(torch.tensor([prompt + answer]), logits_to_keep=len(answer) + 1).logits
    return logits[0, :-1].float()


def save_merged(network: Any, tokenizer: Any, end: int, folder: Path, settings: Merge) -> None:
    """Write weights, tokenizer, chat template and generation settings for any library; no path of this machine."""
    import torch

    network = network.to(getattr(torch, settings.dtype))
    network.config.eos_token_id = network.generation_config.eos_token_id = _ends(network, end)
    network.generation_config._from_model_config = False
    _make_savable(network.generation_config)
    network.config.pad_token_id = network.generation_config.pad_token_id = tokenizer.pad_token_id
    network.save_pretrained(folder, max_shard_size=int(settings.max_shard_gib * 2**30))
    tokenizer.padding_side = "right"
    tokenizer.save_pretrained(folder)
    config = read_json(folder / "config.json")
    config = {key: value for key, value in config.items() if not key.endswith("name_or_path")}
    write_json(folder / "config.json", config)
    write_both_layouts(folder)


def _make_savable(generation: Any) -> None:
    """Say that one samples where a temperature or its like is given: transformers saves no config without that."""
    asked = {"temperature": 1.0, "top_p": 1.0, "top_k": 50, "min_p": None, "typical_p": 1.0}
    if any(getattr(generation, key, None) not in (None, usual) for key, usual in asked.items()):
        generation.do_sample = True


def _ends(network: Any, end: int) -> int | list[int]:
    """Return the ids that end an answer: those the model had, and the end of turn it was trained on, first."""
    had = network.generation_config.eos_token_id
    others = [had] if isinstance(had, int) else had or []
    ends = [end, *(token for token in others if token != end)]
    return ends if len(ends) > 1 else ends[0]


def compare(folder: Path, model: Model, probes: list[Probe], end: int, tied: bool, settings: Merge) -> MergeReport:
    """Return how a merged model, read back from disk, agrees with base plus adapter.

    Raises
    ------
    UserError
        Logits differ by more than the tolerance, in float32 a greedy token differs, or tied embeddings came apart.
    """
    network = load_model(folder, model, "float32").eval()
    if tied and network.get_output_embeddings().weight is not network.get_input_embeddings().weight:
        raise UserError(f"{folder}: input and output embeddings were one and are now two; merge again")
    tolerance = settings.tolerance or TOLERANCE[settings.dtype]
    largest, tokens, same, ties = 0.0, 0, 0, 0
    for probe in probes:
        logits = _logits(network, probe.prompt, probe.answer)
        largest = max(largest, float((logits - probe.logits).abs().max()))
        best, other = probe.logits.argmax(dim=1), logits.argmax(dim=1)
        margin = (probe.logits.max(dim=1).values - probe.logits.gather(1, other[:, None])[:, 0])[best != other]
        tokens += len(probe.answer)
        same += int((best == other).sum())
        ties += int((margin <= tolerance).sum())
    stopped = sum(probe.answer[-1] == end for probe in probes)
    report: MergeReport = {
        "dtype": settings.dtype,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "tied_embeddings": tied,
        "probes": len(probes),
        "probe_tokens": tokens,
        "logits_difference": largest,
        "tolerance": tolerance,
        "greedy_tokens_same": same,
        "greedy_ties": ties,
        "stopped_by_itself": stopped,
    }
    logger.info("merged model against base plus adapter: %s", report)
    if not largest <= tolerance:
        raise UserError(
            f"the merged model differs from base plus adapter: logits by up to {largest:.3g} (merge.tolerance is "
            f"{tolerance:g}) on {len(probes)} prompts. In float32 that means the wrong base model or a damaged "
            f"file; in {settings.dtype} it may be rounding: then raise merge.tolerance, or set merge.dtype: float32"
        )
    if settings.dtype == "float32" and same + ties < tokens:
        raise UserError(
            f"the merged model answers differently from base plus adapter: {tokens - same - ties} of {tokens} greedy "
            "tokens; check that the adapter was trained on this base model, then train and merge again"
        )
    if probes and not stopped:
        logger.warning(
            "none of %d greedy answers stopped by itself within %d tokens: look at end_of_turn in the training report, "
            "train on more rows or epochs, or raise merge.probe_tokens",
            *(len(probes), settings.probe_tokens),
        )
    return report
