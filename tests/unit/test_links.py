"""Links between runs: a result of one run as another's model, seeds or data."""

from __future__ import annotations

from pathlib import Path

import pytest

from isheep.config import load
from isheep.data.files import digest_file
from isheep.errors import UserError
from isheep.runner.origin import find_origin
from isheep.runner.portable import portable
from isheep.runner.record import write_record
from isheep.workflow.check import check
from isheep.workflow.graph import Graph

ROOT = Path(__file__).resolve().parents[2]
FAKE = {"engine": {"name": "fake"}, "train": {"trainer": "fake"}, "rounds": 2}
SEEDS = "results/a/d_0/selected.jsonl"
MODEL = "results/a/iter_2/model"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").symlink_to(ROOT / "config")


def graph(**runs: dict) -> Graph:
    return Graph(load({"runs": {name: {**FAKE, **run} for name, run in runs.items()}}, ROOT), ROOT)


def linked(seeds: str = SEEDS, model: str = MODEL) -> dict:
    return {"seeds": {"path": seeds}, "model": {"path": model}}


@pytest.mark.parametrize("whole", [False, True])
def test_a_run_waits_for_the_result_that_it_takes_however_the_path_is_written(whole, tmp_path):
    both = graph(b=linked(*(f"{tmp_path}/{path}" if whole else f"./{path}" for path in (SEEDS, MODEL))), a={})
    assert both.config.runs["b"].seeds.path == SEEDS
    assert both.linked("b", "generate_prompts", 0) == [SEEDS]
    assert both.linked("b", "identify_model", 0) == ["results/a/iter_2/identity.json"]
    assert both.weights("b", "generate_prompts", 0) == both.weights("b", "identify_model", 0) == MODEL
    assert both.contents("b", "generate_prompts").keys() == {"config/prompts/meta.txt"}
    check(both)


def test_what_decides_the_result_that_a_run_takes_decides_the_run():
    before = graph(a={}, b=linked()).digest("b", "generate_prompts", 0)
    assert graph(a={"seed": 5}, b=linked()).digest("b", "generate_prompts", 0) != before
    assert graph(a={"report": {"samples": 2}}, b=linked()).digest("b", "generate_prompts", 0) == before
    assert graph(a={}, b=linked("results/a/d_1/selected.jsonl")).digest("b", "generate_prompts", 0) != before


def test_a_result_that_a_third_run_owns_is_taken_where_it_is():
    three = graph(a={}, b={"train": {"trainer": "fake", "epochs": 9}}, c=linked("results/b/d_0/selected.jsonl"))
    assert three.owner("b", "select_data", 0) == "a"
    assert three.config.runs["c"].seeds.path == SEEDS == three.linked("c", "generate_prompts", 0)[0]


@pytest.mark.parametrize(
    "runs, message",
    [
        ({"a": linked()}, "a: model.path: results/a/iter_2/model is this run's own result"),
        ({"a": {}, "b": linked(model="results/a/iter_3/model")}, "iter_3/model is nothing that a stage of the run a"),
        ({"a": {}, "b": linked("results/a/report.html")}, "seeds.path: results/a/report.html is nothing"),
        (
            {"a": {"seeds": {"path": "results/b/d_0/selected.jsonl"}}, "b": linked()},
            "a, b take results of each other; leave out one",
        ),
    ],
)
def test_links_that_lead_nowhere_or_in_a_circle_are_refused_in_one_line(runs, message):
    with pytest.raises(UserError, match="before anything runs") as refused:
        check(graph(**runs))
    assert message in str(refused.value)


def test_a_hundred_runs_in_a_row_are_no_deep_recursion():
    runs = {
        f"r{n}": {**linked(*[path.replace("/a/", f"/r{n - 1}/") for path in (SEEDS, MODEL)])} for n in range(1, 100)
    }
    row = graph(**dict(reversed(runs.items())), r0={})
    assert row.links.order == [f"r{n}" for n in range(100)]


def test_a_finished_run_may_leave_the_config_and_its_files_tell_their_origin(tmp_path):
    (tmp_path / "results/a/d_0/records").mkdir(parents=True)
    file = Path(SEEDS)
    file.write_text('{"instruction": "x", "output": "y"}\n')
    made = {"run": "a", "stage": "select_data", "outputs": {SEEDS: digest_file(file)}}
    write_record(file.parent / "records/select_data.json", made, {})
    alone = graph(b={"seeds": {"path": SEEDS}})
    assert alone.contents("b", "generate_prompts")[SEEDS] == digest_file(file)
    origin = find_origin(file)
    assert origin["run"] == "a" and origin["stage"] == "d_0/select_data" and origin["file"] == SEEDS
    assert "file" not in find_origin(file.absolute()), "records name no folder of this machine"
    assert portable(SEEDS, digest_file(file)).startswith("outside/")
    file.write_text("edited\n")
    assert find_origin(file) is None
