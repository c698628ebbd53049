from __future__ import annotations

import json
import re
from math import exp
from pathlib import Path

import pytest
from exams import load, made, score_all

from isheep.errors import UserError
from isheep.evaluation.base import Floor, answered, said
from isheep.evaluation.calibration import KINDS, Calibration, objections
from isheep.evaluation.comparing import read_both
from isheep.evaluation.kinds.mt_bench import MtBench, length_grade, rank_correlation
from isheep.evaluation.kinds.pairwise import Pairwise, at_equal_length
from isheep.serving.engines.base import Completion, Score

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
HELDOUT = ROOT / "config" / "evaluation" / "heldout.jsonl"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the repository")


def blocks(ask):
    """Return the named texts that the judge is shown."""
    return dict(re.findall(r"<([\w ]+) \w{8}>\n(.*?)\n</\1 \w{8}>", ask.last, re.DOTALL))


def judge_by(grade):
    """Return a judge that compares and grades by a function of the answer's text (and of the request)."""

    def reply(ask):
        if ask.to == "model":
            return said(f"model on {ask.last}")
        shown = blocks(ask)
        *requests, last = shown.items()
        if "answer A" in shown:
            first, second = (grade(shown[name], shown["request"]) for name in ("answer A", "answer B"))
            return said(f"[[{'C' if first == second else 'A' if first > second else 'B'}]]")
        return said(f"[[{grade(last[1], requests[0][1])}]]")

    return reply


def knows(items):
    """Return a grade for answers: 9 for the right answer to the request, else 2."""
    right = {(item.fields["output"], item.fields["prompt"]) for item in items}
    return lambda text, request: 9 if (text, request) in right else 2


def by_words(text, request):
    return len(text.split())


def run(benchmark, items, reply):
    return score_all(benchmark, items, {item.id: answered(benchmark, item, {}, reply) for item in items})


def values(benchmark, rows):
    return {name: metric.value for name, metric in benchmark.summarise(rows).items()}


# --- MT-Bench style ---


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "q.jsonl"
    rows = [
        {"question_id": 1, "category": "writing", "turns": ["Write.", "Shorter."]},
        {"question_id": 2, "category": "math", "turns": ["1+1?", "Plus 1?"], "reference": ["2", "3"]},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_two_turns_are_asked_one_after_the_other_then_both_are_judged(questions):
    item = load(MtBench, questions)[1]
    (first,) = made(MtBench).requests(item, {})
    assert (first.key, first.last, first.sampling.temperature) == ("turn-1", "1+1?", 0.0)
    (second,) = made(MtBench).requests(item, {"turn-1": said("two")})
    assert [turn["content"] for turn in second.turns] == ["1+1?", "two", "Plus 1?"]
    one, two = made(MtBench).requests(item, {"turn-1": said("two"), "turn-2": said("three")})
    assert blocks(one) == {"request": "1+1?", "right answer": "2", "answer": "two"}
    assert blocks(two)["answer 1"] == "two" and blocks(two)["right answer 2"] == "3" and one.to == two.to == "judge"
    known = {"turn-1": said("two"), "turn-2": said("three"), "judge-1": said("")}
    assert [ask.key for ask in made(MtBench).requests(item, known)] == ["judge-2"]


def test_writing_is_drawn_and_mathematics_is_not(questions):
    asks = [made(MtBench).requests(item, {})[0] for item in load(MtBench, questions)]
    assert [ask.sampling.temperature for ask in asks] == [0.7, 0.0]


def test_the_score_is_the_mean_over_read_turns_and_unread_ones_are_counted():
    rows = [
        {"id": "1", "category": "a", "grades": [8.0, None], "words": [300, 0]},
        {"id": "2", "category": "b", "grades": [4.0, 3.0], "words": [150, 600]},
    ]
    found = values(made(MtBench), rows)
    assert found["local_judge_score"] == 5 and found["local_judge_parse_failures"] == 0.25
    assert found["local_judge_score_turn_1"] == 6 and found["local_judge_score_turn_2"] == 3
    assert found["length_only_score"] == pytest.approx((10 + 1 + 5.5 + 10) / 4) and found["mt_bench_words"] == 262.5
    assert found["local_judge_length_correlation"] == pytest.approx(-0.5)
    groups = made(MtBench).groups(rows)
    assert groups["b"]["local_judge_score"].value == 3.5 and groups["a"]["local_judge_score"].n == 1


def test_no_metric_of_a_local_judge_carries_the_benchmarks_bare_name(questions):
    rows = run(made(MtBench), load(MtBench, questions), judge_by(lambda text, request: 5))
    assert all(not name.startswith("mt_bench_s") for name in made(MtBench).summarise(rows))
    assert values(made(MtBench), rows)["local_judge_score"] == 5


def test_length_and_rank_correlation_by_hand():
    assert [length_grade(words) for words in (0, 100, 300, 900)] == [1, 4, 10, 10]
    assert rank_correlation([(1, 10), (2, 20), (3, 30)]) == pytest.approx(1)
    assert rank_correlation([(1, 10), (1, 20), (1, 30)]) is None and rank_correlation([(1, 2)]) is None


def test_reference_answers_come_from_their_own_file(questions, tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"question_id": 2, "choices": [{"turns": ["II", "III"]}]}))
    items = load(MtBench, questions, references=str(path))
    assert [item.fields["references"] for item in items] == [[], ["II", "III"]]
    path.write_text(json.dumps({"question_id": 2}))
    with pytest.raises(UserError, match=r"r.jsonl:1: a reference needs"):
        load(MtBench, questions, references=str(path))


