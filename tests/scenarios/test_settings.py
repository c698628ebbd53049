"""Settings changed between two starts: what changes no row costs no training and no request."""

from __future__ import annotations

from starts import Scenario, settings

# How strictly stages look at what they made, and how far they may go: nothing that the finished run came near to.
STRICTNESS = {
    "assess": {"discrimination": {"pairs": 4, "warn_below": 0.9}},
    "select": {"floor": 3},
    "prompts": {"max_requests": 999, "on_shortfall": "continue"},
    "merge": {"tolerance": 0.5},
    "health": {"alarms": {"near_duplicates": {"action": "off"}}},
}


def test_settings_that_change_no_row_train_nothing_and_ask_nothing(place: Scenario) -> None:
    before = place.hashes("results/a/*/[!dh]*")
    place.configure({"a": settings(**STRICTNESS)})
    done = place.start()
    assert done.given_back == done.jobs["train_adapter"] == 2
    assert done.asked == 0
    assert place.hashes("results/a/*/[!dh]*") == before
    assert not place.start().jobs
