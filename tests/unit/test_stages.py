"""The table of stages: what the rules spell out is what the declarations say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from isheep.config import Shards
from isheep.config.resources import Resources
from isheep.config.run import Run
from isheep.config.section import at
from isheep.stages.__main__ import PAGE, page
from isheep.stages.table import table

ROOT = Path(__file__).resolve().parents[2]
RULES = "\n".join(file.read_text() for file in sorted((ROOT / "rules").glob("*.smk")))
STAGES = [stage.name for stage in table()]


def rule(name: str) -> str:
    """Return the text of a rule."""
    found = re.search(rf"^rule {name}:\n((?:(?!\S).*\n|\n)*)", RULES, re.MULTILINE)
    assert found, f"no rule {name}"
    return found[1]


def outputs(text: str) -> set[str]:
    """Return the paths in the output block of a rule."""
    block = re.search(r"^    output:\n((?:^        .*\n)+)", text, re.MULTILINE)
    assert block
    return set(re.findall(r'"(results/[^"]+)"', block[1]))


@pytest.mark.parametrize("name", STAGES)
def test_a_rule_makes_what_its_stage_declares(name):
    stage = table()[name]
    made = outputs(rule(name))
    folder = f"results/{{run}}/{stage.folder}"
    declared = {f"{folder}/{file}" for file in stage.makes} | {f"{folder}/records/{name}.json"}
    assert {path.replace("iter_0", "iter_{i}") for path in made} == declared


@pytest.mark.parametrize("name", STAGES)
def test_a_rule_reads_what_its_stage_declares(name):
    declared = set(table()[name].reads(table().at(Run(rounds=3), 2)))
    spelt = set(re.findall(rf'reads\("{name}", "(\w+)"\)', rule(name)))
    assert spelt == declared - {"identity"}


@pytest.mark.parametrize("name", STAGES)
def test_rule_script_log_and_benchmark_share_the_stage_s_name(name):
    text = rule(name)
    assert f'"../scripts/{name}.py"' in text and (ROOT / f"scripts/{name}.py").is_file()
    assert f"/{name}.log" in text and f"/{name}.benchmark.tsv" in text
    assert f'**decides("{name}")' in text


def test_stages_that_can_be_sharded_have_a_setting_and_a_rule_for_it():
    sharded = {stage.name for stage in table() if stage.shards}
    assert sharded == set(Shards.model_fields)
    assert sharded == set(re.findall(r"^use rule (\w+) as \1_shard with:", RULES, re.MULTILINE))


def test_declarations_name_settings_and_machines_that_there_are():
    for stage in table():
        for key in stage.settings:
            at(Run(), key)
        assert stage.machine is None or stage.machine in Resources.model_fields


def test_row_stages_pass_rows_on_in_order():
    words = [
        "prompts",
        "classified",
        "matched",
        "outputs",
        "filtered",
        "evaluated",
        "clustered",
        "selected",
        "ordered",
        "pairs",
    ]
    assert [stage.word for stage in table().row_stages()] == words
    places = [stage.place for stage in table()]
    assert places == sorted(set(places))


def test_the_page_of_stages_is_the_table_s():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make config`"
