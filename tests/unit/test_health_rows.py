"""Duplicates, scores and overlap with evaluation files, against cases worked out by hand."""

from __future__ import annotations

import gzip
import json
import math
import random
from pathlib import Path

import pytest
from scipy.stats import spearmanr

from isheep.assess.base import Scale
from isheep.data.dedup import NearDuplicates
from isheep.data.files import read_json
from isheep.data.rows import read_rows
from isheep.data.text import words
from isheep.data.values import counts_in_bins
from isheep.health.duplicates import duplicates
from isheep.health.overlap import Grams, add_grams, overlap, texts
from isheep.health.scores import entropy, scores, spearman

DATA = Path(__file__).parents[3] / "shared" / "data"
THIRTEEN = "the quick brown fox jumps over the lazy dog while seven owls watch"


def rows(*pairs: tuple[str, str]) -> list[dict]:
    return [{"id": f"r{i}", "instruction": a, "input": "", "output": b} for i, (a, b) in enumerate(pairs)]


def shares(found: dict, kind: str, field: str) -> dict[str, float]:
    return {pool: measured["value"] for pool, measured in found[kind][field].items()}


def test_duplicates_are_told_by_where_the_first_one_is():
    data = rows(
        ("Name three rivers of Italy.", "Po"),
        ("Name three rivers of Italy. ", "Arno"),
        ("Name three long rivers of Italy.", "Po"),
        ("Write a poem about rain.", "Drip"),
    )
    earlier = rows(("Write a poem about rain.", "Splash"))
    seeds = rows(("Write a short poem about rain.", "Drip"))
    found = duplicates(lambda: data, lambda: earlier, lambda: seeds, {f"r{i}" for i in range(4)}, 0.7)
    assert shares(found, "exact", "instruction") == {"within_round": 0.25, "seeds": 0.0, "earlier_rounds": 0.25}
    # The third has 5 of its 6 tokens in common with the first's 5: F1 10/11; the fourth 5 of 5 with the seed's 6.
    assert shares(found, "near", "instruction") == {"within_round": 0.5, "seeds": 0.25, "earlier_rounds": 0.25}
    assert shares(found, "exact", "output") == {"within_round": 0.25, "seeds": 0.25, "earlier_rounds": 0.0}


def test_the_share_of_near_duplicates_is_estimated_on_the_sampled_rows_against_all():
    data = rows(*((f"Write {'a poem about rain' if i % 2 else 'word ' * (i + 1)}.", f"{i}") for i in range(40)))
    found = duplicates(lambda: data, list, list, {"r1", "r3", "r2", "r39"}, 0.7)
    near = found["near"]["instruction"]["within_round"]
    assert near["n"] == 4 and near["value"] == 0.5
    assert found["exact"]["instruction"]["within_round"] == {
        "value": 19 / 40,
        "n": 40,
        "unit": "share",
        "better": "lower",
    }


def test_near_duplicates_are_those_of_the_rule_that_drops_prompts():
    draw = random.Random(3)
    vocabulary = "write list explain the a poem".split()
    data = rows(*((" ".join(draw.choices(vocabulary, k=draw.randint(3, 8))), str(i)) for i in range(120)))
    pool, expected = NearDuplicates(0.7), 0
    for row in data:
        expected += pool.find(row["instruction"]) is not None
        pool.add(row["id"], row["instruction"])
    found = duplicates(lambda: data, list, list, {row["id"] for row in data}, 0.7)
    assert found["near"]["instruction"]["within_round"]["value"] == pytest.approx(expected / 120, rel=1e-5)
    assert 10 < expected < 110


def test_no_rows_have_no_shares():
    found = duplicates(list, list, list, set(), 0.7)
    assert found["near"]["output"]["within_round"]["value"] is None


def test_a_value_on_an_edge_counts_above_it_and_the_last_bin_is_closed():
    assert counts_in_bins([0.5, 1.5, 1.4, 2.5, 3], [0.5, 1.5, 2.5]) == [2, 3]


def test_entropy_is_in_bits():
    assert entropy([4, 4, 4, 4]) == 2.0
    assert entropy([7, 0]) == 0.0
    assert entropy([3, 1]) == pytest.approx(0.75 * math.log2(4 / 3) + 0.25 * 2)
    assert entropy([0, 0]) is None


