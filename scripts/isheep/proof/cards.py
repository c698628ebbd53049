"""Dataset and model cards, written from the records: nothing in them that is not in the results."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

from isheep.config.gguf import Gguf
from isheep.data.numbers import brief, interval
from isheep.data.rows import Row
from isheep.documents.models import MergeReport, TrainingReport, read_merging, read_training
from isheep.documents.records import Hardware, Manifest, Settings
from isheep.documents.rounds import CHECKS, read_discrimination, read_funnel
from isheep.documents.tables import rejections_table
from isheep.filters import resolve
from isheep.runner.portable import in_run
from isheep.stages.table import table

Find = Callable[[str], Path]
Facets = dict[str, Any]
"""Names that a card's template uses."""
LONGEST = 400  # characters of a text in a sample
BACKTICKS = re.compile("`+")


class Facts:
    """What a manifest tells a card.

    Parameters
    ----------
    manifest
        The sealed manifest.
    find
        Where a recorded path lies.
    """

    def __init__(self, manifest: Manifest, find: Find) -> None:
        self.made = manifest["made"]
        self.observed = manifest["observed"]
        self.settings = self.made["settings"]
        self._sha256 = manifest["sha256"]
        self._find = find

    def common(self) -> Facets:
        """Return what both cards tell."""
        seeds = self.settings["seeds"]["path"]
        versions = [stage["versions"].items() for stage in self.made["stages"].values()]
        hardware = {_kind(timing["hardware"]) for timing in self.observed["stages"].values()}
        return {
            "run": self.made["run"],
            "rounds": self.settings["rounds"],
            "settings": self.settings,
            "rules": {
                stage: [rule.name for rule in resolve(stage, self.settings[stage]["rules"])]
                for stage in ("prompts", "outputs")
            },
            "base": base_name(self.settings),
            "is_fake": self.settings["engine"]["name"] == "fake",
            "models": self.made["models"],
            "seeds": {"path": seeds, "sha256": self.made["files"][seeds]["sha256"]},
            "files": sorted(self.made["files"]),
            "manifest": self._sha256,
            "version": self.made["code"]["version"],
            "commit": self.observed["commit"],
            "libraries": dict(chain.from_iterable(versions)),
            "hardware": sorted(hardware),
        }

    def round(self, i: int) -> Facets:
        """Return the funnel of d_i, its rejections by rule, what assessors could tell, its health and its tokens."""
        ran = {stage: word for stage, word in table().words.items() if f"d_{i}/{stage}" in self.made["stages"]}
        funnels = {
            stage: read_funnel(self.output(f"d_{i}/{stage}", f"{word}.funnel.json")) for stage, word in ran.items()
        }
        stages = [self.made["stages"][f"d_{i}/{stage}"] for stage in ran]
        timings = [self.observed["stages"][f"d_{i}/{stage}"] for stage in ran]
        checks = [
            read_discrimination(self.output(f"d_{i}/{stage}", file)) for stage, file in CHECKS.items() if stage in ran
        ]
        return {
            "i": i,
            "funnel": funnels,
            "rejected": rejections_table(funnels.values())[["stage", "rule", "rows"]].to_numpy().tolist(),
            "discrimination": {name: check for each in checks for name, check in each.items()},
            "tokens": sum(sum(stage["tokens"].values()) for stage in stages),
            "seconds": sum(timing["seconds"] for timing in timings),
        }

    def training(self, i: int) -> TrainingReport:
        """Return the report of the training of iter_i."""
        return read_training(self.output(f"iter_{i}/train_adapter", "training.json"))

    def merging(self, i: int) -> MergeReport:
        """Return the report of the merge of iter_i."""
        return read_merging(self.output(f"iter_{i}/merge_model", "merging.json"))

    def file(self, name: str) -> Path | None:
        """Return a file of the run that a stage made, whichever run owns it; None when no stage made it."""
        return next((self._find(path) for path in self.made["artifacts"] if in_run(path) == name), None)

    def output(self, key: str, name: str) -> Path:
        """Return where a file of this name among a stage's outputs lies."""
        outputs = self.made["stages"][key]["outputs"]
        return self._find(next(path for path in outputs if path.endswith(f"/{name}")))


def judge_name(settings: Settings) -> str | None:
    """Return who judged the answers to benchmarks that need a judge; None when there is none."""
    judge = settings["evaluation"]["judge"]
    if not judge:
        return None
    if judge["kind"] == "endpoint":
        return f"{judge['model']} (served at an endpoint)"
    return base_name(judge) if judge["model"] else "iter_0, the base model"


def base_name(settings: Settings) -> str:
    """Return what the model of a run, or a judge's, is called: hub id with revision, file of a package, or folder."""
    model = settings["model"]
    if model["hub"]:
        return f"{model['hub']} (revision {model['revision']})"
    if model["gguf"]:
        return Gguf.model_validate(model["gguf"]).name
    return Path(model["path"]).name if model["path"] else "a fake model (text from a hash)"


def _kind(hardware: Hardware) -> str:
    gpus = f", {hardware['gpus']} x {hardware['gpu']}" if hardware["gpus"] else ""
    return f"{hardware['cpu']} ({hardware['machine']}){gpus}"


def render(template: Path, head: Facets, facts: Facets) -> str:
    """Return a card: its head as YAML, then the template filled in.

    Parameters
    ----------
    template
        A Jinja template; the filter `cell` makes a value safe inside a table.
    head
        Keys of the head that the hub and libraries read.
    facts
        Names that the template uses; one that is missing is an error.
    """
    import yaml
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    environment.filters["cell"] = cell
    environment.filters["number"] = brief
    environment.filters["interval"] = interval
    body = environment.from_string(template.read_text(encoding="utf-8")).render(**facts)
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n{body.strip()}\n"


def cell(value: Any) -> str:
    """Return a value as text that cannot leave its cell of a Markdown table, nor become HTML."""
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    text = " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
    return "".join(f"\\{letter}" if letter in "\\`*_|[]" else letter for letter in text)


def _short(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _short(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_short(child) for child in value]
    return value[:LONGEST] + " …" if isinstance(value, str) and len(value) > LONGEST else value


def sample(row: Row) -> str:
    """Return a row as a block of JSON in Markdown that nothing in its texts can end, long texts cut."""
    text = json.dumps(_short(row), ensure_ascii=False, indent=2)
    fence = "`" * max(3, 1 + max(map(len, BACKTICKS.findall(text)), default=0))
    return f"{fence}json\n{text}\n{fence}"
