"""What a page is made of: verdicts, samples, histograms, costs, health series, drawings, comparison."""

from __future__ import annotations

import random
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml
from report_results import HOSTILE, Made

from isheep.assess.base import Scale
from isheep.data.numbers import shown
from isheep.data.rows import read_rows
from isheep.errors import UserError
from isheep.report import charts, compare, costs, measures
from isheep.report.gather import Round, gather
from isheep.report.groups import against_settings, by_seed
from isheep.report.histograms import BINS, Scores
from isheep.report.lineage import draw
from isheep.report.outcome import Outcome, outcome
from isheep.report.paired import against_first
from isheep.report.samples import Samples
from isheep.report.sections import floor_lines, health
from isheep.report.verdicts import change, judge

ROOT = Path(__file__).resolve().parents[2]


def report_of(folder, monkeypatch, **ways):
    made = Made(folder, **ways)
    monkeypatch.chdir(folder)
    return gather(made.run, made.settings, made.records)


# Verdicts ------------------------------------------------------------------------------------------------------------


def entry(value=0.35, low=0.26, high=0.44, base=None, better="higher", floors=None, **more) -> dict:
    row = {"value": value, "n": 60, "low": low, "high": high, "unit": "share", "better": better}
    if base is not None:
        row["minus_base"] = dict(zip(("value", "low", "high", "n"), (*base, 60), strict=True)) if base else None
    told = {name: {"x": {"value": floor}} for name, floor in (floors or {}).items()}
    whole = {"error": None, "counts": True, "objections": [], "headline": []}
    return {**whole, "metrics": {"x": row}, "floors": told, **more}


@pytest.mark.parametrize(
    ("told", "words", "tone"),
    [
        (entry(floors={"lol": 0.2, "echo": 0.25}), "clearly better than its floor of 25.0 % (the answer", "plain"),
        (entry(floors={"lol": 0.3}), "not clearly better than its floor of 30.0 %", "bad"),
        (entry(better="lower", floors={"lol": 0.3}), "not clearly better than its floor of 30.0 %", "bad"),
        (entry(better="lower", floors={"lol": 0.5, "empty": 0.6}), "clearly better than its floor of 50.0 %", "plain"),
        (entry(base=(0.04, 0.01, 0.07)), "clearly better than the base (+4.0 points, 95 % +1.0 points to", "good"),
        (entry(base=(0.04, 0.01, 0.07), better="lower"), "clearly worse than the base", "bad"),
        (entry(base=(0.01, -0.03, 0.05)), "no clear change from the base", "plain"),
        (entry(base=(0.04, 0.01, 0.07), better=""), "clearly higher than the base", "plain"),
        (entry(base=(0.04, 0.01, 0.07), floors={"lol": 0.3}), "clearly better than the base", "bad"),
        (entry(base=()), "its difference to the base has no interval", "plain"),
        (entry(low=None, high=None), "iter_2 has 35.0 % (no interval, n = 60)", "plain"),
        (entry(counts=False, objections=["it cannot judge"]), "does not count: it cannot judge", "bad"),
        (entry(error="no such file"), "not measured: no such file", "bad"),
        (entry(value=None), "no value", "plain"),
    ],
)  # fmt: skip
def test_verdict_says_no_more_than_the_numbers(told, words, tone):
    verdict = judge("bench", told, "iter_2")
    assert words in verdict.text and verdict.tone == tone


def few(told: dict) -> dict:
    told["metrics"]["x"]["n"] = told["metrics"]["x"]["minus_base"]["n"] = 19
    return told


