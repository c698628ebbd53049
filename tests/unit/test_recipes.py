"""Recipes: what each shows a model, what it keeps of the answers, and what reaches training."""

from __future__ import annotations

from pathlib import Path

import pytest

from isheep.config import load
from isheep.config.run import Run
from isheep.outputs import answers
from isheep.prompts.maker import PromptMaker
from isheep.serving.engines.base import Completion
from isheep.serving.engines.fake import FakeTemplate
from isheep.stages.table import table
from isheep.stages.train_adapter import data
from isheep.workflow.graph import check_columns

ROOT = Path(__file__).parents[2]
RECIPES = sorted(path.stem for path in (ROOT / "config/recipes").glob("*.yaml"))
ROW = {"id": "d0-000000-00", "instruction": "Name a tree.", "input": "in Norway"}


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    monkeypatch.chdir(ROOT)


def run_of(recipe: str, **changes: object) -> Run:
    return load({"runs": {"a": {"preset": "fake", "recipe": recipe, **changes}}}, ROOT).runs["a"]


def stages(run: Run) -> list[str]:
    return [stage.name for stage in table() if stage.present(run)]


def asked(run: Run, *rows: dict, plain: bool = True, round_number: int = 0):
    model_format = run.outputs.plain if plain else None
    return list(answers.requests(rows, run.outputs, FakeTemplate(), model_format, run.seed, round_number))


def read(run: Run, text: str, row: dict = ROW) -> list[dict]:
    done = Completion(row["id"], text, "stop", None, 5, 5)
    return answers.answer([row], run.outputs, lambda _: done, 0)[0]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_s_columns_close_and_its_prompts_can_be_asked_for(recipe):
    run = run_of(recipe)
    check_columns(table(), run)
    assert PromptMaker.of(run, 0).fewest_requests >= 1


def test_the_paper_s_run_asks_as_its_scripts_did():
    run = run_of("i_sheep_paper")
    request = PromptMaker.of(run, 1).request(0)
    assert request.prompt.add_special_tokens and request.prompt.text.endswith("### Task 6\nInstruction:")
    assert (request.sampling.temperature, request.sampling.top_p, request.sampling.max_tokens) == (1.0, 0.95, 1000)
    (first,) = asked(run, ROW)
    assert first.prompt.text == "Name a tree.\n\nin Norway\n"
    assert first.sampling.stop == ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    (later,) = asked(run, ROW, plain=False)
    assert "<|im_start|>user\nName a tree.\n\nin Norway<|im_end|>" in later.prompt.text


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("答案：答案： a pine ", "a pine"),
        ("答案: a pine", "a pine"),
        ("a pine 答案：", "a pine 答案："),
        ("答案：", ""),
    ],
)
def test_the_paper_s_opening_is_cut_off_as_often_as_it_stands_there(text, output):
    assert [row["output"] for row in read(run_of("i_sheep_paper"), text)] == [output]
    assert [row["output"] for row in read(run_of("i_sheep"), text)] == [text.strip()]


def test_the_paper_s_scores_are_drawn_and_its_training_is_capped():
    run = run_of("i_sheep_paper")
    assert [(judge.method, judge.sampling.temperature) for judge in run.assess.assessors] == [("sampled", 1.0)] * 2
    assert (run.assess.model, run.select.above) == ("base", {"quality": 8, "following": 8})
    assert (run.train.max_rows, run.train.start_from, run.rounds) == (3000, "base", 3)


@pytest.mark.parametrize(
    ("which", "rounds"),
    [("current", [[0], [1], [2]]), ("all", [[0], [0, 1], [0, 1, 2]]), ("last_two", [[0], [0, 1], [1, 2]])],
)
def test_which_rounds_train_a_model(which, rounds):
    run = run_of("i_sheep", train={"trainer": "fake", "data": which})
    assert [list(data(run, i)) for i in (1, 2, 3)] == rounds
    reads = [table()["train_adapter"].reads(table().at(run, i))["selected"] for i in (1, 2, 3)]
    assert [[read.i for read in each] for each in reads] == rounds
