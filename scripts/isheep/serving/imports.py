"""What libraries bring along and nobody here uses is left out when they are imported."""

from __future__ import annotations

import json
import sys
from pathlib import Path

GENERIC = ("PreTrainedTokenizerFast", "TokenizersBackend")
# Of these transformers takes the class that the folder names; of some others it knows better.
TRUSTED = frozenset("llama qwen3 gemma2 gemma3 gemma3_text smollm3 granite olmo2".split())
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


def without_torch(folder: Path) -> bool:
    """Return whether a folder's tokenizer is the generic one, whatever transformers' AutoTokenizer looks at besides.

    AutoTokenizer imports torch and all that generates, four to six seconds of processor time, in each job that reads a
    chat template while a kept engine answers; the class itself takes one and a half.
    """
    try:
        tokenizer, model = (
            json.loads((folder / name).read_text(encoding="utf-8")) for name in ("tokenizer_config.json", "config.json")
        )
    except (OSError, ValueError):
        return False
    if not isinstance(tokenizer, dict) or not isinstance(model, dict) or "auto_map" in tokenizer:
        return False
    return (
        tokenizer.get("tokenizer_class") in GENERIC
        and model.get("model_type") in TRUSTED
        and (folder / "tokenizer.json").is_file()
    )
