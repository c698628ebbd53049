"""Selection: hand-computed cases, ties and the floor."""

import pytest

from isheep.errors import UserError
from isheep.select.kinds.none import KeepAll
from isheep.select.kinds.quantile import Quantile
from isheep.select.kinds.threshold import Threshold
from isheep.select.kinds.top_k import TopK
from isheep.select.rows import select

ROWS = [{"id": str(n), "quality": q, "following": f, "pmi": p} for n, (q, f, p) in enumerate(
    [(9, 9, 0.1), (8, 10, 0.5), (10, 8.5, 0.5), (9, 8, -1.0), (8.01, 9, 0.5)]
)]  # fmt: skip


def ids(settings) -> list[str]:
    kept, rejected, funnel = select(ROWS, settings, 0)
    assert len(kept) + len(rejected) == len(ROWS)
    assert funnel.record(len(kept), len(rejected))["rows_in"] == len(ROWS)
    return [row["id"] for row in kept]


def test_threshold_is_strict_on_every_column():
    assert ids(Threshold(above={"quality": 8, "following": 8}, floor=1)) == ["0", "2", "4"]


def test_threshold_names_the_first_column_that_fails():
    _, rejected, _ = select(ROWS, Threshold(floor=1), 0)
    assert [row["rule"] for row in rejected] == ["quality_too_low", "following_too_low"]


def test_top_k_takes_the_earlier_row_of_equals_and_keeps_file_order():
    assert ids(TopK(column="pmi", k=2, floor=1)) == ["1", "2"]
    assert ids(TopK(column="quality", k=2, floor=1)) == ["0", "2"]


def test_quantile_keeps_the_share():
    assert ids(Quantile(column="pmi", share=0.6, floor=1)) == ["1", "2", "4"]


def test_none_keeps_all():
    assert ids(KeepAll(floor=1)) == ["0", "1", "2", "3", "4"]


def test_fewer_than_the_floor_stops_with_the_funnel():
    with pytest.raises(UserError, match=r"3 rows selected, fewer than select.floor \(4\).*kept 3 of 5 rows"):
        select(ROWS, Threshold(floor=4), 0)
