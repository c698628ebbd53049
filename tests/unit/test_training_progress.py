"""A training tells how far it is: steps, tokens a second, time left, and its loss, every half minute at most."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from isheep.config.train import Train
from isheep.runner import progress
from isheep.training.trainer import _watch


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now.seconds)
    return now


def test_a_resumed_training_tells_what_is_left(clock, caplog):
    caplog.set_level(logging.INFO, "isheep")
    watch = _watch(Train())
    state = SimpleNamespace(global_step=10, max_steps=40, num_input_tokens_seen=5000, is_world_process_zero=True)
    watch.on_train_begin(None, state, None)
    for step in range(11, 21):
        clock.seconds += 4.0
        state.global_step, state.num_input_tokens_seen = step, 5000 + 400 * (step - 10)
        watch.on_log(None, state, None, {"loss": 1.25, "grad_norm": 1.0})
    kept = [record.getMessage() for record in caplog.records if progress.no_live_line(record)]
    assert kept == ["18 of 40 steps, 0.25 steps/s, 100 tokens/s, 88 s left, loss 1.2500"]
    assert len(caplog.records) == 10  # the others are states of the live line
