"""A row told whole: its way, its texts, what it was made from and what was asked for it; mistakes in one line."""

from __future__ import annotations

import pytest
from report_results import HOSTILE, Made

from isheep.explain import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    Made(folder, rounds=1, rows=20, evaluation=False, health=False)
    return folder / "results" / "study"


def test_row_is_told_with_its_way_prompt_examples_seed_and_model(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder.parents[1])
    assert main([str(folder), "d0-000012-00"]) == 0
    told = capsys.readouterr().out
    assert "filter_outputs: rejected by the rule asks_back" in told or "select_data" in told
    for part in ("generate_prompts: kept", "Write about a", "seeds: [\"writing-001\"", "Answered by iter_0, sha256 000",
                 "seed of the draw: ", "of the run: 0", "What it was shown", "<|im_start|>user"):  # fmt: skip
        assert part in told, part
    assert told.count("Write about a") == 2  # the row's, and as the model was shown it


def test_hostile_text_is_printed_as_text(folder, capsys):
    assert main([str(folder), "d0-000008-00"]) == 0
    assert list(HOSTILE)[8] == "surrogate" and "half \ufffd of a pair" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "row", "words"), [("", "d9-1", "no row of study has this id"), ("/x", "a", "no such")]
)
def test_mistake_is_one_line(folder, capsys, place, row, words):
    assert main([f"{folder}{place}", row]) == 1
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1
