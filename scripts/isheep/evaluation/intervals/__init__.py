"""How sure a metric is: intervals of values and of paired differences, the same numbers every time."""

from isheep.evaluation.intervals.metrics import Difference, interval, paired, table
from isheep.evaluation.intervals.range import Interval

__all__ = ["Difference", "Interval", "interval", "paired", "table"]
