"""The graph: what feeds a stage, what decides it, and which run owns what two runs share."""

import os
import shutil
from pathlib import Path

import pytest

from isheep.config import load
from isheep.data.files import digest, write_json
from isheep.errors import UserError
from isheep.runner.portable import shipped
from isheep.serving import models
from isheep.stages.base import Read
from isheep.workflow.graph import Graph, check_columns
from isheep.workflow.targets import of_all

ROOT = Path(__file__).resolve().parents[2]
FAKE = {"engine": {"name": "fake"}, "train": {"trainer": "fake"}, "rounds": 2}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def graph(shards: dict | None = None, **runs: dict) -> Graph:
    described = {name: {**FAKE, **run} for name, run in runs.items()}
    return Graph(load({"runs": described, "shards": shards or {}}, ROOT), ROOT)


def upstream(made: Graph, stage: str, i: int) -> list[tuple[str, int]]:
    return [(read.stage, read.i) for read in made.upstream("a", stage, i)]


def finish(made: Graph, run: str, stage: str, i: int, with_code: bool = False, **observed: object) -> None:
    """Put a result and its record into a run's folder, and all that it is made of, as the stages' jobs would."""
    inputs = {shipped(file): sha256 for file, sha256 in made.contents(run, stage).items()}
    for read in made.upstream(run, stage, i):
        if not Path(path := own(made, run, read)).exists():
            finish(made, run, read.stage, read.i)
        inputs[path] = digest(path)
    folder = Path("results") / run / made.table[stage].folder.format(i=i)
    (folder / "records").mkdir(parents=True, exist_ok=True)
    outputs = {str(folder / name): digest(str(folder / name)) for name in made.table[stage].makes}
    for file in outputs:
        Path(file).touch()
    record = {"settings": made.settings(run, stage), "inputs": inputs, "outputs": outputs}
    record |= {"code": made.code(run, stage)} if with_code else {}
    write_json(folder / "records" / f"{stage}.json", {"made": record, "observed": observed})


def own(made: Graph, run: str, read: Read) -> str:
    stage = made.table[read.stage]
    return f"results/{run}/{stage.folder.format(i=read.i)}/{read.file or stage.makes[0]}"


def test_runs_that_differ_in_selection_share_the_data_of_round_0_only():
    both = graph(a={"select": {"kind": "top_k", "k": 4}}, b={"select": {"kind": "top_k", "k": 5}})
    for stage in ("identify_model", "generate_prompts", "generate_outputs", "filter_outputs", "assess_outputs"):
        assert both.result("b", stage, 0).startswith("results/a/")
    assert both.result("b", "select_data", 0).startswith("results/b/")
    assert both.result("b", "generate_prompts", 1).startswith("results/b/")


def test_a_run_with_a_judge_stands_beside_one_without():
    judged = {"benchmarks": {"turns": {"kind": "mt_bench", "path": "turns.jsonl"}}, "judge": {"kind": "model"}}
    both = graph(a={}, b={"evaluation": judged})
    assert both.result("b", "calibrate_judge", 0) == "results/b/iter_0/evaluation/calibration.json"
    assert both.result("b", "score_model", 1).startswith("results/b/")
    assert both.result("b", "select_data", 0).startswith("results/a/")


def test_what_is_finished_is_used_wherever_it_is_and_the_run_s_own_before_another_s():
    finish(graph(a={}, b={}), "b", "generate_prompts", 0)
    both = graph(a={}, b={})
    assert both.result("a", "generate_prompts", 0) == "results/b/d_0/prompts.jsonl"
    assert both.result("b", "generate_outputs", 0).startswith("results/a/")
    finish(both, "a", "generate_prompts", 0)
    both = graph(a={}, b={})
    assert [both.owner(run, "generate_prompts", 0) for run in "ab"] == ["a", "b"]


def test_what_was_made_of_other_prompts_is_not_finished():
    made = graph(a={})
    finish(made, "a", "filter_outputs", 0)
    assert graph(a={}).remains.finished("a", "filter_outputs", 0) and graph(a={}).remains.finished(
        "a", "generate_outputs", 0
    )
    changed = graph(a={"prompts": {"rows": 5}})
    assert changed.remains.finished("a", "generate_prompts", 0) is None
    assert changed.remains.finished("a", "filter_outputs", 0) is None


def test_a_file_of_the_user_s_with_other_content_unfinishes_what_read_it():
    Path("seeds.jsonl").write_text('{"instruction": "a", "output": "b"}\n')
    made = graph(a={"seeds": {"path": "seeds.jsonl"}})
    finish(made, "a", "generate_prompts", 0)
    assert graph(a={"seeds": {"path": "seeds.jsonl"}}).remains.finished("a", "generate_prompts", 0)
    before = made.refers("a", "generate_prompts", 0)
    Path("seeds.jsonl").write_text('{"instruction": "a", "output": "c"}\n')
    made = graph(a={"seeds": {"path": "seeds.jsonl"}})
    assert made.remains.finished("a", "generate_prompts", 0) is None
    assert made.refers("a", "generate_prompts", 0) != before


