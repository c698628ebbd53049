"""Recipes at equal cost: the rows that a budget of written tokens pays for; and prompts forgotten after so many."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from isheep.config import load
from isheep.data.files import write_json
from isheep.data.rows import write_rows
from isheep.filters.registry import resolve
from isheep.outputs.answers import affordable, filter_rows
from isheep.prompts.maker import PromptMaker
from isheep.stages import filter_outputs
from isheep.stages.table import table

ROOT = Path(__file__).parents[2]


def row(id: str, tokens: int, **more: str) -> dict:
    return {"id": id, "instruction": "Name it.", "input": "", "output": "It.", "output_tokens": tokens, **more}


@pytest.mark.parametrize(
    ("budget", "prompt_tokens", "count"), [(30, 0, 3), (29, 0, 2), (9, 0, 0), (45, 15, 3), (44, 15, 2), (15, 15, 1)]
)
def test_a_budget_pays_for_answers_and_for_an_equal_share_of_the_prompts(budget, prompt_tokens, count):
    rows = [row(f"d0-{number}", 10) for number in range(3)]
    assert affordable(rows, budget, prompt_tokens) == count


@pytest.mark.parametrize("several", [("a", "a/s1"), ("a/1", "a/2")])
def test_several_answers_pay_for_their_prompt_once(several):
    more = {"prompt_id": "a"} if several[0] == "a" else {}
    rows = [*(row(id, 10, **more) for id in several), row("b", 10, **({"prompt_id": "b"} if more else {}))]
    assert affordable(rows, 40, 20) == 2 and affordable(rows, 50, 20) == 3 and affordable(rows, 19, 20) == 0


def test_rows_over_the_budget_are_dropped_by_that_name_whatever_the_rules_say():
    rows = [{**row(f"d0-{number}", 10), "output": "It is."} for number in range(4)] + [row("last", 5)]
    rows[1]["output"] = ""
    kept, rejected, funnel = filter_rows(rows, resolve("outputs", ["empty"]), 0, most=3).parted()
    assert [each["id"] for each in kept] == ["d0-0", "d0-2"]
    assert [each["rule"] for each in rejected] == ["empty", "over_budget", "over_budget"]
    assert funnel.rejected == {"empty": 1, "over_budget": 2}


def test_prompts_are_forgotten_after_so_many_but_seeds_and_earlier_rounds_are_not(monkeypatch):
    monkeypatch.chdir(ROOT)
    words = ["one red barn", "two blue hens", "three old oaks", "four new keys"]
    kept = {}
    for forget in (None, 2):
        run = load({"runs": {"a": {"preset": "fake", "prompts": {"forget": forget, "rules": ["none"]}}}}, ROOT).runs[
            "a"
        ]
        maker = PromptMaker.of(run, 1)
        collected = maker.begin([{"id": "d0", "instruction": "describe the very old mill"}])
        for number, text in enumerate([*words, *words, "describe the very old mill", maker.seeds[0].instruction]):
            maker.sort({"id": str(number), "instruction": f"describe {text} now", "input": ""}, None, collected)
        kept[forget] = [each["id"] for each in collected.rows]
        assert "8" not in kept[forget] and "9" not in kept[forget]
    assert kept == {None: ["0", "1", "2", "3"], 2: ["0", "1", "2", "3", "4", "5", "6", "7"]}


def test_the_stage_charges_what_the_prompts_cost(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    run = load({"runs": {"a": {"preset": "fake", "outputs": {"budget": 45, "rules": ["none"]}}}}, ROOT).runs["a"]
    at = table().at(run, 0)
    (costs,) = table()["filter_outputs"].reads(at)["costs"]
    assert (costs.stage, costs.file) == ("generate_prompts", "prompts.funnel.json")
    assert table()["filter_outputs"].present(run) and not table()["filter_outputs"].reads(at)["rows"].file
    write_rows(tmp_path / "rows.jsonl", [row(f"d0-{number}", 10) for number in range(3)])
    funnel = {"stage": "generate_prompts", "round": 0, "rows_in": 3, "rows_out": 3, "rejected": {}}
    for tokens, kept in ((15, 3), (30, 2)):
        write_json(tmp_path / "funnel.json", {**funnel, "requests": 1, "completion_tokens": tokens})
        given = Given(rows=tmp_path / "rows.jsonl", costs=[tmp_path / "funnel.json"])
        made = filter_outputs.make(SimpleNamespace(run=run, input=given, round=0))
        assert [len(part) for part in made["rows"].parted()[:2]] == [kept, 3 - kept]


class Given(dict):
    """A rule's inputs by their names."""

    __getattr__ = dict.__getitem__