def test_spearman_is_that_of_scipy_with_ties():
    draw = random.Random(1)
    first, second = ([draw.randint(1, 6) for _ in range(50)] for _ in range(2))
    assert spearman(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert spearman([1, 2, 3], [10, 20, 90]) == pytest.approx(1.0)
    assert spearman([1, 2, 3, 4], [2, 1, 4, 3]) == pytest.approx(0.6)
    assert spearman([1, 2, 3], [5, 5, 5]) is None
    assert spearman([], []) is None


def test_scores_of_a_judge_are_binned_by_the_score_that_they_round_to():
    data = [{"output": "w " * n, "quality": q, "pmi": p} for n, q, p in [(1, 9.6, 0.0), (2, 9.4, 0.5), (3, 10, 1.0)]]
    found = scores(iter(data), {"quality": Scale(1, 10), "pmi": None})
    assert found["quality"]["histogram"]["counts"] == [0, 0, 0, 0, 0, 0, 0, 0, 1, 2]
    assert found["quality"]["share_at_maximum"]["value"] == pytest.approx(2 / 3, rel=1e-5)
    assert found["quality"]["correlation_with_length"]["value"] == pytest.approx(0.5)
    assert found["pmi"]["share_at_maximum"]["value"] is None
    assert found["pmi"]["correlation_with_length"]["value"] == pytest.approx(1.0)
    assert found["pmi"]["histogram"]["counts"] == [1, 0, 0, 0, 0, 1, 0, 0, 0, 1]


def test_scores_that_are_all_equal_have_no_correlation():
    found = scores([{"output": "a", "pmi": 2.0}, {"output": "b c", "pmi": 2.0}], {"pmi": None})
    assert found["pmi"]["correlation_with_length"]["value"] is None and sum(found["pmi"]["histogram"]["counts"]) == 2


def test_all_texts_of_a_row_count_however_deep():
    assert list(texts({"a": "x", "b": [1, None, {"c": "y"}, ["z", True]]})) == ["x", "y", "z"]


def test_grams_lie_within_one_text():
    def grams(value, lengths) -> Grams:
        found: Grams = {n: set() for n in lengths}
        for text in texts(value):
            add_grams(words(text), found)
        return found

    found = grams([{"a": "one two three"}, {"b": "four FIVE"}], (2, 4))
    assert len(found[2]) == 3 and not found[4]
    assert found[2] == grams(["One, two; three", "four five!"], (2,))[2]


@pytest.mark.parametrize("name", ["set.jsonl", "set.jsonl.gz", "set.json"])
def test_overlap_counts_rows_with_a_sequence_of_an_evaluation_file(tmp_path, name):
    held = [{"id": "q1", "turns": ["Say this.", f"Go on: {THIRTEEN}!"]}, {"id": "q2", "turns": ["short"]}]
    text = json.dumps(held) if name.endswith(".json") else "".join(json.dumps(row) + "\n" for row in held)
    with (gzip.open if name.endswith(".gz") else open)(tmp_path / name, "wt") as handle:
        handle.write(text)
    data = rows(
        ("Nothing in common here.", "No."),
        ("Copy.", THIRTEEN.upper().replace(" ", ", ")),
        (" ".join(THIRTEEN.split()[2:10]), "Eight words."),
        (" ".join(THIRTEEN.split()[:7]), " ".join(THIRTEEN.split()[7:])),
    )
    found = overlap(iter(data), {"mt": str(tmp_path / name)}, (13, 8))
    assert {n: found["mt"][n]["rows"] for n in found["mt"]} == {"13": 1, "8": 2}
    assert found["mt"]["8"]["share"] == {"value": 0.5, "n": 4, "unit": "share", "better": "lower"}


@pytest.mark.skipif(not DATA.is_dir(), reason="the data for tests is not beside the repository")
def test_overlap_on_files_as_they_are_published():
    names = ("ifeval_input_data.jsonl", "HumanEval.jsonl.gz", "squad_v2_dev_slice.json", "mt_bench_question.jsonl")
    files = {name: str(DATA / name) for name in names}
    seeds = [row["instances"][0] | row for row in read_rows(DATA / "self_instruct_seed_tasks.jsonl")]
    found = overlap(seeds, files, (13, 8))
    assert {n["rows"] for name in names for n in found[name].values()} == {0}
    asked = [row["prompt"] for row in read_rows(DATA / "ifeval_input_data.jsonl")]
    same = overlap(rows(*((text, "") for text in asked)), files, (13,))["ifeval_input_data.jsonl"]["13"]["rows"]
    assert same == sum(len(words(text)) >= 13 for text in asked) == 539
    squad = read_json(DATA / "squad_v2_dev_slice.json")["data"][0]["paragraphs"][0]["context"]
    assert overlap(rows((squad, "")), files, (13,))["squad_v2_dev_slice.json"]["13"]["rows"] == 1


def test_a_file_that_cannot_be_read_costs_its_own_numbers_only(tmp_path):
    (tmp_path / "good.jsonl").write_text(json.dumps({"text": THIRTEEN}) + "\n")
    (tmp_path / "bad.jsonl").write_text("{\n")
    files = {name: str(tmp_path / f"{name}.jsonl") for name in ("bad", "good", "gone")}
    found = overlap(rows(("x", THIRTEEN)), files, (13,))
    assert found["good"]["13"]["rows"] == 1
    assert "bad.jsonl:1" in found["bad"]["error"] and "gone.jsonl" in found["gone"]["error"]