@pytest.mark.parametrize(
    ("told", "mixed", "words"),
    [
        (few(entry(base=(0.4, 0.3, 0.5), floors={"lol": 0.1})), False, "too few items to tell a change from the base"),
        (entry(base=(0.4, 0.3, 0.5)), True, "better than the base (+40.0 points, 95 % +30.0 points to +50.0 points, "
         "n = 60), but the base was asked in the plain format and iter_2 through the chat template"),
    ],
)  # fmt: skip
def test_nothing_is_clear_of_few_items_or_of_two_formats(told, mixed, words):
    verdict = judge("bench", told, "iter_2", mixed)
    assert words in verdict.text and "clearly" not in verdict.text and verdict.tone == "plain"


# The answer on top ---------------------------------------------------------------------------------------------------


def answered(*models: dict, chat: bool = True, benchmarks: dict | None = None) -> Outcome:
    """Return the answer of a base with 0.2 and of models with these entries by benchmark."""
    base = {name: entry(0.2, 0.1, 0.3, kind="ifeval") for model in models for name in model}
    scores = [{"round": i, "benchmarks": told} for i, told in enumerate([base, *models])]
    return outcome({"model": {"chat": chat}, "evaluation": {"benchmarks": benchmarks or {}}}, scores)


def model(**benchmarks: tuple) -> dict:
    return {name: entry(0.2 + of[0], 0.1, 0.9, base=of, kind="ifeval") for name, of in benchmarks.items()}


BETTER, WORSE, SAME = (0.1, 0.02, 0.18), (-0.1, -0.18, -0.02), (0.01, -0.05, 0.07)


@pytest.mark.parametrize(
    ("models", "answer", "take", "words"),
    [
        ([model(a=BETTER, b=SAME)], "Yes", "iter_1", "a (x) from 20.0 % to 30.0 %. It is clearly worse in none."),
        ([model(a=BETTER, b=WORSE)], "In part", "iter_1", "worse in 1: b (x) from 20.0 % to 10.0 %."),
        ([model(a=WORSE)], "No", None, "Keep the base: even the best round, iter_1, is clearly worse"),
        ([model(a=SAME)], "Not clear", None, "no model differs clearly from the base"),
        ([model(a=BETTER), model(a=SAME)], "Yes", "iter_1", "The last round, iter_2, is not better than it."),
        ([model(a=BETTER), model(a=(0.3, 0.22, 0.38))], "Yes", "iter_2", "from 20.0 % to 50.0 %"),
        ([], "Not known", None, "no model after the base was measured"),
    ],
)
def test_answer_says_which_round_to_take_and_by_how_much(models, answer, take, words):
    told = answered(*models)
    assert (told.answer, told.take) == (answer, take) and words in told.text


def test_answer_claims_nothing_of_two_formats_nor_of_what_lol_gets():
    told = answered(model(a=BETTER), chat=False)
    assert told.answer == "Not clear" and "clearly" not in told.text and "plain format" in told.text
    assert told.rows[1][1][0].word == "better, other format"
    alike = answered(model(a=BETTER), chat=False, benchmarks={"a": {"format": "template"}})
    assert alike.answer == "Yes" and "clearly" in alike.text
    low = {"a": entry(0.3, 0.22, 0.38, base=BETTER, floors={"lol": 0.25}, kind="ifeval")}
    assert answered(low).answer == "Not clear" and answered(low).rows[1][1][0].word == "better, not past its floor"


def test_scores_that_do_not_count_are_not_compared():
    verdict = judge("bench", entry(base=(0.4, 0.3, 0.5), counts=False), "iter_2")
    assert "clearly" not in verdict.text and "did not pass calibration" in verdict.text


def test_a_difference_whose_interval_touches_zero_is_no_change():
    assert change({"value": 0.1, "low": 0.0, "high": 0.2, "n": 60}, "higher") == "none"
    assert change(None, "higher") == "unknown"


@pytest.mark.parametrize(
    ("value", "unit", "signed", "text"),
    [(0.1234, "share", False, "12.3 %"), (-0.5, "share", True, "\u221250.0 points"), (12345.6, "", False, "12,346"),
     (0.0, "", True, "\u00b10"), (1.23456, "bits", False, "1.235"), (None, "", False, "\u2013"), (3, "", True, "+3")],
)  # fmt: skip
def test_numbers_as_people_read_them(value, unit, signed, text):
    assert shown(value, unit, signed) == text


