"""Minutes, not seconds: the solutions of whole data files in the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest
from exams import failing, load, made

from isheep.evaluation.kinds.humaneval import HumanEval
from isheep.evaluation.kinds.mbpp import Mbpp

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the repository"),
]


@pytest.mark.parametrize(
    ("benchmark", "name", "tasks", "wrong", "heavy"),
    [
        (made(HumanEval), "HumanEval.jsonl.gz", 164, set(), set()),
        # The solution of 32 does not have the shape that its tests ask for; 15 needs about 20 s.
        (
            made(HumanEval, name="humaneval_plus"),
            "HumanEvalPlus-OriginFmt.jsonl.gz",
            164,
            {"HumanEval/32"},
            {"HumanEval/15"},
        ),
        (made(Mbpp), "mbpp.jsonl", 500, set(), {"123"}),
    ],
)
def test_the_files_own_solutions_pass(benchmark, name, tasks, wrong, heavy):
    items = load(type(benchmark), DATA / name)
    failed = failing(benchmark, items)
    assert len(items) == tasks
    assert {id for id, outcome in failed.items() if outcome.status != "timeout"} == wrong
    assert {id for id, outcome in failed.items() if outcome.status == "timeout"} <= heavy
