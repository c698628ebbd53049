"""The zoo's report: architectures by stages, as docs/models.md shows it."""

from __future__ import annotations

import os

import pytest

STAGES = ("encode", "build", "train", "merge", "load 4.57", "transformers", "vllm")


@pytest.fixture(scope="session")
def reached(request):
    """Return what the tests note: entry to stage to a word."""
    request.config.zoo = {}
    return request.config.zoo


def pytest_terminal_summary(terminalreporter, config):
    zoo = getattr(config, "zoo", None)
    if not zoo:
        return
    terminalreporter.section(f"zoo (ISHEEP_THIRD={os.environ.get('ISHEEP_THIRD', 'all')})")
    terminalreporter.write_line("| architecture | tokenizer | template | " + " | ".join(STAGES) + " |")
    terminalreporter.write_line("|---" * (len(STAGES) + 3) + "|")
    for (name, kind, template), stages in zoo.items():
        cells = [name, kind, template, *(stages.get(stage, "") for stage in STAGES)]
        terminalreporter.write_line(f"| {' | '.join(cells)} |")