# Gathering -----------------------------------------------------------------------------------------------------------


def test_gathers_every_round_and_model(tmp_path, monkeypatch):
    report = report_of(tmp_path, monkeypatch, rows=50)
    assert [list(one.funnels) for one in report.rounds] == [
        ["generate_prompts", "generate_outputs", "filter_outputs", "assess_outputs", "select_data"]
    ] * 3
    assert [bool(model.training) for model in report.models] == [False, True, True, True]
    assert [bool(model.scores) for model in report.models] == [True] * 4
    assert report.samples.total == 150
    rejected = sum(sum(funnel["rejected"].values()) for one in report.rounds for funnel in one.funnels.values())
    kept = sum(one.funnels["select_data"]["rows_out"] for one in report.rounds)
    assert rejected + kept == 150
    told = report.samples.packed()
    assert sum(told["filters"][1]["options"][row[1][1]] == "kept" for row in told["rows"]) == kept


def test_an_edited_record_is_refused(tmp_path, monkeypatch):
    made = Made(tmp_path, rounds=1, rows=4)
    monkeypatch.chdir(tmp_path)
    record = Path(made.records[3])
    record.write_text(record.read_text().replace('"seconds": ', '"seconds": 1'))
    with pytest.raises(UserError, match="edited since it was written"):
        gather(made.run, made.settings, made.records)


def test_artifact_that_is_gone_is_left_out(tmp_path, monkeypatch):
    made = Made(tmp_path, rounds=1, rows=4)
    monkeypatch.chdir(tmp_path)
    Path("results/study/d_0/health.json").unlink()
    assert gather(made.run, made.settings, made.records).rounds[0].health is None


# Samples -------------------------------------------------------------------------------------------------------------


def sampled(rows, limit=10) -> dict:
    samples = Samples(limit, 100, ("score",))
    for row in rows:
        samples.offer(0, "select_data", row, kept=False)
    return samples.packed()


def test_sample_does_not_hang_on_the_order_of_rows():
    rows = [{"id": f"r{n}", "instruction": str(n), "rule": "low", "score": n} for n in range(200)]
    shuffled = random.Random(1).sample(rows, len(rows))
    assert sampled(rows) == sampled(shuffled)
    assert sampled(rows)["total"] == 200 and len(sampled(rows)["rows"]) == 10
    few = {row[0] for row in sampled(rows, 5)["rows"]}
    assert few < {row[0] for row in sampled(rows, 10)["rows"]}


def test_no_samples_when_none_are_wanted():
    told = sampled([{"id": "a"}], limit=0)
    assert told["rows"] == [] and told["total"] == 1


def test_fields_of_a_row_that_the_page_does_not_know_are_kept():
    told = sampled(
        [{"id": "a", "rule": "near_duplicate", "of": "seed-1", "similarity": 0.8, "seeds": ["x", "y"], "odd": {"a": 1}}]
    )
    assert dict(zip(told["more"], told["rows"][0][4], strict=True)) == {
        "of": "seed-1", "similarity": 0.8, "seeds": "x, y", "odd": '{"a": 1}'
    }  # fmt: skip


# Histograms, costs, health -------------------------------------------------------------------------------------------


def test_histogram_counts_every_score_once_and_ignores_what_is_none():
    scores = Scores({"quality": Scale(1, 10), "pmi": None})
    for value in (1, 10, 5.49, 5.5, None, "9", True, float("nan")):
        scores.add(0, {"quality": value, "pmi": 3.0}, kept=value == 10)
    bars = scores.histogram("quality")
    assert sum(bar["rows"] for bar in bars) == 4
    assert [bar["low"] for bar in bars if bar["kept"]] == [10 - 9 / BINS]
    assert sum(bar["rows"] for bar in scores.histogram("pmi")) == 8
    assert scores.histogram("nobody") == []


