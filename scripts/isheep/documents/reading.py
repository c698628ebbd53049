"""One reader for all documents: JSON, checked against its type, given as it is."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from isheep.data.files import read_json
from isheep.errors import UserError

Document = TypeVar("Document")
Better = Literal["higher", "lower", ""]
"""Which side of a number is better; "" when neither is."""


def read(path: str | Path, kind: type[Document], what: str) -> Document:
    """Return the document in a file; see `checked`."""
    return checked(read_json(path), kind, what, path)


def checked(value: object, kind: type[Document], what: str, path: str | Path) -> Document:
    """Return a JSON value itself when it is a document of a kind.

    Parameters
    ----------
    value, kind
        The value; the type that it must have. Numbers and texts are not converted into each other.
    what, path
        What the document is called, and its file, for the message.

    Raises
    ------
    UserError
        It is not; the message names the file and the first place that is wrong.
    """
    try:
        _adapter(cast(Any, kind)).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        reason = f"{place}: {first['msg']}" if place else first["msg"]
        raise UserError(f"{path}: is not {what} ({reason}); delete it and type snakemake to make it again") from None
    return value  # type: ignore[return-value]


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
