"""The whole loop on the fake engine: equal bytes however it is cut, and nothing done twice."""

from __future__ import annotations

import json
from copy import deepcopy
from itertools import pairwise

import pytest
from workplace import FAKE, Workplace

CHANGES = {
    *("output_words", "perplexity", "instruction_distinct_2", "output_distinct_2"),
    *("instruction_vendi", "output_vendi"),
}
ROWS = ("prompts", "outputs", "filtered", "evaluated", "selected")


def rows(place, file: str) -> list[dict]:
    return [json.loads(line) for line in (place.folder / "results" / file).read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Three rounds, undisturbed."""

    place = Workplace(tmp_path_factory.mktemp("finished"))
    place.configure({"a": {**FAKE, "rounds": 3}})
    place.printed = place.snakemake().stdout
    return place


def test_three_rounds_end_in_a_third_model_and_a_summary(finished):
    assert (finished.folder / "results/a/iter_3/model/model.safetensors").is_file()
    assert "Merged models" in finished.printed
    assert "results/a/iter_3/model" in finished.printed


def test_every_row_is_accounted_for_in_every_stage(finished):
    for i in range(3):
        counts = {name: len(rows(finished, f"a/d_{i}/{name}.jsonl")) for name in ROWS}
        assert counts["prompts"] == counts["outputs"] == 30
        for before, after in (("outputs", "filtered"), ("filtered", "evaluated"), ("evaluated", "selected")):
            rejected = rows(finished, f"a/d_{i}/{after}.rejected.jsonl")
            assert counts[before] == counts[after] + len(rejected)
            assert all(row["rule"] for row in rejected)


def test_every_round_has_its_health(finished):
    for i in range(3):
        health = json.loads((finished.folder / f"results/a/d_{i}/health.json").read_text())
        assert health["round"] == i and health["lengths"]["output"]["words"]["n"] == len(
            rows(finished, f"a/d_{i}/selected.jsonl")
        )
        assert set(health["change"]) == (set() if i == 0 else CHANGES)
        assert health["perplexity"]["value"] > 1 and health["diversity"]["output"]["vendi"]["value"] > 1


def test_stages_add_fields_and_never_rewrite_earlier_ones(finished):
    for i in range(3):
        for before, after in pairwise(ROWS):
            earlier = {row["id"]: row for row in rows(finished, f"a/d_{i}/{before}.jsonl")}
            for row in rows(finished, f"a/d_{i}/{after}.jsonl"):
                old = earlier[row["id"]]
                assert list(row)[: len(old)] == list(old)
                assert all(row[key] == value for key, value in old.items())


def test_rounds_differ_because_the_model_does(finished):
    texts = [{row["instruction"] for row in rows(finished, f"a/d_{i}/prompts.jsonl")} for i in range(3)]
    assert not texts[0] & texts[1] and not texts[1] & texts[2]


def test_nothing_is_left_to_do(finished):
    assert "Nothing to be done" in (done := finished.snakemake()).stdout + done.stderr


def test_the_same_config_gives_the_same_bytes_in_another_folder(finished, workplace):
    again = workplace()
    again.configure({"a": {**FAKE, "rounds": 3}})
    again.snakemake()
    assert again.hashes() == finished.hashes()
    assert len(again.hashes()) > 40


@pytest.mark.parametrize("shards", [4, pytest.param(3, marks=pytest.mark.slow)])
def test_shards_give_the_same_bytes(finished, workplace, shards):
    split = workplace()
    counts = dict.fromkeys(("generate_prompts", "generate_outputs", "assess_outputs"), shards)
    split.configure({"a": {**FAKE, "rounds": 1}}, shards=counts)
    split.snakemake()
    expected = {file: sha for file, sha in finished.hashes().items() if "/d_0/" in file or "/iter_1/" in file}
    got = {file: sha for file, sha in split.hashes().items() if "/d_0/" in file or "/iter_1/" in file}
    assert got == expected
    split.configure({"a": {**FAKE, "rounds": 1}}, shards=dict.fromkeys(counts, 2))
    assert "Nothing to be done" in (done := split.snakemake()).stdout + done.stderr


def test_two_runs_that_differ_late_share_what_comes_before(workplace):
    place = workplace()
    other = deepcopy(FAKE)
    other["select"]["share"] = 0.3
    place.configure({"a": {**FAKE, "rounds": 1}, "b": {**other, "rounds": 1}})
    place.snakemake()
    assert not (place.folder / "results/b/d_0/prompts.jsonl").exists()
    assert len(rows(place, "b/d_0/selected.jsonl")) < len(rows(place, "a/d_0/selected.jsonl"))
    assert (place.folder / "results/b/iter_1/model/model.safetensors").is_file()


def test_a_changed_setting_reruns_its_stage_and_what_follows_only(workplace):
    place = workplace()
    place.configure({"a": {**FAKE, "rounds": 1}})
    place.snakemake()
    before = place.hashes()
    changed = deepcopy(FAKE)
    changed["select"]["share"] = 0.3
    place.configure({"a": {**changed, "rounds": 1}})
    done = place.snakemake()
    assert "generate_prompts" not in done.stderr and "select_data" in done.stderr
    after = place.hashes()
    assert after["results/a/d_0/evaluated.jsonl"] == before["results/a/d_0/evaluated.jsonl"]
    assert after["results/a/iter_1/identity.json"] != before["results/a/iter_1/identity.json"]


def test_more_rows_reuse_the_requests_that_are_done(workplace):
    place = workplace()
    place.configure({"a": {**FAKE, "rounds": 1}})
    place.snakemake()
    more = deepcopy(FAKE)
    more["prompts"]["rows"] = 40
    place.configure({"a": {**more, "rounds": 1}})
    done = place.snakemake("--until", "generate_outputs")
    assert "40 requests: 30 already done, 10 to do" in done.stderr
