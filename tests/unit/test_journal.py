"""The journal: what it trusts after a crash, and what it never does."""

import multiprocessing
import time
from pathlib import Path

import pytest

from isheep.errors import UserError
from isheep.runner.journal import Journal

PRINT = "f" * 64


def fill(folder: Path, writer: str = "stage", entries: dict | None = None) -> Path:
    with Journal(folder, PRINT, writer) as journal:
        for key, value in (entries or {"a": {"text": "1"}, "b": {"text": "2"}}).items():
            journal.append(key, value)
    return folder / f"{writer}.jsonl"


def reopen(folder: Path, writer: str = "stage", fingerprint: str = PRINT) -> dict:
    with Journal(folder, fingerprint, writer) as journal:
        kept = [found for name in ("a", "b", "c", "orphan") for found in journal.kept(name)]
        return {key: journal.result(place) for key, place in kept}


def test_results_come_back(tmp_path):
    fill(tmp_path, entries={"a": {"text": "Zürich\u2028\x00 …"}})
    assert reopen(tmp_path) == {"a": {"text": "Zürich\u2028\x00 …"}}


@pytest.mark.parametrize("cut", [2, 5, 20])
def test_a_torn_last_line_is_forgotten_and_the_next_result_is_whole(tmp_path, cut):
    file = fill(tmp_path)
    file.write_bytes(file.read_bytes()[:-cut])
    assert reopen(tmp_path) == {"a": {"text": "1"}}
    fill(tmp_path, entries={"c": {"text": "3"}})
    assert reopen(tmp_path) == {"a": {"text": "1"}, "c": {"text": "3"}}


def test_a_lost_line_break_loses_nothing(tmp_path):
    file = fill(tmp_path)
    file.write_bytes(file.read_bytes()[:-1])
    fill(tmp_path, entries={"c": {"text": "3"}})
    assert set(reopen(tmp_path)) == {"a", "b", "c"}


def test_a_journal_of_zero_bytes_is_started_anew(tmp_path):
    file = fill(tmp_path)
    file.write_bytes(b"")
    assert reopen(tmp_path) == {}
    fill(tmp_path, entries={"c": {"text": "3"}})
    assert reopen(tmp_path) == {"c": {"text": "3"}}


def test_a_tail_of_nul_bytes_is_forgotten(tmp_path):
    file = fill(tmp_path)
    file.write_bytes(file.read_bytes() + b"\x00" * 4096)
    assert reopen(tmp_path) == {"a": {"text": "1"}, "b": {"text": "2"}}
    fill(tmp_path, entries={"c": {"text": "3"}})
    assert set(reopen(tmp_path)) == {"a", "b", "c"}


def test_what_is_appended_can_be_read_at_once(tmp_path):
    fill(tmp_path)
    with Journal(tmp_path, PRINT, "stage") as journal:
        place = journal.append("c/128", {"text": "3"})
        assert journal.result(place) == {"text": "3"} and list(journal.kept("c/64")) == [("c/128", place)]
        assert [journal.result(place) for _, place in journal.kept("b")] == [{"text": "2"}]
    assert reopen(tmp_path)["c/128"] == {"text": "3"}


def test_more_journals_than_files_may_be_open_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("isheep.runner.journal.OPEN_FILES", 2)
    for number in range(5):
        fill(tmp_path, f"shard-{number}-of-5", {f"{number}": {"text": f"{number}"}})
    with Journal(tmp_path, PRINT, "stage") as journal:
        for number in (0, 4, 1, 3, 0, 2):
            ((key, place),) = journal.kept(f"{number}")
            assert (key, journal.result(place)) == (f"{number}", {"text": f"{number}"})


def test_a_place_where_no_result_begins_any_more_is_refused(tmp_path):
    fill(tmp_path)
    with Journal(tmp_path, PRINT, "other") as journal:
        ((_, place),) = journal.kept("a")
        with pytest.raises(UserError, match="was changed while it was read"):
            journal.result(place + 1)


def test_an_edited_result_is_not_trusted(tmp_path):
    file = fill(tmp_path)
    file.write_bytes(file.read_bytes().replace(b'"text": "1"', b'"text": "9"'))
    assert reopen(tmp_path) == {"b": {"text": "2"}}


def test_another_fingerprint_is_never_used(tmp_path):
    fill(tmp_path)
    assert reopen(tmp_path, fingerprint="0" * 64) == {}


def test_shards_read_each_other(tmp_path):
    fill(tmp_path, "shard-1-of-2", {"a": {"text": "1"}})
    fill(tmp_path, "shard-2-of-2", {"b": {"text": "2"}})
    assert reopen(tmp_path) == {"a": {"text": "1"}, "b": {"text": "2"}}


def _hold(folder: Path, seconds: float) -> None:
    with Journal(folder, PRINT, "stage") as journal:
        journal.append("orphan", {"text": "1"})
        time.sleep(seconds)


def test_a_successor_waits_for_the_orphan_and_sees_its_results(tmp_path):
    orphan = multiprocessing.get_context("fork").Process(target=_hold, args=(tmp_path, 0.5))
    orphan.start()
    deadline = time.monotonic() + 10
    while not (tmp_path / "stage.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert reopen(tmp_path) == {"orphan": {"text": "1"}}
    assert not orphan.is_alive() or orphan.join(1) is None
