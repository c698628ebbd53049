"""Supervised fine-tuning: TRL's SFTTrainer on the answers, with the exact held-out loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from isheep.config.train import Train
from isheep.data.rows import Row
from isheep.serving import chat
from isheep.training.encode import Encoded, encode_row
from isheep.training.objective import Logged, Objective
from isheep.training.packing import attend_by_row, by_row, check_packing
from isheep.training.trainer import Marking, build


class Sft(Objective):
    """Learn the answers: cross-entropy of answer and end of turn."""

    metrics: ClassVar = {"loss": "eval_nats_per_token"}

    def encode(self, template: chat.ChatTemplate, row: Row, max_length: int) -> Encoded:
        """Return prompt and answer."""
        return encode_row(template, row, max_length)

    def arguments(self, settings: Train, common: dict[str, Any]) -> Any:
        """Return an SFTConfig that leaves rows as they are."""
        from trl import SFTConfig

        return SFTConfig(
            **common, packing=False, padding_free=settings.packing, dataset_kwargs={"skip_prepare_dataset": True}
        )

    def trainer(
        self,
        settings: Train,
        arguments: Any,
        model: Any,
        tokenizer: Any,
        train: Sequence[Encoded],
        heldout: Sequence[Encoded],
    ) -> Any:
        """Return an SFTTrainer whose evaluation gives the loss of each row."""
        if settings.packing and arguments.use_cpu:
            attend_by_row(model)
        built = build(
            _trainer(),
            settings,
            train[0],
            model=model,
            args=arguments,
            processing_class=tokenizer,
            train_dataset=_dataset(train),
            eval_dataset=_dataset(heldout) if heldout else None,
            compute_metrics=_answer_loss,
        )
        if settings.packing and not settings.zero_stage:  # DeepSpeed has yet to place the weights
            check_packing(built.model, built.data_collator, train[:2], settings.dtype)
        return built

    def measured(self, logged: tuple[Logged, Logged] | None) -> dict[str, Any]:
        """Return the held-out loss, mean nats per answer token."""
        if logged is None:
            return {"heldout": None}
        before, after = (log["eval_nats_per_token"] for log in logged)
        return {"heldout": {"before": before, "after": after, "tokens": int(logged[0]["eval_tokens"])}}


def _trainer() -> type[Any]:
    from trl import SFTTrainer

    class Trainer(Marking, SFTTrainer):
        def prediction_step(
            self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: list[str] | None = None
        ) -> tuple[Any, Any, Any]:
            """Return per row the sum of -log p over its answer, and the number of its answer's tokens."""
            import torch

            inputs = self._prepare_inputs(inputs)
            with torch.no_grad(), self.compute_loss_context_manager():
                outputs = model(**inputs, use_cache=False, fused_lm_head=True)
            nats, tokens = (
                by_row(each, inputs.get("position_ids")) for each in (-outputs.log_probs.float(), outputs.label_mask)
            )
            return nats.sum() / tokens.sum().clamp(min=1), nats, tokens

    return Trainer


def _dataset(rows: Sequence[Encoded]) -> Any:
    from datasets import Dataset

    return Dataset.from_list([{"input_ids": row.input_ids, "labels": row.labels} for row in rows])


def _answer_loss(predictions: Any) -> dict[str, float]:
    """Return the mean loss over answer tokens, in nats: every token counts alike, not every row or batch."""
    nats, tokens = predictions.predictions.astype("float64").sum(), int(predictions.label_ids.sum())
    return {"nats_per_token": float(nats / tokens), "tokens": tokens}
