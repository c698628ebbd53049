"""Was the token that ends an answer ever trained? LoRA leaves the output layer alone, so it must have been."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import Any

logger = logging.getLogger(__name__)
SAME_ROW = 0.02  # of the row's norm; SmolLM2: untrained rows are equal, the nearest trained ones 0.12 apart
LOW_NORM = 0.5  # of the norm that 99 % of the vocabulary exceeds
CHUNK = 16_384  # rows of the vocabulary looked at together


def check_end_of_turn(model: Any, tokenizer: Any, token: str) -> dict[str, Any]:
    """Return {token, id, trained, how} for the end of turn `token`; log a warning when it was never trained.

    A base model has often rows for control tokens that no text ever held. LoRA trains neither embeddings nor the output
    layer, so a model whose template ends turns with such a token learns to stop badly or not at all.
    """
    token_id = tokenizer.convert_tokens_to_ids(token)
    layer = model.get_output_embeddings() or model.get_input_embeddings()
    with _gathered(layer.weight) as weight:
        trained, how = judge_row(weight, token_id)
        if not trained:
            others = [other for other in tokenizer.all_special_ids if judge_row(weight, other)[0]]
            names = ", ".join(repr(name) for name in tokenizer.convert_ids_to_tokens(others)) or "none found"
            logger.warning(
                "the end of turn %r was never trained (%s) and LoRA does not train it, so the model may not learn to "
                "stop; set model.end_of_turn to a token that the base model knows, its end of sequence for example "
                "(trained special tokens: %s)",
                *(token, how, names),
            )
    return {"token": token, "id": token_id, "trained": trained, "how": how}


def judge_row(weight: Any, token_id: int) -> tuple[bool, str]:
    """Return whether a row of the output layer shows signs of training, and what was seen.

    Untrained rows are constant, equal to other untrained rows (they started equal and moved together), or have
    decayed to a norm that no word has.

    Parameters
    ----------
    weight
        Output layer, a tensor of shape (vocabulary, hidden size).
    token_id
        Row to look at.
    """
    import torch

    row = weight[token_id].detach().float()
    if row.min() == row.max():
        return False, "all values of its output row are equal"
    norms, distances = torch.empty(len(weight)), torch.empty(len(weight))
    for start in range(0, len(weight), CHUNK):
        chunk = weight[start : start + CHUNK].detach().float()
        norms[start : start + CHUNK] = chunk.norm(dim=1)
        distances[start : start + CHUNK] = (chunk - row).norm(dim=1) / row.norm()
    distances[token_id] = torch.inf
    nearest, distance = int(distances.argmin()), float(distances.min())
    if distance < SAME_ROW:
        return False, f"its output row is that of token {nearest}, within {distance:.3f} of its norm"
    norm, low, median = float(row.norm()), *(float(norms.quantile(q)) for q in (0.01, 0.5))
    if norm < LOW_NORM * low:
        return False, f"its output row has the norm {norm:.3g}, where 99 % of the vocabulary exceed {low:.3g}"
    return True, (
        f"its output row has the norm {norm:.3g} (median of the vocabulary {median:.3g}) and lies {distance:.3f} of "
        "that from the nearest other row"
    )


def _gathered(weight: Any) -> Any:
    """Give the whole weight where ZeRO-3 has scattered it over the processes."""
    if not hasattr(weight, "ds_id"):
        return nullcontext(weight)
    import deepspeed

    class Gathered(deepspeed.zero.GatheredParameters):
        def __enter__(self) -> Any:
            super().__enter__()
            return weight

    return Gathered([weight])
