"""Direct preference optimization (Rafailov et al. 2023, arXiv 2305.18290): TRL's DPOTrainer on an adapter.

The reference is the same model with its adapter switched off, so nothing is held twice. That is the model which the
training starts from only where the adapter is new; and so it is here: every iter_i is merged before it is trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from isheep.config.train import Train
from isheep.data.rows import Row
from isheep.serving import chat
from isheep.training.encode import EncodedPair, encode_pair
from isheep.training.objective import Logged, Objective
from isheep.training.trainer import Marking, build

FIGURES = ("margin", "accuracy", "chosen", "rejected")


class DpoObjective(Objective):
    """Learn to prefer chosen answers: -log sigmoid(beta (log-ratio of the chosen - log-ratio of the rejected))."""

    metrics: ClassVar = {"loss": "eval_nats", "accuracy": "eval_accuracy", "margin": "eval_margin"}

    def encode(self, template: chat.ChatTemplate, row: Row, max_length: int) -> EncodedPair:
        """Return the prompt with both answers."""
        return encode_pair(template, row, max_length)

    def arguments(self, settings: Train, common: dict[str, Any]) -> Any:
        """Return a DPOConfig; it turns dropout off, the adapter's too: the reference has none."""
        from trl import DPOConfig

        return DPOConfig(**common, beta=settings.dpo.beta, loss_type=["sigmoid"], disable_dropout=True)

    def trainer(
        self,
        settings: Train,
        arguments: Any,
        model: Any,
        tokenizer: Any,
        train: Sequence[EncodedPair],
        heldout: Sequence[EncodedPair],
    ) -> Any:
        """Return a DPOTrainer whose evaluation gives the log-likelihoods of each pair."""
        return build(
            _trainer(),
            settings,
            train[0].chosen,
            model=model,
            args=arguments,
            processing_class=tokenizer,
            train_dataset=_dataset(train),
            eval_dataset=_dataset(heldout) if heldout else None,
            compute_metrics=lambda given: figures(given.predictions, given.label_ids, settings.dpo.beta),
        )

    def measured(self, logged: tuple[Logged, Logged] | None) -> dict[str, Any]:
        """Return the held-out loss, mean nats a pair, and the figures of the held-out pairs."""
        if logged is None:
            return {"heldout": None, "preferences": None}
        (before, after), tokens = logged, int(logged[0]["eval_tokens"])
        told = [{name: log[f"eval_{name}"] for name in FIGURES} for log in logged]
        return {
            "heldout": {"before": before["eval_nats"], "after": after["eval_nats"], "tokens": tokens},
            "preferences": {"pairs": int(before["eval_pairs"]), "before": told[0], "after": told[1]},
        }


def figures(log_likelihoods: Any, tokens: Any, beta: float) -> dict[str, float]:
    """Return what held-out pairs say, every pair counting alike.

    Parameters
    ----------
    log_likelihoods
        Sums over the answer's tokens, shape (pairs, 4): chosen and rejected by the model, then by the reference.
    tokens
        Tokens of both answers, shape (pairs, 1).
    beta
        As in the loss.

    Returns
    -------
    dict
        nats (mean loss a pair), margin (mean of beta times the difference of the two log-ratios), accuracy (share of
        pairs whose margin is positive, none as half), chosen and rejected (mean log-likelihood of an answer, nats),
        pairs, tokens.
    """
    import numpy as np

    chosen, rejected, reference_chosen, reference_rejected = np.asarray(log_likelihoods, dtype="float64").T
    margins = beta * ((chosen - reference_chosen) - (rejected - reference_rejected))
    return {
        "nats": float(np.logaddexp(0, -margins).mean()),
        "margin": float(margins.mean()),
        "accuracy": float(((margins > 0) + 0.5 * (margins == 0)).mean()),
        "chosen": float(chosen.mean()),
        "rejected": float(rejected.mean()),
        "pairs": len(margins),
        "tokens": int(np.asarray(tokens).sum()),
    }


def _trainer() -> type[Any]:
    from trl import DPOTrainer

    class Trainer(Marking, DPOTrainer):
        def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
            """Leave the pairs as they are: they are token ids already."""
            return dataset

        def prediction_step(
            self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: list[str] | None = None
        ) -> tuple[Any, Any, Any]:
            """Return per pair four log-likelihoods (see `figures`) and the number of its answers' tokens."""
            import torch

            inputs = self._prepare_inputs(inputs)
            labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
            ids = {name: inputs[name] for name in ("input_ids", "attention_mask")}
            with torch.no_grad(), self.compute_loss_context_manager():
                outputs = model(**ids, labels=labels, use_cache=False, fused_lm_head=True)
            own = outputs.log_probs.float().sum(dim=1).chunk(2)
            reference = self.compute_ref_log_probs(model, inputs)
            tokens = torch.stack(inputs["completion_mask"].sum(dim=1).chunk(2)).sum(dim=0)
            told = torch.stack([*own, *(each.float() for each in reference)], dim=1)
            margins = self.beta * (told[:, 0] - told[:, 2] - told[:, 1] + told[:, 3])
            return torch.nn.functional.softplus(-margins).mean(), told, tokens[:, None]

    return Trainer


def _dataset(pairs: Sequence[EncodedPair]) -> Any:
    from datasets import Dataset

    return Dataset.from_list(
        [
            {"prompt_ids": pair.chosen.prompt, "chosen_ids": pair.chosen.answer, "rejected_ids": pair.rejected.answer}
            for pair in pairs
        ]
    )
