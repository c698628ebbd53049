from __future__ import annotations

import json
from itertools import combinations
from math import comb
from pathlib import Path

import pytest
from exams import failing, load, made, score_all
from pydantic import ValidationError

from isheep.errors import UserError
from isheep.evaluation import sandbox
from isheep.evaluation.base import Floor, Item, said
from isheep.evaluation.kinds.humaneval import HumanEval
from isheep.evaluation.kinds.mbpp import Mbpp
from isheep.evaluation.programs import pass_at_k
from isheep.evaluation.sandbox import Outcome

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the repository")

HEAD = 'from math import sqrt\n\n\ndef root(x: float) -> float:\n    """Return the square root."""\n'
TASK = Item(
    "T/0",
    {
        "prompt": HEAD,
        "entry_point": "root",
        "canonical_solution": "    return sqrt(x)\n",
        "test": "def check(candidate):\n    assert candidate(9) == 3\n",
    },
)
SUM = Item(
    "11",
    {
        "text": "Write a function to add.",
        "code": "def add(a, b):\n    return a + b",
        "setup": "",
        "tests": ["assert add(1, 2) == 3", "assert add(0, 0) == 0"],
        "shots": "SHOTS",
    },
)


@pytest.fixture
def in_process(monkeypatch):
    """Run programs of this file's own in this process, in place of the sandbox."""

    def execute(program, tests, allow_weak=False):
        names = {"__name__": "solution"}
        try:
            exec(program, names)
            exec(tests, names)
        except Exception as error:
            return Outcome("failed", repr(error))
        return Outcome("passed")

    monkeypatch.setattr(sandbox, "run", execute)


@pytest.mark.parametrize(
    "completion",
    [
        "```python\ndef root(x):\n    return sqrt(x)\n```",
        "Sure!\n\n```python\nfrom math import sqrt\n\ndef root(x):\n    return sqrt(x)\n```\nHope this helps.",
        "```\nprint(1)\n```\nthen\n```py\ndef root(x):\n    return sqrt(x)\n```",
        "```python\ndef root(x):\n    return sqrt(x)",
        "def root(x):\n    return sqrt(x)",
        "Here is the function.\ndef root(x):\n    return sqrt(x)",
        "    return sqrt(x)",
        "return sqrt(x)",
        "```python\n    return sqrt(x)\n```",
        "root = sqrt",
        f"```python\n{HEAD}    return sqrt(x)\n```",
    ],
)
@pytest.mark.usefixtures("in_process")
def test_a_chat_answer_becomes_a_program_with_the_heads_imports(completion):
    row = made(HumanEval).score(TASK, {"sample-0": said(completion)})
    assert row["passed"] == [True], row["detail"]


@pytest.mark.parametrize("completion", ["", "lol", HEAD, "```python\nreturn 2\n```", "I cannot do that, sorry."])
@pytest.mark.usefixtures("in_process")
def test_an_answer_without_the_function_fails(completion):
    assert made(HumanEval).score(TASK, {"sample-0": said(completion)})["passed"] == [False]


@pytest.mark.usefixtures("in_process")
def test_a_continuation_is_cut_where_the_next_definition_begins():
    benchmark = made(HumanEval, style="continuation")
    (ask,) = benchmark.requests(TASK, {})
    assert ask.text == HEAD.rstrip() and not ask.turns and "\ndef" in ask.sampling.stop
    text = "\n    return sqrt(x)\n\n\ndef other(:\n  broken"
    assert benchmark.score(TASK, {"sample-0": said(text)})["passed"] == [True]


@pytest.mark.usefixtures("in_process")
def test_mbpp_shows_the_tests_and_runs_them():
    benchmark = made(Mbpp)
    (ask,) = benchmark.requests(SUM, {})
    assert "assert add(1, 2) == 3" in ask.last and ask.sampling.stop == ()
    assert benchmark.score(SUM, {"sample-0": said("```\ndef add(a, b):\n    return a + b\n```")})["passed"] == [True]
    assert benchmark.score(SUM, {"sample-0": said("```\ndef add(a, b):\n    return a - b\n```")})["passed"] == [False]


@pytest.mark.usefixtures("in_process")
def test_mbpp_shows_a_base_model_three_solved_tasks(tmp_path):
    rows = [
        {
            "task_id": number,
            "text": f"Task {number}",
            "code": f"def f{number}():\r\n  return {number}",
            "test_list": [f"assert f{number}() == {number}"],
            "test_setup_code": "",
        }
        for number in (1, 2, 3, 4, 10, 11, 12, 510, 511)
    ]
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    benchmark = made(Mbpp, style="continuation")
    items = load(Mbpp, path, style="continuation")
    assert [item.id for item in items] == ["11", "12", "510"] and len(load(Mbpp, path, 1, style="continuation")) == 1
    (ask,) = benchmark.requests(items[0], {})
    assert [f"Task {number}\n" in ask.text for number in (1, 2, 3, 4, 10, 11)] == [False, True, True, True, False, True]
    assert ask.text.count("[DONE]") == 3 and "[DONE]" in ask.sampling.stop and "\r" not in ask.text
    assert benchmark.score(items[0], {"sample-0": said("def f11():\n  return 11\n[DONE]\nmore")})["passed"] == [True]
    path.write_text("\n".join(json.dumps(row) for row in rows if row["task_id"] != 3))
    with pytest.raises(UserError, match="tasks 2, 3, 4"):
        load(Mbpp, path, style="continuation")


