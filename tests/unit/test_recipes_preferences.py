"""The recipes that train on pairs: what models are shown, which pairs come of it, and what the trainer sees of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_llama
from pairing import made

from isheep.config import load
from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.outputs.answers import requests, sampled
from isheep.pairs.kinds.seed_answers import EMPTY
from isheep.prompts.maker import PromptMaker, first_wave, first_wave_of_shard, gather
from isheep.serving import chat
from isheep.serving.addressee import Addressee
from isheep.serving.engines.base import Score
from isheep.serving.engines.fake import FakeTemplate
from isheep.stages.table import table
from isheep.training.objective import objective_of

ROOT = Path(__file__).parents[2]
TASK = {"id": "d0-000000-00", "round": 0, "seeds": ["x"], "instruction": "Name a sea.", "input": ""}
MODEL = Addressee(FakeTemplate(), None, lambda request: sum(request.encode()), ROOT)
RECIPES = {"self_rewarding": 4, "salmon": 2, "spin": 1}


def settings(recipe: str, **changes):
    run = {"preset": "fake", "recipe": recipe, "seeds": {"path": "config/seeds/isheep.jsonl"}, **changes}
    return load({"runs": {"a": run}}, ROOT).runs["a"]


@pytest.fixture(autouse=True)
def _at_home(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(("recipe", "samples"), RECIPES.items())
def test_each_prompt_is_asked_as_often_as_the_recipe_says_from_seeds_of_its_own(recipe, samples):
    run = settings(recipe)
    wanted = list(requests(sampled([TASK], run.outputs.samples), run.outputs, FakeTemplate(), None, 1, 0))
    assert len(wanted) == samples == len({request.seed for request in wanted}) == len({one.id for one in wanted})
    assert {request.prompt.text for request in wanted} == {
        "<|im_start|>user\nName a sea.<|im_end|>\n<|im_start|>assistant\n"
    }
    assert all(request.sampling.temperature > 0 for request in wanted)


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_go_on_from_the_merged_model_before_by_a_new_adapter(recipe):
    run = settings(recipe)
    assert (run.train.objective, run.train.start_from) == ("dpo", "previous")
    assert not run.select.columns and run.pairs.present
    if recipe == "self_rewarding":
        assert run.assess.model == "current" and run.pairs.needs[1] in [one.name for one in run.assess.assessors]
    else:
        assert run.assess.assessors == ()
    assert run.pairs.asks == ("current" if recipe == "salmon" else None)


def answered(run, *outputs: str) -> list[Row]:
    rows = list(sampled([{**TASK, "seeds": [seeds(run)[0].id]}], run.outputs.samples))
    return [{**row, "output": text} for row, text in zip(rows, outputs, strict=True)]


def seeds(run):
    return PromptMaker.of(run, 0).seeds


def pairs_of(recipe: str) -> Row:
    """Return the one pair that a recipe makes of some answers."""
    if recipe == "self_rewarding":
        run = settings(recipe, pairs={"floor": 1})
        rows = answered(run, "Me.", "The North Sea.", "A sea.", "Rome.")
        scored = [{**row, "quality": score} for row, score in zip(rows, (2.0, 9.5, 7.0, 1.5), strict=True)]
        return made(run.pairs, scored, model=MODEL)[0][0]
    if recipe == "salmon":
        run = settings(recipe, pairs={"floor": 1, "negate": 0.0})
        rows = answered(run, "Rome.", "The North Sea.")
        candidates = run.pairs.candidates(rows, run)
        shown = {request.id: request.prompt.text for request in run.pairs.scorings(candidates, MODEL)}
        assert len(shown) == 2 * run.pairs.per_pair

        def result(id: str) -> Score:
            sea_is_a = shown[id].index("North Sea") < shown[id].index("Rome")
            return Score(id, (-0.5, -2.0) if sea_is_a else (-2.0, -0.5), (1, 1))

        return made(run.pairs, rows, result, MODEL)[0][0]
    run = settings(recipe, pairs={"floor": 1})
    rows = answered(run, "Rome.")
    return made(run.pairs, rows, model=MODEL, run=run)[0][0]


@pytest.mark.parametrize(
    ("recipe", "chosen", "rejected"),
    [("self_rewarding", "The North Sea.", "Rome."), ("salmon", "The North Sea.", "Rome."), ("spin", None, "Rome.")],
)
def test_the_trainer_sees_the_prompt_with_the_better_and_the_worse_answer(recipe, chosen, rejected, tmp_path):
    run = settings(recipe)
    chosen = chosen or seeds(run)[0].output
    pair = pairs_of(recipe)
    tiny_llama.save_tokenizer(tmp_path)
    template = chat.load_template(tmp_path, tiny_llama.MODEL)
    encoded = objective_of(run.train).encode(template, pair, 4096)
    say = template.tokenizer.decode
    prompt = "<|endoftext|>### User\nName a sea.\n\n### Assistant\n"
    assert say(encoded.chosen.input_ids) == f"{prompt}{chosen}<|im_end|>"
    assert say(encoded.rejected.input_ids) == f"{prompt}{rejected}<|im_end|>"
    assert say([token for token in encoded.rejected.labels if token >= 0]) == f"{rejected}<|im_end|>"


def test_spin_s_prompts_are_the_seeds_and_nothing_is_asked_for_them():
    run = settings("spin", prompts={"rows": 3})
    maker = PromptMaker.of(run, 1)
    assert first_wave(maker) == 0 and [*first_wave_of_shard(maker, 0, 2)] == []
    made = gather(maker, lambda wave: pytest.fail("a model was asked"), [{"id": "d0", "instruction": "x"}])
    assert [row["instruction"] for row in made.rows] == [seed.instruction for seed in maker.seeds[:3]]
    assert [row["seeds"] for row in made.rows] == [[seed.id] for seed in maker.seeds[:3]]
    assert [row["id"] for row in made.rows] == ["d1-000000-00", "d1-000001-00", "d1-000002-00"]


def test_a_seed_without_an_answer_makes_no_pair(tmp_path):
    (tmp_path / "seeds.jsonl").write_text('{"id": "a", "instruction": "Name a sea.", "output": ""}\n')
    run = settings("spin", pairs={"floor": 1}, seeds={"path": str(tmp_path / "seeds.jsonl")})
    rows = [{**TASK, "seeds": ["a"], "output": "Rome."}]
    (candidate,) = run.pairs.candidates(rows, run)
    (decision,) = run.pairs.decide([candidate], MODEL, lambda _: None)
    assert (decision.better, decision.rule) == (None, EMPTY)


@pytest.mark.parametrize("changes", [{"recipe": "salmon", "pairs": {"judge": "judge"}}, {"assess": {"model": "judge"}}])
def test_another_judge_is_the_evaluation_s_own_and_refused_where_that_has_none(changes):
    with pytest.raises(UserError, match=r"judge is a model of its own: set evaluation\.judge"):
        load({"runs": {"a": {"preset": "fake", "recipe": "i_sheep", **changes}}}, ROOT)
    judge = {"evaluation": {"judge": {"kind": "model", "model": {"path": "elsewhere", "chat": False}}}}
    run = load({"runs": {"a": {"preset": "fake", "recipe": "i_sheep", **changes, **judge}}}, ROOT).runs["a"]
    (stage,) = (table()[name] for name in ("assess_outputs", "pair_answers") if table()[name].runs(run, 1) is None)
    assert stage.present(run) and table()["identify_judge"].present(run)
    assert [read.stage for read in stage.upstream(table().at(run, 1))].count("identify_judge") == 1
    assert stage.derives(run)["judge"]["model"]["chat"] is False and run.plain_for(None) == run.outputs.plain
