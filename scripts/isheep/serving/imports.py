"""What libraries bring along and nobody here uses is left out when they are imported."""

from __future__ import annotations

import sys

USER = "transformers.generation.candidate_generator"


def spare_scikit_learn() -> None:
    """Have transformers imported as where scikit-learn is not installed; call before the first import of its classes.

    Its generation asks for one function of it, for assisted generation alone, and scikit-learn and scipy with it take
    some four seconds of processor time (docs/performance.md), in each job that reads a chat template.
    """
    if USER in sys.modules:
        return
    from transformers import utils

    known = utils.is_sklearn_available
    utils.is_sklearn_available = lambda: False
    try:
        __import__(USER)
    finally:
        utils.is_sklearn_available = known