@pytest.mark.parametrize(
    ("n", "passed", "k"), [(1, 0, 1), (1, 1, 1), (5, 2, 1), (5, 2, 3), (5, 3, 3), (10, 1, 10), (6, 0, 4)]
)
def test_pass_at_k_is_the_share_of_draws_with_a_pass(n, passed, k):
    draws = list(combinations(range(n), k))
    share = sum(any(one < passed for one in draw) for draw in draws) / len(draws)
    assert pass_at_k(n, passed, k) == pytest.approx(share)


def test_pass_at_k_stays_exact_for_many_samples():
    assert pass_at_k(1000, 3, 100) == pytest.approx(1 - comb(997, 100) / comb(1000, 100))


@pytest.mark.usefixtures("in_process")
def test_samples_are_asked_for_with_one_prompt_and_own_keys():
    benchmark = made(HumanEval, samples=3, k=(1, 2), temperature=0.8)
    asks = benchmark.requests(TASK, {"sample-1": said("")})
    assert [ask.key for ask in asks] == ["sample-0", "sample-2"] and asks[0].turns == asks[1].turns
    texts = {"sample-0": said("return sqrt(x)"), "sample-1": said("lol"), "sample-2": said("lol")}
    metrics = benchmark.summarise(score_all(benchmark, [TASK], {"T/0": texts}))
    assert metrics["humaneval_pass@1"].value == pytest.approx(1 / 3)
    assert metrics["humaneval_pass@2"].value == pytest.approx(2 / 3)


def test_programs_that_run_out_of_bounds_are_counted(monkeypatch):
    monkeypatch.setattr(sandbox, "run", lambda program, tests, allow_weak: Outcome("timeout"))
    endless = made(HumanEval)
    metrics = endless.summarise(score_all(endless, [TASK], {"T/0": {"sample-0": said("x")}}))
    assert metrics["humaneval_out_of_bounds"].value == 1 and metrics["humaneval_pass@1"].value == 0


@pytest.mark.parametrize("settings", [{"k": (2,)}, {"k": ()}, {"k": (0,)}, {"samples": 2}])
def test_settings_that_contradict_each_other_are_refused(settings):
    with pytest.raises(ValidationError, match=r"pass@k must be|temperature 0"):
        made(HumanEval, **settings)


def test_a_task_whose_entry_point_is_no_name_is_refused(tmp_path):
    row = {"task_id": "a", "prompt": "", "entry_point": "f()", "canonical_solution": "", "test": ""}
    (tmp_path / "h.jsonl").write_text(json.dumps(row))
    with pytest.raises(UserError, match=r"h.jsonl:1: entry_point must be a name"):
        load(HumanEval, tmp_path / "h.jsonl")


@needs_data
@pytest.mark.usefixtures("in_process")
def test_the_real_files_load_and_floors_score_nothing():
    for name in ("HumanEval.jsonl.gz", "HumanEvalPlus-OriginFmt.jsonl.gz"):
        assert len(load(HumanEval, DATA / name)) == 164
    assert len(load(Mbpp, DATA / "mbpp.jsonl")) == 500
    items = load(HumanEval, DATA / "HumanEval.jsonl.gz", 5)
    for floor in ("empty", "lol", "echo"):
        benchmark = made(HumanEval)
        metrics = benchmark.summarise(score_all(Floor(benchmark, floor), items, {}))
        assert metrics["humaneval_pass@1"].value == 0


@needs_data
@pytest.mark.usefixtures("in_process")
def test_canonical_solutions_survive_the_way_through_a_chat_answer():
    for kind, name in ((HumanEval, "HumanEval.jsonl.gz"), (Mbpp, "mbpp.jsonl")):
        benchmark = made(kind)
        for item in load(kind, DATA / name, 20):
            solution = item.fields.get("code") or item.fields["prompt"] + item.fields["canonical_solution"]
            row = benchmark.score(item, {"sample-0": said(f"Here:\n```python\n{solution}\n```\nDone.")})
            assert row["passed"] == [True], (item.id, row["detail"])


@needs_data
@pytest.mark.parametrize(
    ("benchmark", "name", "step"),
    [
        (made(HumanEval), "HumanEval.jsonl.gz", 20),
        (made(HumanEval, name="humaneval_plus"), "HumanEvalPlus-OriginFmt.jsonl.gz", 20),
        (made(Mbpp), "mbpp.jsonl", 60),
    ],
)
def test_a_part_of_the_files_own_solutions_pass_in_the_sandbox_and_floors_do_not(benchmark, name, step):
    if not any(map(sandbox.works, sandbox.MODES[:2])):
        pytest.skip("this machine allows no namespaces")
    items = load(type(benchmark), DATA / name)[::step]  # all of them: tests/unit/test_evaluation_slow.py
    assert len(items) == 9 and failing(benchmark, items) == {}
    rows = score_all(Floor(benchmark, "echo"), items[:2], {})
    assert [row["passed"] for row in rows] == [[False]] * 2
