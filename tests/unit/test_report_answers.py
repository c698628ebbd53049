"""Answers behind the scores: the same items for every model, in the order of reading, with what they scored."""

from __future__ import annotations

from isheep.report.answers import Answers


def said(item: str, key: str, prompt: str, text: str, reason: str = "stop") -> dict:
    place = {"id": f"quiz/{item}/{key}", "benchmark": "quiz", "item": item, "key": key, "prompt": prompt}
    return {**place, "text": text, "finish_reason": reason}


def measured(item: str, score: float | None, **measures) -> dict:
    return {"id": f"quiz/{item}", "benchmark": "quiz", "item": item, "score": score, "measures": measures}


def scores(unit: str = "share", better: str = "higher", counts: bool = True) -> dict:
    metric = {"quiz_right": {"unit": unit, "better": better}}
    return {"quiz": {"headline": ["quiz_right"], "metrics": metric, "counts": counts}}


def shown(answers: Answers) -> list[dict]:
    """Return the rows as the page shows them: names in place of numbers."""
    told = answers.packed()
    names = [one["name"] for one in told["filters"]]
    options = [one["options"] for one in told["filters"]]
    return [
        {
            "id": id,
            **{name: found[at] if at >= 0 else "" for name, found, at in zip(names, options, choices, strict=True)},
            "texts": [(told["texts"][at], text) for at, text in texts],
            "score": score,
            "more": {name: value for name, value in zip(told["more"], more, strict=True) if value is not None},
        }
        for id, choices, texts, [score], more in told["rows"]
    ]


def test_every_model_shows_the_same_items_and_they_stand_together():
    answers = Answers(limit=3, characters=100)
    for i in (0, 1, 2):
        rows = [said(f"q{n}", "answer", f"Question {n}?", f"Answer {n} of {i}") for n in range(20)]
        answers.add(i, scores(), rows, [], [measured(f"q{n}", 1.0) for n in range(20)])
    rows = shown(answers)
    assert answers.packed()["total"] == 60 and len(rows) == 9
    assert [row["model"] for row in rows] == ["iter_0", "iter_1", "iter_2"] * 3
    assert len({row["id"] for row in rows[:3]}) == 1 and len({row["id"] for row in rows}) == 3
    assert answers.metrics == {"quiz": "quiz_right"}


def test_turns_and_verdicts_are_read_in_order_and_prompts_once():
    answers = Answers(limit=9, characters=12)
    rows = [
        said("a", "turn-1", "Name a bird.", "Wren"),
        said("a", "turn-2", "Another.", "A rather long answer", "length"),
        {key: value for key, value in said("a", "likelihood", "Another.", "").items() if key != "text"}
        | {"log_likelihoods": [-1.23456, -2.0]},
    ]
    answers.add(
        0, scores("1-10"), rows, [said("a", "judge-1", "All of it again", "[[7]]")], [measured("a", 7.0, x=[7])]
    )
    (row,) = shown(answers)
    assert row["texts"] == [
        ("prompt", "Name a bird."),
        ("turn 1", "Wren"),
        ("prompt", "Another."),
        ("turn 2 (length)", "A rather lon [8 more characters]"),
        ("judge 1", "[[7]]"),
    ]
    assert row["more"] == {"x": "[7]", "likelihood": "[-1.235, -2. [2 more characters]"}
    assert row["score"] == 7 and row["result"] == ""


def test_marks_are_given_for_shares_that_count_alone():
    def results(**ways) -> list[str]:
        answers = Answers(limit=9, characters=100)
        items = {"a": 1.0, "b": 0.5, "c": 0.0, "d": None}
        rows = [said(item, "answer", "?", "x") for item in (*items, "e")]
        answers.add(0, scores(**ways), rows, [], [measured(item, score) for item, score in items.items()])
        return [row["result"] for row in shown(answers)]

    assert results() == ["full marks", "part marks", "no marks", "", ""]
    assert results(counts=False) == results(better="lower") == results(unit="bits per byte") == [""] * 5


def test_a_benchmark_without_scores_still_shows_its_answers():
    answers = Answers(limit=9, characters=100)
    answers.add(0, {}, [said("a", "answer", "?", "x")], [], [])
    (row,) = shown(answers)
    assert row["texts"] == [("prompt", "?"), ("answer", "x")] and row["score"] is None
