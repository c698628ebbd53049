"""Names become rules; texts made to be slow are not; the docs and the measuring command say what is registered."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from isheep.errors import UserError
from isheep.filters import describe, first_broken, output_rule, prompt_rule, registry, resolve
from isheep.filters.__main__ import main
from isheep.filters.measure import read, rule_table

ROOT = Path(__file__).parents[2]
STAGES = ("prompts", "outputs")


def names(stage: str, asked: list[str]) -> list[str]:
    return [rule.name for rule in resolve(stage, asked)]


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test register rules without leaving them behind."""
    monkeypatch.setattr(registry, "_rules", {stage: dict(rules) for stage, rules in registry._rules.items()})


def test_rules_keep_the_order_asked_for_and_stand_once() -> None:
    assert names("prompts", ["too_long", "empty", "too_long"]) == ["too_long", "empty"]


def test_a_set_stands_for_its_rules_in_their_order_and_mixes_with_rules() -> None:
    default = names("outputs", ["default"])
    assert names("outputs", ["echoes_prompt", "default"]) == [
        "echoes_prompt",
        *(name for name in default if name != "echoes_prompt"),
    ]
    assert names("outputs", ["paper", "truncated"])[-1] == "truncated"


def test_none_is_the_empty_set() -> None:
    assert resolve("prompts", ["none"]) == () == resolve("outputs", [])


@pytest.mark.parametrize("stage", STAGES)
def test_default_and_paper_share_no_rule_and_hold_every_rule(stage: str) -> None:
    default, paper = names(stage, ["default"]), names(stage, ["paper"])
    assert not set(default) & set(paper)
    assert sorted(default + paper) == sorted(name for where, name, sets, _ in describe() if where == stage and sets)


@pytest.mark.parametrize(
    ("stage", "name", "parts"),
    [
        ("prompts", "too_shrt", ["prompts.rules", "'too_shrt'", "did you mean 'too_short'?", "has_url"]),
        ("outputs", "papers", ["outputs.rules", "did you mean 'paper'?", "sets: default, paper, none"]),
        ("prompts", "truncated", ["prompts.rules", "belongs under outputs.rules"]),
        ("outputs", "zzz", ["outputs.rules", "there is no 'zzz' (", "asks_back"]),
    ],
)
def test_an_unknown_name_is_told_with_its_key_the_nearest_and_the_list(stage: str, name: str, parts: list[str]) -> None:
    with pytest.raises(UserError) as error:
        resolve(stage, ["default", name])
    assert all(part in str(error.value) for part in parts)
    assert "\n" not in str(error.value)


def test_first_broken_names_the_first_rule_in_the_order_given() -> None:
    row = {"instruction": "", "input": ""}
    assert first_broken(resolve("prompts", ["too_short", "empty"]), row) == "too_short"
    assert first_broken(resolve("prompts", ["empty", "too_short"]), row) == "empty"
    assert first_broken((), row) is None


@pytest.mark.usefixtures("scratch")
def test_a_registered_rule_can_be_named_at_once() -> None:
    @prompt_rule("holds_a_q", sets=("default",))
    def holds_a_q(row: registry.Row) -> bool:
        """Drop prompts with a q."""
        return "q" in row["instruction"]

    assert names("prompts", ["default"])[-1] == "holds_a_q"
    assert ("prompts", "holds_a_q", ("default",), "Drop prompts with a q.") in describe()
    assert first_broken(resolve("prompts", ["holds_a_q"]), {"instruction": "quit", "input": ""}) == "holds_a_q"


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(
    ("name", "sets", "doc", "complaint"),
    [
        ("Bad-Name", (), "Drop.", "snake_case"),
        ("paper", (), "Drop.", "no set's name"),
        ("empty", (), "Drop.", "two rules"),
        ("fresh", ("defualt",), "Drop.", "no rule set 'defualt'"),
        ("fresh", ("none",), "Drop.", "no rule set 'none'"),
        ("fresh", (), None, "docstring"),
    ],
)
def test_a_rule_that_could_not_be_named_or_described_is_refused(
    name: str, sets: tuple[str, ...], doc: str | None, complaint: str
) -> None:
    def function(row: registry.Row) -> bool:
        return False

    function.__doc__ = doc
    for decorate in (prompt_rule, output_rule):
        with pytest.raises(ValueError, match=complaint):
            decorate(name, sets)(function)


