"""What jobs ask for grows with each try, and only what can run out grows."""

from __future__ import annotations

import pytest

from isheep.config.resources import Need, Resources

ASKED = Resources(train=Need(gpus=8, cpus=16, mem_gib=100.5, minutes=240))


@pytest.mark.parametrize(("attempt", "mem_gib", "minutes"), [(1, 100.5, 240), (2, 201, 480), (3, 402, 960)])
def test_memory_and_minutes_double_at_each_try_and_gpus_and_cores_do_not(attempt, mem_gib, minutes):
    assert ASKED.at("train", attempt) == Need(gpus=8, cpus=16, mem_gib=mem_gib, minutes=minutes)


def test_each_kind_of_stage_has_a_need_of_its_own():
    assert ASKED.at("merge", 1) == Need() != ASKED.at("train", 1)