def test_seconds_of_evaluation_are_shared_out_by_tokens_and_those_of_the_judge_to_what_it_judged(tmp_path, monkeypatch):
    report = report_of(tmp_path, monkeypatch, rounds=1, rows=4)
    seconds = costs.benchmark_seconds(report.stages, 1, report.models[1].scores)
    assert sum(seconds.values()) == pytest.approx(300 + 30)  # evaluate_model, and judge_answers for the one it judged
    assert seconds["heldout"] / (seconds["chat"] - 30) == pytest.approx(35_000 / 12_000)
    assert seconds["code"] == 0


def test_gpu_hours_are_seconds_times_gpus(tmp_path, monkeypatch):
    report = report_of(tmp_path, monkeypatch, rounds=1, rows=4)
    trained = costs.by_stage(report.stages)["train_adapter"][1]
    assert trained.gpu_hours == pytest.approx(630 / 3600) and trained.tokens == 8_450
    assert costs.clock(59.94) == "59.9 s" and costs.clock(3599.6) == "1 h 00 min" and costs.clock(125) == "2 min 05 s"


def test_health_of_any_shape_becomes_series():
    told = {"round": 0, "checked": 2, "alarms": [], "perplexity": {"value": 8.0, "n": 5, "bits_per_byte": 0.9},
            "overlap": {"b": {"13": {"rows": 1, "share": 0.5}}}, "lengths": {"output": {"words": {"p50": 3, "p95": 9}}},
            "flag": True, "nothing": {"value": None}}  # fmt: skip
    singles, quantiles = measures.series([Round(0, health=told), Round(1)])
    assert {(one.group, one.about, one.name, one.unit): one.values for one in singles} == {
        ("perplexity", "", "perplexity", ""): ((0, 8.0),),
        ("perplexity", "", "bits per byte", ""): ((0, 0.9),),
        ("overlap", "b 13", "rows", ""): ((0, 1),),
        ("overlap", "b 13", "share", "share"): ((0, 0.5),),
    }
    assert [(one.name, one.unit, dict(one.values)) for one in quantiles] == [
        ("output words", "words", {"p50": ((0, 3),), "p95": ((0, 9),)})
    ]


# Drawings ------------------------------------------------------------------------------------------------------------


def test_small_values_on_an_axis_are_written_out():
    points = [{"x": i, "series": "a", "value": value, "low": None, "high": None, "label": ""}
              for i, value in enumerate((0.81, 0.86))]  # fmt: skip
    svg = charts.curves(points, "bits per byte")
    assert ">0.82</text>" in svg and not re.search(r">\d+m</text>", svg)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def elements(svg: str) -> set[str]:
    return {element.tag.rpartition("}")[2] for element in parsed(svg).iter()}


def text_of(svg: str) -> str:
    return " ".join(filter(None, parsed(svg).itertext()))


def points(*values, series="run", low=None, high=None) -> list[dict]:
    return [{"x": x, "value": value, "low": low, "high": high, "series": series, "label": f"{series} {x}: {value}"}
            for x, value in enumerate(values)]  # fmt: skip


def test_curve_carries_its_numbers_and_its_floors():
    rows = points(0.2, 0.3, low=0.1, high=0.4)
    svg = charts.curves(rows, "%", [{"value": 0.25, "label": "echo"}, {"value": 0.25, "label": "lol"}], base="base")
    labels = [element.get("aria-label") for element in parsed(svg).iter() if element.get("aria-label")]
    assert {"run 0: 0.2", "run 1: 0.3", "floor: echo, lol"} <= set(labels)
    shown = text_of(svg)
    assert "base" in shown and "iter_1" in shown and "echo, lol" in shown and "%" in shown


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "megabyte"])
def test_hostile_names_stay_text_in_a_drawing(name):
    plain = charts.curves([*points(1, 2, series="a"), *points(2, 3, series="b")], "share", [{"value": 1, "label": "c"}])
    odd = HOSTILE[name]
    svg = charts.curves([*points(1, 2, series=odd), *points(2, 3, series="b")], "share", [{"value": 1, "label": odd}])
    assert elements(svg) <= elements(plain)
    assert not any(key.startswith("on") for element in parsed(svg).iter() for key in element.attrib)


