"""Clusters of rows: the vectors of rows, by a model's last layer, grouped by k-means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isheep.config.rows import Cluster

if TYPE_CHECKING:
    import numpy as np


def clusters(vectors: np.ndarray, settings: Cluster) -> list[int]:
    """Return the cluster of each row: scikit-learn's KMeans, begun once from a fixed seed, in one thread.

    Parameters
    ----------
    vectors
        Rows x size.
    settings
        `count` clusters, or half the rows where there are fewer (isheep.md 4.4), at least one.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    rows = len(vectors)
    if not rows:
        return []
    count = settings.count or 1
    with threadpool_limits(limits=1):  # sums of floats in an order of threads would differ between runs
        found = KMeans(count if count <= rows else max(1, rows // 2), n_init=1, random_state=0).fit(vectors)
    return [int(label) for label in found.labels_]
