"""Files: whole or not at all, and one encoding."""

import pytest

from isheep.errors import UserError
from isheep.records import digest, encode, publish, read_rows, write_rows


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
