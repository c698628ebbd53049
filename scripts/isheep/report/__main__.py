"""`python -m isheep.report results/RUN`: the page of a run as it stands, at work, failed or finished."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from isheep.data.files import publish
from isheep.errors import UserError, command
from isheep.report import status
from isheep.report.gather import gather
from isheep.report.page import render
from isheep.runner.portable import ROOT, portable_places, renamed, shipped_in
from isheep.workflow.graph import Graph


@command
def main(arguments: list[str] | None = None) -> int:
    """Write the page of a run; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m isheep.report", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the run, like results/demo")
    folder: Path = parser.parse_args(arguments).run.absolute()
    page, where = write(folder)
    print(f"{os.path.relpath(page)}: {where}")
    return 0


def write(folder: Path) -> tuple[Path, str]:
    """Write the page of a run, unless it is finished and has one; return where it is, and how the run stands.

    Parameters
    ----------
    folder
        Of the run, whole. Paths in records are seen from two folders above.

    Raises
    ------
    UserError
        There is no run, or one of its files was edited.
    """
    if folder.parent.name != "results":
        raise UserError(f"{folder}: no folder of a run; name one like results/demo")
    os.chdir(folder.parent.parent)
    graph = Graph(status.settings_of(folder), ROOT)
    there, stands = status.records(graph, folder.name)
    finished, unfinished = folder / "report.html", folder / status.PAGE
    if stands is None and finished.is_file():
        unfinished.unlink(missing_ok=True)
        return finished, "finished"
    settings = shipped_in(graph.run(folder.name).model_dump(mode="json"))
    report = gather(folder.name, renamed(settings, portable_places(settings)), there)
    report.status = stands
    with publish(unfinished) as temporary:
        temporary.write_text(render(report), encoding="utf-8", newline="\n")
    return unfinished, stands.words if stands else "all stages are made; the next start writes report.html"


if __name__ == "__main__":
    sys.exit(main())
