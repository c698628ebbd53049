"""Two runs in one config: what happens to one is not the other's."""

from __future__ import annotations

from starts import Scenario, settings


def test_a_run_that_joins_or_leaves_moves_nothing(place: Scenario) -> None:
    before = place.hashes()
    place.configure({"b": settings(train={"epochs": 1}), "a": settings()})
    joined = place.start("results/b/iter_1/identity.json")
    assert joined.jobs == {"train_adapter": 1, "merge_model": 1} and joined.asked == 0
    place.configure({"a": settings()})
    assert not place.start().jobs
    assert {name: sha256 for name, sha256 in place.hashes().items() if name.startswith("results/a/")} == before
