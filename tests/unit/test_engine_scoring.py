"""Which calls score continuations: of a trie by its nodes, by one way through it, or by reading all of it."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from isheep.serving.engines import path, scoring

END = 2


def answer(calls: list[tuple[list[int], dict[str, Any]]]) -> list[Any]:
    """Outputs of an engine to which token t after any prefix has the log-probability -t / 10."""
    looks = []
    for ids, settings in calls:
        assert settings["temperature"] == 0.0
        row = {token: SimpleNamespace(logprob=-token / 10) for token in settings["logprob_token_ids"]}
        read = [None, *({token: SimpleNamespace(logprob=-token / 10)} for token in ids[1:])]
        looks.append(
            SimpleNamespace(outputs=[SimpleNamespace(logprobs=[row] * settings["max_tokens"])], prompt_logprobs=read)
        )
    return looks


def drive(job: Any) -> tuple[list[list[tuple[list[int], dict[str, Any]]]], tuple[float, ...]]:
    """Run a job against `answer`; return the calls of its steps, and its result."""
    steps, outputs = [], None
    while True:
        try:
            calls = job.send(outputs)
        except StopIteration as end:
            return steps, end.value
        steps.append(calls)
        outputs = answer(calls)


def test_the_trie_holds_every_inner_node_by_depth() -> None:
    assert scoring.trie_levels([[7, 1], [7, 2], [7, 1, 0], [], [9]]) == [{(): {7, 9}}, {(7,): {1, 2}}, {(7, 1): {0}}]
    assert scoring.trie_levels([[], []]) == []


def test_every_way_gives_the_same_sums() -> None:
    prompt, continuations = [5, 6], [[7, 1], [7, 2], [7, 1, 3], [], [9]]
    expected = [-0.8, -0.9, -1.1, 0.0, -0.9]
    levels = scoring.trie_levels(continuations)
    ways = {
        (1, 1, 1): scoring._walk(prompt, continuations, levels),
        (4,): scoring._read_through(prompt, continuations),
        (1,): scoring._follow(prompt, continuations, levels),
    }
    for calls, way in ways.items():
        steps, sums = drive(way)
        assert (tuple(map(len, steps)), sums) == (calls, pytest.approx(expected))


# The ten scores of a tokenizer that writes " 10" as " ", "1", "0".
SCORES = [[50, 51 + number] for number in range(9)] + [[50, 51, 60]]


def test_the_ten_scores_cost_one_reading_and_three_tokens_where_tokens_can_be_prescribed() -> None:
    (((ids, settings),),), sums = drive(scoring.ask([5, 6], SCORES, [END]))
    assert ids == [5, 6]
    assert (settings["max_tokens"], settings["extra_args"]) == (3, {path.KEY: [50, 51]})
    assert settings["logprob_token_ids"] == [50, *range(51, 61)]
    assert sums == pytest.approx([-sum(tokens) / 10 for tokens in SCORES])


def test_elsewhere_they_are_walked_through() -> None:
    steps, sums = drive(scoring.ask([5, 6], SCORES, None))
    assert [[ids for ids, _ in calls] for calls in steps] == [[[5, 6]], [[5, 6, 50]], [[5, 6, 50, 51]]]
    assert sums == pytest.approx([-sum(tokens) / 10 for tokens in SCORES])


@pytest.mark.parametrize(
    ("continuations", "calls"),
    [
        ([[7, END, 1], [7, END, 3], [7]], [1, 1, 1]),  # a completion would stop on the way
        ([[7, 1], [8, 1], [9]], [1, 2]),  # two ways
        ([[7, 1, 3, 4]], [1]),  # longer than what is to be told apart: read through
        ([[], []], []),
        ([[token] for token in range(scoring.MAX_CHILDREN + 1)], [scoring.MAX_CHILDREN + 1]),
    ],
)
def test_what_is_no_single_way_is_walked_or_read(continuations: list[list[int]], calls: list[int]) -> None:
    steps, sums = drive(scoring.ask([5], continuations, [END]))
    assert all(path.KEY not in settings.get("extra_args", {}) for made in steps for _, settings in made)
    assert [len(made) for made in steps if made] == calls
    assert sums == pytest.approx([-sum(tokens) / 10 for tokens in continuations])


def test_no_log_probability_is_lost_in_the_sum_of_many() -> None:
    _, sums = drive(scoring._read_through([0], [[1] * 10_000]))
    assert math.isclose(sums[0], -1000.0, rel_tol=1e-12)


def test_a_path_leaves_one_token_until_its_end() -> None:
    logits = torch.arange(5.0)
    assert path.follow([3, 1], [], logits.clone()).argmax() == 3
    assert path.follow([3, 1], [3], logits.clone()).isfinite().nonzero().flatten().tolist() == [1]
    assert torch.equal(path.follow([3, 1], [3, 1], logits.clone()), logits)
