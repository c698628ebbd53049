"""What is refused before anything runs: missing templates, results that lead nowhere, and all of it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from isheep.config import read_config
from isheep.errors import UserError
from isheep.workflow.check import check
from isheep.workflow.graph import Graph

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder that sees the repository's config."""
    (tmp_path / "config").symlink_to(ROOT / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(**settings: object) -> list[str]:
    """Return what is refused of a run, line by line."""
    reading = read_config({"runs": {"a": {"preset": "fake", "recipe": "i_sheep", **settings}}}, ROOT, [])
    with pytest.raises(UserError) as caught:
        check(Graph(reading.config, ROOT), reading.problems)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def test_a_missing_chat_template_is_told_once_and_under_its_key(place):
    (line,) = said(model={"chat_template": "nowhere.jinja"})
    assert line.startswith("runs.a: model.chat_template: nowhere.jinja: No such file or directory")
    judge = {"kind": "model", "model": {"path": "judge", "chat_template": "gone.jinja"}}
    lines = said(evaluation={"judge": judge})
    assert any(
        line.startswith("runs.a: evaluation.judge.model.chat_template: gone.jinja: No such file") for line in lines
    )


def test_a_missing_benchmark_file_is_still_called_one(place):
    (line,) = said(evaluation={"benchmarks": {"x": {"kind": "triviaqa", "path": "gone.jsonl"}}})
    assert "gone.jsonl: no such file; correct the benchmark's `path`" in line


def test_mistakes_of_the_config_and_of_files_come_together(place):
    lines = said(lr=1, seeds={"path": "gone.jsonl"}, outputs={"rules": ["emty"]})
    assert ["lr" in lines[0], "emty" in lines[1], "gone.jsonl" in lines[2]] == [True] * 3 and len(lines) == 3


def test_a_column_that_no_stage_adds_is_told_with_the_others(place):
    lines = said(seeds={"path": "gone.jsonl"}, select={"kind": "quantile", "column": "charm"})
    assert len(lines) == 2 and any("no stage before select_data adds the column 'charm'" in line for line in lines)


@pytest.mark.parametrize("name", ["results", "results/a"])
def test_results_that_lead_nowhere_are_refused_in_one_line(place, name):
    folder = place / name
    folder.parent.mkdir(exist_ok=True)
    folder.symlink_to("elsewhere")
    (line,) = said()
    assert f"{name}: a link to elsewhere, which is not there; mount or make it, or delete the link" in line
    folder.unlink()
    folder.touch()
    (line,) = said()
    assert f"{name}: no folder; move the file away" in line


def test_results_may_be_a_link_to_a_folder(place, tmp_path_factory):
    (place / "results").symlink_to(tmp_path_factory.mktemp("store"))
    reading = read_config({"runs": {"a": {"preset": "fake", "recipe": "i_sheep"}}}, ROOT, [])
    check(Graph(reading.config, ROOT), reading.problems)


def test_the_weights_of_base_and_judge_are_asked_for_before_anything_runs(place):
    gone = {"preset": "smollm2-135m-instruct", "model": {"gguf": "gone.gguf"}}
    judge = {"kind": "model", "model": {"gguf": {"files": ["x.part*"], "packages": ["x==1"], "consent": "ACCEPT_X"}}}
    judged = {"mt_bench": {"kind": "mt_bench", "path": "x.jsonl"}}
    lines = said(**gone, evaluation={"judge": judge, "benchmarks": judged})
    assert any(line.startswith("runs.a: model.gguf: there is no file gone.gguf") for line in lines)
    assert any(line.startswith("runs.a: evaluation.judge: model.gguf: x has terms of its own") for line in lines)
