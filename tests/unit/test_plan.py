"""What a run will take: sizes as published, fits and refusals, and times that finished runs correct."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from isheep.config import load
from isheep.config.resources import Need
from isheep.errors import UserError
from isheep.plan import fit, rates
from isheep.plan.estimate import learn, plan
from isheep.plan.rates import Learned, Machine, Taken
from isheep.plan.shape import GIB, PUBLISHED, Shape, of_config
from isheep.plan.text import render
from isheep.plan.work import Work, of_stage
from isheep.runner.portable import ROOT

QWEN_7B = {"layers": 32, "hidden": 4096, "heads": 32, "kv_heads": 32, "head_size": 128, "feed_forward": 11008}
SEVEN = Shape(**QWEN_7B, vocabulary=151936, tied=False)


def run(**settings):
    given = {"preset": "own-model", "recipe": "i_sheep", "rounds": 3, **settings}
    return load({"runs": {"a": given}}, ROOT).runs["a"]


def seven(**settings):
    return run(model={"hub": "Qwen/Qwen1.5-7B", "path": None, "chat_template": "config/prompts/chat.jinja"}, **settings)


@pytest.fixture(autouse=True)
def roomy(monkeypatch):
    """A disk with a tebibyte free, whatever this one has."""
    monkeypatch.setattr(fit.shutil, "disk_usage", lambda folder: SimpleNamespace(free=2**40))


# What is published of each: billions of weights, as counted from the weights' files. Of presets: test_presets.py.
@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("Qwen/Qwen1.5-0.5B", 0.464),
        ("SmolLM2-135M-Instruct.Q4_1", 0.1345),
        ("gemma-3-270m-q4_k_m", 0.268),
    ],
)
def test_sizes_follow_from_the_numbers_of_a_config(name, billions):
    shape = Shape(**yaml.safe_load((ROOT / PUBLISHED).read_text())[name])
    assert shape.parameters / 1e9 == pytest.approx(billions, rel=0.01)


def test_a_config_json_is_read_with_what_it_leaves_unsaid():
    config = {
        "num_hidden_layers": 2,
        "hidden_size": 8,
        "num_attention_heads": 4,
        "intermediate_size": 16,
        "vocab_size": 10,
    }
    assert of_config(config) == Shape(2, 8, 4, 4, 2, 16, 10)
    experts = {**config, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 6}
    shape = of_config({"text_config": experts})
    assert (shape.feed_forward, shape.experts, shape.active) == (6, 4, 2)
    assert shape.parameters - shape.used == 2 * 2 * 3 * 8 * 6  # two layers, two experts more
    assert of_config({"n_layer": 2}) is None


def test_memory_of_keys_and_values_and_of_an_adapter():
    assert SEVEN.cache_bytes("bfloat16") == 2 * 32 * 4096 * 2  # 0.5 MiB a token
    per_layer = 8 * (4 * (4096 + 4096) + 3 * (4096 + 11008))
    assert SEVEN.adapter_parameters(8) == 32 * per_layer
    whole, recomputed = (SEVEN.activation_bytes(1024, "bfloat16", again) for again in (False, True))
    assert whole == 32 * 34 * 4096 * 1024
    assert recomputed == 34 * 4096 * 1024 + 32 * 4096 * 1024 * 2


def test_an_engine_fits_where_weights_and_one_text_do_and_says_how_many_do():
    need = Need(gpus=1)
    settings = seven(engine={"dtype": "bfloat16", "context_length": 4096})
    there = fit.engine("x", "generate", SEVEN, settings, need, 80.0)
    assert there.fits and there.needs == pytest.approx(7.721e9 * 2 / GIB + 1.5 + 2, abs=0.1)
    assert f"of which {int((72 - there.needs + 2) / 2)} fit at once" in there.line
    too_small = fit.engine("x", "generate", SEVEN, seven(engine={"dtype": "float32"}), need, 24.0)
    assert too_small.refused and "DOES NOT FIT: raise resources.generate.gpus" in too_small.line
    assert fit.engine("x", "generate", SEVEN, settings, need, None).fits


def test_training_is_shared_out_by_zero_stage_3_alone():
    need, gpus = Need(gpus=8), {"processes": "gpus", "batch_size": 16, "dtype": "bfloat16"}
    alone = fit.training(SEVEN, seven(train={**gpus, "zero_stage": 2}), need, 80.0)
    shared = fit.training(SEVEN, seven(train={**gpus, "zero_stage": 3}), need, 80.0)
    assert alone.needs - shared.needs == pytest.approx(SEVEN.weights_gib("bfloat16") * 7 / 8)


def test_disk_for_all_models_is_told_and_refused_only_where_not_one_fits(tmp_path, monkeypatch):
    free = type("Usage", (), {"free": 40 * GIB})
    monkeypatch.setattr(fit.shutil, "disk_usage", lambda folder: free)
    some = fit.disk(SEVEN, seven(merge={"dtype": "bfloat16"}), 3, 0, tmp_path)
    assert not some.fits and not some.refused and some.needs > 3 * 14
    none = fit.disk(SEVEN, seven(merge={"dtype": "bfloat16"}), 3, 0, tmp_path)
    free.free = 10 * GIB
    assert fit.disk(SEVEN, seven(merge={"dtype": "bfloat16"}), 3, 0, tmp_path).refused and none.needs == some.needs


def test_a_run_that_cannot_fit_is_refused_with_the_numbers():
    small = {key: {"gpus": 0, "mem_gib": 16} for key in ("generate", "assess", "train", "merge")}
    with pytest.raises(UserError, match=r"generate_outputs: 31\.3 of 16\.0 GiB \(weights 28\.8; .*\); DOES NOT FIT"):
        plan("a", seven(resources=small)).refuse_if_it_cannot_fit()


def test_a_stage_that_asks_another_judge_is_planned_by_the_judges_size():
    judge = {"kind": "model", "model": {"hub": "meta-llama/Meta-Llama-3-70B"}}
    assess = {"model": "judge", "assessors": [{"kind": "judge"}]}
    own, judged = plan("a", seven()), plan("a", seven(assess=assess, evaluation={"judge": judge}))
    took = {line.stage: line.seconds for line in own.lines}
    takes = {line.stage: line.seconds for line in judged.lines}
    assert takes["assess_outputs"] > 2 * took["assess_outputs"]
    assert takes["generate_outputs"] == took["generate_outputs"]
    needs = {each.what: each.needs for each in judged.fits}
    assert needs["assess_outputs, by the judge"] > 4 * needs["probe_data"]
    assert "assess_outputs, probe_data" in {each.what for each in own.fits}


def test_requests_follow_settings():
    made = of_stage("generate_outputs", run(prompts={"rows": 100}, outputs={"samples": 4}), 0)
    assert made.requests == 400 and made.written == 400 * run().outputs.sampling.max_tokens // 2
    one, three = (of_stage("train_adapter", run(train={"data": data}), 3).trained for data in ("current", "all"))
    assert three == 3 * one > 0
    assert of_stage("filter_outputs", run(), 0) == Work()


def test_time_grows_with_tokens_and_falls_with_devices():
    settings, on = seven(engine={"dtype": "bfloat16"}), Machine("H100", True)
    some, twice = (
        rates.seconds("generate_outputs", Work(texts, 0, 1000 * texts), SEVEN, settings, Need(gpus=1), on)
        for texts in (1000, 2000)
    )
    start = rates.devices()["start_s"]["gpu"]
    assert twice - start == pytest.approx(2 * (some - start))
    shared = rates.seconds("generate_outputs", Work(1000, 0, 10**6), SEVEN, settings, Need(gpus=2), on)
    assert shared - start == pytest.approx((some - start) / 2)


def test_finished_runs_correct_the_time_and_tell_its_error():
    taken = [Taken(name, "assess_outputs", 100, 50) for name in "abc"]
    learned = Learned([*taken, Taken("a", "generate_outputs", 10, 20)])
    assert learned.correction("assess_outputs") == pytest.approx(0.5)
    assert learned.correction("train_adapter") == pytest.approx((0.5**3 * 2) ** 0.25)
    assert learned.error(2.5) == 1.2 and Learned().error(2.5) == 2.5
    scattered = Learned(
        [Taken(run, stage, 10, took) for run, took in (("a", 10), ("b", 20), ("c", 40)) for stage in "xy"]
    )
    assert scattered.correction("x") == pytest.approx(2.0) and scattered.correction("x", "c") == pytest.approx(4.0)
    assert scattered.error(9.0) == pytest.approx(2 ** (2 / 3) ** 0.5)
    few = Learned([each for each in scattered.taken if each.run != "c"])
    assert few.error(9.0) == 9.0  # however many stages two runs have


def test_records_of_a_run_teach(tmp_path):
    settings = run(preset="smollm2-135m-instruct", rounds=1, prompts={"rows": 48})
    folder = tmp_path / "mine"
    (folder / "d_0/records").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings.model_dump(mode="json")))

    def record(name: str, seconds: float, tokens: int) -> None:
        observed = {"seconds": seconds, "hardware": {"gpus": 0, "threads": 2}}
        made = {"stage": name, "round": 0, "tokens": {"completion": tokens}}
        (folder / f"d_0/records/{name}.json").write_text(json.dumps({"made": made, "observed": observed}))

    record("generate_outputs", 600.0, 9000)
    record("filter_outputs", 3.0, 0)
    (folder / "d_0/records/broken.json").write_text("{")
    learned = learn(tmp_path, gpu=False)
    assert [each[:2] for each in learned.taken] == [("mine", "generate_outputs")]
    assert not learn(tmp_path, gpu=True).taken
    (line,) = [each for each in plan("b", settings, learned=learned).lines if each.stage == "generate_outputs"]
    assert line.seconds == pytest.approx(600.0)


FILES = sorted(Path(ROOT, "config").glob("recipes/*.yaml")), sorted(Path(ROOT, "config").glob("models/*.yaml"))


@pytest.mark.parametrize("recipe", FILES[0], ids=lambda file: file.stem)
@pytest.mark.parametrize("preset", FILES[1], ids=lambda file: file.stem)
def test_every_recipe_on_every_preset_has_a_plan(recipe, preset):
    try:
        settings = run(preset=preset.stem, recipe=recipe.stem)
    except UserError:
        pytest.skip("they do not go together")
    made = plan("a", settings, gpu="A100")
    text = render(made)
    assert text.startswith("Plan of a: ") and (made.seconds or made.shape is None)
    assert "train_adapter" in text


def test_what_is_done_is_not_planned_again():
    left = plan("a", run(rounds=2), finished=lambda stage, i: (stage, i) != ("generate_outputs", 1))
    assert [(line.stage, line.rounds, line.jobs) for line in left.lines] == [("generate_outputs", 1, 1)]
    assert render(plan("a", run(), finished=lambda stage, i: True)).endswith(
        "nothing is left to ask a model: done, or shared with another run."
    )


def test_ten_thousand_prompts_on_cpus_are_warned_of():
    cpus = {key: {"gpus": 0, "mem_gib": 64} for key in ("generate", "assess", "train", "merge")}
    assert "NO GPU IS ASKED FOR" in render(plan("a", seven(resources=cpus)))
    assert "NO GPU IS ASKED FOR" not in render(plan("a", seven(), gpu="H100"))


def test_a_plan_says_how_many_rounds_a_budget_pays_for_and_refuses_one_that_pays_for_none():
    free = plan("a", seven(), gpu="H100")
    assert free.forecast is None and "Budget" not in render(free)
    whole = free.gpu_hours

    def under(hours: float, spent: float = 0.0):
        return plan("a", seven(budget={"gpu_hours": hours}), gpu="H100", spent={"gpu_hours": spent, "hours": spent})

    assert sum(each["gpu_hours"] for each in under(1).forecast.rounds.values()) == pytest.approx(whole)
    assert under(whole * 1.01).forecast.ends_before("gpu_hours") is None and "enough." in render(under(whole * 1.01))
    assert under(whole * 0.99).forecast.ends_before("gpu_hours") == 2
    assert "likely stops with iter_2" in render(under(whole * 0.99))
    assert under(whole * 1.01, spent=whole * 0.5).forecast.ends_before("gpu_hours") in (0, 1)
    first = under(1).forecast.rounds[0]["gpu_hours"]
    under(first / free.error * 1.01).refuse_if_it_cannot_fit()
    with pytest.raises(UserError, match=r"^runs\.a\.budget\.gpu_hours: .* raise it$"):
        under(first / free.error * 0.99).refuse_if_it_cannot_fit()
    under(first / free.error * 0.99, spent=first).refuse_if_it_cannot_fit()  # begun: it ends, whatever it takes
    with pytest.raises(UserError, match="no job asks for a GPU"):
        load({"runs": {"a": {"preset": "fake", "budget": {"gpu_hours": 1}}}}, ROOT)
