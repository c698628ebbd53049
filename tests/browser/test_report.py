"""The page of a run in a real browser: no complaint, filters filter, hostile text stays text, 10,000 rows are quick."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from driver import Browser
from report_results import HOSTILE, ROOT, Made

from isheep.report import compare
from isheep.report.gather import gather
from isheep.report.page import render

PAGE = 20  # samples on one page of the browser
SHOWN = "return [...document.querySelectorAll('#samples .card')].map(one => one.innerText)"
ANSWERS = SHOWN.replace("#samples", "#answers")
STATUS = "return document.querySelector('#samples .found').textContent"
NODES = "return document.querySelectorAll('*').length"
SET = """const field = document.querySelector('#' + (arguments[2] ?? 'samples') + ` [name="${arguments[0]}"]`);
field.value = arguments[1];
field.dispatchEvent(new Event('change'));"""
CLICK = """[...document.querySelectorAll(`[data-browse=${arguments[0]}]`)]
  .find((link) => link.textContent.includes(arguments[1])).click()"""
SIDES = "return [...document.querySelector('#answers .card').querySelectorAll('.side h5')].map(one => one.innerText)"
# Types words, and gives back what the page says it found.
SEARCH = """const [words, done] = [arguments[0], arguments[1]];
const status = document.querySelector('#samples .found'), field = document.querySelector('#samples [type=search]');
new MutationObserver((_, watch) => { watch.disconnect(); done(status.textContent); })
  .observe(status, {childList: true, characterData: true, subtree: true});
