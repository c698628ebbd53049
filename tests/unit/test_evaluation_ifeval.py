from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from exams import load, made, score_all

from isheep.errors import UserError
from isheep.evaluation import instructions
from isheep.evaluation.base import Floor, Item, said
from isheep.evaluation.instructions import checkers, echoes, followed, punkt_folder
from isheep.evaluation.kinds.ifeval import ECHO, Ifeval

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
CONSTRAINTS = ROOT / "config" / "evaluation" / "constraints.jsonl"


@pytest.fixture(scope="module")
def punkt():
    import nltk

    checkers()
    try:
        nltk.data.find(f"{instructions.PUNKT}/")
    except LookupError:
        pytest.skip("nltk's punkt_tab is not installed")


def item(*instructions, prompt="Write."):
    names, settings = [name for name, _ in instructions], [dict(given) for _, given in instructions]
    return Item("1", {"prompt": prompt, "instructions": names, "kwargs": settings})


NO_COMMA = ("punctuation:no_comma", {})
TITLE = ("detectable_format:title", {})
BULLETS = ("detectable_format:number_bullet_lists", {"num_bullets": 2})


@pytest.mark.parametrize(
    ("instruction", "response", "strict", "loose"),
    [
        (NO_COMMA, "One and two", True, True),
        (NO_COMMA, "One, two", False, False),
        (NO_COMMA, "Sure, here it is:\nOne and two", False, True),
        (NO_COMMA, "One and two\nYours, me", False, True),
        (NO_COMMA, "a,\nb\nc,", False, True),
        (NO_COMMA, " \n", False, False),
        (TITLE, "<<Song>>\nla", True, True),
        (BULLETS, "* one\n* two", True, True),
        (BULLETS, "* one\n* two\n* three", False, True),
        (("startend:quotation", {}), '"quoted"', True, True),
        (("startend:quotation", {}), '**"quoted"**', False, True),
        (("keywords:existence", {"keywords": ["lake"]}), "The Lakes", True, True),
        (("keywords:forbidden_words", {"forbidden_words": ["lake"]}), "The Lakes", True, True),
        (("keywords:frequency", {"keyword": "ho", "frequency": 3, "relation": "at least"}), "Hohoho", True, True),
        (("length_constraints:number_words", {"num_words": 3, "relation": "less than"}), "two words", True, True),
        (("detectable_format:json_format", {}), '```json\n{"a": 1}\n```', True, True),
        (("change_case:english_lowercase", {}), "this is a plain english sentence", True, True),
        (("language:response_language", {"language": "de"}), "Das ist ein ganz gewöhnlicher Satz.", True, True),
        (("keywords:existence", {"keywords": ["lake"], "num_words": None}), "lake", True, True),
    ],
)
def test_an_instruction_is_followed_strictly_or_loosely(instruction, response, strict, loose):
    assert followed(item(instruction), response) == ([strict], [loose])


@pytest.mark.parametrize(("response", "hit"), [("#a #b #c #d", True), ("#a #b and many letters aaaa", False)])
def test_signs_are_counted_as_themselves_and_never_as_a_random_letter(response, hit):
    hashes = ("keywords:letter_frequency", {"letter": "#", "let_frequency": 4, "let_relation": "at least"})
    assert [followed(item(hashes), response)[0] for _ in range(20)] == [[hit]] * 20


def test_the_four_accuracies_are_a_prompt_mean_and_a_pooled_mean():
    rows = [
        {"id": "a", "instructions": ["x", "y", "z"], "strict": [1, 0, 0], "loose": [1, 1, 1], "echo": False},
        {"id": "b", "instructions": ["x"], "strict": [1], "loose": [1], "echo": True},
    ]
    values = {name: metric.value for name, metric in made(Ifeval).summarise(rows).items()}
    assert values == {
        "prompt_strict": 0.5,
        "instruction_strict": 0.5,
        "prompt_loose": 1.0,
        "instruction_loose": 1.0,
        "echo": 0.5,
    }
    groups = made(Ifeval).groups(rows)
    assert groups["x"]["instruction_strict"].value == 1 and groups["x"]["instruction_strict"].n == 2
    assert groups["y"]["instruction_strict"].value == 0 and groups["y"]["instruction_loose"].value == 1


