"""A run as frames: `from isheep.results import Run; Run("results/demo").scores`."""

from isheep.results.run import Run

__all__ = ["Run"]
