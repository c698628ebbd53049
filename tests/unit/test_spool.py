"""Rows on disk: as they were put down, by their places, in memory or in a file."""

import pytest

from isheep.data import spool
from isheep.data.spool import Spool


@pytest.mark.parametrize("in_memory", [1, 2**20])
def test_rows_come_back_by_place_while_others_follow(monkeypatch, in_memory):
    monkeypatch.setattr(spool, "IN_MEMORY", in_memory)
    rows = Spool()
    for number in range(5):
        rows.append({"id": f"Zürich\u2028{number}", "n": number})
        assert rows[-1]["n"] == number and rows[0]["id"] == "Zürich\u20280"
    early = rows.so_far()
    rows.append({"id": "late", "n": 5})
    assert [row["n"] for row in rows] == list(range(6)) and [row["n"] for row in rows[4:]] == [4, 5]
    assert len(early) == 5 and [row["n"] for row in early] == list(range(5)) and early[-1]["n"] == 4
    with pytest.raises(IndexError):
        early[5]
