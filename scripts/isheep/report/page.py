"""The page: what was gathered and drawn, put into a template, one file with nothing outside it."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from isheep import __version__
from isheep.data.numbers import shown
from isheep.documents.budget import words
from isheep.documents.choice import choose
from isheep.documents.models import ModelScores
from isheep.documents.tables import alarms_table, rows_of
from isheep.report import costs, sections, verdicts
from isheep.report.browser import embed
from isheep.report.facts import facts
from isheep.report.gather import Report
from isheep.report.lineage import draw
from isheep.report.outcome import Outcome, outcome

HERE = Path(__file__).parent
# Count as this module's code (provenance.py): a changed one makes the pages anew.
ASSETS = ("page.html.jinja", "comparison.html.jinja", "parts.html.jinja", "page.css", "page.js")
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def render(report: Report, assets: Path = HERE) -> str:
    """Return the page of a run as HTML.

    Parameters
    ----------
    report
        What to show.
    assets
        Folder of template, style sheet and script.
    """
    import yaml

    scores = [model.scores for model in report.models if model.scores]
    answer = outcome(report.settings, scores)
    trained = [model.training["rows"] for model in report.models if model.training]
    healths = [data.health for data in report.rounds if data.health]
    return fill(
        "page.html.jinja",
        assets,
        report=report,
        settings=yaml.safe_dump(without_places(report.settings), sort_keys=False, allow_unicode=True),
        facts=facts(report.base, report.settings, trained, report.stages),
        outcome=answer,
        stopped=_stopped(report, scores, answer),
        verdicts=_verdicts(report, answer),
        alarms=rows_of(alarms_table(healths)),
        checked=sum(health["checked"] for health in healths),
        benchmarks=sections.benchmarks(report),
        funnel=sections.funnel(report),
        health=sections.health(report),
        distributions=sections.distributions(report),
        training=sections.training(report),
        cost=sections.cost(report),
        lineage=draw(report),
        samples=embed(report.samples.packed()),
        answers=embed(report.answers.packed()),
    )


def _stopped(report: Report, scores: Sequence[ModelScores], answer: Outcome) -> str:
    """Return how a run's budget stopped it, and which model is its best so far; nothing where it made all rounds."""
    if report.stop is None:
        return ""
    best = report.settings["publish"].get("best")
    chosen = choose(scores, best["benchmark"], best["metric"]) if best else None
    if chosen:
        of = f"of {chosen['of']} by {chosen['metric']} of {chosen['benchmark']}"
        return f"{words(report.stop)} Its chosen model is iter_{chosen['round']}, the best {of}."
    return f"{words(report.stop)} " + (
        f"The model to take so far is {answer.take}." if answer.take else "No benchmark speaks for one of its models."
    )


def _verdicts(report: Report, answer: Outcome) -> list[verdicts.Verdict]:
    """Return a sentence for each benchmark about the model that the answer is about, else about the last."""
    scores = {f"iter_{model.i}": model.scores for model in report.models if model.scores}
    if not scores:
        return []
    model = answer.about or list(scores)[-1]
    return [
        verdicts.judge(name, entry, model, verdicts.formats_differ(report.settings, name, entry["kind"]))
        for name, entry in scores[model]["benchmarks"].items()
    ]


def fill(template: str, assets: Path = HERE, **names: Any) -> str:
    """Return a template filled in: everything escaped, style sheet and script inlined and vouched for by their hash."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(assets),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: UNPRINTABLE.sub("\ufffd", value) if type(value) is str else value,
    )
    environment.filters |= {
        "show": shown,
        "clock": costs.clock,
        "json": lambda value: json.dumps(value, ensure_ascii=True),
        "drawing": Markup,  # made by charts.py, which escapes
    }
    style, script = ((assets / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    own = {"version": __version__, "style": Markup(style), "script": Markup(script), "script_hash": _hash(script)}
    return environment.get_template(template).render(**own, **names)


def without_places(value: Any) -> Any:
    """Return settings in which a path of this machine is cut to its last part."""
    if isinstance(value, dict):
        return {key: without_places(child) for key, child in value.items()}
    if isinstance(value, list):
        return [without_places(child) for child in value]
    if isinstance(value, str) and (value.startswith(("/", "~")) or ".." in value.split("/")):
        return f"outside/{value.rstrip('/').rsplit('/', 1)[-1]}"
    return value


def _hash(script: str) -> str:
    return f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}"