def test_an_echo_is_the_prompt_at_the_start_unless_it_was_asked_for():
    assert echoes(item(NO_COMMA, prompt="Write a  Poem."), "write a poem.\nRoses") is True
    assert echoes(item(NO_COMMA, prompt="Write a poem."), "A poem: write a poem.") is False
    rows = [{"id": "a", "instructions": [ECHO], "strict": [True], "loose": [True], "echo": True}]
    assert made(Ifeval).summarise(rows)["echo"].n == 0


def test_langdetect_is_seeded():
    import langdetect

    checkers()
    assert len({langdetect.detect("Hello world") for _ in range(10)}) == 1


def test_the_checkers_never_download(monkeypatch):
    import nltk

    def refuse(*arguments, **options):
        raise AssertionError("tried to download")

    for name in [name for name in sys.modules if name.startswith("lm_eval.tasks.ifeval")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(nltk, "download", refuse)
    monkeypatch.setattr(nltk.data, "path", [])
    checkers.__wrapped__()
    assert nltk.download is refuse


def test_missing_punkt_is_one_clear_line(monkeypatch, tmp_path):
    import nltk

    checkers()
    monkeypatch.setattr(nltk.data, "path", [])
    path = tmp_path / "p.jsonl"
    sentences = {"num_sentences": 3, "relation": "at least"}
    row = {"key": 1, "prompt": "x", "instruction_id_list": [instructions.NEED_PUNKT[0]], "kwargs": [sentences]}
    path.write_text(json.dumps(row))
    with pytest.raises(UserError, match="pip install --no-deps llama-index-core"):
        load(Ifeval, path)
    row |= {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    path.write_text(json.dumps(row))
    assert len(load(Ifeval, path)) == 1


def test_punkt_is_taken_from_the_package_that_carries_it(monkeypatch, tmp_path):
    class Distribution:
        def locate_file(self, inside):
            return tmp_path / inside

    monkeypatch.setattr(instructions, "distribution", lambda name: Distribution())
    assert punkt_folder() is None
    folder = tmp_path / instructions.PUNKT_PACKAGE[1]
    (folder / instructions.PUNKT).mkdir(parents=True)
    assert punkt_folder() == folder


@pytest.mark.parametrize(
    ("instructions", "settings", "message"),
    [
        (["punctuation:no_colon"], [{}], ":1: no checker for the instruction punctuation:no_colon"),
        ([], [], ":1: no checker for the instruction"),
        (["punctuation:no_comma"], [], ":1: kwargs must be a list of one object for each"),
        (["keywords:existence"], [{}], ":1: keywords:existence needs a proper 'keywords', has None"),
        (["keywords:existence"], [{"words": ["x"]}], ":1: keywords:existence cannot take"),
        (["detectable_format:number_bullet_lists"], [{"num_bullets": -2}], "needs a proper 'num_bullets', has -2"),
        (
            ["keywords:frequency"],
            [{"keyword": "x", "frequency": 2, "relation": "exactly"}],
            ":1: keywords:frequency cannot take",
        ),
        (
            ["keywords:letter_frequency"],
            [{"letter": "ab", "let_frequency": 1, "let_relation": "at least"}],
            "needs a proper 'letter', has 'ab'",
        ),
    ],
)
def test_a_constraint_that_no_checker_can_check_is_named_before_any_model_runs(
    tmp_path, instructions, settings, message
):
    row = {"key": 1, "prompt": "x", "instruction_id_list": instructions, "kwargs": settings}
    (tmp_path / "p.jsonl").write_text(json.dumps(row))
    with pytest.raises(UserError, match=message):
        load(Ifeval, tmp_path / "p.jsonl")


def test_the_prompt_is_answered_greedily_once():
    (ask,) = made(Ifeval, max_tokens=99).requests(item(NO_COMMA), {})
    assert ask.last == "Write." and ask.sampling.temperature == 0 and ask.sampling.max_tokens == 99
    assert made(Ifeval).requests(item(NO_COMMA), {"answer": said("x")}) == []


@pytest.mark.usefixtures("punkt")
def test_sentences_and_capital_words_are_counted():
    three = ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "at least"})
    assert followed(item(three), "One here. Two, e.g. this. Three!")[0] == [True]
    assert followed(item(three), "One. Two.")[0] == [False]
    capitals = ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "less than"})
    assert followed(item(capitals), "ONE word")[0] == [True] and followed(item(capitals), "TWO WORDS")[0] == [False]


