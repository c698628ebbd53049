"""Cards say only what is known, in words that stay in their place; licences are read and never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from isheep.config import load
from isheep.config.kinds import kinds
from isheep.config.run import Run
from isheep.data.files import write_json
from isheep.data.numbers import brief, interval
from isheep.proof import cards, licences
from isheep.proof.health import tell_health
from isheep.proof.results import Results
from isheep.proof.scores import tell_scores

ROOT = Path(__file__).resolve().parents[2]


def settings(**more: object) -> Run:
    run = {"engine": {"name": "fake"}, "train": {"trainer": "fake"}, **more}
    return load({"runs": {"a": run}}, ROOT).runs["a"]


def test_licences_are_read_where_they_are_stated_and_never_guessed(tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# Model\n")
    assert licences.of_model(settings(), tmp_path) == "mit"
    assert licences.of_model(settings(publish={"model_licence": "Apache-2.0"}), tmp_path) == "Apache-2.0"
    (tmp_path / "README.md").write_text("A model.\n")
    assert licences.of_model(settings(), tmp_path) is None
    assert licences.of_model(settings(), None) is None
    assert licences.of_seeds(settings(seeds={"path": str(tmp_path / "seeds.jsonl")})) is None
    (tmp_path / "README.md").write_text("Seeds.\nLicence: CC-BY-4.0, mine\n")
    assert licences.of_seeds(settings(seeds={"path": str(tmp_path / "seeds.jsonl")})) == "CC-BY-4.0"


@pytest.mark.parametrize(
    ("stated", "head"),
    [
        ({"a": "MIT", "b": "mit"}, {"license": "mit"}),
        ({"a": "MIT", "b": "Apache-2.0"}, {"license": "other", "license_name": "see-licences-below"}),
        ({"a": "MIT", "b": None}, {}),
    ],
)
def test_the_head_names_a_licence_only_when_all_is_known(stated, head):
    assert licences.header(stated) == head


def test_text_in_a_card_stays_in_its_cell():
    assert cards.cell("a | b\n<script>`x`</script>") == "a \\| b &lt;script&gt;\\`x\\`&lt;/script&gt;"
    assert cards.cell(["a", "b"]) == "a, b"


def test_a_card_that_misses_a_fact_is_an_error(tmp_path):
    from jinja2 import UndefinedError

    (tmp_path / "card.jinja").write_text("{{ known }} {{ unknown }}")
    with pytest.raises(UndefinedError):
        cards.render(tmp_path / "card.jinja", {}, {"known": 1})


@pytest.mark.parametrize(
    ("select", "words"),
    [
        (
            {"kind": "threshold", "above": {"quality": 8.0, "following": 8.0}},
            "quality above 8.0 and following above 8.0",
        ),
        ({"kind": "quantile", "column": "pmi", "share": 0.5}, "the best 50% by pmi"),
        ({"kind": "top_k", "column": "pmi", "k": 9}, "the best 9 by pmi"),
        ({"kind": "none"}, "every row"),
    ],
)
def test_the_selection_is_told_in_words(select, words):
    assert kinds("isheep.select.kinds")[select["kind"]](**select).words == words


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.4625, "0.463"), (12, "12"), (12345.6, "12,346"), (2.0, "2"), (-0.0312, "-0.0312"), (0, "0")],
)
def test_numbers_are_told_in_three_digits(value, text):
    assert brief(value) == text


def test_an_interval_has_two_bounds_or_is_a_dash():
    assert interval({"low": 0.29941, "high": 0.5}) == "0.299 to 0.5"
    assert [interval(told) for told in (None, {}, {"low": None, "high": 1.0})] == ["-"] * 3


def test_no_text_of_a_sample_ends_its_block():
    block = cards.sample({"id": "x", "output": "```\n# Title\n````\n" + "a" * 500, "pmi": 0.5})
    first, *inside, last = block.splitlines()
    assert first == "`````json" and last == "`````"
    assert not [line for line in inside if line.startswith("`````")]
    assert "a" * 300 in block and "a" * 500 not in block and '"pmi": 0.5' in block


# Scores --------------------------------------------------------------------------------------------------------------


def metric(value: float, low: float, high: float, better: str = "higher", **more: object) -> dict:
    return {"value": value, "n": 541, "low": low, "high": high, "unit": "share", "better": better, **more}


def benchmark(metrics: dict, floors: dict, **more: object) -> dict:
    plain = {"kind": "ifeval", "items": 541, "error": None, "counts": True, "objections": [], "headline": []}
    return {**plain, "metrics": metrics, "floors": floors, **more}


BASE = {"value": 0.04, "low": -0.01, "high": 0.09, "n": 541}
SCORES = {
    "round": 1,
    "benchmarks": {
        "ifeval": benchmark(
            {
                "prompt_strict": metric(0.31, 0.27, 0.35, minus_base=BASE),
                "instruction_strict": metric(0.24, 0.2, 0.28),
                "prompt_loose": metric(0.33, 0.29, 0.37),
            },
            {
                "lol": {"prompt_strict": {"value": 0.115, "n": 541, "low": 0.09, "high": 0.14}},
                "echo": {"prompt_strict": {"value": 0.25}, "instruction_strict": {"value": 0.22}},
            },
            headline=["prompt_strict", "instruction_strict"],
        ),
        "heldout": benchmark(
            {"bits_per_byte": metric(1.2, 1.1, 9.0, "lower", unit="bits per byte")},
            {"empty": {"bits_per_byte": {"value": 8.0}}},
        ),
        "mt_bench": benchmark({"rating": metric(5.0, 4.0, 6.0)}, {}, counts=False, objections=["prefers length"]),
        "mbpp": benchmark({}, {}, error="data/mbpp.jsonl: no such file"),
    },
}  # fmt: skip


def test_headline_scores_stand_with_floors_interval_and_the_difference_to_the_base():
    rows, notes = tell_scores(SCORES)
    assert [(row["benchmark"], row["metric"]) for row in rows] == [
        ("ifeval", "prompt_strict"),
        ("ifeval", "instruction_strict"),
        ("heldout", "bits_per_byte"),
    ]
    assert rows[0]["floors"] == {"lol": 0.115, "echo": 0.25} and rows[0]["minus_base"]["value"] == 0.04
    assert rows[1]["minus_base"] is None
    assert notes == [
        "mt_bench: its numbers do not count; its judge: prefers length",
        "mbpp: data/mbpp.jsonl: no such file",
    ]


def test_a_score_that_does_not_leave_its_floor_behind_is_told():
    assert [row["reached"] for row in tell_scores(SCORES)[0]] == [None, "echo", "empty"]


def test_a_model_card_shows_the_scores(tmp_path):
    rows, notes = tell_scores(SCORES)
    text = (ROOT / "config/publish/model_card.md.jinja").read_text(encoding="utf-8")
    part = text[text.index("## Scores") : text.index("| loss")]
    (tmp_path / "part.jinja").write_text(part, encoding="utf-8")
    card = cards.render(tmp_path / "part.jinja", {}, {"scores": rows, "score_notes": notes, "judge": "J"})
    told = "| 0.31 | 0.27 to 0.35 | lol 0.115, echo 0.25 | 0.04 (-0.01 to 0.09) | 541 |"
    assert f"| ifeval | prompt\\_strict (share ↑) {told}" in card
    assert "| heldout | bits\\_per\\_byte (bits per byte ↓) | 1.2 | 1.1 to 9 | empty 8 | - | 541 |" in card
    assert "are the opinion of J, which passed its calibration." in card
    assert "Left out: mt\\_bench: its numbers do not count" in card and "Not evaluated" not in card
    assert "Not evaluated." in cards.render(tmp_path / "part.jinja", {}, {"scores": [], "score_notes": []})


@pytest.mark.parametrize(
    ("judge", "name"),
    [
        (None, None),
        ({"kind": "model", "model": None}, "iter_0, the base model"),
        ({"kind": "model", "model": {"path": "outside/big", "hub": None, "gguf": None}}, "big"),
        ({"kind": "endpoint", "base_url": "outside/ab", "model": "big"}, "big (served at an endpoint)"),
    ],
)
def test_the_judge_is_named_without_its_address(judge, name):
    assert cards.judge_name({"evaluation": {"judge": judge}}) == name


def test_scores_are_found_whichever_run_owns_them(tmp_path):
    write_json(tmp_path / "results/b/iter_1/evaluation/scores.json", SCORES)
    (tmp_path / "results/a").mkdir()
    made = {"settings": {}, "artifacts": {"results/b/iter_1/evaluation/scores.json": {}}}
    facts = cards.Facts({"made": made, "observed": {}, "sha256": ""}, Results(tmp_path / "results/a").find)
    assert facts.file("iter_1/evaluation/scores.json") == tmp_path / "results/b/iter_1/evaluation/scores.json"
    assert facts.file("iter_2/evaluation/scores.json") is None


# Health --------------------------------------------------------------------------------------------------------------


def test_health_is_told_by_what_says_something_by_itself():
    health = {
        "round": 1,
        "lengths": {"output": {"tokens": {"p50": 44, "n": 20}, "share_at_limit": {"value": 0.25, "n": 20}}},
        "diversity": {"output": {"distinct_2": {"value": None, "n": 0}, "distinct_1": {"value": 0.5, "n": 20}}},
        "overlap": {
            "ifeval": {"13": {"rows": 1, "share": {"value": 0.05, "n": 20}}},
            "mbpp": {"error": "data/mbpp.jsonl: no such file"},  # has nothing to tell
        },
        "alarms": [{"name": "shrunken_answers", "message": "answers shrank 6-fold (alarm at 5)"}],
    }
    assert tell_health(health) == (
        [
            ("tokens of an answer, median", 44, 20),
            ("answers cut at the token limit, share", 0.25, 20),
            ("rows that share 13 words in a row with `ifeval`, share", 0.05, 20),
        ],
        ["answers shrank 6-fold (alarm at 5)"],
    )
