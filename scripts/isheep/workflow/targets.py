"""What `snakemake` makes by default: for every run its last model, summary, settings, page, manifest."""

from __future__ import annotations

from pathlib import Path

from isheep.stages.base import Read
from isheep.workflow.graph import Graph

MEASURES = ("score_model", "measure_data")
"""Stages at the ends of the graph, which no later round reads; the first that a run has ends its rounds."""


def of_run(graph: Graph, run: str) -> list[str]:
    """Return what is made of a run; of one that its budget stopped, what is made of the rounds that it has."""
    last = Read("merge_model", graph.run(run).rounds)
    folder = graph.file(run, last._replace(file="model"))
    measured = (file for stage in MEASURES for file in graph.beside(run, stage, graph.table[stage].makes[0]))
    names = ("summary.txt", "config.yaml", "report.html", "manifest.json", "ro-crate-metadata.json")
    return [
        graph.file(run, last),
        *([] if (graph.place / folder).exists() else [folder]),
        *measured,
        *_lost_files(graph, run),
        *(f"results/{run}/{name}" for name in names),
    ]


def of_all(graph: Graph) -> list[str]:
    """Return what is made of all runs, what compares them included."""
    return [*(file for run in graph.config.runs for file in of_run(graph, run)), *comparison(graph)]


def _lost_files(graph: Graph, run: str) -> list[str]:
    """Return the files that a run's own stages made and that are gone: nobody else may ask for them.

    Not the folders: a model in between is deleted to save space, and made again when something needs it.
    """
    gone = [file for stage, i in graph.made(run) for file in graph.remains.missing(run, stage, i)]
    return [file for file in gone if Path(file).suffix]


def comparison(graph: Graph) -> list[str]:
    """Return the page that compares several runs."""
    return [f"results/comparisons/{graph.name}.html"] if len(graph.config.runs) > 1 else []


def pages(graph: Graph) -> list[str]:
    """Return the pages that people read: one a run, and one that compares several."""
    return [*(f"results/{run}/report.html" for run in graph.config.runs), *comparison(graph)]


def line(file: str) -> str:
    """Return the line that tells a person where a page, a table or a plot is."""
    what = {".csv": "Table: {}", ".svg": "Plot: {}"}
    return what.get(Path(file).suffix, "Report: {} (open it in a browser)").format(file)
