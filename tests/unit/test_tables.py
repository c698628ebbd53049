"""Frames hold the numbers of the documents that they are made from; a run is looked at in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from report_results import Made

from isheep.config.run import Run as Settings
from isheep.data.files import read_json
from isheep.data.metrics import best_floor, floors_of, headline, is_past, ordered
from isheep.documents import tables
from isheep.documents.stages import Stage
from isheep.errors import UserError
from isheep.results import FRAMES, Run
from isheep.stages.table import table


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    Made(folder, rounds=2, rows=40, hostile=False)
    return folder / "results" / "study"


@pytest.fixture(scope="module")
def run(folder) -> Run:
    return Run(folder)


# Frames of documents -------------------------------------------------------------------------------------------------


def funnel(stage: str, i: int, rows_in: int, **rejected: int) -> dict:
    lost = sum(rejected.values())
    return {"stage": stage, "round": i, "rows_in": rows_in, "rows_out": rows_in - lost, "rejected": rejected}


FUNNELS = [
    funnel("select_data", 1, 7, pmi_too_low=3),
    funnel("generate_prompts", 0, 12, near_duplicate=2, too_short=1),
    funnel("generate_prompts", 1, 9),
]


def test_funnel_has_a_row_for_each_stage_in_order():
    frame = tables.funnel_table(FUNNELS)
    assert frame.values.tolist() == [
        [0, "generate_prompts", "prompts", 12, 9],
        [1, "generate_prompts", "prompts", 9, 9],
        [1, "select_data", "selected", 7, 4],
    ]
    assert frame["rows_out"].dtype == "int64"


def test_rejections_have_a_row_for_each_rule():
    frame = tables.rejections_table(FUNNELS)
    assert frame.values.tolist() == [
        [0, "generate_prompts", "near_duplicate", 2],
        [0, "generate_prompts", "too_short", 1],
        [1, "select_data", "pmi_too_low", 3],
    ]


def metric(value, better="higher", **more) -> dict:
    around = {"low": value - 0.1, "high": value + 0.1} if value is not None else {"low": None, "high": None}
    return {"value": value, "n": 10, **around, "unit": "share", "better": better, **more}


def entry(metrics, floors=None, **more) -> dict:
    plain = {"kind": "ifeval", "items": 10, "error": None, "note": "", "counts": True, "objections": []}
    floors = {name: {m: {"value": v} for m, v in of.items()} for name, of in (floors or {}).items()}
    return {**plain, "headline": [], "metrics": metrics, "floors": floors, "groups": {}, "tokens": {}, **more}


SCORES = {
    "round": 2,
    "benchmarks": {
        "a": entry(
            {
                "loose": metric(0.5),
                "strict": metric(0.3, minus_base={"value": 0.1, "n": 9, "low": -0.05, "high": 0.25}),
                "length": metric(0.9, ""),
            },
            {"empty": {"strict": 0.1, "length": 3.0}, "lol": {"strict": 0.25, "loose": None}},
            headline=["strict"],
        ),
        "b": entry({"loss": metric(0.4, "lower", minus_previous=None)}, {"lol": {"loss": 2.0}, "echo": {"loss": 0.45}}),
        "c": entry({}, error="no such file"),
        "d": entry({"grade": metric(None)}, counts=False, objections=["cannot judge"]),
    },
}


def test_scores_have_a_row_for_each_metric_with_its_hardest_floor_and_differences():
    frame = tables.scores_table([SCORES]).set_index(["benchmark", "metric"])
    assert list(frame.index) == [("a", "strict"), ("a", "loose"), ("a", "length"), ("b", "loss"), ("d", "grade")]
    strict, loss = frame.loc[("a", "strict")], frame.loc[("b", "loss")]
    assert (strict["model"], strict["value"], strict["n"], strict["floor"], strict["floor_value"]) == (
        *("iter_2", 0.3, 10, "lol"),
        0.25,
    )
    assert (strict["minus_base"], strict["minus_base_low"], strict["minus_base_n"]) == (0.1, -0.05, 9)
    assert (loss["floor"], loss["floor_value"]) == ("echo", 0.45) and pd.isna(loss["minus_previous"])
    assert pd.isna(frame.loc[("a", "loose"), "floor_value"]) and pd.isna(frame.loc[("a", "length"), "floor"])
    assert frame["headline"].tolist() == [True, False, False, True, True]
    assert frame["counts"].tolist() == [True] * 4 + [False]
    assert frame["value"].dtype == "float64" and pd.isna(frame.loc[("d", "grade"), "value"])


def test_order_headline_and_floors_of_an_entry():
    told = SCORES["benchmarks"]["a"]
    assert ordered(told) == ["strict", "loose", "length"] and headline(told) == ["strict"]
    assert headline(SCORES["benchmarks"]["b"]) == ["loss"]
    assert [tuple(floor) for floor in floors_of("strict", told["floors"])] == [("empty", 0.1), ("lol", 0.25)]
    assert best_floor("length", told["metrics"]["length"], told["floors"]) is None  # neither side is better


@pytest.mark.parametrize(
    ("better", "value", "past"),
    [("higher", 0.35, True), ("higher", 0.4, False), ("lower", 0.65, True), ("lower", 0.6, False)],
)
def test_a_floor_is_left_behind_when_the_whole_interval_is_on_the_better_side(better, value, past):
    row = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9}
    assert is_past(row, better, value) is past
    assert is_past({**row, "low": None}, better, value) is None


def test_training_without_held_out_rows_or_merge_has_no_number_there():
    report = {"rows": 9, "heldout_rows": 0, "cut_rows": 1, "steps": 4, "tokens": 99, "heldout": None, "loss": []}
    (row,) = tables.rows_of(tables.training_table({3: report}, {}))
    assert row == {
        **{"round": 3, "model": "iter_3", "rows": 9, "heldout_rows": 0, "cut_rows": 1, "steps": 4, "tokens": 99},
        **{"before": None, "after": None, "probes": None, "stopped": None},
    }


def test_costs_name_what_a_stage_does():
    plain = {"owner": "r", "started": "", "hardware": "", "inputs": (), "outputs": {}}
    stages = [
        Stage("d_0/generate_prompts", "generate_prompts", 0, tokens={"prompt": 5, "completion": 7}, seconds=2.5,
              gpu_seconds=7200.0, **plain),
        Stage("d_0/pack", "pack", 0, tokens={}, seconds=1.0, gpu_seconds=0.0, **plain),
    ]  # fmt: skip
    frame = tables.costs_table(stages)
    assert frame[["does", "tokens", "seconds", "gpu_hours"]].values.tolist() == [
        ["write prompts", 12, 2.5, 2.0],
        ["all else", 0, 1.0, 0.0],
    ]


def test_alarms_that_stop_a_run_come_first():
    rang = lambda i, level: {
        "round": i,
        "alarms": [{"name": "shrunken", "value": 3.0, "threshold": 2.0, "level": level, "message": "m"}],
    }
    frame = tables.alarms_table([rang(0, "warn"), rang(1, "stop")])
    assert frame[["round", "alarm", "level"]].values.tolist() == [[1, "shrunken", "stop"], [0, "shrunken", "warn"]]


@pytest.mark.parametrize(
    ("make", "column"),
    [
        (lambda: tables.funnel_table([]), "rows_out"),
        (lambda: tables.rejections_table([]), "rule"),
        (lambda: tables.discrimination_table({}), "auc"),
        (lambda: tables.training_table({}, {}), "before"),
        (lambda: tables.loss_table({}), "loss"),
        (lambda: tables.scores_table([]), "minus_base_n"),
        (lambda: tables.costs_table([]), "gpu_hours"),
        (lambda: tables.alarms_table([]), "message"),
        (lambda: tables.health_table([]), "measure"),
    ],
)
def test_a_frame_of_nothing_has_its_columns(make, column):
    frame = make()
    assert column in frame.columns and len(frame) == 0 and tables.rows_of(frame) == []


# A run in a notebook -------------------------------------------------------------------------------------------------


def test_frames_of_a_run_hold_the_numbers_of_its_files(run, folder):
    assert len(run.funnel) == 2 * len(table().row_stages(Settings()))
    told = read_json(folder / "d_1/filtered.funnel.json")
    row = run.funnel[(run.funnel["round"] == 1) & (run.funnel["keeps"] == "filtered")].iloc[0]
    assert (row["rows_in"], row["rows_out"]) == (told["rows_in"], told["rows_out"])
    lost = run.funnel["rows_in"] - run.funnel["rows_out"]
    assert run.rejections["rows"].sum() == lost.sum() > 0

    scores = run.scores.set_index(["model", "metric"])
    told = read_json(folder / "iter_2/evaluation/scores.json")["benchmarks"]["constraints"]["metrics"]["prompt_strict"]
    assert scores.loc[("iter_2", "prompt_strict"), "value"] == told["value"]
    assert scores.loc[("iter_2", "prompt_strict"), "floor"] == "echo"
    assert scores.loc[("iter_2", "prompt_strict"), "minus_base"] == told["minus_base"]["value"]

    health = run.health.set_index(["round", "measure"])
    told = read_json(folder / "d_1/health.json")
    assert health.loc[(1, "lengths/output/words/p50"), "value"] == told["lengths"]["output"]["words"]["p50"]
    assert health.loc[(1, "overlap/heldout/8/share"), "value"] == told["overlap"]["heldout"]["8"]["share"]["value"]
    assert run.alarms.values.tolist()[0][:3] == [1, "answers_shrank", "warn"]

    assert run.training["model"].tolist() == ["iter_1", "iter_2"] and len(run.losses) == 80
    assert run.discrimination.groupby("round").size().tolist() == [3, 3]
    assert run.costs["tokens"].sum() == sum(sum(stage.tokens.values()) for stage in run.report.stages)


def test_rows_of_a_round_kept_and_rejected(run):
    kept, gone = run.rows(1), run.rows(1, "selected", rejected=True)
    row = run.funnel[(run.funnel["round"] == 1) & (run.funnel["keeps"] == "selected")].iloc[0]
    assert (len(kept), len(kept) + len(gone)) == (row["rows_out"], row["rows_in"])
    assert {"instruction", "output", "pmi"} <= set(kept.columns) and set(gone["rule"]) == {"pmi_too_low"}
    with pytest.raises(UserError, match="'chosen': no stage keeps such rows"):
        run.rows(0, "chosen")
    with pytest.raises(UserError, match="has no d_7/selected"):
        run.rows(7)


def test_a_run_is_read_where_it_was_moved_to(folder, run, tmp_path):
    shutil.copytree(folder, tmp_path / "elsewhere")
    pd.testing.assert_frame_equal(Run(tmp_path / "elsewhere").scores, run.scores)


def test_a_run_at_work_has_the_frames_of_what_is_done(folder, tmp_path):
    there = tmp_path / "results" / "study"
    shutil.copytree(folder, there)
    for part in ("d_1", "iter_1", "iter_2"):
        shutil.rmtree(there / part)
    run = Run(there)
    assert set(run.funnel["round"]) == {0} and len(run.training) == 0 and set(run.scores["model"]) == {"iter_0"}


def test_a_folder_of_no_run_is_refused_in_one_line(tmp_path):
    for folder, why in ((tmp_path, "neither a manifest nor"), (tmp_path / "none", "no such folder")):
        with pytest.raises(UserError, match=why):
            _ = Run(folder).funnel


def test_tables_are_written_as_csv_that_reads_back(run, tmp_path):
    files = run.write_tables(tmp_path)
    assert [file.name for file in files] == [f"{name}.csv" for name in FRAMES]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "funnel.csv"), run.funnel, check_dtype=False)
    scores = pd.read_csv(tmp_path / "scores.csv", keep_default_na=False, na_values=[""])
    assert scores["value"].tolist() == run.scores["value"].tolist()  # all digits
