"""Base plus adapter against the merged model, by what they say to real prompts."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import Any

from isheep.config.train import Merge
from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.serving import chat
from isheep.serving.models import longest_context
from isheep.training.encode import encode_row

logger = logging.getLogger(__name__)
# Differences of logits. Measured on SmolLM2-135M: 0.0001 in float32, 0.04 in float16, 0.72 in bfloat16.
TOLERANCE = {"float32": 1e-3, "float16": 0.25, "bfloat16": 2.0}
NONE: dict[str, Any] = {
    "probes": 0,
    "probe_tokens": 0,
    "logits_difference": None,
    "greedy_tokens_same": 0,
    "greedy_ties": 0,
    "stopped_by_itself": 0,
}
"""What is reported of a comparison that was not made."""


@dataclass(frozen=True)
class Probe:
    """What base plus adapter says to one prompt: its greedy answer, and the logits (tokens, vocabulary) before each."""

    prompt: list[int]
    answer: list[int]
    logits: Any


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
    batch = tokenizer.pad({"input_ids": prompts}, return_tensors="pt").to(network.device)
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
        ids = torch.tensor([prompt + answer], device=network.device)
        logits = network(ids, logits_to_keep=len(answer) + 1).logits
    return logits[0, :-1].float().cpu()


def compare(network: Any, probes: list[Probe], end: int, settings: Merge) -> dict[str, Any]:
    """Return how a merged model, read back from disk, agrees with what base plus adapter said.

    Raises
    ------
    UserError
        Logits differ by more than the tolerance, or in float32 a greedy token differs.
    """
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
    _judge(settings, tolerance, len(probes), largest, tokens, tokens - same - ties)
    if probes and not stopped:
        logger.warning(
            "none of %d greedy answers stopped by itself within %d tokens: look at end_of_turn in the training report, "
            "train on more rows or epochs, or raise merge.probe_tokens",
            *(len(probes), settings.probe_tokens),
        )
    return {
        "probes": len(probes),
        "probe_tokens": tokens,
        "logits_difference": largest,
        "greedy_tokens_same": same,
        "greedy_ties": ties,
        "stopped_by_itself": stopped,
    }


def _judge(settings: Merge, tolerance: float, probes: int, largest: float, tokens: int, other: int) -> None:
    if not largest <= tolerance:
        raise UserError(
            f"the merged model differs from base plus adapter: logits by up to {largest:.3g} (merge.tolerance is "
            f"{tolerance:g}) on {probes} prompts. In float32 that means the wrong base model or a damaged "
            f"file; in {settings.dtype} it may be rounding: then raise merge.tolerance, or set merge.dtype: float32"
        )
    if settings.dtype == "float32" and other:
        raise UserError(
            f"the merged model answers differently from base plus adapter: {other} of {tokens} greedy "
            "tokens; check that the adapter was trained on this base model, then train and merge again"
        )
