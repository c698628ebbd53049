"""Which step of a training is kept: the best by a metric of the held-out rows, and when to look no further.

All of it follows from the log of the training, which a checkpoint holds: resumed, a training goes on as it would have.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from isheep.config.train import EarlyStop, Train
from isheep.documents.models import KeptStep
from isheep.errors import UserError

logger = logging.getLogger(__name__)
HIGHER_IS_BETTER = {"loss": False, "accuracy": True, "margin": True}
KEPT = "kept"


class Measured(NamedTuple):
    """The metric after so many steps."""

    step: int
    value: float


def check(settings: Train, rows: int, heldout: int) -> None:
    """Raise UserError when a training is to keep its best step and no row is there to measure it by."""
    if settings.early_stop and not heldout:
        raise UserError(
            f"train.early_stop: none of {rows} rows is held out (train.heldout_share {settings.heldout_share:g}); "
            "select more rows, raise the share, or set early_stop: null"
        )


def measurements(history: Iterable[Mapping[str, Any]], name: str) -> list[Measured]:
    """Return what a trainer's log says of a metric, each step once; the start, which has learned nothing, is none."""
    by_step = {log["step"]: log[name] for log in history if name in log and log["step"]}
    return [Measured(step, value) for step, value in sorted(by_step.items())]


def best(measured: Sequence[Measured], metric: str) -> Measured:
    """Return the best measurement; of equal ones the first."""
    sign = -1 if HIGHER_IS_BETTER[metric] else 1
    return min(measured, key=lambda each: (sign * each.value, each.step))


def is_spent(measured: Sequence[Measured], settings: EarlyStop) -> bool:
    """Return whether as many measurements as patience lasts were no better than the best before them."""
    if settings.patience is None or not measured:
        return False
    kept = best(measured, settings.metric)
    return len(measured) - 1 - measured.index(kept) >= settings.patience


def document(measured: Sequence[Measured], settings: EarlyStop) -> KeptStep:
    """Return what the report tells: the metric, every measurement, and the step whose adapter is kept."""
    return {
        "metric": settings.metric,
        "step": best(measured, settings.metric).step,
        "measured": [{"step": step, "value": value} for step, value in measured],
    }


def keep_best(trainer: Any, settings: EarlyStop, name: str, work: Path) -> None:
    """Have a trainer keep its best adapter as the folder `kept` of its work, and stop when patience is spent.

    Parameters
    ----------
    trainer
        Of transformers; it evaluates every so many steps.
    settings
        Section `train.early_stop`.
    name
        The metric in the trainer's log.
    work
        Work folder of the training.
    """
    from transformers import TrainerCallback

    class Keep(TrainerCallback):
        def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            measured = measurements(state.log_history, name)
            if measured and best(measured, settings.metric).step == state.global_step:
                _save(trainer, work)
            if state.global_step and is_spent(measured, settings):
                logger.info("step %d: %d measurements without a better %s", state.global_step, settings.patience, name)
                # No checkpoint of this step: resumed from it, a trainer would take another one.
                control.should_training_stop, control.should_save = True, False
            return control

    trainer.add_callback(Keep())


def _save(trainer: Any, work: Path) -> None:
    """Put the adapter as it is now in place of the one kept so far."""
    new = work / f"{KEPT}.new"
    trainer.save_model(str(new))
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        shutil.rmtree(work / KEPT, ignore_errors=True)
        os.replace(new, work / KEPT)
