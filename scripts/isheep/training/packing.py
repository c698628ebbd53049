"""Rows laid end to end in one forward pass: that each sees itself alone, and which token is whose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, starmap
from typing import Any

from isheep.errors import UserError
from isheep.training.encode import Encoded

BY_ROW = "sdpa_by_row"
CHECKED_TOKENS = 64  # of each row, around the seam of prompt and answer
# Mean difference, in nats a token, that rounding explains; what a row sees of its neighbour is more.
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.05, "float16": 0.05}


def by_row(values: Any, positions: Any | None) -> Any:
    """Return the sums of each row's values, shape (rows, 1).

    Parameters
    ----------
    values
        One for each predicted token: shape (rows, tokens - 1), or (1, all tokens - 1) where rows lie end to end.
    positions
        The tokens' places in their rows, shape (1, all tokens), where rows lie end to end; else None.
    """
    import torch

    if positions is None:
        return values.sum(dim=1, keepdim=True)
    starts = positions[0] == 0
    row = starts.cumsum(0)[1:] - 1  # of the token that is predicted
    sums = torch.zeros(int(starts.sum()), dtype=values.dtype if values.is_floating_point() else torch.int64)
    return sums.to(values.device).index_add(0, row, values[0].to(sums.dtype))[:, None]


def attend_by_row(network: Any) -> None:
    """Have a network's sdpa attention go row by row where rows lie end to end; other attention stays as it is.

    The mask alone would do, but every token's products with those of all other rows, which it throws away, would be
    computed: on a CPU more than padding costs. The rows' own blocks of the mask keep whatever else it says (windows).
    """
    import torch
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    def attention(
        module: Any, query: Any, key: Any, value: Any, mask: Any, cu_seq_lens_q: Any = None, **rest: Any
    ) -> tuple[Any, None]:
        if cu_seq_lens_q is None or mask is None or key.shape[2] != query.shape[2]:
            return sdpa_attention_forward(module, query, key, value, mask, **rest)
        parts = [
            sdpa_attention_forward(
                module, *(each[:, :, row] for each in (query, key, value)), mask[..., row, row], **rest
            )[0]
            for row in starmap(slice, pairwise(cu_seq_lens_q.tolist()))
        ]
        return torch.cat(parts, dim=1), None

    if getattr(network.config, "_attn_implementation", None) == "sdpa":
        AttentionInterface.register(BY_ROW, attention)
        AttentionMaskInterface.register(BY_ROW, sdpa_mask)
        network.set_attn_implementation(BY_ROW)


def check_packing(model: Any, collate: Callable[..., Any], rows: Sequence[Encoded], dtype: str) -> None:
    """Check on the first rows that a row's answer is as likely beside another row as alone.

    transformers finds rows laid end to end by their positions and masks the others' tokens. A model that knows no
    positions (a recurrent one), or one that makes its own mask, would let a row see its neighbour.

    Raises
    ------
    UserError
        It is not, so this architecture cannot be trained so.
    """
    import torch

    examples = []
    for row in [*rows, *rows][:2]:
        start = max(0, len(row.prompt) - CHECKED_TOKENS // 2)
        cut = slice(start, start + CHECKED_TOKENS)
        examples.append({"input_ids": row.input_ids[cut], "labels": row.labels[cut]})
    training = model.training
    model.eval()
    with torch.no_grad():
        try:
            together = _likelihoods(model, collate(examples))
        except (TypeError, ValueError, IndexError, RuntimeError) as error:
            raise UserError(
                f"train.packing: {type(model.get_base_model()).__name__} takes no rows laid end to end "
                f"({(str(error).strip().splitlines() or ['no reason given'])[0]}); set packing: false"
            ) from None
        alone = torch.cat([_likelihoods(model, collate([example])) for example in examples])
    model.train(training)
    difference = float((together - alone).abs().mean())
    # Weights that give no numbers are told of at the first step.
    if bool(torch.isfinite(alone).all()) and not difference <= TOLERANCE[dtype]:
        raise UserError(
            f"train.packing: in {type(model.get_base_model()).__name__} a row sees its neighbour (log-probabilities "
            f"differ by {difference:.3g} nats a token); set packing: false"
        )


def _likelihoods(model: Any, batch: Any) -> Any:
    """Return the log-probabilities of the answers' tokens."""
    on_device = {key: value.to(model.device) if hasattr(value, "to") else value for key, value in batch.items()}
    outputs = model(**on_device, use_cache=False, fused_lm_head=True)
    return outputs.log_probs[0][outputs.label_mask[0].bool()].float()
