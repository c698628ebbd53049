"""YAML files that people write for a model to see: a list of entries of a few texts each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from isheep.errors import Problems, UserError


def read_entries(
    path: str | Path, keys: Sequence[str], setting: str, unique: str | None = None
) -> list[dict[str, str]]:
    """Return the entries of a file, a YAML list of mappings from `keys` to texts.

    Parameters
    ----------
    path
        The file.
    keys
        What every entry has, and nothing else.
    setting
        The key that names the file, for messages.
    unique
        The key whose texts must differ.

    Raises
    ------
    UserError
        The file cannot be read, or lists all that is wrong with it.
    """
    import yaml

    try:
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserError(f"{path}: cannot be read ({reason}); set {setting} to a file") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: no YAML ({' '.join(str(error).split())})") from None
    if not isinstance(given, list) or not given:
        raise UserError(f"{path}: expected a list of {{{', '.join(f'{key}: ...' for key in keys)}}}")
    problems = Problems(str(path))
    for number, entry in enumerate(given, start=1):
        if not isinstance(entry, dict) or set(entry) != set(keys):
            problems.add(f"entry {number}", f"expected {', '.join(keys)}, and nothing else")
        elif no_text := [key for key in keys if not isinstance(entry[key], str) or not entry[key].strip()]:
            problems.add(f"entry {number}", f'{no_text[0]} must be a text; YAML reads some words otherwise, "quote" it')
    problems.raise_if_any()
    texts = [entry[unique] for entry in given] if unique else []
    for text in sorted({text for text in texts if texts.count(text) > 1}):
        problems.add(text, f"two entries have this {unique}")
    problems.raise_if_any()
    return [{key: entry[key].strip() for key in keys} for entry in given]
