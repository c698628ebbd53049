"""A kind of benchmark is one module: settings, code, files. A new module is a new kind, and nothing else changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from exams import TOY, made
from pydantic import ValidationError

from isheep.config.evaluation import JUDGED, KINDS, Evaluation
from isheep.config.kinds import kinds
from isheep.data.rows import write_rows
from isheep.evaluation.benchmark import Benchmark
from isheep.evaluation.scores import Earlier, Measured, score

SCRIPTS = Path(__file__).parents[2] / "scripts"
ALL = kinds(KINDS)
# What the toy goes through: settings, schema, reference page, digest of the code, and the stages' own functions.
USED = """
import json, sys
from pathlib import Path
from isheep.config import load
from isheep.config.generate import reference, schema
from isheep.evaluation import stage
from isheep.evaluation.base import said
from isheep.evaluation.scores import Measured, score
from isheep.runner.code import code_files
from isheep.stages.table import table

NEW = "isheep/evaluation/kinds/counting.py"
data = {"x": {"kind": "counting", "path": sys.argv[1], "limit": 2}, "heldout": None, "constraints": None}
run = load({"runs": {"a": {"model": {"path": "m"}, "evaluation": {"benchmarks": data}}}}, Path(sys.argv[2])).runs["a"]
loaded, errors = stage.load(run.evaluation)
rows = stage.ask(loaded, "model", lambda wave: {one.id: said(one.ask.last + " yes") for one in wave})
scores, items = score(run.evaluation, Measured(0, answers=rows))
print(json.dumps({
    "errors": errors,
    "files": run.evaluation.on["x"].files,
    "asked": [row["prompt"] for row in rows],
    "scores": scores["benchmarks"]["x"],
    "items": items,
    "schema": "Counting" in schema()["$defs"],
    "reference": "kind `counting`" in reference() and "counted answer at most" in reference(),
    "digest": all(NEW in code_files(*table()[name].modules(run)) for name in ("evaluate_model", "score_model")),
}))
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Return what happens in a copy of scripts/ with one module more."""
    folder = tmp_path_factory.mktemp("toy")
    shutil.copytree(SCRIPTS, folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "scripts/isheep/evaluation/kinds/counting.py").write_text(TOY)
    data = folder / "q.jsonl"
    data.write_text("\n".join(json.dumps({"id": number, "q": f"word {number}"}) for number in range(3)))
    done = subprocess.run(
        [sys.executable, "-c", USED, str(data), str(SCRIPTS.parent)],
        env={**os.environ, "PYTHONPATH": str(folder / "scripts")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "data": str(data)}


def test_one_new_module_is_in_the_settings_their_schema_their_page_and_the_digest(toy):
    assert toy["schema"] and toy["reference"] and toy["digest"]
    assert toy["files"] == [toy["data"]] and toy["errors"] == {}


def test_one_new_module_is_loaded_asked_and_scored_with_its_floors(toy):
    assert toy["asked"] == ["word 0", "word 1"]
    scores = toy["scores"]
    assert (scores["kind"], scores["items"], scores["headline"]) == ("counting", 2, ["x_words"])
    assert scores["metrics"]["x_words"]["value"] == 3
    assert {name: floor["x_words"]["value"] for name, floor in scores["floors"].items()} == {
        "empty": 0,
        "lol": 1,
        "echo": 2,
    }
    assert [item["measures"] for item in toy["items"]] == [{"words": 3}] * 2


def test_a_kind_is_one_class_that_is_settings_and_code():
    names = [section.__name__ for section in ALL.values()]
    assert len(set(names)) == len(names) == len(list((SCRIPTS / "isheep/evaluation/kinds").glob("[a-z]*.py")))
    for kind, section in ALL.items():
        assert issubclass(section, Benchmark) and section.__module__ == f"{KINDS}.{kind}"
        assert all(field.description for name, field in section.model_fields.items() if name != "kind")
        assert section.headline and made(section).groups([]) == {}


@pytest.mark.parametrize("kind", ALL)
def test_every_kind_of_the_settings_is_bound_to_its_name_wherever_its_data_is(kind):
    for source in ({"path": "x.jsonl"}, {"hub": "owner/set", "subset": "part", "split": "dev", "revision": "1"}):
        given = {"benchmarks": {"x": {"kind": kind, "limit": 3, **source}}, "judge": {"kind": "model"}}
        evaluation = Evaluation(**given)
        benchmark = evaluation.on["x"]
        assert benchmark.name == "x" and benchmark.kind == kind and type(benchmark) is ALL[kind]
        assert benchmark._method == "likelihood" and benchmark.files[0] == benchmark.path
        # Neither name nor method is a setting: what is written down again is what was given.
        assert Evaluation(**yaml.safe_load(yaml.safe_dump(evaluation.model_dump(mode="json")))) == evaluation
        assert "name" not in benchmark.model_dump()


def test_judged_and_sandboxed_kinds_say_so():
    assert {kind for kind, section in ALL.items() if section.form} == set(JUDGED) == {"mt_bench", "pairwise"}
    assert {kind for kind, section in ALL.items() if section.sandboxed} == {"humaneval", "mbpp"}
    turns = made(ALL["mt_bench"], path="a", references="b")
    assert turns.judged and turns.files == ("a", "b") and made(ALL["mt_bench"], path="a").files == ("a",)


def test_a_setting_of_another_kind_is_refused():
    with pytest.raises(ValidationError, match="temperature"):
        Evaluation(benchmarks={"x": {"kind": "triviaqa", "path": "x", "temperature": 1}})


def test_every_lm_eval_task_is_a_benchmark_of_its_own_and_a_group_holds_its_tasks():
    def found(right: int) -> dict:
        rows = [{"id": str(n), "filter": "none", "acc": float(n < right)} for n in range(30)]
        names = ("arc", "mmlu", "mmlu_law", "mmlu_art")
        return {
            "tasks": {name: {"acc,none": {"value": right / 30, "stderr": 0.1}} for name in names},
            "documents": dict.fromkeys(names, 30),
            "samples": {name: rows for name in names if name != "mmlu"},
            "higher_is_better": {name: {"acc": True} for name in names},
            "group_subtasks": {"mmlu": ["mmlu_law", "mmlu_art"], "mmlu_law": []},
            "tokens_by_task": {name: {"prompt": 0, "completion": 0, "scored": 7} for name in names if name != "mmlu"},
        }

    evaluation = Evaluation(benchmarks={"heldout": None, "constraints": None}, harness={"tasks": ["arc", "mmlu"]})
    base = Earlier(harness=found(12))
    told, _ = score(evaluation, Measured(1, harness=found(27), earlier={"base": base}))
    arc, mmlu = told["benchmarks"]["harness/arc"], told["benchmarks"]["harness/mmlu"]
    assert list(told["benchmarks"]) == ["harness/arc", "harness/mmlu"]
    assert list(arc["metrics"]) == ["arc_acc"]
    assert arc["metrics"]["arc_acc"]["minus_base"]["value"] == pytest.approx(0.5)
    assert list(mmlu["metrics"]) == ["mmlu_acc", "mmlu_law_acc", "mmlu_art_acc"] and mmlu["headline"] == ["mmlu_acc"]
    assert (arc["items"], mmlu["items"], mmlu["tokens"]["scored"]) == (30, 60, 14)


def test_metrics_in_which_silence_is_perfect_have_no_floor(tmp_path):
    file = tmp_path / "pairs.jsonl"
    write_rows(file, [{"id": str(n), "instruction": f"Say {n}.", "output": f"{n} it is"} for n in range(3)])
    evaluation = Evaluation(benchmarks={"heldout": {"path": str(file)}, "constraints": None})
    answers = [
        row
        for n in range(3)
        for place in [{"benchmark": "heldout", "item": str(n), "prompt": f"Say {n}."}]
        for row in (
            {**place, "id": f"l{n}", "key": "likelihood", "log_likelihoods": [-3.0, -9.0], "tokens": [2, 2]},
            {**place, "id": f"a{n}", "key": "answer", "text": "x", "finish_reason": "stop", "stop_reason": None,
             "prompt_tokens": 1, "completion_tokens": 1},
        )
    ]  # fmt: skip
    told, _ = score(evaluation, Measured(0, answers))
    entry = told["benchmarks"]["heldout"]
    assert "heldout_stops" in entry["metrics"]
    assert {name for floor in entry["floors"].values() for name in floor} == {
        "heldout_bits_per_byte", "heldout_preference"
    }  # fmt: skip
