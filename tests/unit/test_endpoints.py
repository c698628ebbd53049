"""Judges and models behind endpoints are asked one question before anything else runs."""

from __future__ import annotations

import pytest
from judge_endpoint import JudgeEndpoint
from model_endpoint import ModelEndpoint
from workplace import FAKE

from isheep.config import load
from isheep.runner.portable import ROOT
from isheep.workflow.endpoints import silent


def runs(*urls: str):
    def judged(url: str) -> dict:
        judge = {"kind": "endpoint", "base_url": url, "model": "j"}
        return {**FAKE, "evaluation": {"benchmarks": {"heldout": None, "constraints": None}, "judge": judge}}

    return load({"runs": {f"r{number}": judged(url) for number, url in enumerate(urls)}}, ROOT)


def served(*urls: str):
    def at(url: str) -> dict:
        return {
            "preset": "own-model",
            "model": {"path": "m"},
            "engine": {"name": "endpoint", "endpoint": {"base_url": url}},
        }

    return load({"runs": {f"r{number}": at(url) for number, url in enumerate(urls)}}, ROOT)


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
    assert list(silent(runs(gone), [("generate_outputs", "r0"), ("plan", "")])) == []


def test_a_model_behind_an_endpoint_is_asked_what_it_serves_and_told_once_where_it_is_silent(gone):
    with ModelEndpoint(lambda body: 500, "m", 9) as endpoint:
        assert list(silent(served(endpoint.url), [("generate_prompts", "r0")])) == []
        assert endpoint.asked == []
    jobs = [("generate_prompts_shard", "r0"), ("generate_outputs", "r0"), ("evaluate_model", "r1")]
    (line,) = silent(served(gone, gone), jobs)
    assert line.startswith(f"engine.endpoint {gone} (model m): cannot be reached") and "\n" not in line


def test_a_model_whom_no_job_asks_is_left_alone(gone):
    assert list(silent(served(gone), [("train_adapter", "r0"), ("filter_outputs", "r0")])) == []