@pytest.mark.parametrize(
    "svg",
    [
        lambda: charts.curves(points(0.5), "%"),
        lambda: charts.curves(points(0.0, 0.0), "", zero=True),
        lambda: charts.bands({"p5": [(0, 1)], "p50": [(0, 2)], "p95": [(0, 3)]}, "words"),
        lambda: charts.stacked([{"x": 0, "series": "kept", "value": 0, "label": "none"}], "rows", ["kept"], "d_"),
        lambda: charts.histogram([{"round": 0, "low": 1.0, "high": 1.0, "kept": True, "rows": 1}], "score"),
        lambda: charts.losses([{"step": 1, "value": 2.0, "series": "iter_1", "label": "x"}], "nats a pair"),
    ],
)
def test_drawings_of_next_to_nothing(svg):
    drawn = svg()
    assert "NaN" not in drawn and "undefined" not in drawn
    assert "id" not in {key for element in parsed(drawn).iter() for key in element.attrib}  # several share a page


def test_axis_of_many_rounds_names_a_few():
    assert charts.ticks(range(101)) == [0, 14, 29, 43, 57, 71, 86, 100]
    assert charts.ticks([2, 0, 1]) == [0, 1, 2]


def test_floor_far_from_the_curve_is_told_instead_of_drawn():
    told = entry(0.8, 0.78, 0.82, floors={"lol": 8.0, "echo": 0.7})
    near, far = floor_lines("x", "share", told, points(0.8, 0.79, low=0.78, high=0.82))
    assert [one["label"] for one in near] == ["echo"] and far == "floors out of sight: lol 800.0 %"
    assert floor_lines("x", "share", told, points(0.8))[1] == ""


def test_figures_that_do_not_move_are_not_drawn(tmp_path, monkeypatch):
    told = health(report_of(tmp_path, monkeypatch, rows=4, evaluation=False))["groups"]["duplicates"]
    assert [row["name"] for row in told["rows"]] == [
        f"near output {pool}" for pool in ("within round", "seeds", "earlier rounds")
    ]
    (drawing,) = told["charts"]
    labels = drawing["svg"]
    assert "d_1, within round: 12.0 %" in labels and "d_1, seeds" not in labels


def test_lineage_shows_what_trained_what(tmp_path, monkeypatch):
    report = report_of(tmp_path, monkeypatch, rounds=2, rows=4)
    drawn = draw(report)
    assert [box.title for box in drawn.boxes] == ["seeds", "d_0", "d_1", "iter_0", "iter_1", "iter_2"]
    says = [arrow.says for arrow in drawn.arrows]
    assert says[:1] == ["the seeds are shown to iter_0"] and "the seeds go into d_1, too" in says
    assert says[1:4] == ["iter_0 writes d_0", "d_0 trains iter_1", "iter_1 starts from iter_0"]
    assert says[-1] == "iter_2 starts from iter_0"


# Comparison ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def compared(tmp_path, monkeypatch):
    made = [
        Made(tmp_path, "a", 2, 30),
        Made(tmp_path, "b", 3, 30, seed=5, train={"trainer": "fake", "start_from": "previous"}),
    ]
    made.append(Made(tmp_path, "c", 1, 30, evaluation=False))
    monkeypatch.chdir(tmp_path)
    return [gather(one.run, one.settings, one.records, with_rows=False) for one in made]