@needs_data
def test_the_real_questions_load_with_their_references():
    items = load(
        MtBench, DATA / "mt_bench_question.jsonl", references=str(DATA / "mt_bench_reference_answer_gpt-4.jsonl")
    )
    assert len(items) == 80 and sum(bool(item.fields["references"]) for item in items) == 30
    assert {len(item.fields["turns"]) for item in items} == {2}


# --- pairwise ---


def pairs(tmp_path, *outputs):
    path = tmp_path / "p.json"
    path.write_text(json.dumps([{"instruction": f"Do {n}.", "output": text} for n, text in enumerate(outputs)]))
    return path


def test_a_fair_judge_gives_the_same_verdict_in_both_orders(tmp_path):
    items = load(Pairwise, pairs(tmp_path, "x", "a much longer answer than the other one is", "model on Do 2."))
    found = values(made(Pairwise), run(made(Pairwise), items, judge_by(by_words)))
    assert found["local_judge_win_rate"] == 0.5 and found["local_judge_first_shown"] == 0.5
    assert found["local_judge_consistency"] == 1 and found["local_judge_parse_failures"] == 0
    assert found["length_only_win_rate"] == 0.5 and found["local_judge_as_length"] == 1


def test_a_judge_that_always_takes_the_first_wins_nothing_and_is_seen(tmp_path):
    items = load(Pairwise, pairs(tmp_path, "x", "y"))
    found = values(made(Pairwise), run(made(Pairwise), items, lambda ask: said("[[A]]")))
    assert found["local_judge_win_rate"] == 0.5 and found["local_judge_first_shown"] == 1
    assert found["local_judge_consistency"] == 0


def test_a_pair_counts_only_when_both_orders_were_read(tmp_path):
    items = load(Pairwise, pairs(tmp_path, "x", "y"))
    replies = iter([said("answer"), said("[[A]]"), said("no idea"), said("answer"), said("[[A]]"), said("[[B]]")])
    metrics = made(Pairwise).summarise(run(made(Pairwise), items, lambda ask: next(replies)))
    assert metrics["local_judge_win_rate"].value == 1 and metrics["local_judge_win_rate"].n == 1
    assert metrics["local_judge_parse_failures"].value == 0.25


def test_probabilities_of_both_orders_are_averaged():
    both = {"k-ab": Score("", (0.0, 0.0), (1, 1)), "k-ba": Score("", (-1.0, 0.0), (1, 1))}
    low = exp(-1) / (1 + exp(-1))
    found = read_both("k", both)
    assert found["win"] == pytest.approx((0.5 + 1 - low) / 2) and found["first_shown"] == pytest.approx((0.5 + low) / 2)
    assert found["consistent"] == 0


