"""Top-p for vLLM on a CPU: the nucleus of each request, without sorting the vocabulary.

vLLM's own sorts every row whole, which takes far longer than a small model's step: 262,144 tokens a row with Gemma's
vocabulary. Here only the tokens that are near the likeliest are sorted. Each row is worked on alone, so that a request
draws the same whatever runs beside it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

KEY = "nucleus"
"""Under this name a request's top-p stands in the `extra_args` of vLLM's SamplingParams."""
REACHES = (4.0, 8.0, 16.0)
"""How far below the likeliest token's logit is looked first, in nats, before all are sorted."""

PART = 16_384
"""Logits that are summed at once."""


def keep_nucleus(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Return logits with all tokens outside the nucleus at minus infinity; the tensor itself is changed.

    Parameters
    ----------
    logits
        Of one request, already divided by the temperature (vocabulary,).
    top_p
        Probability (0-1) of the nucleus: the smallest set of likeliest tokens that has so much together. Tokens as
        likely as the last of them stay, too.
    """
    highest, total = logits.max(), log_total(logits)
    for reach in (*REACHES, float("inf")):
        near = logits[logits >= highest - reach].sort(descending=True).values
        mass = (near - total).exp().cumsum(0)
        enough = int((mass < top_p).sum())
        if enough < len(near):
            return logits.masked_fill_(logits < near[enough], float("-inf"))
    return logits  # rounding: all together stay below top_p


def log_total(logits: torch.Tensor) -> torch.Tensor:
    """Return log sum exp of logits (vocabulary,): the same bits on any number of threads."""
    import torch

    # torch shares a sum of 32,768 numbers or more out over threads, and then sums in another order.
    return torch.stack([part.logsumexp(0) for part in logits.split(PART)]).logsumexp(0)


def processor() -> type:
    """Return the logits processor that vLLM is given; it works on requests whose `extra_args` hold `KEY`."""
    from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

    class Nucleus(AdapterLogitsProcessor):
        """Keeps the nucleus of each request, after the temperature."""

        def is_argmax_invariant(self) -> bool:
            """Return that the likeliest token always stays."""
            return True

        def new_req_logits_processor(self, params: Any) -> Any:
            """Return what works on a request's logits; None where nothing is cut off."""
            top_p = (params.extra_args or {}).get(KEY)
            return None if top_p is None else partial(_behind, top_p)

    return Nucleus


def _behind(top_p: float, _output_ids: list[int], logits: torch.Tensor) -> torch.Tensor:
    return keep_nucleus(logits, top_p)