def test_comparison_names_the_settings_that_differ(compared):
    assert compare.changed_settings(compared) == [
        ("seed", ["0", "5", "0"]), ("rounds", ["2", "3", "1"]), ("train.start_from", ["base", "previous", "base"])
    ]  # fmt: skip


def test_comparison_takes_the_last_model_of_each_run(compared):
    row = next(row for row in compare.table(compared) if row["metric"] == "prompt strict")
    assert [cell and (cell["model"], cell["value"]) for cell in row["cells"]] == [
        ("iter_2", "30.0 %"), ("iter_3", "35.0 %"), None
    ]  # fmt: skip


def test_scores_that_do_not_count_are_never_called_better(compared):
    told = {row["metric"]: row["cells"][0] for row in compare.table(compared)}
    assert told["prompt strict"]["tone"] == "better" and told["prompt strict"]["n"] == 60
    assert told["local judge score"]["tone"] == "" and not told["local judge score"]["counts"]


def test_runs_that_differ_by_seed_alone_are_grouped_with_mean_and_spread(tmp_path, monkeypatch):
    made = [Made(tmp_path, name, 1, 8, hostile=False, seed=seed) for name, seed in (("a", 0), ("b", 1), ("c", 2))]
    made.append(Made(tmp_path, "d", 1, 8, hostile=False, train={"trainer": "fake", "start_from": "previous"}))
    monkeypatch.chdir(tmp_path)
    reports = [gather(one.run, one.settings, one.records, with_rows=False) for one in made]
    scores = compare.last_scores(reports)
    for run, value in (("a", 0.1), ("b", 0.2), ("c", 0.6)):
        scores.loc[(scores["run"] == run) & (scores["metric"] == "prompt_strict"), "value"] = value
    (group,) = by_seed(reports, scores)
    assert group["runs"] == ["a", "b", "c"] and group["seeds"] == [0, 1, 2]
    row = next(row for row in group["rows"] if row["metric"] == "prompt strict")
    assert [row[key] for key in ("n", "mean", "spread", "lowest", "highest")] == [
        3,
        "30.0 %",
        "26.5 %",
        "10.0 %",
        "60.0 %",
    ]
    drawn = against_settings(reports, compare.changed_settings(reports), scores)
    assert {one["title"].rpartition(", by ")[2] for one in drawn} == {"train.start_from"}  # a seed is no setting
    assert "start_from previous" in drawn[0]["svg"] and "train.start_from base" in drawn[0]["svg"]


def test_runs_are_compared_item_by_item_on_what_both_answered(compared):
    told = {row["metric"]: row["cells"] for row in against_first(compared)}
    mine, theirs = (
        {row["item"]: row["score"] for row in read_rows(f"results/{run}/iter_{i}/evaluation/measures.jsonl")
         if row["benchmark"] == "constraints"} for run, i in (("a", 2), ("b", 3))
    )  # fmt: skip
    expected = sum(theirs[item] - mine[item] for item in mine) / len(mine)
    cell, nothing = told["prompt strict"]
    assert cell["n"] == 60 and cell["text"] == shown(expected, "share", True) and nothing is None
    assert "local judge score" not in told  # it does not count
    assert told["bits per byte"][0]["word"] == "better"


def test_comparison_shows_the_paper_with_its_warning(compared):
    paper = yaml.safe_load((ROOT / "config/report/paper.yaml").read_text())
    page = compare.render(compared, paper)
    assert "Not measured here." in page and "has an interval" in page
    assert "44.55" in page and 'href="../b/report.html"' in page
    assert "<script>window" not in page


def test_table_of_the_paper_is_whole():
    paper = yaml.safe_load((ROOT / "config/report/paper.yaml").read_text())
    for table in paper["tables"]:
        assert {len(row) - 2 for row in table["rows"]} == {len(table["columns"])}
    best = [row for row in paper["tables"][0]["rows"] if row[:2] == ["Qwen-1.5 72B", "iter_5"]]
    assert best[0][2:5] == [11.83, 5.62, 44.55]
