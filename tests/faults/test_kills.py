"""Killed at moments drawn by chance and started again: the same bytes, and hardly a request answered twice."""

from __future__ import annotations

from collections import Counter

import pytest
from harness import (
    ANSWERING,
    KILLS,
    KILLS_A_LIFE,
    STAGES,
    SURVIVED,
    FaultPlace,
    Kill,
    draw_kills,
    every_stage,
    finished,
    small,
)

LIVES = [(seed, min(KILLS_A_LIFE, KILLS - seed * KILLS_A_LIFE)) for seed in range(-(-KILLS // KILLS_A_LIFE))]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> FaultPlace:
    """One short round with every stage, finished without a fault."""
    return finished(tmp_path_factory.mktemp("every_stage"), every_stage())


@pytest.mark.parametrize(("seed", "count"), LIVES, ids=[f"seed {seed}, {count} kills" for seed, count in LIVES])
def test_killed_and_started_again_it_ends_as_if_nothing_had_happened(place, undisturbed, seed, count):
    place.configure({"a": every_stage()})
    kills = draw_kills(seed, count)
    for kill in kills:
        print(kill)
        place.kill(kill)
    place.finish()
    assert place.hashes() == undisturbed.hashes()
    assert place.made() == undisturbed.made()
    assert place.leftovers() == []
    again = 0
    for stage in ANSWERING:
        answered, wanted = Counter(place.answered(stage)), Counter(undisturbed.answered(stage))
        assert set(answered) == set(wanted)
        assert max(wanted.values()) == 1
        # The fake engine has one request in flight: a kill costs that one at most.
        assert answered.total() - wanted.total() <= sum(kill.stage == stage for kill in kills)
        assert place.entries(stage) <= answered.total()
        again += answered.total() - wanted.total()
    SURVIVED.append((kills, again))


def test_the_same_seed_draws_the_same_kills_and_all_of_them_reach_every_stage():
    assert draw_kills(3, 5) == draw_kills(3, 5) != draw_kills(4, 5)
    drawn = [kill for seed in range(20) for kill in draw_kills(seed, 5)]
    assert {kill.stage for kill in drawn} == set(STAGES)
    assert {kill.moment for kill in drawn} == {"answer", "torn", "line", "publish", "clock", "noted"}
    assert {kill.whom for kill in drawn} == {"driver", "job", "both"}


@pytest.mark.slow
def test_killed_while_it_decides_on_another_round_it_makes_the_same_rounds(place, tmp_path_factory):
    short = small(rounds=2, health={"measures": []}, evaluation={"benchmarks": {"heldout": None, "constraints": None}})
    free = finished(tmp_path_factory.mktemp("free"), short)
    place.configure({"a": short | {"budget": {"hours": 1000}}})
    for moment, number, whom in (
        ("publish", 1, "job"),
        ("publish", 1, "both"),
        ("clock", 0, "driver"),
        ("noted", 1, "driver"),
    ):
        (place.folder / "results/a/iter_1/budget.json").unlink(missing_ok=True)
        place.kill(Kill("check_budget", moment, number, whom))
    place.finish()
    made = place.hashes()
    assert made.pop("results/a/iter_1/budget.json"), "hours that were measured, so no bytes to compare"
    assert made == free.hashes() and place.leftovers() == []