def test_rivals_are_another_models_answers_or_the_files_own(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text('{"question_id": 7, "turns": ["Why?"]}')
    items = load(Pairwise, path, rival="base")
    base = made(Pairwise, rival="base")
    assert base.against_base and not made(Pairwise).against_base
    assert base.requests(items[0], {"answer": said("So.")}) == []
    assert base.against(items, {"7": "Because."})[0].fields == {"prompt": "Why?", "rival": "Because."}
    assert base.against(items, {"8": "No."}) == []
    with pytest.raises(UserError, match=r"q.jsonl:1: no rival's answer to 7"):
        load(Pairwise, path)


def test_the_floors_of_a_judged_benchmark_are_judged_too(tmp_path):
    items = load(Pairwise, pairs(tmp_path, "right", "better"))
    floor = Floor(made(Pairwise), "empty")
    assert {ask.to for item in items for ask in floor.requests(item, {})} == {"judge"}
    assert values(floor, run(floor, items, judge_by(by_words)))["local_judge_win_rate"] == 0


def test_the_win_rate_at_equal_length_takes_out_what_length_buys():
    wins, lengths = [1.0, 1.0, 1.0, 0.0], [100, 100, 100, -100]
    assert at_equal_length(list(zip(wins, lengths, strict=True))) == pytest.approx(0.5, abs=1e-6)
    assert at_equal_length([(1.0, 0), (0.0, 0), (1.0, 0), (0.0, 0), (1.0, 0)]) == pytest.approx(0.6, abs=0.01)
    assert at_equal_length([(0.75, words) for words in (5, -5, 9, 1)]) == pytest.approx(0.75)
    assert at_equal_length([]) is None
    assert at_equal_length([(1.0, words) for words in (1, 2, 3, 4, 5)]) == 1


# --- calibration ---


@pytest.fixture
def items():
    return Calibration(path=str(HELDOUT), limit=20).load()


def test_each_spoilt_answer_differs_from_the_right_one(items):
    for item in items:
        right, *spoilt = (item.fields[key] for key in ("output", *KINDS))
        assert right not in spoilt
        assert sorted(item.fields["shuffled"].split()) == sorted(right.split())
        assert right.split()[: len(right.split()) // 3] == item.fields["truncated"].split()
    assert items == Calibration(path=str(HELDOUT), limit=20).load()


@pytest.mark.parametrize("form", ["compare", "rate"])
def test_a_judge_that_knows_the_right_answers_passes(items, form):
    benchmark = Calibration().bound(form, "text")
    rows = run(benchmark, items, judge_by(knows(items)))
    metrics = benchmark.summarise(rows)
    assert [metrics[f"calibration_{kind}"].value for kind in KINDS] == [1, 1, 1] and objections(metrics) == []


@pytest.mark.parametrize("form", ["compare", "rate"])
def test_a_judge_that_looks_at_length_alone_fails(items, form):
    benchmark = Calibration().bound(form, "text")
    rows = run(benchmark, items, judge_by(lambda text, request: min(10, 1 + by_words(text, request) // 10)))
    found = objections(benchmark.summarise(rows))
    assert any("shuffled" in line for line in found) and any("length alone" in line for line in found)


@pytest.mark.parametrize(
    ("text", "objection"), [("[[A]]", "cannot tell"), ("[[C]]", "cannot tell"), ("hm", "no verdict")]
)
def test_a_judge_that_says_always_the_same_or_nothing_fails(items, text, objection):
    metrics = Calibration().summarise(run(Calibration(), items, lambda ask: said(text)))
    found = objections(metrics)
    assert len(found) >= 4 and objection in found[0]
    assert metrics["calibration_parse_failures"].value == float(text == "hm")
    if text == "[[A]]":
        assert metrics["calibration_first_shown"].value == 1


def test_a_judge_that_is_right_but_often_mute_fails(items):
    count, grade = iter(range(10**6)), judge_by(knows(items))
    rows = run(Calibration(), items, lambda ask: said("") if next(count) % 5 == 0 else grade(ask))
    assert [line for line in objections(Calibration().summarise(rows)) if "hold no verdict" in line]


def test_the_model_is_never_asked_when_the_judge_is_calibrated(items):
    for form, count in (("compare", 6), ("rate", 4)):
        asks = Calibration().bound(form, "text").requests(items[0], {})
        assert len(asks) == count and {ask.to for ask in asks} == {"judge"}


def test_short_answers_cannot_calibrate(tmp_path):
    path = tmp_path / "h.jsonl"
    path.write_text(json.dumps({"id": "a", "instruction": "x", "output": "Yes."}))
    with pytest.raises(UserError, match="at least two answers of 8 words"):
        Calibration(path=str(path)).load()


def test_a_reply_that_did_not_fit_the_context_is_a_parse_failure(items):
    nothing = Completion("", "", "context", None, 9, 0)
    row = Calibration().score(items[0], {ask.key: nothing for ask in Calibration().requests(items[0], {})})
    assert row["unread"] == row["asked"] == 6 and row["truncated"] is None
