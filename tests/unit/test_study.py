"""Studies: a base and what varies become runs, and what they share is made once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from isheep.config import load
from isheep.errors import UserError
from isheep.workflow.graph import Graph
from isheep.workflow.study import lay_out

ROOT = Path(__file__).parents[2]
FAKE = {"preset": "fake", "rounds": 1}
SHIPPED = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "config/studies").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def written(**study: object) -> str:
    Path("mine.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return "mine.yaml"


def test_a_grid_is_every_combination_under_names_that_say_it():
    named = {"low": {"select": {"kind": "top_k", "k": 5}}, "high": {"select": {"kind": "top_k", "k": 50}}}
    config = {"study": written(base=FAKE, vary={"seed": [0, 1], "kept": named})}
    study = lay_out(config, ROOT)
    assert list(config) == ["runs"]
    assert list(config["runs"]) == ["mine-0-low", "mine-0-high", "mine-1-low", "mine-1-high"]
    assert study.axes["mine-1-high"] == {"seed": "1", "kept": "high"}
    runs = load(config, ROOT).runs
    assert [(run.seed, run.select.k) for run in runs.values()] == [(0, 5), (0, 50), (1, 5), (1, 50)]


def test_one_run_of_the_user_s_lies_over_the_base_and_under_what_varies():
    own = {"preset": "fake", "seed": 9, "prompts": {"rows": 30}}
    config = {
        "study": written(base={"preset": "smollm2-135m-instruct"}, vary={"prompts.rows": [10, 20]}),
        "runs": {"x": own},
    }
    lay_out(config, ROOT)
    runs = load(config, ROOT).runs
    found = [(run.engine.name, run.seed, run.prompts.rows) for run in runs.values()]
    assert found == [("fake", 9, 10), ("fake", 9, 20)]


@pytest.mark.parametrize(
    ("study", "why"),
    [
        ({"base": FAKE}, "a study needs `vary`"),
        ({"vary": {"seed": 3}}, r"vary\.seed: write a list"),
        ({"vary": {"seed": [0]}, "bsae": {}}, "bsae: unknown key"),
        ({"vary": {"seed": ["a b", "a_b"]}}, "two runs would be named mine-a_b"),
    ],
)
def test_what_is_no_study_is_refused_in_one_line(study, why):
    with pytest.raises(UserError, match=why):
        lay_out({"study": written(**study)}, ROOT)
    with pytest.raises(UserError, match=r"no\.yaml: No such file"):
        lay_out({"study": "no.yaml"}, ROOT)


@pytest.mark.parametrize("file", SHIPPED)
def test_a_shipped_study_is_runs_that_differ(file):
    config = {"study": file, "runs": {"x": {"preset": "fake"}}}
    study = lay_out(config, ROOT)
    runs = load(config, ROOT).runs
    assert len(runs) == len(study.axes) >= 3
    assert len({run.model_dump_json() for run in runs.values()}) == len(runs)


@pytest.mark.parametrize("file", ["recipes-small", "thresholds-small"])
def test_a_study_of_real_weights_is_runs_that_differ(file):
    config = {"study": f"config/test/studies/{file}.yaml"}
    study = lay_out(config, ROOT)
    runs = load(config, ROOT).runs
    assert len(runs) == len(study.axes) >= 3
    assert {run.engine.name for run in runs.values()} <= {"vllm", "transformers"}


def test_seven_thresholds_cost_one_d_0():
    config = {"study": "config/studies/thresholds.yaml", "runs": {"x": {"preset": "fake"}}}
    lay_out(config, ROOT)
    graph = Graph(load(config, ROOT), ROOT)
    assert len(graph.config.runs) == 7

    def owners(stage: str) -> set[str]:
        return {graph.owner(run, stage, 0) for run in graph.config.runs if graph.has(run, stage)}

    assert [len(owners(stage)) for stage in ("generate_prompts", "generate_outputs", "assess_outputs")] == [1, 1, 1]
    assert len(owners("select_data")) == 5


def test_runs_that_differ_in_which_rounds_train_share_iter_1():
    runs = {data: {"preset": "fake", "rounds": 2, "train": {"data": data}} for data in ("current", "all", "last_two")}
    graph = Graph(load({"runs": runs}, ROOT), ROOT)
    owners = [{graph.owner(run, "train_adapter", i) for run in runs} for i in (1, 2)]
    # Of iter_2, both d_0 and d_1 are all rounds, and the last two.
    assert [len(each) for each in owners] == [1, 2]
