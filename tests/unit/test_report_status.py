"""The page of a run that is at work, has stopped or has failed."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

import pytest
import yaml
from workplace import FAKE

from isheep.config import load
from isheep.data.files import write_json
from isheep.errors import UserError
from isheep.report import __main__ as command
from isheep.report import renewal, status
from isheep.runner.portable import ROOT
from isheep.runner.record import sealed
from isheep.workflow import lock
from isheep.workflow.graph import Graph


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a run that has begun: its settings are frozen, its base is identified."""
    (tmp_path / "config").symlink_to(ROOT / "config")
    monkeypatch.chdir(tmp_path)
    config = load({"runs": {"a": {**FAKE, "rounds": 1}}}, ROOT)
    folder = Path("results/a")
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config.runs["a"].model_dump(mode="json")))
    observed = {
        "hardware": {"machine": "x86_64", "cpu": "x", "features": [], "gpus": 0, "threads": 1},
        "started": "2026-01-01T08:00:00+00:00",
        "seconds": 2.0,
    }
    made = {
        **{"stage": "identify_model", "run": "a", "round": 0, "seed": 1, "model": None, "settings": {}, "code": "c"},
        **{"versions": {}, "tokens": {}, "inputs": {}, "outputs": {}, "contents": {}},
    }
    write_json(folder / "iter_0/records/identify_model.json", sealed(made, observed))
    return tmp_path


def stands() -> status.Status:
    graph = Graph(status.settings_of(Path("results/a").absolute()), ROOT)
    _, found = status.records(graph, "a")
    assert found is not None
    return found


def test_a_run_that_was_left_says_how_far_it_came(place):
    found = stands()
    assert (found.done, found.alive, found.following) == (1, False, "a round 0 generate_prompts")
    assert found.words.startswith(f"This run has stopped: 1 of {found.total} stages are made")


def test_a_run_at_work_is_told_from_one_that_was_left(place):
    taken = lock.take(Path.cwd())
    assert stands().words.startswith("This run is at work: 1 of ")
    lock.release(taken, finished=False)
    assert not stands().alive and socket.gethostname()


def test_what_a_failed_stage_said_stands_on_the_page_as_text(place):
    log = Path("logs/a/d_0/generate_prompts.log")
    log.parent.mkdir(parents=True)
    log.write_text("08:00:00 isheep.runner.job: failed: 3 of 30 prompts <b>made</b>; raise it (log: x)\n")
    assert command.main([str(place / "results/a")]) == 0
    page = (place / "results/a/unfinished.html").read_text()
    assert "This run has failed: 1 of " in page
    assert "a round 0 generate_prompts: 3 of 30 prompts &lt;b&gt;made&lt;/b&gt;; raise it" in page


def test_a_folder_that_is_no_run_is_refused_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the command goes where the run is
    assert command.main([str(tmp_path / "results/none")]) == 1
    assert "not there: no run, or one that has not begun" in capsys.readouterr().err
    with pytest.raises(UserError, match="no folder of a run"):
        command.write(tmp_path / "elsewhere")


class Process:
    """What stands for a process that writes a page."""

    def __init__(self, run: str) -> None:
        self.run, self.ended = run, False

    def poll(self) -> int | None:
        return 0 if self.ended else None

    def wait(self) -> None:
        self.ended = True


def test_the_page_is_made_anew_when_a_round_ends_and_when_the_run_fails(place, monkeypatch):
    written: list[Process] = []
    monkeypatch.setattr(renewal, "write", lambda run: written.append(Process(run)) or written[-1])
    pages = renewal.of(load({"runs": {"a": FAKE, "idle": FAKE}}, ROOT))
    Path("results/idle").mkdir()
    logger = logging.Logger("snakemake-like", logging.INFO)
    logger.addHandler(pages)

    def run(number: int, rule: str) -> None:
        logger.info("", extra={"event": "job_info", "jobid": number, "rule_name": rule, "wildcards": {"run": "a"}})
        logger.info("", extra={"event": "job_finished", "job_id": number})

    run(1, "generate_outputs")
    assert written == []
    run(2, "measure_data")  # the run is not evaluated, so this ends its rounds
    run(3, "measure_data")  # while the first is being written
    assert [each.run for each in written] == ["a"]
    Path("results/a", status.PAGE).write_text("x")
    assert pages.end(finished=False) == [Path("results/a", status.PAGE)]
    assert [each.run for each in written] == ["a", "a"] and all(each.ended for each in written)
    assert pages.end(finished=True) == [] and Path("results/a", status.PAGE).exists()  # not all was asked for
    Path("results/a/report.html").write_text("x")
    pages.end(finished=True)
    assert not Path("results/a", status.PAGE).exists() and len(written) == 2


def test_a_process_beside_the_driver_writes_the_page(place):
    assert renewal.write("a").wait() == 0
    assert "This run has stopped" in (place / "results/a/unfinished.html").read_text()
    assert os.getcwd() == str(place)
