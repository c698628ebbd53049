"""A path for vLLM on a CPU: tokens that a request must write, whatever it would have written.

The log-probabilities that come with each token are the model's own (`logprobs_mode: raw_logprobs`), so continuations
that share a beginning are scored by one call that reads the prompt once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

KEY = "path"
"""Under this name the token ids to write stand in the `extra_args` of vLLM's SamplingParams."""


def processor() -> type:
    """Return the logits processor that vLLM is given; it works on requests whose `extra_args` hold `KEY`."""
    from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

    class Path(AdapterLogitsProcessor):
        """Leaves one token to a request while its path goes on."""

        def is_argmax_invariant(self) -> bool:
            """Return that the likeliest token is another one afterwards."""
            return False

        def new_req_logits_processor(self, params: Any) -> Any:
            """Return what works on a request's logits; None where nothing is prescribed."""
            path = (params.extra_args or {}).get(KEY)
            return partial(follow, path) if path else None

    return Path


def follow(path: list[int], written: list[int], logits: torch.Tensor) -> torch.Tensor:
    """Return logits (vocabulary,) that leave only the path's next token; as they are behind the path's end.

    Parameters
    ----------
    path, written
        Token ids to write, and those written so far.
    logits
        Of one request; the tensor itself is changed.
    """
    if len(written) < len(path):
        kept = logits[path[len(written)]].clone()
        logits.fill_(float("-inf"))
        logits[path[len(written)]] = kept
    return logits
