"""Files: whole or not at all, and one encoding."""

import hashlib
import json
import os
import tracemalloc

import pytest

from isheep.data.files import digest, digest_files, digest_named, encode, publish
from isheep.data.rows import StoredRows, Stream, read_rows, write_rows
from isheep.errors import UserError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "rows.jsonl"
    write_rows(file, [{"id": "old"}])

    def rows():
        yield {"id": "new"}
        raise ValueError

    with pytest.raises(ValueError):
        write_rows(file, rows())
    assert list(read_rows(file)) == [{"id": "old"}]
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


def test_what_is_published_can_be_read_by_whom_the_umask_lets_in(tmp_path):
    before = os.umask(0o027)
    try:
        with publish(tmp_path / "model") as folder:
            folder.mkdir()
            (folder / "weights").touch(mode=0o600)
        write_rows(tmp_path / "rows.jsonl", [])
    finally:
        os.umask(before)
    assert [oct((tmp_path / name).stat().st_mode & 0o777) for name in ("model/weights", "rows.jsonl")] == ["0o640"] * 2


def test_a_folder_is_published_whole_and_replaces_the_old_one(tmp_path):
    for name in ("first", "second"):
        with publish(tmp_path / "model") as folder:
            folder.mkdir()
            (folder / name).write_text(name)
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["second"]


def test_lone_surrogates_become_replacement_characters():
    assert encode({"text": "a\ud800b"}) == '{"text": "a\ufffdb"}'


def test_a_digest_does_not_depend_on_key_order():
    assert digest({"a": 1, "b": [1, {"c": "é"}]}) == digest({"b": [1, {"c": "é"}], "a": 1})


@pytest.mark.parametrize(("text", "said"), [('{"a": 1}\n{"a"', ":2: not a line of JSON"), ("[1]\n", "found list")])
def test_a_broken_line_is_named(tmp_path, text, said):
    file = tmp_path / "rows.jsonl"
    file.write_text(text)
    with pytest.raises(UserError, match=said):
        list(read_rows(file))


def test_many_files_are_hashed_at_once_and_lost_ones_told(tmp_path):
    files = [tmp_path / str(n) for n in range(20)]
    for file in files:
        file.write_text(file.name)
    wanted = {file: hashlib.sha256(file.name.encode()).hexdigest() for file in files}
    assert digest_files([*files, tmp_path / "lost"], threads=4) == {**wanted, tmp_path / "lost": None}
    assert list(digest_named({"b": files[2], "a": files[1]}).items()) == [
        ("b", wanted[files[2]]),
        ("a", wanted[files[1]]),
    ]
    with pytest.raises(FileNotFoundError):
        digest_named({"a": tmp_path / "lost"})


def test_memory_does_not_grow_with_the_size_of_what_is_hashed(tmp_path):
    for name in "ab":
        with open(tmp_path / name, "wb") as handle:
            os.truncate(handle.fileno(), 1 << 27)  # holes, which take no disk
    tracemalloc.start()
    try:
        one, other = digest_files([tmp_path / "a", tmp_path / "b"], threads=2).values()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert one == other == hashlib.sha256(bytes(1 << 27)).hexdigest()
    assert most < 1 << 22


def test_the_parts_of_stored_rows_are_those_of_any_stream_and_nobody_parses_the_rows_of_others(tmp_path):
    file, rows = tmp_path / "rows.jsonl", [{"id": str(n)} for n in range(7)]
    file.write_text("\ufeff\n" + "\n \n".join(json.dumps(row) for row in rows) + "\n")
    for count in (1, 3, 8):
        parts = [list(StoredRows(file).part(number, count)) for number in range(count)]
        assert parts == [list(Stream(lambda: rows).part(number, count)) for number in range(count)]
        assert sorted(row["id"] for part in parts for row in part) == [row["id"] for row in rows]
    file.write_text('{"id": "0"}\nbroken\n')
    assert list(StoredRows(file).part(0, 2)) == [{"id": "0"}]
    with pytest.raises(UserError, match=r"rows.jsonl:2: not a line of JSON"):
        list(StoredRows(file).part(1, 2))
