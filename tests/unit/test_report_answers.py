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
    """Return the cards as the page shows them: names in place of numbers."""
    told = answers.packed()
    names = [one["name"] for one in told["filters"]]
    options = [one["options"] for one in told["filters"]]
    return [
        {
            "id": id,
            **{name: found[at] if at >= 0 else "" for name, found, at in zip(names, options, choices, strict=True)},
            "texts": [(told["texts"][at], text) for at, text in texts],
            "scores": dict(zip(told["scores"], scores, strict=True)),
            "sides": [
                {"model": name, "result": result, "tone": tone, "score": score,
                 "texts": list(map(tuple, said)), "more": dict(more)}
                for name, result, tone, score, said, more in columns
            ],
        }
        for id, choices, texts, scores, _, columns in told["rows"]
    ]  # fmt: skip


def test_models_stand_side_by_side_under_one_prompt():
    answers = Answers(limit=3, characters=100)
    for i in (0, 1, 2):
        rows = [said(f"q{n}", "answer", f"Question {n}?", f"Answer {n} of {i}") for n in range(20)]
        answers.add(i, scores(), rows, [], [measured(f"q{n}", float(i > 0)) for n in range(20)])
    cards = shown(answers)
    assert answers.packed()["total"] == 20 and len(cards) == 3
    for card in cards:
        number = card["id"][1:]
        assert card["texts"] == [("prompt", f"Question {number}?")]
        assert [side["model"] for side in card["sides"]] == ["iter_0", "iter_1", "iter_2"]
        assert [side["texts"] for side in card["sides"]] == [
            [("its answer", f"Answer {number} of {i}")] for i in range(3)
        ]
        assert card["last model"] == "better than the base" and card["scores"]["iter_2"] == 1
    assert answers.metrics == {"quiz": "quiz_right"}


def test_card_tells_whose_score_it_is_and_what_it_was_held_against():
    answers = Answers(limit=9, characters=100, scored={"quiz": "the reference, by how likely the model finds it"})
    row = measured("a", 1.08) | {"beside": {"reference": "A wren.", "rival": "A tit."}}
    answers.add(0, scores("bits per byte", "lower"), [said("a", "answer", "A bird?", "Hm")], [], [row])
    (card,) = shown(answers)
    assert card["texts"] == [
        ("prompt", "A bird?"),
        ("reference", "A wren."),
        ("rival", "A tit."),
        ("scored is", "the reference, by how likely the model finds it"),
    ]


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
    (card,) = shown(answers)
    assert card["texts"] == [("prompt", "Name a bird."), ("prompt 2", "Another.")]
    (side,) = card["sides"]
    assert side["texts"] == [
        ("its answer, turn 1", "Wren"),
        ("its answer, turn 2 (length)", "A rather lon [8 more characters]"),
        ("the judge's words, 1", "[[7]]"),
    ]
    assert side["more"] == {"x": "[7]", "likelihood": "[-1.235, -2. [2 more characters]"}
    assert side["score"] == 7 and side["result"] == ""


def test_marks_are_given_for_shares_that_count_alone():
    def results(**ways) -> list[str]:
        answers = Answers(limit=9, characters=100)
        items = {"a": 1.0, "b": 0.5, "c": 0.0, "d": None}
        rows = [said(item, "answer", "?", "x") for item in (*items, "e")]
        answers.add(0, scores(**ways), rows, [], [measured(item, score) for item, score in items.items()])
        return [card["sides"][0]["result"] for card in shown(answers)]

    assert results() == ["full marks", "part marks", "no marks", "", ""]
    assert results(counts=False) == results(better="lower") == results(unit="bits per byte") == [""] * 5


def test_a_benchmark_without_scores_still_shows_its_answers():
    answers = Answers(limit=9, characters=100)
    answers.add(0, {}, [said("a", "answer", "?", "x")], [], [])
    (card,) = shown(answers)
    assert card["texts"] == [("prompt", "?")] and card["sides"][0]["texts"] == [("its answer", "x")]
    assert card["sides"][0]["score"] is None
