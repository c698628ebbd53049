"""Seed files: read in the formats that people have, every problem told with its line, and the project's own seeds."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from isheep import filters as rules
from isheep.data.seeds import Seed, read_seeds
from isheep.errors import UserError

ROOT = Path(__file__).parents[2]
OWN = ROOT / "config/seeds/isheep.jsonl"
SELF_INSTRUCT = ROOT.parent / "shared/data/self_instruct_seed_tasks.jsonl"
GOOD = '{"id": "a-1", "instruction": "Name a river.", "input": "", "output": "Rhine"}'


@pytest.fixture
def write(tmp_path):
    """Write a seed file of some bytes or text and return its path."""

    def write_file(content: str | bytes) -> Path:
        path = tmp_path / "seeds.jsonl"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def problems_of(path: Path) -> list[str]:
    """Return what read_seeds complains of, as 'line: what', one entry a problem."""
    with pytest.raises(UserError) as caught:
        read_seeds(path)
    head, *found = str(caught.value).splitlines()
    assert head == f"{path}: {len(found)} problem" + ("s" if len(found) > 1 else "")
    return [entry.strip().removeprefix(f"{path}:") for entry in found]


# --- formats ---


def test_own_format_is_read_in_order_and_extra_keys_are_ignored(write):
    second = (
        '{"id": "b", "category": "c", "instruction": " Sort it. ", "input": "2 1", "output": "1 2", "labels": ["x"]}'
    )
    assert read_seeds(write(f"{GOOD}\n{second}\n")) == [
        Seed("a-1", "Name a river.", "", "Rhine"),
        Seed("b", "Sort it.", "2 1", "1 2"),
    ]


def test_self_instruct_rows_give_their_first_instance(write):
    row = {
        "id": "seed_task_7",
        "name": "sort",
        "instruction": "Sort it.",
        "instances": [{"input": "2 1", "output": "1 2"}, {"input": "9 8", "output": "8 9"}],
        "is_classification": False,
    }
    assert read_seeds(write(json.dumps(row))) == [Seed("seed_task_7", "Sort it.", "2 1", "1 2")]


@pytest.mark.skipif(not SELF_INSTRUCT.exists(), reason="needs ../shared/data beside the repository")
def test_self_instructs_own_file_is_read_as_it_is():
    seeds = read_seeds(SELF_INSTRUCT)
    assert len(seeds) == 175
    assert sum(seed.input == "" for seed in seeds) == 50
    assert len({seed.id for seed in seeds}) == 175
    assert all(seed.instruction and seed.output for seed in seeds)


ALPACA = [
    {"instruction": "Name a river.", "input": "<noinput>", "output": "Rhine"},
    {"instruction": "Sort it.", "input": "2 1", "output": "1 2"},
]


@pytest.mark.parametrize(
    "content",
    [json.dumps(ALPACA), json.dumps(ALPACA, indent=4), "\n  " + json.dumps(ALPACA), "\n".join(map(json.dumps, ALPACA))],
    ids=["one line", "indented", "blank before the bracket", "JSON Lines"],
)
def test_alpaca_rows_get_ids_from_their_position(write, content):
    assert read_seeds(write(content)) == [
        Seed("alpaca-00001", "Name a river.", "", "Rhine"),
        Seed("alpaca-00002", "Sort it.", "2 1", "1 2"),
    ]


def test_ids_in_a_json_array_are_kept(write):
    assert read_seeds(write(f"[{GOOD}]"))[0].id == "a-1"


@pytest.mark.parametrize("nothing", ["", "  \n", "<noinput>", "noinput", "<NoInput>", " noinput "])
def test_markers_of_no_input_become_an_empty_input(write, nothing):
    row = {"id": "a", "instruction": "Name a river.", "input": nothing, "output": "Rhine"}
    assert read_seeds(write(json.dumps(row)))[0].input == ""


def test_input_that_only_mentions_the_marker_is_kept(write):
    row = {"id": "a", "instruction": "Explain the word.", "input": "a noinput row", "output": "..."}
    assert read_seeds(write(json.dumps(row)))[0].input == "a noinput row"


def test_byte_order_mark_crlf_and_blank_lines_are_accepted(write):
    content = b"\xef\xbb\xbf" + GOOD.encode() + b"\r\n\r\n"
    assert read_seeds(write(content)) == [Seed("a-1", "Name a river.", "", "Rhine")]


def test_line_separators_inside_strings_do_not_split_a_row(write):
    row = {"id": "a", "instruction": "Join the lines.", "input": "one\u2028two\x85three", "output": "one two three"}
    seeds = read_seeds(write(json.dumps(row, ensure_ascii=False)))
    assert seeds[0].input == "one\u2028two\x85three"


def test_a_line_of_a_megabyte_is_read(write):
    row = {"id": "long", "instruction": "Count the letters.", "input": "x" * 1_000_000, "output": "1000000"}
    assert len(read_seeds(write(GOOD + "\n" + json.dumps(row)))[1].input) == 1_000_000


def test_rows_of_emoji_or_other_scripts_are_distinct_tasks(write):
    rows = [{"instruction": text, "input": "", "output": "x"} for text in ("🙂🙃", "🌧🌧", "写一首诗", "写一封信")]
    assert len(read_seeds(write("\n".join(json.dumps(row, ensure_ascii=False) for row in rows)))) == 4


def test_one_instruction_may_come_with_several_inputs(write):
    rows = [{"instruction": "Sort it.", "input": text, "output": "x"} for text in ("2 1", "9 8")]
    assert len(read_seeds(write(json.dumps(rows)))) == 2


# --- problems ---


def changed(**changes: object) -> str:
    return json.dumps({**json.loads(GOOD), "id": "a-2", "instruction": "Name a lake.", **changes})


def without(key: str) -> str:
    return json.dumps({name: value for name, value in json.loads(changed()).items() if name != key})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"id": "a-2", ', ["2: not JSON (Expecting property name enclosed in double quotes at column 15)"]),
        ("Name a lake.", ["2: not JSON (Expecting value at column 1)"]),
        (changed() + changed(id="a-3"), ["2: text after the JSON value"]),
        ('"Name a lake."', ["2: expected a JSON object, found a string"]),
        ("[1]", ["2: expected a JSON object, found a list"]),
        ("null", ["2: expected a JSON object, found null"]),
        ("17", ["2: expected a JSON object, found a number"]),
        ("1" * 5000, ["2: not a task (a number too long, or brackets too deep)"]),
        ("[" * 100_000, ["2: not a task (a number too long, or brackets too deep)"]),
        (without("id"), ["2: the key 'id' is missing"]),
        (without("instruction"), ["2: the key 'instruction' is missing"]),
        (without("output"), ["2: the key 'output' is missing"]),
        (changed(id=7.5), ['2: id must be a string, is a number; write it in "double quotes"']),
        (changed(id=True), ["2: id must be a string, is true or false"]),
        (changed(id=" "), ["2: id is empty; write one or delete the task"]),
        (changed(instruction=["x"]), ["2: instruction must be a string, is a list"]),
        (changed(input=3), ["2: input must be a string, is a number"]),
        (changed(output=True), ["2: output must be a string, is true or false"]),
        (changed(instruction=" \n"), ["2: instruction is empty; write one or delete the task"]),
        (changed(id="a-1"), ["2: the id 'a-1' is also at {path}:1; give it another"]),
        (
            changed(instruction="name  a RIVER."),
            ["2: the same instruction and input as at {path}:1; delete one of them"],
        ),
        (changed(input="\0"), ["2: input holds a NUL character (\\u0000); delete it"]),
        (changed(output="\ud83d!"), ["2: output holds half a character (lone surrogate \\ud83d)"]),
        (changed(instances=[]), ['2: instances must be a list of objects; write [{"input": "...", "output": "..."}]']),
        (changed(instances=["x"]), ["2: instances must be a list of objects"]),
        (changed(instances=[{"input": ""}]), ["2: the key 'output' is missing"]),
        (changed(id=[], output=2), ["2: id must be a string", "2: output must be a string"]),
    ],
    ids=lambda value: value[0][3:40] if isinstance(value, list) else "",
)
def test_a_bad_line_is_told_with_its_number_and_what_to_do(write, line, expected):
    path = write(f"{GOOD}\n{line}\n")
    found = problems_of(path)
    assert len(found) == len(expected)
    for problem, start in zip(found, expected, strict=True):
        assert problem.startswith(start.format(path=path) if "{path}" in start else start)


def test_all_problems_of_a_file_come_together_in_the_order_of_its_lines(write):
    lines = [GOOD, "{", changed(input=3), "[]", GOOD]
    assert [problem.split(":")[0] for problem in problems_of(write("\n".join(lines)))] == ["2", "3", "4", "5", "5"]


@pytest.mark.parametrize("content", ["", "\n\n", "[]", "\ufeff"])
def test_a_file_without_a_task_is_refused(write, content):
    path = write(content)
    with pytest.raises(UserError, match=r"holds no seed task; write one JSON object a line"):
        read_seeds(path)


def test_nul_bytes_are_told_with_their_line(write):
    assert problems_of(write(GOOD + "\n" + "\0" * 512)) == [
        "2: holds a NUL character; delete it (is the file damaged?)"
    ]


def test_a_byte_that_is_not_utf8_is_told_with_its_line(write):
    path = write(GOOD.encode() + b'\n\n{"id": "caf\xe9"}\n')
    with pytest.raises(UserError, match=re.escape(f"{path}:3: byte 0xe9 is not UTF-8; save the file in UTF-8")):
        read_seeds(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.jsonl: no such seed file; set seeds\.path"):
        read_seeds(tmp_path / "absent.jsonl")
    with pytest.raises(UserError, match="cannot read the seed file"):
        read_seeds(tmp_path)


def test_problems_of_an_indented_array_carry_the_lines_of_their_elements(write):
    rows = [ALPACA[0], {"instruction": "Sort it.", "input": "2 1"}, "text"]
    found = problems_of(write(json.dumps(rows, indent=1)))
    assert found[0].startswith("7: the key 'output' is missing")
    assert found[1].startswith("11: expected a JSON object, found a string")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('[\n{"instruction": "a",\n}]', "3: not JSON"),
        (f"[\n{GOOD}\n", "3: expected a comma or the closing ]"),
        (f"[\n{GOOD}\n{GOOD}]", "3: expected a comma or the closing ]"),
        (f"[\n{GOOD}\n]\n{GOOD}", "4: text after the closing ]"),
        ("[", "1: not JSON (Expecting value at column 2)"),
    ],
)
def test_a_broken_array_is_told_with_the_line_where_it_breaks(write, content, expected):
    assert problems_of(write(content))[0].startswith(expected)


# --- the project's own seeds ---


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return [json.loads(line) for line in OWN.read_text(encoding="utf-8").splitlines()]


def test_own_seeds_are_many_varied_and_half_of_them_have_an_input(rows):
    seeds = read_seeds(OWN)
    assert len(seeds) == len(rows) >= 140
    share = sum(seed.input != "" for seed in seeds) / len(seeds)
    assert 0.45 <= share <= 0.55
    categories = Counter(row["category"] for row in rows)
    assert len(categories) >= 12
    assert min(categories.values()) >= 8
    assert max(categories.values()) <= 0.2 * len(rows)


def test_own_seeds_have_one_row_format_and_telling_ids(rows):
    for row in rows:
        assert list(row)[:5] == ["id", "category", "instruction", "input", "output"]
        assert re.fullmatch(rf"{row['category']}-\d{{3}}", row["id"])
        assert all(row[key] == row[key].strip() for key in ("instruction", "input", "output")), row["id"]


def test_own_classification_seeds_answer_with_one_of_their_labels(rows):
    labelled = [row for row in rows if "labels" in row]
    assert {row["category"] for row in labelled} == {"classification"}
    assert len(labelled) == sum(row["category"] == "classification" for row in rows) >= 20
    assert all(row["output"] in row["labels"] for row in labelled)
    assert all(len(set(row["labels"])) == len(row["labels"]) >= 2 for row in labelled)


@pytest.mark.parametrize("names", ["default", "paper"])
def test_own_seeds_pass_the_prompt_rules(rows, names):
    chosen = rules.resolve("prompts", [names])
    assert {row["id"]: rules.first_broken(chosen, row) for row in rows} == dict.fromkeys(row["id"] for row in rows)


def test_own_outputs_are_of_various_lengths_up_to_150_words(rows):
    words = [len(row["output"].split()) for row in rows]
    assert min(words) == 1
    assert 120 <= max(words) <= 150


def test_python_in_own_outputs_does_what_the_tasks_ask(rows):
    blocks = [code for row in rows for code in re.findall(r"```python\n(.*?)```", row["output"], re.DOTALL)]
    names: dict = {"words": ["ox", "badger", "stoat"]}
    for code in blocks:
        ast.parse(code)
        if "import pytest" not in code and "sys.stdin" not in code:
            exec(code, names)
    assert names["second_largest"]([3, 1, 3, 2]) == 2
    with pytest.raises(ValueError, match="fewer than two"):
        names["second_largest"]([4, 4])
    assert names["average"]([1, 2, 6]) == 3
    assert names["result"] == ["BADGER", "STOAT"]
    assert list(names["collatz"](6)) == [6, 3, 10, 5, 16, 8, 4, 2, 1]
    assert names["add_percentage"](200, 10) == pytest.approx(220)
    assert names["word_counts"]("The cat. the CAT! a") == {"the": 2, "cat": 2, "a": 1}
    account = names["Account"]()
    account.deposit(5)
    account.withdraw(2)
    assert account.balance == 3
    with pytest.raises(ValueError, match="cannot withdraw 9"):
        account.withdraw(9)