def weights() -> str | None:
    return graph(a={"model": {"path": "base"}}).remains.weights.asked("a", "identify_model")


def test_weights_of_other_bytes_are_seen_whatever_their_time_and_those_of_the_same_bytes_are_not():
    Path("base").mkdir()
    file = Path("base/model.safetensors")
    file.write_bytes(b"weights")
    made = graph(a={"model": {"path": "base"}})
    asked = weights()
    finish(made, "a", "identify_model", 0, weights={"asked": asked, "state": asked})
    write_json(Path("results/a/iter_0/identity.json"), models.identity("base"))
    assert weights() == asked
    shutil.copytree("base", "moved")
    shutil.rmtree("base")
    Path("moved").rename("base")
    assert models.state("base") != asked and weights() == asked, "copied elsewhere and back"
    told = file.stat()
    file.write_bytes(b"WEIGHTS")
    os.utime(file, ns=(told.st_atime_ns, told.st_mtime_ns))
    assert weights() == models.state("base") != asked
    assert graph(a={"model": {"path": "base"}}).remains.settled("a", "identify_model", 0) is None


def test_stages_stand_in_an_order_in_which_they_can_run():
    judged = {"benchmarks": {"p": {"kind": "pairwise", "path": "p.jsonl", "rival": "base"}}, "judge": {"kind": "model"}}
    made = graph(a={"rounds": 3, "evaluation": judged, "train": {"trainer": "fake", "start_from": "previous"}})
    done: set[tuple[str, int]] = set()
    for stage, i in made.stages("a"):
        assert {(read.stage, read.i) for read in made.upstream("a", stage, i)} <= done, stage
        done.add((stage, i))


def test_a_hundred_rounds_are_no_deep_recursion():
    long = graph(a={"rounds": 100, "train": {"trainer": "fake", "start_from": "previous"}})
    assert long.result("a", "merge_model", 100) == "results/a/iter_100/identity.json"


def test_a_result_of_other_settings_in_another_run_s_folder_is_not_taken_for_an_equal_one():
    finish(graph(a={}, b={"seed": 7}), "b", "generate_prompts", 0)
    assert graph(a={}, b={}).owner("a", "generate_prompts", 0) == "a"


def test_a_run_that_has_begun_a_stage_goes_on_with_it():
    Path("results/b/d_0/.work/generate_prompts").mkdir(parents=True)
    both = graph(a={}, b={})
    assert [both.owner(run, "generate_prompts", 0) for run in "ab"] == ["b", "b"]


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"model": {"system": "x"}}, {"prompts": {"rows": 5}}, {"seeds": {"path": "other.jsonl"}},
     {"engine": {"name": "fake", "context_length": 4096}}],
)  # fmt: skip
def test_a_difference_upstream_is_never_shared(change):
    assert graph(a={}, b=change).result("b", "generate_prompts", 0).startswith("results/b/")


@pytest.mark.parametrize(
    "change", [{"rounds": 5}, {"engine": {"name": "fake", "max_num_seqs": 2}}, {"resources": {"train": {"gpus": 8}}}]
)
def test_what_decides_no_result_does_not_keep_runs_apart(change):
    assert graph(a={}, b=change).owner("b", "merge_model", 2) == "a"


def test_the_judge_and_the_start_follow_the_settings():
    one = graph(a={"assess": {"model": "current"}, "train": {"trainer": "fake", "start_from": "previous"}})
    assert upstream(one, "assess_outputs", 1) == [("filter_outputs", 1), ("merge_model", 1)]
    assert upstream(one, "train_adapter", 2) == [("select_data", 1), ("merge_model", 1)]
    base = graph(a={})
    assert upstream(base, "assess_outputs", 1) == [("filter_outputs", 1), ("identify_model", 0)]
    assert upstream(base, "train_adapter", 2) == [("select_data", 1), ("identify_model", 0)]


def test_a_finished_stage_keeps_its_shards_and_loses_nothing_with_their_folder():
    split = graph({"generate_outputs": 4}, a={})
    assert len(split.shards("a", "generate_outputs", 0)) == 4
    finish(split, "a", "generate_outputs", 0, shards=[{"seconds": 1.0, "gpus": 0}] * 3)
    assert graph({"generate_outputs": 4}, a={}).shards("a", "generate_outputs", 0) == []
    folder = Path("results/a/d_0/.shards/generate_outputs")
    folder.mkdir(parents=True)
    for shard in (1, 2, 3):
        (folder / f"shard-{shard}-of-3.done").touch()
    assert len(graph({"generate_outputs": 4}, a={}).shards("a", "generate_outputs", 0)) == 3


