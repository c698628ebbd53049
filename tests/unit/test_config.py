"""Settings: precedence, and every mistake in one message that names its key."""

from pathlib import Path

import pytest
import yaml

from isheep.config import load, read_config
from isheep.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
FAKE = {"engine": {"name": "fake"}, "train": {"trainer": "fake"}, "select": {"kind": "quantile"}}


@pytest.fixture
def root(tmp_path):
    for folder in ("models", "recipes"):
        (tmp_path / "config" / folder).mkdir(parents=True)
    (tmp_path / "config/models/small.yaml").write_text("rounds: 4\nprompts: {rows: 7, shots: 2}\n")
    (tmp_path / "config/recipes/other.yaml").write_text("prompts: {rows: 8}\nselect: {kind: top_k, k: 3}\n")
    return tmp_path


def test_run_beats_recipe_beats_preset_beats_defaults(root):
    raw = {"runs": {"a": {**FAKE, "preset": "small", "recipe": "other", "prompts": {"shots": 1}}}}
    run = load(raw, root).runs["a"]
    assert (run.rounds, run.prompts.rows, run.prompts.shots, run.prompts.similarity) == (4, 8, 1, 0.7)


def test_a_section_of_another_kind_replaces_the_whole_section(root):
    run = load({"runs": {"a": {**FAKE, "recipe": "other"}}}, root).runs["a"]
    assert run.select.kind == "quantile" and not hasattr(run.select, "k")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"promts": {}}, "runs.a.promts: unknown key; did you mean 'prompts'?"),
        ({"prompts": {"row": 3}}, "runs.a.prompts.row: unknown key; did you mean 'rows'?"),
        ({"prompts": {"rows": 0}}, "runs.a.prompts.rows: Input should be greater than or equal to 1 (is 0)"),
        ({"rounds": "two"}, "runs.a.rounds"),
        ({"preset": "smal"}, "runs.a.preset: there is no models/smal.yaml; did you mean 'small'?"),
        ({"recipe": "x"}, "runs.a.recipe: there is no recipes/x.yaml (known: other)"),
        ({"select": {"kind": "threshold", "above": {"quality": 11}}}, "select: quality above 11.0 can never be met"),
        ({"model": {"path": "x", "hub": "y"}}, "give one of path, hub and gguf, not path and hub"),
        ({"engine": {"name": "fake", "context_length": 256}}, "leaves no room for a prompt in engine.context_length"),
        ({"engine": {"name": "vllm"}}, "the fake engine and the fake trainer go together"),
        ({"train": {"trainer": "fake", "batch_size": 3, "micro_batch_size": 2}}, "must be a multiple of"),
        (
            {"train": {"trainer": "fake", "quantize": "nf4", "zero_stage": 3}},
            "train.quantize: weights of 4 bits",
        ),
        (
            {
                "engine": {"name": "endpoint"},
                "train": {"trainer": "trl"},
                "evaluation": {"harness": {"tasks": ["arc_easy"]}},
            },
            "evaluation.harness runs lm-eval on weights of its own",
        ),
        ({"train": {"trainer": "fake", "nodes": 2}, "resources": {"train": {"gpus": 3}}}, "train.nodes (2) must share"),
        (
            {"outputs": {"kind": "instances", "cuts": ["new_task"]}},
            "outputs.cuts end an answer where a task begins, and each of outputs.kind instances is one: set []",
        ),
        ({"outputs": {"plain": {"text": "no place"}}}, "text must hold {prompt} exactly once"),
    ],
)
def test_each_mistake_names_its_key(root, settings, said):
    with pytest.raises(UserError) as caught:
        load({"runs": {"a": {**FAKE, **settings}}}, root)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["../x", "a b", "", "a/b", "{run}", "$(id)", "-x", ".hidden"])
def test_names_that_could_leave_the_folder_are_refused(root, name):
    with pytest.raises(UserError, match="a run's name is a folder's name"):
        load({"runs": {name: FAKE}}, root)


def test_all_problems_come_in_one_message(root):
    raw = {"runs": {"a": {**FAKE, "rounds": 0}, "b": {"preset": "x"}}, "shard": {}, "shards": {"generate_outputs": 0}}
    with pytest.raises(UserError) as caught:
        load(raw, root)
    for place in ("shard:", "runs.a.rounds", "runs.b.preset", "shards.generate_outputs"):
        assert place in str(caught.value)


def test_a_benchmark_has_a_file_or_a_data_set_on_the_hub(root):
    def benchmark(**entry):
        run = {**FAKE, "evaluation": {"benchmarks": {"x": {"kind": "triviaqa", **entry}}}}
        return load({"runs": {"a": run}}, root).runs["a"].evaluation.benchmarks["x"]

    fetched = benchmark(hub="owner/set", subset="part", revision="refs/pr/1")
    assert fetched.path == "data/hub/owner--set--part--test--refs--pr--1.jsonl"
    assert benchmark(**fetched.model_dump(exclude={"kind"})) == fetched  # resolved settings can be read again
    for entry, message in (({}, "give path"), ({"path": "x.jsonl", "hub": "owner/set"}, "give one of path and hub")):
        with pytest.raises(UserError, match=message):
            benchmark(**entry)


def test_a_file_without_runs_says_what_to_write(root):
    with pytest.raises(UserError, match="at least one run is needed"):
        load({}, root)


@pytest.mark.parametrize(
    "file", sorted((ROOT / "config").glob("*.yaml")) + sorted((ROOT / "config/test").glob("*.yaml"))
)
def test_the_shipped_config_files_load(file):
    import yaml

    raw = yaml.safe_load(file.read_text())
    if file.name != "defaults.yaml":
        assert load(raw, ROOT).runs


def test_a_judge_can_be_named_by_its_preset(root):
    judge = {"kind": "model", "preset": "qwen2.5-coder-1.5b-instruct", "model": {"system": "Be brief."}}
    run = load({"runs": {"a": {"preset": "fake", "evaluation": {"judge": judge}}}}, ROOT).runs["a"]
    assert len(run.evaluation.judge.model.gguf.packages) == 22 and run.evaluation.judge.model.system == "Be brief."
    with pytest.raises(UserError, match=r"runs.a.evaluation.judge.preset: there is no models/qwen.yaml"):
        load({"runs": {"a": {"evaluation": {"judge": {**judge, "preset": "qwen"}}}}}, ROOT)


def test_the_settings_that_a_run_leaves_can_be_given_back(tmp_path):
    resolved = load({"runs": {"mine": {"preset": "fake", "rounds": 2}}}, ROOT).runs["mine"].model_dump(mode="json")
    file = tmp_path / "results/mine/config.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump(resolved))
    reading = read_config(yaml.safe_load(file.read_text()), ROOT, [file])
    reading.problems.raise_if_any()
    assert list(reading.config.runs) == ["mine"]
    assert reading.config.runs["mine"].model_dump(mode="json") == resolved