def test_importing_the_rules_needs_the_standard_library_only() -> None:
    code = (
        "import sys; before = set(sys.modules); import isheep.filters; new = set(sys.modules) - before;"
        "tops = {name.partition('.')[0] for name in new} - set(sys.stdlib_module_names) - {'isheep'};"
        "print(sorted(tops))"
    )
    path = str(ROOT / "scripts")
    done = subprocess.run([sys.executable, "-c", code], cwd=path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


SIZE = 100_000
SLOW_TEXTS = {
    "letters": "a" * SIZE,
    "blanks": " " * SIZE + "x",
    "lines": "\n" * SIZE + "x",
    "questions": "?" * SIZE + "x",
    "brackets": "[" * SIZE,
    "opened": "[insert " + " " * SIZE + "x",
    "options": "? A) B) " * (SIZE // 8),
    "near_loops": "abababababababababababababababababababc" * (SIZE // 39),
    "near_cycles": " ".join(f"x y z {number}" for number in range(SIZE // 10)),
    "markers": "Input:\n" * (SIZE // 7),
    "tellings": "and draw and make a and plot " * (SIZE // 29),
    "sentences": "Please. Why? " * (SIZE // 13),
    "ideographs": "".join(chr(0x4E00 + number % 9000) for number in range(SIZE)),
    "slashes": "/." * (SIZE // 2) + "!",
    "roles": "user:\n" * (SIZE // 6),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", SLOW_TEXTS)
def test_every_rule_comes_to_an_end_on_a_long_hostile_text(kind: str) -> None:
    hostile = SLOW_TEXTS[kind]
    reasons = {"finish_reason": "stop", "stop_reason": None}
    rows = [
        {"instruction": hostile, "input": "", "output": hostile, **reasons},
        {"instruction": "Name three rivers.", "input": hostile, "output": "The Nile.", **reasons},
    ]
    verdicts = [rule.broken(row) for stage in STAGES for rule in resolve(stage, ["default", "paper"]) for row in rows]
    assert all(isinstance(verdict, bool) for verdict in verdicts)


def test_the_docs_hold_the_table_of_rules_as_registered() -> None:
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert rule_table() in page, "run `PYTHONPATH=scripts python -m isheep.filters`, put its table into docs/rules.md"


TASK = {
    "id": "a",
    "instruction": "Name a river.",
    "instances": [{"input": "", "output": "Nile"}, {"input": "in Peru", "output": "e.g. Ucayali"}],
}


def test_the_command_counts_what_each_set_drops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text(json.dumps(TASK) + "\n" + json.dumps({"instruction": "Write a", "output": ""}) + "\n")
    assert main([str(file)]) == 0
    lines = re.findall(r"^\| (\w+) \| (\w+) \| (\S+) \| (\d+) \|$", capsys.readouterr().out, re.MULTILINE)
    assert lines == [
        ("prompts", "default", "(all)", "1"),
        ("prompts", "default", "too_short", "1"),
        ("prompts", "paper", "(all)", "3"),
        ("prompts", "paper", "paper_length", "3"),
        ("outputs", "default", "(all)", "1"),
        ("outputs", "default", "empty", "1"),
        ("outputs", "paper", "(all)", "2"),
        ("outputs", "paper", "paper_letter", "1"),
        ("outputs", "paper", "paper_empty", "1"),
    ]


def test_the_command_shows_the_dropped_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tasks.jsonl"
    file.write_text(json.dumps(TASK) + "\n")
    assert main([str(file), "--rows", "paper"]) == 0
    out = capsys.readouterr().out
    assert "| outputs | paper_letter | a | Name a river. | e.g. Ucayali |" in out
    assert "Nile" not in out.partition("outputs")[2]


def test_alpaca_style_json_is_read_and_rows_without_outputs_are_prompts_only(tmp_path: Path) -> None:
    file = tmp_path / "alpaca.json"
    file.write_text(json.dumps([{"instruction": "Name a river.", "input": ""}]))
    assert [row["instruction"] for row in read(file)] == ["Name a river."]
    assert "output" not in read(file)[0]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("missing.jsonl", None, "no such file"),
        ("broken.jsonl", "{", "broken.jsonl:1: not a line of JSON"),
        ("object.json", "{}", "expected an array"),
        ("number.jsonl", '{"instruction": 3}', "row 1 has no text under 'instruction'"),
        ("flat.jsonl", '{"instruction": "a", "instances": ["b"]}', "instances of row 1"),
        ("blank.jsonl", '{"input": ""}', "row 1 has no text under 'instruction'"),
    ],
)
def test_a_file_that_cannot_be_measured_ends_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str | None, complaint: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    assert main([str(tmp_path / name)]) == 1
    printed = capsys.readouterr()
    assert complaint in printed.err
    assert printed.out == "" and printed.err.count("\n") == 1
