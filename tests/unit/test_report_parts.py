"""What a page is made of: samples, histograms, costs, health series, drawings, comparison."""

from __future__ import annotations

import random
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml
from report_results import HOSTILE, Made, entry

from isheep.assess.base import Scale
from isheep.data.numbers import shown
from isheep.data.rows import read_rows
from isheep.errors import UserError
from isheep.report import charts, compare, costs, measures
from isheep.report.gather import Round, gather
from isheep.report.groups import against_settings, by_seed
from isheep.report.histograms import BINS, Scores
from isheep.report.lineage import draw
from isheep.report.paired import against_first
from isheep.report.samples import Samples
from isheep.report.sections import floor_lines, health
from isheep.report.study import over_seeds

ROOT = Path(__file__).resolve().parents[2]


def report_of(folder, monkeypatch, **ways):
    made = Made(folder, **ways)
    monkeypatch.chdir(folder)
    return gather(made.run, made.settings, made.records)


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


def test_more_runs_than_colours_are_told_apart_and_none_is_drawn_beside_the_axis():
    rows = [row for run in range(20) for row in points(1, 2, series=f"run {run}")]
    svg = ElementTree.fromstring(charts.curves(rows, "share"))
    marks = [each for each in svg.iter("{http://www.w3.org/2000/svg}path") if "run" in (each.get("aria-label") or "")]
    drawn = {(each.get("fill"), each.get("d")) for each in marks}
    assert len(marks) == 40 and len(drawn) == 20
    assert all(float(each.get("transform")[10:].partition(",")[0]) > 0 for each in marks)


def test_runs_are_named_without_what_all_of_them_begin_with():
    assert compare.short_names(["s-a-1", "s-a-2", "s-b"]) == {"s-a-1": "a-1", "s-a-2": "a-2", "s-b": "b"}
    assert compare.short_names(["a", "a-b"]) == {"a": "a", "a-b": "a-b"}
    assert compare.short_names(["only-one"]) == {"only-one": "only-one"}


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


def test_a_study_s_metrics_are_pooled_over_seeds(compared):
    frame = over_seeds(compared[:2], {"a": {"seed": "0", "way": "x"}, "b": {"seed": "5", "way": "x"}})
    assert list(frame)[:3] == ["way", "round", "metric"] and set(frame["way"]) == {"x"}
    found = frame[(frame["metric"] == "constraints.prompt_strict") & (frame["round"] == 2)].iloc[0]
    scores = {
        (run, i): [row["score"] for row in read_rows(f"results/{run}/iter_{i}/evaluation/measures.jsonl")
                   if row["benchmark"] == "constraints"]
        for run in "ab" for i in (0, 2)
    }  # fmt: skip
    means = {key: sum(values) / len(values) for key, values in scores.items()}
    assert found["value"] == pytest.approx((means["a", 2] + means["b", 2]) / 2)
    assert (found["n"], found["seeds"]) == (60, 2) and found["low"] < found["value"] < found["high"]
    against = (means["a", 2] - means["a", 0] + means["b", 2] - means["b", 0]) / 2
    assert found["minus_base"] == pytest.approx(against) and found["minus_low"] < against < found["minus_high"]
    assert 3 not in set(frame["round"]), "only one of the seeds has it"


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
