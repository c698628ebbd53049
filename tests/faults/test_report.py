"""Hostile HTML in generated text: on the page of a run it is text, and data of nothing else."""

from __future__ import annotations

import json
import re

import pytest
from report_results import HOSTILE, Made

from isheep.report.gather import gather
from isheep.report.page import render


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The page of a run with hostile texts, and of the same run with harmless ones."""
    found = []
    for hostile in (True, False):
        folder = tmp_path_factory.mktemp("run")
        made = Made(folder, rounds=1, rows=len(HOSTILE), hostile=hostile)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            found.append(render(gather(made.run, made.settings, made.records)))
    return found


def test_hostile_html_in_generated_text(pages):
    hostile, harmless = pages
    # Harmless rows have no input, which the cards without scripts leave out.
    alike = [re.sub(r'<dt>input</dt><dd dir="auto">.*?</dd>', "", page, flags=re.DOTALL) for page in pages]
    tags = [re.findall(r"<(?:/?[a-zA-Z]|!)[^\s>]*", page) for page in alike]
    assert tags[0] == tags[1]
    data = re.findall(r'<script type="application/json" data-browser="\w+">(.*?)</script>', hostile, re.DOTALL)
    assert len(data) == 2  # samples, and answers in benchmarks
    rest = hostile
    for block in data:
        texts = {text for row in json.loads(block)["rows"] for _, text in row[2]}
        shown = {name for name, text in HOSTILE.items() if text in texts}
        assert shown == set(HOSTILE) - {"surrogate", "megabyte"}  # the one has no UTF-8, the other is cut
        rest = rest.replace(block, "")
    assert 'alert("out")' not in rest and "window.broken" not in harmless


def test_hostile_text_is_not_cut_away(pages):
    assert "996,000 more characters" in pages[0] and "996,000 more characters" not in pages[1]
