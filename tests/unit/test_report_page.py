"""The page of a run: whole, nothing outside it, and generated text that stays text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_results import HOSTILE, Made

from isheep.report.browser import embed
from isheep.report.gather import gather
from isheep.report.page import fill, render, without_places


class Elements(HTMLParser):
    """What a browser would make of a page: elements with attributes, and the texts of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.raw: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        kind = self.open[-1] if self.open else ""
        self.raw.get(kind, self.texts).append(data)

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.found}


def page_of(folder: Path, **ways) -> tuple[str, Elements]:
    made = Made(folder, **ways)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        page = render(gather(made.run, made.settings, made.records))
    return page, Elements(page)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return page_of(tmp_path_factory.mktemp("whole"), rows=40)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    return page_of(tmp_path_factory.mktemp("bare"), rows=6, rounds=1, hostile=False, evaluation=False, health=False)


def test_page_has_every_section_in_order(whole):
    _, elements = whole
    sections = [of["id"] for tag, of in elements.found if tag == "section" and "id" in of]
    wanted = "answer verdict scores funnel health assessment training cost samples answers lineage settings"
    assert sections == wanted.split()
    assert elements.raw["title"][0] == "Run study"


def test_page_asks_for_nothing_outside_itself(whole):
    page, elements = whole
    for tag, attributes in elements.found:
        assert (
            tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
            or attributes.get("class") == "filters"
        )
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert attributes.get("href", "#").startswith("#")
    assert "@import" not in page and "url(http" not in page and not re.search(r"url\((?!#head)", page)
    (policy,) = [a["content"] for tag, a in elements.found if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ") and "unsafe-eval" not in policy


def test_policy_names_the_hash_of_the_script_that_is_there(whole):
    import base64
    import hashlib

    _, elements = whole
    (policy,) = [a["content"] for _, a in elements.found if a.get("http-equiv")]
    *_, script = elements.raw["script"]
    assert f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}" in policy


def test_hostile_texts_make_no_elements(whole, bare):
    _, with_hostile = whole
    scripts = [attributes.get("type") for tag, attributes in with_hostile.found if tag == "script"]
    assert scripts == ["application/json", "application/json", None]
    assert not with_hostile.tags() & {"img", "iframe", "i", "b", "object"}
    assert bare[1].tags() <= with_hostile.tags()


def test_embedded_samples_are_the_rows_that_were_made(whole):
    page, elements = whole
    rows, items, _ = elements.raw["script"]
    samples = shown(rows)
    answers = [[text for side in row[-1] for _, text in side[4]] for row in json.loads(items)["rows"]]
    assert len(samples) == 3 * 40 and len(answers) == 71 + 60 + 80
    said = {text for sides in answers for text in sides}
    for outputs in ({texts["output"] for texts in samples}, said):
        check_hostile(outputs)
    assert len(page) < 1_800_000


def shown(script: str) -> list[dict[str, str]]:
    """Return the texts of every row in an embedded script by their names."""
    told = json.loads(script)
    return [{told["texts"][name]: text for name, text in row[2]} for row in told["rows"]]


def check_hostile(outputs: set[str | None]) -> None:
    for name, text in HOSTILE.items():
        if name == "surrogate":
            assert "half \ufffd of a pair" in outputs
        elif name == "megabyte":
            assert text not in outputs and "M" * 4000 + " [996,000 more characters]" in outputs
        else:
            assert text in outputs, name


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "megabyte"])
def test_embedded_text_cannot_leave_its_element(name):
    text = embed({"text": HOSTILE[name]})
    assert not set(text) & set("<>&\u2028\u2029\x00\ud83d")
    assert json.loads(text)["text"] == HOSTILE[name].replace("\ud83d", "\ufffd")


def test_scores_that_do_not_count_are_struck_with_the_reason(whole):
    page, elements = whole
    assert any(tag == "article" and "void" in attributes.get("class", "") for tag, attributes in elements.found)
    assert "<del>5.1</del>" in page
    assert "15 are needed &lt;i&gt;" in page and "<i>" not in page


def test_error_of_a_benchmark_is_one_line_and_the_others_stand(whole):
    page, _ = whole
    assert page.count("Not measured (iter_0, iter_1, iter_2, iter_3):</strong> humaneval.jsonl: no such file") == 1
    assert "constraints, prompt strict:</strong> iter_3 has 35.0 %" in page


def test_alarms_stand_on_top(whole):
    page, _ = whole
    assert page.index("2 alarms of") < page.index('id="scores"') < page.index("d_1, answers_shrank")
    assert "of d_0 &lt;b&gt;(limit" in page


def test_what_was_not_measured_is_said_in_a_sentence(bare):
    text = " ".join(" ".join(bare[1].texts).split())
    for sentence in (
        "No benchmark was run: whether the model got better is not known.",
        "Evaluation is off, or has not run",
        "The data's health was not measured.",
    ):
        assert sentence in text


def test_run_that_has_not_begun_still_has_a_page(tmp_path, monkeypatch):
    made = Made(tmp_path, rounds=1, rows=3)
    monkeypatch.chdir(tmp_path)
    page = render(gather(made.run, made.settings, []))
    for sentence in ("No stage has made data yet.", "No model was trained yet.", "No stage has run."):
        assert sentence in page


def test_control_characters_in_a_shown_text_are_replaced(tmp_path):
    (tmp_path / "t.jinja").write_text("{{ text }}")
    for name in ("page.css", "page.js"):
        (tmp_path / name).write_text("")
    assert fill("t.jinja", tmp_path, text="a\x00b\x1b<\ud800") == "a\ufffdb\ufffd&lt;\ufffd"


def test_settings_name_no_folder_of_this_machine():
    told = without_places(
        {"model": {"path": "/home/someone/models/base/"}, "seeds": ["../x/s.jsonl", "config/s.jsonl"]}
    )
    assert told == {"model": {"path": "outside/base"}, "seeds": ["outside/s.jsonl", "config/s.jsonl"]}
