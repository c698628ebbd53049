"""Judges behind endpoints are asked one question before anything else runs."""

from __future__ import annotations

import pytest
from judge_endpoint import JudgeEndpoint
from workplace import FAKE

from isheep.config import load
from isheep.runner.portable import ROOT
from isheep.workflow.judges import silent


def runs(*urls: str):
    def judged(url: str) -> dict:
        judge = {"kind": "endpoint", "base_url": url, "model": "j"}
        return {**FAKE, "evaluation": {"benchmarks": {"heldout": None, "constraints": None}, "judge": judge}}

    return load({"runs": {f"r{number}": judged(url) for number, url in enumerate(urls)}}, ROOT)


@pytest.fixture
def gone() -> str:
    """The address of an endpoint that has ended."""
    with JudgeEndpoint() as endpoint:
        return endpoint.url


def test_a_judge_that_answers_is_not_spoken_of():
    with JudgeEndpoint() as endpoint:
        assert list(silent(runs(endpoint.url), [("judge_answers", "r0")])) == []


def test_a_judge_that_does_not_answer_is_told_once_in_a_line(gone):
    jobs = [("calibrate_judge", "r0"), ("judge_answers", "r0"), ("judge_answers", "r1")]
    (line,) = silent(runs(gone, gone), jobs)
    assert line.startswith(f"judge {gone} (model j): cannot be reached") and "\n" not in line


def test_a_judge_whom_no_job_asks_is_left_alone(gone):
    assert list(silent(runs(gone), [("generate_outputs", "r0")])) == []
