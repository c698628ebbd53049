"""Is the tokenizer that is loaded the one that the model was trained with? Libraries rebuild some of them."""

from __future__ import annotations

import json
import tempfile
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from isheep.config.model import Model
from isheep.data.files import read_json
from isheep.errors import UserError
from isheep.serving.chat import load_tokenizer
from isheep.serving.engines.base import Prompt
from isheep.serving.engines.tokens import encode_prompt

TEXTS = (
    "How are you doing?\nGrüße",
    "The capital of France is Paris.",
    "  two blanks before, two  between",
    "def add(a, b):\n    return a + b\n\n\nprint(add(1, 20))",
    "1 2 3 10 2026-01-31 3.14",
    "naïve façade, don't; “quoted” — dashed",
    "日本語のテキスト、한국어, العربية",
    "😀 👍🏽",
    "<b>bold</b> {braces} [brackets] a|b \\n",
)
"""What tokenizers differ in: blanks, line ends, digits, accents, scripts, bytes, signs."""
AS_IT_IS = 'write "tokenizer_class": "PreTrainedTokenizerFast" into tokenizer_config.json, to have it read as it is'
PLAIN = ("PreTrainedTokenizerFast", "TokenizersBackend")
Ids = list[list[int]]


def ids_of(tokenizer: Any) -> Ids:
    """Return the ids of the table of texts, without special tokens."""
    return [tokenizer(text, add_special_tokens=False).input_ids for text in TEXTS]


def check_tokenizer(folder: Path, model: Model) -> list[str]:
    """Return what is wrong with the tokenizer of a model folder, a line each with what to do; [] when it is sound.

    Its ids are held against tokenizer.json as the library `tokenizers` reads it, its texts against what was encoded,
    its start and end tokens against the config files, and all of it against itself after a save and a load.

    Parameters
    ----------
    folder
        Has config.json and the tokenizer's files.
    model
        Section `model` of the settings.
    """
    try:
        tokenizer = load_tokenizer(folder, model)
    except UserError as error:
        return [str(error)]
    differing = _against_file(folder, tokenizer)
    return differing or [*_round_trip(tokenizer), *_ends(folder, tokenizer), *_saved(tokenizer)]


def _against_file(folder: Path, tokenizer: Any) -> list[str]:
    path = folder / "tokenizer.json"
    if not path.is_file():
        return []
    from tokenizers import Tokenizer

    raw = Tokenizer.from_file(str(path))
    raw.no_truncation()
    raw.no_padding()
    config = folder / "tokenizer_config.json"
    named = read_json(config).get("tokenizer_class") if config.is_file() else None
    rebuilt = type(tokenizer).__name__
    # For some architectures transformers does not ask the file which class to take.
    forced = f"it does so for every model of this model_type, so take a tokenizer.json made for {rebuilt}"
    for text, ids in zip(TEXTS, ids_of(tokenizer), strict=True):
        if raw.encode(text, add_special_tokens=False).ids != ids:
            return [
                f"tokenizer.json: transformers rebuilds it as {rebuilt}, which gives other ids for {text!r} (decoded: "
                f"{tokenizer.decode(ids)!r}); {forced if named in PLAIN else AS_IT_IS}"
            ]
    return []


def _round_trip(tokenizer: Any) -> list[str]:
    """Texts must come back but for blanks at their beginning; unknown characters, case and form may get lost."""
    for text, ids in zip(TEXTS, ids_of(tokenizer), strict=True):
        decoded = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        unknown = tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids
        if not unknown and _words(decoded) != _words(text):
            return [
                f"tokenizer: {text!r} comes back as {decoded!r} ({type(tokenizer).__name__}); fetch the tokenizer's "
                f"files again, or {AS_IT_IS}"
            ]
    return []


def _words(text: str) -> list[str]:
    return unicodedata.normalize("NFKC", text).casefold().split()


def _ends(folder: Path, tokenizer: Any) -> list[str]:
    """Hold start and end tokens against tokenizer_config.json and config.json."""
    said = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    starts = encode_prompt(tokenizer, Prompt("a", True)) != encode_prompt(tokenizer, Prompt("a", False))
    problems = []
    wanted = said.get("add_bos_token")
    if isinstance(wanted, bool) and tokenizer.bos_token and wanted != starts:
        problems.append(
            f"tokenizer_config.json: add_bos_token is {json.dumps(wanted)}, but the tokenizer "
            f"{'puts a' if starts else 'puts no'} start token before a text; correct the post_processor of "
            "tokenizer.json, or add_bos_token"
        )
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    bos = (config.get("text_config") or config).get("bos_token_id")
    if starts and isinstance(bos, int) and tokenizer.bos_token_id not in (None, bos):
        problems.append(
            f"config.json: bos_token_id is {bos}, but the tokenizer starts texts with {tokenizer.bos_token!r} "
            f"({tokenizer.bos_token_id}); tokenizer and model do not belong together: fetch both from one place"
        )
    return problems


def _saved(tokenizer: Any) -> list[str]:
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        again = AutoTokenizer.from_pretrained(folder)
    difference = differs(tokenizer, again)
    return [f"tokenizer: a save and a load change {difference}; {AS_IT_IS}"] if difference else []


def differs(one: Any, other: Any) -> str | None:
    """Return in what two tokenizers differ, in words; None when they read and write alike."""
    for text, first, second in zip(TEXTS, ids_of(one), ids_of(other), strict=True):
        if first != second:
            return f"the ids of {text!r}"
        if one.decode(first) != other.decode(second):
            return f"what the ids of {text!r} are decoded to"
    for text in [*one.all_special_tokens, "a"]:
        if one(text).input_ids != other(text).input_ids:
            return f"the ids of {text!r} with its special tokens"
    return None


def check_same(tokenizers: Mapping[str, Any]) -> None:
    """Check that the tokenizers of a base model, its adapter and the merged model give equal ids.

    Raises
    ------
    UserError
        Names the first one that differs from the first of all.
    """
    (first, one), *others = tokenizers.items()
    for name, other in others:
        if difference := differs(one, other):
            raise UserError(
                f"{name}: its tokenizer differs from that of {first} in {difference}, so the next round would read "
                f"other ids than were trained; in {first}, {AS_IT_IS}, then type the same command again"
            )
