"""Recipes: what each shows a model, what it keeps of the answers, and what reaches training."""

from __future__ import annotations

from pathlib import Path

import pytest

from isheep.config import load
from isheep.config.run import Run
from isheep.errors import UserError
from isheep.filters.registry import resolve
from isheep.outputs import answers
from isheep.prompts import classification
from isheep.prompts.maker import PromptMaker, gather
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
    return answers.answer([row], run.outputs, lambda _: done, 0).parted()[0]


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


def test_self_instruct_shows_its_own_prompts_only_after_the_first_wave():
    maker = PromptMaker.of(run_of("self_instruct"), 0)
    assert maker.source.per_wave == 64
    first = maker.request(3)
    assert first.prompt.text.endswith("\n9.") and first.sampling.stop == ("\n\n", "\n16.")
    assert (first.sampling.temperature, first.sampling.top_p) == (0.7, 0.5)
    assert sum(line.partition(".")[0].isdigit() for line in first.prompt.text.splitlines()) == 9
    made = [{"id": f"own-{number}", "instruction": f"Own task {number}."} for number in range(20)]
    wave = maker.after(made)
    shown = maker.source.shown(3, wave)
    assert sum(id.startswith("own-") for id, _ in shown) == 2 and len(shown) == 8
    assert shown == maker.source.shown(3, maker.after(made)) != maker.source.shown(4, wave)
    later = maker.source.request(3, wave).prompt.text
    assert all(f". {instruction}\n" in later for id, instruction in shown if id.startswith("own-"))


def test_self_instruct_reads_a_list_and_marks_what_the_limit_cut():
    maker = PromptMaker.of(run_of("self_instruct"), 0)
    text = " Name a\tsea.\n10. Count to\n  ten.\n11. Wri"
    for reason, last in (("length", "unfinished"), ("stop", None)):
        found = list(maker.candidates(0, Completion("d0-000000", text, reason, None, 1, 1)))
        assert [(row["instruction"], why) for row, why in found] == [
            ("Name a sea.", None),
            ("Count to ten.", None),
            ("Wri", last),
        ]
        assert all(row["input"] == "" and len(row["seeds"]) == 8 for row, _ in found)


def test_self_instruct_asks_for_the_label_first_where_answers_are_few():
    run = run_of("self_instruct")
    few, many = asked(run, {**ROW, "is_classification": True}, {**ROW, "id": "x", "is_classification": False})
    assert few.prompt.text.endswith("Task: Name a tree.\nClass label:")
    assert many.prompt.text.endswith("Task: Name a tree.\nExample 1\n")
    assert (few.prompt.text.count("Task:"), many.prompt.text.count("Task:")) == (17, 12)
    assert many.sampling.stop == ("\nTask:", "\nExample 6") and many.sampling.temperature == 0


LABELS = " Big\nInput: a whale\nClass label: Small\nInput: a mouse"
PAIRS = "Input: 2\nOutput: two\nExample 2\nInput: <noinput>\nOutput: none\nExample 3\nInput: 2\nOutput: two"


@pytest.mark.parametrize(
    ("label_first", "text", "expected"),
    [
        (True, LABELS, [("a whale", "Big", None), ("a mouse", "Small", None)]),
        (True, " Big", [("", "Big", None)]),
        (False, PAIRS, [("2", "two", None), ("", "none", None), ("2", "two", "repeated")]),
        (
            False,
            "Input: 2\nOutput: two\nExample 2\nInput: 2\nOutput: deux",
            [("2", "two", "contradicted"), ("2", "deux", "contradicted")],
        ),
        (False, "no form at all", [("in Norway", "", "none")]),
        (False, "Output: a: b\nOutput: c", [("", "a: b\nOutput: c", None)]),
    ],
)
def test_self_instruct_reads_several_instances_from_one_completion(label_first, text, expected):
    row = {**ROW, "is_classification": label_first}
    rows = read(run_of("self_instruct"), text, row)
    assert [(each["input"], each["output"], each["unusable"]) for each in rows] == expected
    ids = [each["id"] for each in rows]
    assert ids == ([ROW["id"]] if len(rows) == 1 else [f"{ROW['id']}/{n}" for n in range(1, len(rows) + 1)])
    assert sum(each["output_tokens"] for each in rows) == 5, "tokens of one completion are counted once"


def test_self_instruct_has_no_assessment_and_drops_instances_by_name():
    run = run_of("self_instruct")
    assert not {"assess_outputs", "select_data"} & set(stages(run)) and "classify_prompts" in stages(run)
    assert run.rounds == 1
    row = {**ROW, "is_classification": False}
    rows = read(run, "Input: 2\nOutput: 2\nExample 2\nInput: x:\nOutput: y\nExample 3\nInput: 4\nOutput: four", row)
    kept, rejected, _ = answers.filter_rows(rows, resolve("outputs", run.outputs.rules), 0).parted()
    assert [each["rule"] for each in rejected] == ["output_is_input", "ends_in_colon"]
    assert [each["output"] for each in kept] == ["four"]