@pytest.mark.usefixtures("punkt")
def test_the_own_constraints_have_a_floor_of_zero_and_a_ceiling_of_one():
    benchmark = made(Ifeval, name="constraints")
    items = load(Ifeval, CONSTRAINTS)
    references = {str(row["key"]): row["reference"] for row in map(json.loads, CONSTRAINTS.open())}
    assert len(items) >= 60
    ceiling = benchmark.summarise(
        [{"id": i.id, **benchmark.score(i, {"answer": said(references[i.id])})} for i in items]
    )
    assert ceiling["prompt_strict"].value == ceiling["instruction_loose"].value == 1
    empty = benchmark.summarise(score_all(Floor(benchmark, "empty"), items, {}))
    assert empty["instruction_loose"].value == 0 and empty["echo"].value == 0


# The whole file -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prompts(punkt):
    if not DATA.is_dir():
        pytest.skip("no ../shared/data beside the repository")
    return load(Ifeval, DATA / "ifeval_input_data.jsonl")


def percent(rows):
    metrics = made(Ifeval).summarise(rows)
    return {name: round(100 * metric.value, 2) for name, metric in metrics.items() if name != "echo"}


@pytest.mark.parametrize(
    ("floor", "strict", "instructions", "loose", "loose_instructions"),
    [
        ("empty", 0.0, 0.0, 0.0, 0.0),
        ("lol", 11.46, 22.90, 11.46, 22.90),
        # With lm-eval's random letters for "#" and "!" up to two instructions more, by chance.
        ("echo", 24.77, 35.97, 29.76, 41.01),
    ],
)
def test_floors_of_the_541_prompts_are_those_of_the_reference(
    prompts, floor, strict, instructions, loose, loose_instructions
):
    assert len(prompts) == 541 and sum(len(item.fields["instructions"]) for item in prompts) == 834
    rows = score_all(Floor(made(Ifeval), floor), prompts, {})
    assert percent(rows) == {
        "prompt_strict": strict,
        "instruction_strict": instructions,
        "prompt_loose": loose,
        "instruction_loose": loose_instructions,
    }
    assert made(Ifeval).summarise(rows)["echo"].value == float(floor == "echo")
    for metrics in made(Ifeval).groups(rows).values():
        assert metrics["instruction_strict"].value <= metrics["instruction_loose"].value


def test_floor_of_a_loop_and_the_same_numbers_twice(prompts):
    rows = [{"id": item.id, **made(Ifeval).score(item, {"answer": said("the " * 400)})} for item in prompts]
    assert percent(rows) == {
        "prompt_strict": 15.16,
        "instruction_strict": 28.30,
        "prompt_loose": 15.16,
        "instruction_loose": 28.30,
    }
    assert rows == [{"id": item.id, **made(Ifeval).score(item, {"answer": said("the " * 400)})} for item in prompts]
    assert len(made(Ifeval).groups(rows)) == 25


def test_checkers_leave_no_half_imported_package_behind():
    code = (
        "from isheep.evaluation.instructions import checkers; known = checkers(); import sys;"
        "assert not {'scipy', 'sklearn', 'datasets'} & set(sys.modules);"
        "from lm_eval.tasks.ifeval import instructions_registry, utils; from lm_eval.tasks import TaskManager;"
        "assert set(instructions_registry.INSTRUCTION_DICT) == set(known); import scipy.stats"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
