"""Evaluation in the graph: every model measured on every benchmark, resumable, sharded, with a judge that may fail."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from judge_endpoint import JudgeEndpoint
from workplace import FAKE, Workplace

QUESTIONS = [
    {"question_id": 1, "category": "writing", "turns": ["Describe a lamp.", "Now as a haiku."]},
    {"question_id": 2, "category": "math", "turns": ["What is 2 + 3?", "Double it."]},
]
PAIRS = [
    {"id": "p1", "instruction": "Name a tree.", "output": "The oak is a tree."},
    {"id": "p2", "instruction": "Why is the sky blue?", "output": "Air scatters blue light more than red light."},
]
TRIVIA = [{"id": "t/1", "question": "Who painted Guernica?", "aliases": ["Picasso", "Pablo Picasso"]}]
CODE = [
    {
        "task_id": "Own/1",
        "prompt": 'def double(x):\n    """Return twice x."""\n',
        "entry_point": "double",
        "canonical_solution": "    return 2 * x\n",
        "test": "def check(candidate):\n    assert candidate(2) == 4\n",
    }
]


def lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def measured(judge: dict, **more: dict) -> dict:
    """Return the settings of a short run that is measured on a benchmark of every kind."""
    benchmarks = {
        "heldout": {"limit": 8, "max_tokens": 60},
        "constraints": {"limit": 6, "max_tokens": 60},
        "turns": {"kind": "mt_bench", "path": "turns.jsonl", "max_tokens": 60},
        "against_file": {"kind": "pairwise", "path": "pairs.jsonl", "max_tokens": 60},
        "against_base": {"kind": "pairwise", "path": "pairs.jsonl", "rival": "base", "max_tokens": 60},
        "trivia": {"kind": "triviaqa", "path": "trivia.jsonl"},
        "own_code": {"kind": "humaneval", "path": "code.jsonl", "max_tokens": 60},
        **more,
    }
    calibrated = {**judge, "calibration": {"limit": 10}}
    return {**FAKE, "rounds": 1, "evaluation": {"benchmarks": benchmarks, "judge": calibrated}}


def prepare(place: Workplace) -> Workplace:
    for name, rows in (("turns", QUESTIONS), ("pairs", PAIRS), ("trivia", TRIVIA), ("code", CODE)):
        (place.folder / f"{name}.jsonl").write_text(lines(rows))
    return place


def scores(place: Workplace, i: int) -> dict:
    return json.loads((place.folder / f"results/a/iter_{i}/evaluation/scores.json").read_text())["benchmarks"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    place = prepare(Workplace(tmp_path_factory.mktemp("measured")))
    broken = {"kind": "triviaqa", "path": "broken.jsonl"}
    (place.folder / "broken.jsonl").write_text('{"id": "t1", "question": "Who?"}\n')
    place.configure({"a": measured({"kind": "model"}, broken=broken)})
    place.printed = place.snakemake()
    return place


def test_every_model_gets_every_score_with_interval_floors_and_differences(finished):
    for i in (0, 1):
        found = scores(finished, i)
        for name in ("heldout", "constraints", "turns", "against_file", "trivia", "own_code"):
            entry = found[name]
            assert entry["error"] is None and entry["items"] > 0 and set(entry["headline"]) <= set(entry["metrics"])
            assert set(entry["floors"]) == {"empty", "lol", "echo"}
            for metric in entry["metrics"].values():
                assert metric["n"] >= 0 and ("minus_base" in metric) == ("minus_previous" in metric) == (i == 1)
        bits = found["heldout"]["metrics"]["heldout_bits_per_byte"]
        assert bits["low"] <= bits["value"] <= bits["high"] and bits["n"] == 8
        assert found["heldout"]["floors"]["lol"]["heldout_bits_per_byte"]["value"] == pytest.approx(8)
        assert found["heldout"]["tokens"]["scored"] > 0 and found["turns"]["tokens"]["completion"] > 0
    # Round 1 is compared with round 0, which is both the base and the round before.
    bits = scores(finished, 1)["heldout"]["metrics"]["heldout_bits_per_byte"]
    assert bits["minus_base"] == bits["minus_previous"] and bits["minus_base"]["n"] == 8


def test_the_base_as_rival_is_met_from_the_first_round_on(finished):
    base, first = (scores(finished, i)["against_base"] for i in (0, 1))
    assert "from iter_1 on" in base["note"] and base["error"] is None and base["metrics"] == {}
    assert first["error"] is None and first["metrics"]["local_judge_win_rate"]["n"] == 2
    assert first["floors"]["empty"]["local_judge_win_rate"]["n"] == 2


def test_a_judge_that_fails_its_calibration_does_not_count_and_says_why(finished):
    for name in ("turns", "against_file"):
        entry = scores(finished, 1)[name]
        assert entry["counts"] is False and any("cannot tell a right answer" in line for line in entry["objections"])
        assert entry["metrics"]
    assert scores(finished, 1)["heldout"]["counts"] is True


def test_a_broken_benchmark_is_one_line_and_the_others_stand(finished):
    assert scores(finished, 0)["broken"]["error"].startswith("broken.jsonl:1: ")
    assert "evaluation.benchmarks.broken is left out: broken.jsonl:1" in finished.printed.stderr
    assert "Traceback" not in finished.printed.stderr


def test_shards_and_a_crash_in_the_middle_change_no_byte(finished, workplace):
    split = prepare(workplace())
    (split.folder / "broken.jsonl").write_text((finished.folder / "broken.jsonl").read_text())
    settings = deepcopy(measured({"kind": "model"}, broken={"kind": "triviaqa", "path": "broken.jsonl"}))
    settings["engine"] = {"misbehave": {"crash_after": 9}}
    split.configure({"a": settings}, shards={"evaluate_model": 3})
    split.snakemake("--retries", "40", "results/a/iter_1/evaluation/scores.json")
    pattern = "results/*/iter_*/evaluation/*"
    assert split.hashes(pattern) == finished.hashes(pattern) and len(finished.hashes(pattern)) >= 11


def test_another_benchmark_asks_only_what_is_new(finished, workplace):
    place = prepare(workplace())
    settings = measured({"kind": "model"})
    del settings["evaluation"]["benchmarks"]["trivia"]
    place.configure({"a": settings})
    place.snakemake("results/a/iter_0/evaluation/scores.json")
    place.configure({"a": measured({"kind": "model"})})
    again = place.snakemake("results/a/iter_0/evaluation/scores.json")
    assert "30 requests: 29 already done, 1 to do" in again.stderr


def test_an_unreachable_judge_and_a_broken_harness_lose_nothing_else_and_the_judge_can_be_asked_later(
    workplace,
):
    place = prepare(workplace())
    target = "results/a/iter_0/evaluation/scores.json"
    with JudgeEndpoint() as judge:
        url = judge.url
        endpoint = {"kind": "endpoint", "base_url": url, "model": "j", "attempts": 1}
        settings = measured(endpoint)
        settings["evaluation"]["harness"] = {"tasks": ["no_such_task"]}
        place.configure({"a": settings})
    done = place.snakemake(target)
    assert f"judge {url} (model j): cannot be reached" in done.stderr and "Traceback" not in done.stderr
    found = scores(place, 0)
    assert "cannot be reached" in found["turns"]["error"] and not found["turns"]["counts"]
    assert found["turns"]["error"].startswith("judge at its endpoint (model j): ") and url not in json.dumps(found)
    assert found["harness/no_such_task"]["error"].startswith("evaluation.harness.tasks: lm-eval has no task no_")
    assert found["heldout"]["error"] is None and found["own_code"]["metrics"]["own_code_pass@1"]["n"] == 1

    with JudgeEndpoint() as judge:
        settings["evaluation"]["judge"]["base_url"] = judge.url
        place.configure({"a": settings})
        place.snakemake(target)
    found = scores(place, 0)["turns"]
    assert found["error"] is None and found["metrics"]["local_judge_score"]["value"] == 7
    assert any("hold no verdict" in line or "cannot tell" in line for line in found["objections"])


def test_a_missing_data_file_and_a_missing_judge_are_told_before_anything_runs(workplace):
    place = workplace()
    settings = measured({"kind": "model"})
    place.configure({"a": settings})
    done = place.snakemake(check=False)
    assert done.returncode and "turns.jsonl: no such file; correct the benchmark's `path`" in done.stderr
    del settings["evaluation"]["judge"]
    place.configure({"a": settings})
    done = place.snakemake(check=False)
    assert (
        done.returncode
        and "benchmarks.against_base needs a judge, like judge: {kind" in done.stderr
        and "Traceback" not in done.stderr
    )


def test_a_data_set_is_fetched_once_and_one_that_cannot_be_is_one_line(workplace):
    place = workplace()
    (place.folder / "own_set").mkdir()  # what is in a folder the library reads as it reads the hub
    (place.folder / "own_set/test.jsonl").write_text(lines(TRIVIA))
    benchmarks = {"heldout": None, "constraints": None, "trivia": {"kind": "triviaqa", "hub": "own_set"}}
    place.configure({"a": {**FAKE, "rounds": 1, "evaluation": {"benchmarks": benchmarks}}})
    target = "results/a/iter_0/evaluation/scores.json"
    place.snakemake(target)
    assert scores(place, 0)["trivia"]["items"] == 1
    assert json.loads((place.folder / "data/hub/own_set--test--main.jsonl").read_text()) == TRIVIA[0]
    assert "Nothing to be done" in (done := place.snakemake(target)).stdout + done.stderr

    benchmarks["trivia"]["split"] = "validation"
    place.configure({"a": {**FAKE, "rounds": 1, "evaluation": {"benchmarks": benchmarks}}})
    done = place.snakemake(target, check=False)
    text = done.stdout + done.stderr
    assert done.returncode and "own_set: cannot be fetched from the hub (" in text and "Traceback" not in text
    assert not (place.folder / "data/hub/own_set--validation--main.jsonl").exists()
