"""Typed readers take what stages write, give it back unchanged, and refuse everything else in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_results import Made

from isheep.data.files import document, read_json, write_json
from isheep.documents import models, rounds
from isheep.errors import UserError
from isheep.proof.results import Broken, read_manifest, read_record
from isheep.runner.record import write_record

READERS = {
    "d_1/selected.funnel.json": rounds.read_funnel,
    "d_1/discrimination.json": rounds.read_discrimination,
    "d_1/health.json": rounds.read_health,
    "iter_2/identity.json": models.read_identity,
    "iter_2/training.json": models.read_training,
    "iter_2/merging.json": models.read_merging,
    "iter_2/evaluation/scores.json": models.read_scores,
}
# For each document a value inside it, and one that is wrong there: another type, a text for a number, nothing.
WRONG = {
    "d_1/selected.funnel.json": [("rows_in", "12"), ("rejected", {"short": None}), ("stage", 3), ("rows_out", True)],
    "d_1/discrimination.json": [("pmi.auc", "0.9"), ("pmi.verdict", "sure"), ("quality", [])],
    "d_1/health.json": [
        ("alarms", {}),
        ("lengths.output.words.p50", 1.5),
        ("perplexity.value", "low"),
        ("round", None),
    ],
    "iter_2/identity.json": [("sha256", 7), ("files", ["model.safetensors"])],
    "iter_2/training.json": [("loss", [1.0]), ("heldout", []), ("steps", None)],
    "iter_2/merging.json": [("probes", "8"), ("tied_embeddings", 0)],
    "iter_2/evaluation/scores.json": [
        ("benchmarks.heldout.metrics.heldout_preference.better", "up"),
        ("benchmarks.heldout.metrics.heldout_preference.minus_base", 0.1),
        ("benchmarks.constraints.floors.lol.prompt_strict.value", "0.1"),
        ("benchmarks.chat.objections", "none"),
        ("benchmarks", []),
    ],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    Made(folder, rounds=2, rows=12, hostile=False)
    return folder / "results" / "study"


@pytest.mark.parametrize("name", READERS)
def test_a_reader_gives_the_document_that_was_written(run, name):
    value = READERS[name](run / name)
    assert value == read_json(run / name)
    assert document(value) == (run / name).read_text()


@pytest.mark.parametrize(("name", "place", "wrong"), [(name, *pair) for name, pairs in WRONG.items() for pair in pairs])
def test_a_wrong_value_is_refused_by_its_place(run, tmp_path, name, place, wrong):
    value = read_json(run / name)
    inner = value
    *above, last = place.split(".")
    for key in above:
        inner = inner[key]
    assert last in inner
    inner[last] = wrong
    write_json(tmp_path / "x.json", value)
    with pytest.raises(UserError) as error:
        READERS[name](tmp_path / "x.json")
    message = str(error.value)
    assert message.startswith(f"{tmp_path}/x.json: is not ") and f"({place}" in message and "type snakemake" in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("other", [{}, [], None, 3, "text", {"error": "none"}])
def test_another_document_is_refused(tmp_path, name, other):
    write_json(tmp_path / "x.json", other)
    if (name, other) == ("d_1/discrimination.json", {}):
        assert READERS[name](tmp_path / "x.json") == {}  # there were no pairs
        return
    with pytest.raises(UserError, match=r"x\.json: is not ") as error:
        READERS[name](tmp_path / "x.json")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe{}"])
def test_a_file_that_is_no_json_is_refused(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.json:1: not JSON"):
        rounds.read_funnel(tmp_path / "x.json")


def test_what_a_type_does_not_name_may_be_there_and_stays(tmp_path):
    funnel = {"stage": "s", "round": 0, "rows_in": 2, "rows_out": 1, "rejected": {"short": 1}, "requests": 7}
    write_json(tmp_path / "x.json", funnel)
    assert rounds.read_funnel(tmp_path / "x.json") == funnel


def test_a_sealed_file_that_is_no_record_is_refused(tmp_path, run):
    write_record(tmp_path / "r.json", {"stage": "s"}, {})
    for read in (read_record, read_manifest):
        with pytest.raises(Broken, match=r"r\.json: is not the (record|manifest) of a"):
            read(tmp_path / "r.json")
    record = run / "d_0/records/select_data.json"
    assert read_record(record) == json.loads(record.read_text())
