"""The chosen model of a run, and who names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from isheep.config import load
from isheep.documents.choice import choose
from isheep.errors import UserError
from isheep.proof import cards

ROOT = Path(__file__).parents[2]


def scores(i: int, value: float | None, better: str = "lower", counts: bool = True) -> dict:
    metric = {"value": value, "n": 9, "low": None, "high": None, "unit": "", "better": better}
    return {"round": i, "benchmarks": {"heldout": {"metrics": {"loss": metric}, "counts": counts}}}


@pytest.mark.parametrize(
    ("values", "better", "chosen", "beats"),
    [
        ((1.5, 1.4, 1.2, 1.3), "lower", 2, True),
        ((1.5, 1.4, 1.2, 1.3), "higher", 1, False),
        ((1.0, 1.2, 1.2, 1.4), "lower", 1, False),
        ((None, 1.2, None, 1.1), "lower", 3, None),
        ((1.0, None, None, None), "lower", None, None),
    ],
)
def test_the_best_trained_model_is_chosen_and_of_equal_ones_the_first(values, better, chosen, beats):
    found = choose([scores(i, value, better) for i, value in enumerate(values)], "heldout", "loss")
    if chosen is None:
        assert found is None
    else:
        assert (found["round"], found["value"], found["beats_base"]) == (chosen, values[chosen], beats)
        assert found["of"] == sum(value is not None for value in values[1:])


@pytest.mark.parametrize(
    ("given", "metric", "message"),
    [
        (scores(1, 1.0), "bits", r"heldout has no 'bits' \(known: loss\)"),
        (scores(1, 1.0, better=""), "loss", "neither side of loss"),
        (scores(1, 1.0, counts=False), "loss", "do not count"),
    ],
)
def test_a_metric_that_cannot_choose_is_refused(given, metric, message):
    with pytest.raises(UserError, match=message):
        choose([given], "heldout", metric)


def test_a_benchmark_that_is_not_measured_is_refused_before_anything_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    settings = {"preset": "fake", "publish": {"best": {"benchmark": "mmlu", "metric": "accuracy"}}}
    with pytest.raises(UserError, match=r"publish\.best\.benchmark mmlu is not measured: set one of .*\(heldout, con"):
        load({"runs": {"a": settings}}, ROOT)


@pytest.mark.parametrize(("i", "told"), [(2, "This model was chosen"), (1, "iter_2 was chosen, not this model")])
def test_every_model_card_names_the_chosen_model_and_by_what(tmp_path, i, told):
    text = (ROOT / "config/publish/model_card.md.jinja").read_text(encoding="utf-8")
    (tmp_path / "part.jinja").write_text(text[text.index("## Scores") : text.index("| loss")], encoding="utf-8")
    best = choose([scores(0, 1.5), scores(1, 1.4), scores(2, 1.2)], "heldout", "loss")
    card = cards.render(tmp_path / "part.jinja", {}, {"scores": [], "score_notes": [], "best": best, "i": i})
    assert f"{told}: of 2 trained\nmodels it is best by loss of heldout\n(1.2, which the base model does not" in card
