"""Selection: hand-computed cases, ties and the floor."""

import pytest

from isheep.config.rows import Cluster
from isheep.errors import UserError
from isheep.select import clusters, order
from isheep.select.kinds.band import Band
from isheep.select.kinds.density import Density
from isheep.select.kinds.none import KeepAll
from isheep.select.kinds.quantile import Quantile
from isheep.select.kinds.threshold import Threshold
from isheep.select.kinds.top_k import TopK
from isheep.select.rows import select
from isheep.serving import embedding

ROWS = [{"id": str(n), "quality": q, "following": f, "pmi": p} for n, (q, f, p) in enumerate(
    [(9, 9, 0.1), (8, 10, 0.5), (10, 8.5, 0.5), (9, 8, -1.0), (8.01, 9, 0.5)]
)]  # fmt: skip


def ids(settings) -> list[str]:
    kept, rejected, funnel = select(ROWS, settings, 0).parted()
    assert len(kept) + len(rejected) == len(ROWS)
    assert funnel.record(len(kept), len(rejected))["rows_in"] == len(ROWS)
    return [row["id"] for row in kept]


def test_threshold_is_strict_on_every_column():
    assert ids(Threshold(above={"quality": 8, "following": 8}, floor=1)) == ["0", "2", "4"]


def test_threshold_names_the_first_column_that_fails():
    _, rejected, _ = select(ROWS, Threshold(floor=1), 0).parted()
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


def test_a_band_excludes_its_bounds_and_names_the_side():
    settings = Band(above={"pmi": 0.1}, below={"quality": 10}, floor=1)
    assert ids(settings) == ["1", "4"]
    _, rejected, _ = select(ROWS, settings, 0).parted()
    assert [row["rule"] for row in rejected] == ["pmi_too_low", "quality_too_high", "pmi_too_low"]


@pytest.mark.parametrize(
    ("bounds", "why"), [({}, "no bounds"), ({"above": {"pmi": 2}, "below": {"pmi": 2}}, "nothing lies above 2.0")]
)
def test_a_band_that_holds_nothing_is_refused(bounds, why):
    with pytest.raises(ValueError, match=why):
        Band(**bounds)


CLUSTERED = [
    {"id": name, "cluster": cluster, "ppl": ppl}
    for name, cluster, ppl in [("a", 0, 3.0), ("b", 1, 9.0), ("c", 0, 2.0), ("d", 1, 9.0), ("e", 2, 5.0), ("f", 0, 1.0)]
]


@pytest.mark.parametrize(
    ("settings", "kept"),
    [({"by": "ppl"}, "bef"), ({"by": "ppl", "per_cluster": 2}, "bcdef"), ({"per_cluster": 9}, "abcdef")],
)
def test_density_keeps_the_lowest_of_each_cluster_the_earlier_of_equals(settings, kept):
    rows, rejected, _ = select(CLUSTERED, Density(floor=1, **settings), 0).parted()
    assert "".join(row["id"] for row in rows) == kept
    assert all(row["rule"] == "cluster_full" for row in rejected)


def test_density_without_a_column_draws_one_of_each_cluster_whatever_the_order_of_rows():
    settings = Density(floor=1)
    kept = {row["id"] for row in select(CLUSTERED, settings, 0).parted()[0]}
    assert len(kept) == 3 and {row["cluster"] for row in CLUSTERED if row["id"] in kept} == {0, 1, 2}
    assert {row["id"] for row in select(CLUSTERED[::-1], settings, 0).parted()[0]} == kept


def test_like_directions_make_a_cluster_whatever_their_length():
    import numpy as np

    found = [
        embedding.Embedding(str(n), next(embedding.Vectors(_Fixed(vector)).vectors([_asked(n)])).vector)
        for n, vector in enumerate([(1, 0), (9, 0.1), (0, 2), (0.1, 7), (0, 0)])
    ]
    vectors = embedding.directions(found)
    assert np.allclose(np.linalg.norm(vectors[:4], axis=1), 1) and not vectors[4].any()
    first, second, third, fourth = clusters.clusters(vectors[:4], Cluster(count=2))
    assert first == second != third == fourth
    assert len(set(clusters.clusters(vectors[:4], Cluster(count=3000)))) == 2, "half the rows where there are fewer"
    assert clusters.clusters(vectors[:4], Cluster(count=2)) == clusters.clusters(vectors[:4], Cluster(count=2))


class _Fixed:
    """An engine that embeds everything alike."""

    def __init__(self, vector):
        self.vector = vector

    def embed(self, text):
        import numpy as np

        return np.array(self.vector, dtype=np.float32)


def _asked(number):
    return embedding.EmbedRequest(str(number), "text")


@pytest.mark.parametrize(("descending", "expected"), [(False, "cabd"), (True, "dabc")])
def test_order_sorts_by_the_column_and_keeps_the_earlier_of_equals_first(descending, expected):
    texts = {"a": (2, 3), "b": (2, 5), "c": (1, 1), "d": (7, 2)}
    rows = [
        {"id": name, "instruction": "Say it.", "input": "", "output": "word " * words, "ppl": ppl}
        for name, (ppl, words) in texts.items()
    ]
    sorted_rows = order.ordered(rows, "ppl", descending)
    assert "".join(row["id"] for row in sorted_rows) == expected
    told = order.profile(sorted_rows, "ppl", descending)
    assert [part["value"] for part in told["parts"]] == sorted((2, 2, 1, 7), reverse=descending)
    assert [part["output_words"] for part in told["parts"]] == [texts[name][1] for name in expected]
    assert told["correlation_with_length"] == pytest.approx(0.3162, abs=1e-3)
