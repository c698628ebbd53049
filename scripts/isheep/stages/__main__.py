"""Write docs/stages.md from the table of stages: `python -m isheep.stages`, part of `make config`."""

from __future__ import annotations

from pathlib import Path

from isheep.config.run import Run
from isheep.data.files import publish
from isheep.stages.base import Read, Stage
from isheep.stages.table import table

PAGE = Path(__file__).parents[3] / "docs" / "stages.md"
HEAD = """# Stages

Written by `make config` from the declarations in `scripts/isheep/stages/`, as they are with the default settings.
docs/architecture.md says how to read one, and how to add one.

A run has a stage once, in every round (d_i), for every trained model (iter_1 on), or for every model (iter_0 too). What
it reads of other stages is named by stage; `i` is its own round. *Shards*: `whole` when jobs of their own can ask all
its requests, `first` when they can ask the first wave.
"""
OF = {"round": "every round", "trained": "every trained model", "model": "every model", "once": "once"}


def page() -> str:
    """Return the page."""
    lines = [HEAD, "| stage | what it does | of | runs | shards | asks for |", "|---|---|---|---|---|---|"]
    for stage in table():
        asks = f"`resources.{stage.machine}`" if stage.machine else "little"
        cells = (f"[`{stage.name}`](#{stage.name})", stage.about, OF[stage.of], _model(stage), stage.shards or "", asks)
        lines.append(f"| {' | '.join(cells)} |")
    for stage in table():
        lines += ["", f"## {stage.name}", "", *_section(stage)]
    return "\n".join(lines) + "\n"


def _model(stage: Stage) -> str:
    if stage.model is None:
        return "a model of its own" if stage.weights else "no model"
    first, later = stage.model(Run(), 1), stage.model(Run(), 2)
    return "iter_0" if first == later == 0 else "iter_i" if first == 1 else "iter_{i-1}"


def _section(stage: Stage) -> list[str]:
    made = ", ".join(f"`{name}`" for name in stage.makes)
    facts = {
        "makes": f"{made} in `results/{{run}}/{stage.folder}/`",
        "is decided by": ", ".join(f"`{key}`" for key in stage.settings),
        "reads": "; ".join(_reads(stage)),
        "reads of the user's": ", ".join(f"`{file}`" for file in stage.files(Run())),
        "needs the columns": ", ".join(f"`{column}`" for column in stage.needs(Run())),
        "adds the columns": ", ".join(f"`{column}`" for column in (stage.adds(Run()) if stage.adds else ())),
    }
    return [f"- {fact} {value}" for fact, value in facts.items() if value]


def _reads(stage: Stage) -> list[str]:
    """Return what a stage reads in its fourth round, with rounds told relative to it."""
    at, found = table().at(Run(rounds=9), 3), []
    for name, reads in stage.reads(at).items():
        files = [_file(read, 3) for read in ([reads] if isinstance(reads, Read) else reads)]
        if files:
            shown = files if len(files) < 3 else [files[0], "…", files[-1]]
            found.append(f"{name}: {', '.join(shown)}")
    return found


def _file(read: Read, i: int) -> str:
    stage = table()[read.stage]
    number = "0" if read.i == 0 else "i" if read.i == i else f"i{read.i - i:+d}"
    return f"`{stage.folder.format(i='{' + number + '}' if number != '0' else 0)}/{read.file or stage.makes[0]}`"


def main() -> None:
    """Write the page."""
    with publish(PAGE) as temporary:
        temporary.write_text(page(), encoding="utf-8")
    print("wrote docs/stages.md")


if __name__ == "__main__":
    main()