def test_a_stage_that_a_run_does_not_have_is_absent_and_its_rows_pass_by():
    bare = graph(a={"outputs": {"rules": ["none"]}, "assess": {"assessors": []}, "select": {"kind": "none"}})
    names = {stage for stage, _ in bare.stages("a")}
    assert not names & {"filter_outputs", "assess_outputs", "select_data"}
    assert bare.data("a", 0) == "results/a/d_0/outputs.jsonl"
    assert upstream(bare, "train_adapter", 1)[0] == ("generate_outputs", 0)
    unfiltered = graph(a={"outputs": {"rules": ["none"]}})
    assert upstream(unfiltered, "assess_outputs", 1)[0] == ("generate_outputs", 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"assess": {"assessors": []}}, "select: no stage before select_data adds the column 'quality'"),
        ({"select": {"kind": "top_k", "column": "nice"}}, "select: no stage before select_data adds the column 'nice'"),
    ],
)
def test_columns_that_no_stage_adds_are_refused_with_one_line(settings, message):
    made = graph(a=settings)
    with pytest.raises(UserError) as told:
        check_columns(made.table, made.config.runs["a"])
    assert str(told.value).startswith(message) and "\n" not in str(told.value)


def test_health_of_a_round_reads_the_rounds_before_and_the_first_probe():
    one = graph(a={})
    assert upstream(one, "measure_data", 2) == [
        *[("generate_outputs", 2), ("assess_outputs", 2), ("select_data", 2)],
        *[("select_data", 0), ("select_data", 1)],
        *[("probe_data", 2), ("probe_data", 0)] * 2,
    ]
    assert upstream(one, "measure_data", 0)[-1] == ("probe_data", 0)
    assert {"results/a/d_0/health.json", "results/a/d_1/health.json"} <= set(of_all(one))


def test_measures_that_are_left_out_leave_out_their_stages():
    def names(health: dict) -> set[str]:
        one = graph(a={"health": health})
        return {stage for stage, _ in one.stages("a")} & {"probe_data", "measure_data"}

    assert names({}) == {"probe_data", "measure_data"}
    assert names({"measures": ["scores"]}) == {"measure_data"}
    assert names({"measures": []}) == set()
    assert not any("health" in target for target in of_all(graph(a={"health": {"measures": []}})))


def test_a_training_that_an_alarm_may_stop_is_shared_only_with_runs_that_the_same_alarm_may_stop():
    stop = {"health": {"alarms": {"near_duplicates": {"action": "stop"}}}}
    warn = {"health": {"alarms": {"near_duplicates": {"at": 0.1}}}}
    runs = graph(a={}, b=warn, c=stop, d=stop)
    owners = [runs.result(run, "train_adapter", 1).split("/")[1] for run in "abcd"]
    assert owners == ["a", "a", "c", "c"]
    assert runs.result("c", "select_data", 0).startswith("results/a/")
    assert [runs.result(run, "probe_data", 0).split("/")[1] for run in "abcd"] == list("aaaa")
    assert [runs.result(run, "measure_data", 0).split("/")[1] for run in "abcd"] == ["a", "b", "c", "c"]


def test_the_last_model_of_every_run_is_a_target():
    assert {"results/a/iter_2/identity.json", "results/b/iter_2/identity.json"} < set(
        of_all(graph(a={}, b={"seed": 1}))
    )


def lose(*names: str) -> None:
    for name in names:
        Path("results/a", name).unlink()


def finish_all(made: Graph) -> None:
    for stage, i in made.stages("a"):
        finish(made, "a", stage, i, with_code=True)


def test_who_stands_does_not_wait_for_a_lost_file_and_who_lost_it_waits_for_what_it_reads():
    finish_all(graph(a={}))
    assert graph(a={}).reads("a", "train_adapter", 1, "selected") == ["results/a/d_0/selected.jsonl"]
    lose("d_0/selected.rejected.jsonl")
    made = graph(a={})
    assert made.remains.lost("a", "select_data", 0) and "results/a/d_0/selected.rejected.jsonl" in of_all(made)
    assert made.reads("a", "select_data", 0, "rows") == "results/a/d_0/evaluated.jsonl"
    assert made.reads("a", "train_adapter", 1, "selected") == []
    forced = Graph(made.config, ROOT, forced=lambda: True)
    assert forced.reads("a", "train_adapter", 1, "selected") == ["results/a/d_0/selected.jsonl"]
    changed = graph(a={"train": {"trainer": "fake", "epochs": 9}})
    assert changed.reads("a", "train_adapter", 1, "selected") == ["results/a/d_0/selected.jsonl"]
    upstream_changed = graph(a={"outputs": {"rules": ["empty"]}})
    assert upstream_changed.reads("a", "train_adapter", 1, "selected") == ["results/a/d_0/selected.jsonl"]


def test_a_deleted_model_is_waited_for_by_a_new_benchmark_alone():
    finish_all(graph(a={}))
    lose("iter_1/model")
    made = graph(a={})
    assert not any(target.endswith("iter_1/model") for target in of_all(made))
    assert made.awaits_model("a", "identify_model", 0) and not made.awaits_model("a", "generate_prompts", 1)
    extra = graph(a={"evaluation": {"benchmarks": {"heldout": {"limit": 3}}}})
    assert extra.awaits_model("a", "evaluate_model", 1) and not extra.awaits_model("a", "generate_prompts", 1)
    lose("iter_2/model")
    assert "results/a/iter_2/model" in of_all(graph(a={}))