field.value = words;
field.dispatchEvent(new Event('input'));"""


def write(folder: Path, rows: int, samples: int, **ways) -> Path:
    made = Made(folder, rows=rows, report={"samples": samples}, **ways)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        page = render(gather(made.run, made.settings, made.records))
    file = folder / "report.html"
    file.write_text(page, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("page"), 60, 1000)


@pytest.fixture(scope="module")
def browser(page) -> Iterator[Browser]:
    with Browser() as browser:
        browser.open(page)
        browser.opened = (browser.console(), browser.requests())
        yield browser


@pytest.fixture
def unfiltered(browser) -> Browser:
    browser.run("for (const form of document.querySelectorAll('.filters')) form.reset()")
    browser.run(SET, "round", "")
    browser.run(SET, "benchmark", "", "answers")
    return browser


def test_opens_without_a_complaint_and_asks_for_nothing(browser, page):
    complaints, requests = browser.opened
    assert complaints == []
    assert requests == [page.resolve().as_uri()]
    assert browser.run("return performance.getEntriesByType('resource').length") == 0
    assert browser.run("return document.querySelectorAll('.chart svg').length") > 20


def option(browser: Browser, field: str, text: str, section: str = "samples") -> str:
    place = f"#{section} [name='{field}']"
    found = "return [...document.querySelector(arguments[0]).options].map(one => [one.value, one.text])"
    return next(value for value, shown in browser.run(found, place) if shown == text)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("round", "d_1", "round d_1"),
        ("fate", "kept", "kept"),
        ("fate", "rejected", "rejected"),
        ("rule", "near_duplicate", "rule near_duplicate"),
        ("stage", "filter_outputs", "stage filter_outputs"),
    ],
)
def test_filters_show_what_they_say(unfiltered, field, value, words):
    browser = unfiltered
    everything = browser.run(STATUS)
    browser.run(SET, field, option(browser, field, value))
    shown = browser.run(SHOWN)
    assert 0 < len(shown) <= PAGE and all(words in text for text in shown)
    assert everything == "180 of 180 rows match" != browser.run(STATUS)


def test_answers_of_a_benchmark_are_a_click_away_with_the_models_side_by_side(unfiltered):
    browser = unfiltered
    browser.run(CLICK, "answers", "constraints")
    status = STATUS.replace("#samples", "#answers")
    assert browser.run(status) == "60 of 211 items match"
    assert all("benchmark constraints" in text for text in browser.run(ANSWERS))
    assert [text.split()[0] for text in browser.run(SIDES)] == ["iter_0", "iter_1", "iter_2", "iter_3"]
    browser.run(SET, "last model", option(browser, "last model", "better than the base", "answers"), "answers")
    shown = browser.run(ANSWERS)
    assert 0 < len(shown) < 60 and all("no marks" in text and "full marks" in text for text in shown)
    browser.run(SET, "last model", "", "answers")
    browser.run(SET, "benchmark", option(browser, "benchmark", "chat", "answers"), "answers")
    first = browser.run(ANSWERS)[0]
    parts = ["Turn 1 of", "Turn 2 of", "iter_0", "turn 1", "turn 2", "judge's words, 1", "[[5]]", "judge's words, 2"]
    places = [first.index(part) for part in parts]
    assert browser.run(status) == "80 of 211 items match" and places == sorted(places)
    assert "full marks" not in first  # its judge does not count
    browser.run(SET, "benchmark", option(browser, "benchmark", "heldout", "answers"), "answers")
    first = browser.run(ANSWERS)[0]
    assert "The right answer to own-" in first and "the reference, by how likely the model finds it" in first


def test_rule_of_the_funnel_leads_to_the_rows_that_it_rejected(unfiltered):
    browser = unfiltered
    browser.run(CLICK, "samples", "asks_back")
    shown = browser.run(SHOWN)
    assert shown and all("rule asks_back" in text and "rejected by filter_outputs" in text for text in shown)


def test_search_finds_words_whatever_their_case(unfiltered):
    browser = unfiltered
    assert browser.wait(SEARCH, "WINDOW.BROKEN") == "2 of 180 rows match"
    assert all("window.broken" in text for text in browser.run(SHOWN))
    assert browser.wait(SEARCH, "no such words") == "0 of 180 rows match"
    assert browser.run(SHOWN) == []


def test_order_by_a_score(unfiltered):
    browser = unfiltered
    browser.run(SET, "order", "2 -1")
    scores = [float(text.split("pmi ")[1].split()[0]) for text in browser.run(SHOWN)]
    assert len(scores) == PAGE and scores == sorted(scores, reverse=True)


def test_pages_turn_by_keyboard(unfiltered):
    browser = unfiltered
    first = browser.run(SHOWN)
    browser.run("document.querySelector('#samples .next').focus()")
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
    for kind in ("keyDown", "keyUp"):
        browser.chrome("Input.dispatchKeyEvent", type=kind, **enter)
    assert browser.run("return document.querySelector('#samples .place').textContent") == "page 2 of 9"
    assert not set(first) & set(browser.run(SHOWN))


def test_hostile_samples_stay_text(unfiltered):
    browser = unfiltered
    tags = "return [...new Set([...document.querySelectorAll('#samples *')].map(one => one.localName))].sort()"
    before = browser.run(tags)
    seen: list[str] = []
    browser.wait(SEARCH, "d0-")
    seen += browser.run("return [...document.querySelectorAll('#answers dd')].map(one => one.textContent)")
    for _ in range(3):
        seen += browser.run("return [...document.querySelectorAll('#samples dd')].map(one => one.textContent)")
        browser.run("document.querySelector('#samples .next').click()")
        assert browser.run(tags) == before
    for name in ("end of script", "image", "comment", "frame", "quotes", "emoji"):
        assert HOSTILE[name] in seen, name
    assert "before\u27e8U+0000\u27e9after\u27e8U+001B\u27e9[31m\u27e8U+0007\u27e9" in seen
    assert any("\u27e8U+202E\u27e9gnp.exe" in text for text in seen)
    assert browser.run("return window.broken === undefined") and browser.alert() is None
    assert browser.console() == []


def test_theme_can_be_changed(browser):
    ground = "return getComputedStyle(document.body).backgroundColor"
    text = "return getComputedStyle(document.querySelector('.chart text')).fill"
    light = browser.run(ground), browser.run(text)
    browser.run("document.getElementById('theme').click()")
    dark = browser.run(ground), browser.run(text)
    browser.run("document.getElementById('theme').click()")
    assert light != dark and browser.run(ground) == light[0] == "rgb(255, 255, 255)"
    assert browser.run("return document.getElementById('theme').getAttribute('aria-label')") == "Change to dark colours"


def test_numbers_show_beside_the_pointer(browser):
    place = """const mark = document.querySelector(".chart [aria-roledescription='circle']");
    mark.scrollIntoView({behavior: 'instant', block: 'center'});
    const at = mark.getBoundingClientRect();
    return [at.x + at.width / 2, at.y + at.height / 2, mark.getAttribute('aria-label')]"""
    for step in range(50):  # the page may still be scrolling, and learns of the pointer with a later frame
        x, y, label = browser.run(place)
        browser.chrome("Input.dispatchMouseEvent", type="mouseMoved", x=x + step % 2, y=y)
        browser.wait("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))")
        if shown := browser.run("return document.getElementById('tip').textContent"):
            break
    assert shown == label


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (400, False)])
def test_page_fits_its_window_and_the_users_colours(page, width, dark):
    with Browser(width, 800, dark) as browser:
        browser.open(page)
        assert browser.run("return document.documentElement.scrollWidth") <= width
        ground = browser.run("return getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(19, 22, 27)") == dark
        assert browser.console() == []
        if folder := os.environ.get("ISHEEP_SCREENSHOTS"):
            browser.screenshot(Path(folder) / f"report-{width}{'-dark' if dark else ''}.png", whole=False)


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> tuple[Path, Path]:
    """Pages of 1,000 and of 10,000 rows."""
    ways = {"rounds": 1, "hostile": False, "evaluation": False, "health": False}
    return tuple(write(tmp_path_factory.mktemp(f"rows{n}"), n, 10_000, **ways) for n in (1_000, 10_000))


def test_ten_thousand_rows_stay_quick(many):
    took, nodes = [], []
    timed = """const started = performance.now();
    for (let n = 0; n < 20; n++) {
      document.querySelector('#samples [type=search]').value = 'river ' + n;
      document.querySelector('#samples .filters').dispatchEvent(new Event('submit', {cancelable: true}));
    }
    return performance.now() - started"""
    for page in many:
        with Browser() as browser:
            browser.open(page)
            nodes.append(browser.run(NODES))
            assert len(browser.run(SHOWN)) == PAGE
            browser.run(timed)
            took.append(min(browser.run(timed) for _ in range(3)))
            assert browser.console() == []
    assert abs(nodes[1] - nodes[0]) < 50  # one page of samples is in the document, whatever the rows
    assert took[1] < 25 * took[0]  # ten times the rows; 2.5 of slack for a busy machine


def test_says_how_many_of_how_many_are_shown(tmp_path):
    page = write(tmp_path, 100, 30, rounds=1, evaluation=False, health=False)
    with Browser() as browser:
        browser.open(page)
        assert browser.run("return document.getElementById('samples-shown').textContent").startswith(
            "Showing 30 of 100 rows"
        )


PAPER = ROOT / "config/report/paper.yaml"
ANSWER = "return document.getElementById('answer').innerText"


def compared(folder: Path, made: list[Made], monkeypatch) -> Path:
    monkeypatch.chdir(folder)
    reports = [gather(one.run, one.settings, one.records, with_rows=False) for one in made]
    page = folder / "comparison.html"
    page.write_text(compare.render(reports, yaml.safe_load(PAPER.read_text()), "sweep"), encoding="utf-8")
    return page


def test_answer_stands_on_top_and_needs_no_colour(browser):
    top = browser.run(ANSWER)
    assert "Yes." in top and "Take iter_" in top and "the one to take" in top and "better" in top
    place = "return document.getElementById(arguments[0]).getBoundingClientRect().top + scrollY"
    assert browser.run(place, "answer") < browser.run(place, "verdict")
    shapes = """const points = (one) => [...one.querySelectorAll("[aria-roledescription='point']")];
    return [...document.querySelectorAll('#health .chart svg')].map((one) =>
      new Set(points(one).map((mark) => mark.getAttribute('d'))).size)"""
    assert max(browser.run(shapes)) > 1  # series differ in shape, too


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (400, False)])
def test_page_of_a_failed_run_shows_what_there_is(tmp_path, monkeypatch, width, dark):
    made = Made(tmp_path, rows=20, rounds=2, hostile=False)
    reached = [
        record for record in made.records if not record.startswith(("results/study/iter_2", "results/study/d_1"))
    ]
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "report.html"
    page.write_text(render(gather(made.run, made.settings, reached)), encoding="utf-8")
    with Browser(width, 800, dark) as browser:
        browser.open(page)
        assert browser.console() == []
        assert browser.run("return document.documentElement.scrollWidth") <= width
        assert "iter_1" in browser.run(ANSWER) and "iter_2" not in browser.run(ANSWER)
        boxes = browser.run("return [...document.querySelectorAll('.lineage .box')].map((one) => one.textContent)")
        assert "d_1not made" in boxes and "iter_2not made" in boxes
        assert browser.run(STATUS) == "20 of 20 rows match"


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (400, False)])
def test_page_of_a_study_shows_seeds_settings_and_differences(tmp_path, monkeypatch, width, dark):
    made = [Made(tmp_path, f"sweep-{seed}", 1, 12, hostile=False, seed=seed) for seed in (0, 1)]
    made.append(Made(tmp_path, "sweep-x", 1, 12, hostile=False, train={"trainer": "fake", "start_from": "previous"}))
    page = compared(tmp_path, made, monkeypatch)
    with Browser(width, 800, dark) as browser:
        browser.open(page)
        assert browser.console() == []
        assert browser.run("return document.documentElement.scrollWidth") <= width
        text = browser.run("return document.body.innerText")
        parts = ["Differences from sweep-0, item by item", "Runs that differ by seed alone", "Setting against score"]
        for part in (*parts, "sweep-0, sweep-1 (seeds 0, 1)", "by train.start_from"):
            assert part in text, part


def test_comparison_opens_without_a_complaint(tmp_path, monkeypatch):
    page = compared(tmp_path, [Made(tmp_path, name, 1, 20) for name in ("one", "two")], monkeypatch)
    with Browser() as browser:
        browser.open(page)
        assert browser.console() == [] and browser.requests() == [page.resolve().as_uri()]
        assert "Not measured here." in browser.run("return document.body.innerText")