def test_instances_without_the_classification_of_prompts_are_refused():
    with pytest.raises(UserError, match="no stage before generate_outputs adds the column 'is_classification'"):
        check_columns(table(), run_of("self_instruct", classify={"examples": None}))


def test_classification_is_asked_after_31_examples_and_only_yes_means_yes():
    examples = classification.read_examples(ROOT / "config/prompts/classification.jsonl")
    assert len(examples) == 31
    (request,) = classification.requests([ROW], examples, ())
    assert request.prompt.text.count("\nFixed answers (yes or no): ") == 31
    assert request.prompt.text.endswith("Task: Name a tree.\nFixed answers (yes or no):")
    said = {" Yes.": True, "yes": True, " no": False, "maybe yes": False, "": False}
    done = {text: classification.is_classification(Completion("", text, "stop", None, 1, 1)) for text in said}
    assert done == said


def test_a_pool_s_parts_are_disjoint_and_cover_it(tmp_path):
    pool = tmp_path / "pool.csv"
    pool.write_text("prompt,context\n" + "".join(f"{word} {word} {word},in {word}\n" for word in WORDS))
    settings = {"prompts": {"kind": "pool", "path": str(pool), "parts": 3, "rows": 50}}
    run = run_of("soft", **settings)
    rows = [gather(PromptMaker.of(run, i), lambda _: pytest.fail("asked"), []).rows for i in range(3)]
    assert [[row["input"] for row in part] for part in rows] == [[f"in {w}" for w in WORDS[i::3]] for i in range(3)]
    ids = [row["id"] for part in rows for row in part]
    assert len(set(ids)) == len(WORDS)
    with pytest.raises(UserError, match="99 parts of 7 prompts"):
        PromptMaker.of(run_of("soft", prompts={**settings["prompts"], "parts": 99}), 0)
    with pytest.raises(UserError, match=r"prompts.parts \(3\) is less than rounds \(4\)"):
        run_of("soft", rounds=4, **settings)


WORDS = ["seven", "oak", "whale", "night", "bread", "river", "stone"]


@pytest.mark.parametrize("plain", [True, False])
def test_soft_s_teacher_sees_fresh_demonstrations_and_its_student_none(plain):
    run = run_of("soft")
    rows = [{**ROW, "id": f"d0-{number}"} for number in range(4)]
    requests = asked(run, *rows, plain=plain)
    texts = [request.prompt.text for request in requests]
    assert len(set(texts)) == 4 and texts == [request.prompt.text for request in asked(run, *rows, plain=plain)]
    assert all(text.count("Response:" if plain else "<|im_start|>user") == 4 for text in texts)
    same = {request.prompt.text for request in asked(run_of("soft", outputs={"choice": "fixed"}), *rows, plain=plain)}
    assert len(same) == 1
    (row,) = read(run, "An oak.")
    assert (row["instruction"], row["input"], row["output"]) == (ROW["instruction"], ROW["input"], "An oak.")


def test_the_nearest_demonstrations_are_shown_the_nearest_next_to_the_prompt():
    run = run_of("soft", outputs={"choice": "nearest", "shots": 2})
    assert "match_demonstrations" in stages(run) and "match_demonstrations" not in stages(run_of("soft"))
    check_columns(table(), run)
    (request,) = asked(run, {**ROW, "nearest": ["writing-002", "writing-001"]})
    places = [request.prompt.text.index(text) for text in ("neighbour's door", "lighthouse keeper", "Name a tree.")]
    assert places == sorted(places)


def test_soft_plus_trains_from_easy_to_hard_and_a_shuffled_order_is_refused():
    run = run_of("soft_plus")
    assert stages(run)[:6] == [
        *("identify_model", "generate_prompts", "generate_outputs", "filter_outputs", "assess_outputs", "order_data")
    ]
    assert (run.order.by, run.train.order, run.assess.model) == ("perplexity", "file", "current")
    with pytest.raises(UserError, match=r"set train\.order: file"):
        run_of("soft_plus", train={"order": "shuffled"})


@pytest.mark.parametrize(("who", "models"), [("base", [0, 0]), ("current", [0, 1])])
def test_the_teacher_is_the_base_or_the_previous_model(who, models):
    run = run_of("soft", outputs={"model": who})
    assert [table()["generate_outputs"].model(run, i) for i in (0, 1)] == models
