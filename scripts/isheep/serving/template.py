"""Chat templates as text: compiled and rendered as transformers does it, but without it, and what they write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment() -> Environment:
    """Return the Jinja environment in which transformers renders chat templates (sandboxed, same blanks and names)."""
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """The block {% generation %}, which marks an answer for some trainers and writes what stands in it."""

        tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = lambda value, ensure_ascii=False, **given: json.dumps(
        value, ensure_ascii=ensure_ascii, **given
    )
    made.globals["raise_exception"] = refuse
    return made


def clock(day: date) -> dict[str, Any]:
    """Return what templates read the date from: the function `strftime_now` and, in Llama's form, `date_string`.

    Both give `day` at midnight, whenever they are asked.
    """
    now = datetime(day.year, day.month, day.day)
    strftime_now: Callable[[str], str] = now.strftime
    return {"strftime_now": strftime_now, "date_string": now.strftime("%d %b %Y")}


def render(text: str, messages: list[dict[str, str]], variables: Mapping[str, Any]) -> str:
    """Return a conversation as a template writes it; Jinja's errors are the caller's."""
    return environment().from_string(text).render(messages=messages, **variables)


def literals(text: str) -> str:
    """Return all that stands in a template as text to write or to compare with, a line each; "" where it is broken."""
    from jinja2 import TemplateError, nodes

    try:
        tree = environment().parse(text)
    except TemplateError:
        return ""
    data = [node.data for node in tree.find_all(nodes.TemplateData)]
    constants = [node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)]
    return "\n".join(data + constants)


def is_mark(token: str) -> bool:
    """Return whether a token looks like a mark of a template: it has a letter or digit, and a sign beside it."""
    signs = [char for char in token if not (char.isalnum() or char.isspace())]
    return bool(signs) and any(char.isalnum() for char in token)


def remedy(error: Exception, system: bool) -> str:
    """Return what to do about a template's error."""
    if system and "system" in str(error).lower():
        return "delete model.system, or give a template that takes it as model.chat_template"
    return (
        "correct the template, or give another as model.chat_template (config/prompts/chat.jinja fits any base model)"
    )
