from __future__ import annotations

import gzip
import json

import pytest
from exams import load, score_all

from isheep.config.evaluation import KINDS
from isheep.config.kinds import kinds
from isheep.config.plain import Plain
from isheep.errors import UserError
from isheep.evaluation import files
from isheep.evaluation import stage as asking
from isheep.evaluation.base import FLOORS, Ask, Asked, Floor, Item, answered, mean, ratio, said
from isheep.evaluation.kinds.heldout import Heldout
from isheep.serving.engines.base import Completion, Prompt, Request, Sampling, ScoreRequest

TURNS = (
    {"role": "user", "content": "Name a bird {prompt}."},
    {"role": "assistant", "content": "A wren."},
    {"role": "user", "content": "Another."},
)


class Brackets:
    control_tokens = ()
    end_of_turn = "<end>"
    seam = ""

    def render(self, messages):
        return Prompt("".join(f"[{turn['role']}]{turn['content']}" for turn in messages), add_special_tokens=False)


class TwoTurns:
    """Asks twice, the second time about the first answer, then a judge; counts letters."""

    name = "two"

    def requests(self, item, answers):
        if "one" not in answers:
            return [Ask("one", ({"role": "user", "content": item.fields["text"]},), sampling=Sampling(0, 1, 8))]
        if "two" not in answers:
            return [Ask("two", ({"role": "user", "content": answers["one"].text},), continuations=("yes", "no!"))]
        return [Ask("judge", text="?", sampling=Sampling(0, 1, 8), to="judge")] if "judge" not in answers else []

    def score(self, item, answers):
        return {"letters": len(answers["one"].text), "likelihoods": list(answers["two"].log_likelihoods)}

    def summarise(self, rows):
        return {"letters": mean(rows, "letters", "letters")}


def test_a_conversation_goes_through_the_template():
    prompt = Ask("a", TURNS).prompt(Brackets(), Plain())
    assert prompt == Prompt("[user]Name a bird {prompt}.[assistant]A wren.[user]Another.", add_special_tokens=False)


@pytest.mark.parametrize(
    ("plain", "shown"), [(None, ["template", "template", None]), (Plain(), [None, "template", None])]
)
def test_a_benchmark_is_asked_in_each_models_own_format_or_in_one(plain, shown):
    formats = [Heldout(kind="heldout", path="x", format=format) for format in ("own", "template", "plain")]
    loaded = {benchmark.format: asking.Loaded(benchmark, []) for benchmark in formats}
    template_of = asking.templates(loaded, "template", plain)
    asked = [Asked(f"{name}/item/key", Ask("key", TURNS)) for name in loaded]
    assert [template_of(question) for question in asked] == shown


def test_without_a_template_a_conversation_is_a_row_of_plain_blocks():
    plain = Plain(text="Q: {prompt}\nA:", stop=("\nQ:",))
    request = Ask("a", TURNS, sampling=Sampling(0, 1, 8, ("END",))).request("id", None, plain, 7)
    assert request.prompt == Prompt("Q: Name a bird {prompt}.\nA: A wren.\n\nQ: Another.\nA:", add_special_tokens=True)
    assert isinstance(request, Request) and request.sampling.stop == ("END", "\nQ:") and request.seed == 7


def test_plain_text_is_shown_as_it_stands_with_its_own_stops():
    request = Ask("a", text="def f():", sampling=Sampling(0, 1, 8, ("\ndef",))).request("id", Brackets(), Plain(), 0)
    assert request.prompt == Prompt("def f():", add_special_tokens=True) and request.sampling.stop == ("\ndef",)


def test_continuations_make_a_score_request():
    request = Ask("a", TURNS, continuations=("x", "y")).request("id", Brackets(), Plain(), 0)
    assert isinstance(request, ScoreRequest) and request.continuations == ("x", "y")


def test_continuations_stand_apart_from_a_prompt_that_ends_in_a_word():
    template = Brackets()
    template.seam = " "
    assert Ask("a", TURNS, continuations=("x",)).request("id", template, Plain(), 0).continuations == (" x",)
    assert Ask("a", TURNS, continuations=("x",)).request("id", None, Plain(), 0).continuations == (" x",)
    assert Ask("a", text="abc", continuations=("x",)).request("id", template, Plain(), 0).continuations == ("x",)


def test_a_ratio_pools_and_leaves_out_what_does_not_count():
    metric = ratio([("a", 1, 2), ("b", 3, 4), ("c", 9, 0)])
    assert (metric.value, metric.n) == (4 / 6, 2)
    assert metric.terms == {"a": (1.0, 2.0), "b": (3.0, 4.0)}
    assert ratio([]).value is None


def test_a_mean_leaves_out_missing_measures():
    metric = mean([{"id": "a", "x": 1.0}, {"id": "b", "x": None}, {"id": "c", "x": 0.0}], "x")
    assert (metric.value, metric.n) == (0.5, 2)


def test_answers_are_asked_for_wave_by_wave_until_only_the_judge_is_left():
    asked = []

    def reply(ask):
        asked.append(ask.key)
        return (
            None if ask.to == "judge" else (said("abc") if ask.key == "one" else Completion("", "", "stop", None, 0, 0))
        )

    known = answered(TwoTurns(), Item("i", {"text": "hello"}), {}, reply)
    assert list(known) == ["one", "two"] and asked == ["one", "two", "judge"]


@pytest.mark.parametrize(("floor", "letters"), [("empty", 0), ("lol", 3), ("echo", 5)])
def test_a_floor_is_scored_by_the_same_code_and_asks_only_the_judge(floor, letters):
    benchmark, item = Floor(TwoTurns(), floor), Item("i", {"text": "hello"})
    assert [ask.key for ask in benchmark.requests(item, {})] == ["judge"]
    (row,) = score_all(benchmark, [item], {})
    assert row["letters"] == letters and benchmark.name == f"two.{floor}"
    assert row["likelihoods"] == pytest.approx([-3 * 5.545177444479562] * 2)
    assert set(FLOORS) == {"empty", "lol", "echo"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"id": 1}\n\n{"id": \n', "a.jsonl:3: not a line of JSON"),
        ("a.jsonl", "[1]\n", "a.jsonl:1: expected a JSON object, found list"),
        ("a.json", '{"id": 1}', "a.json: expected a list of objects"),
        ("a.json", "[3]", r"a.json\[0\]: expected a JSON object, found int"),
        ("a.jsonl", "\n", "a.jsonl: no rows"),
        ("a.jsonl", '{"id": "x"}\n{"id": "x"}\n', "two rows have the id 'x'"),
        ("a.jsonl", "{}\n", "a.jsonl:1: the row has no 'id'"),
        ("a.jsonl", '{"id": true}\n', "a.jsonl:1: 'id' must be str or int, is bool"),
        ("a.jsonl.gz", "not gzip", "a.jsonl.gz: cannot be read"),
    ],
)
def test_a_broken_data_file_is_named_with_its_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        files.load_items(tmp_path / name, lambda place, row: Item(str(files.take(place, row, "id", (str, int))), row))


def test_a_missing_data_file_is_one_clear_line(tmp_path):
    for kind in kinds(KINDS).values():
        for name in ("none.jsonl", "none.json"):
            with pytest.raises(UserError, match="no such file"):
                load(kind, tmp_path / name)


def test_rows_are_read_from_jsonl_gzip_and_json_alike(tmp_path):
    rows = [{"id": "ä"}, {"id": "b"}]
    lines = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    read = [[row for _, row in files.read(tmp_path / name)] for name in ("a.jsonl", "a.json", "a.jsonl.gz")]
    assert read == [rows] * 3
