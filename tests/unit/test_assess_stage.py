"""The stage: assessors built from settings, run on a scripted engine, put together into evaluated rows."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from isheep.assess import stage
from isheep.assess.discrimination import discrimination, sample_pairs
from isheep.assess.kinds.judge import Judge
from isheep.assess.kinds.pmi import Pmi
from isheep.assess.plan import plan
from isheep.config.assess import Assess, Discrimination
from isheep.config.model import Model
from isheep.config.plain import Plain
from isheep.config.run import Run
from isheep.config.sampling import Sampling
from isheep.data.files import encode
from isheep.errors import UserError
from isheep.select.kinds.none import KeepAll
from isheep.serving.engines.base import Completion, Prompt, Score

ROOT = Path(__file__).parents[2]
PLAIN = Plain()


class Template:
    control_tokens = ("<|im_start|>", "<|im_end|>")
    end_of_turn = "<|im_end|>"
    seam = ""

    def render(self, messages):
        turns = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in messages)
        return Prompt(turns + "<|im_start|>assistant\n", add_special_tokens=False)


class ScriptedEngine:
    """Tokens are words, digits one by one. A word of the prompt has log p -1, another -3; a digit has log p -2.5."""

    context_length = 400

    def score(self, requests):
        for request in requests:
            pieces = [self._pieces(text) for text in request.continuations]
            if len(request.prompt.text.split()) + max(map(len, pieces)) > self.context_length:
                yield Score(request.id, (), ())
                continue
            known = set(request.prompt.text.split())
            sums = tuple(sum(self._log(piece, known) for piece in each) for each in pieces)
            yield Score(request.id, sums, tuple(map(len, pieces)))

    @staticmethod
    def _pieces(text):
        return list(text.strip()) if text.strip().isdigit() else text.split()

    @staticmethod
    def _log(piece, known):
        return -2.5 if piece.isdigit() else (-1.0 if piece in known else -3.0)

    def complete(self, requests):
        for request in requests:
            text = " 8||fine" if "sea" in request.prompt.text else "no idea"
            yield Completion(request.id, f"{text} {request.seed}", "stop", None, 1, 1)


def row(number: int, output: str, instruction: str = "Name the sea") -> dict:
    return {"id": f"p{number}", "round": 0, "instruction": instruction, "input": "", "output": output}


def build(*assessors, plain=None, fields=(), root=ROOT):
    return stage.build(Assess(assessors=assessors), Template(), plain, lambda request: len(request), root, fields)


def results(rows, panel):
    engine = ScriptedEngine()
    done = {each.id: each for each in engine.score(stage.scorings(rows, panel))}
    return done | {each.id: each for each in engine.complete(stage.completions(rows, panel))}


def test_default_settings_make_their_columns_in_order():
    assessors = build(*Assess().assessors)
    columns = [column for assessor in assessors for column in assessor.columns]
    assert columns == ["quality", "quality_mass", "following", "following_mass", "pmi"]
    rows = [row(0, "the Baltic sea"), row(1, "the North sea")]
    evaluated, rejected, funnel = stage.assess_rows(rows, assessors, results(rows, assessors).__getitem__, 0).parted()
    assert rejected == []
    assert [list(each) for each in evaluated] == [[*rows[0], *columns]] * 2
    assert funnel.record(2, 0)["rows_in"] == 2


def test_expected_score_takes_ten_out_of_one():
    judge = build(Judge())
    (found,), _, _ = stage.assess_rows([row(0, "x")], judge, results([row(0, "x")], judge).__getitem__, 0).parted()
    # A digit is a token of its own: p(2..9) = e^-2.5 each, p(10) = e^-5, p(1) = e^-2.5 - e^-5.
    weights = [math.exp(-2.5) - math.exp(-5), *[math.exp(-2.5)] * 8, math.exp(-5)]
    expected = sum(score * weight for score, weight in enumerate(weights, start=1)) / sum(weights)
    assert found["quality"] == pytest.approx(expected, rel=1e-5)
    assert found["quality_mass"] == pytest.approx(9 * math.exp(-2.5), rel=1e-5)


def test_greedy_score_is_a_whole_number():
    judge = build(Judge(method="greedy"))
    (found,), _, _ = stage.assess_rows([row(0, "x")], judge, results([row(0, "x")], judge).__getitem__, 0).parted()
    assert found["quality"] == 2
    assert isinstance(found["quality"], int)


def test_sampled_judge_keeps_its_text_and_rejects_what_has_no_score():
    judge = build(Judge(method="sampled", sampling=Sampling(temperature=0.5, top_p=0.9, max_tokens=7)))
    rows = [row(0, "x"), row(1, "x", "Name a hill")]
    (request, _) = stage.completions(rows, judge)
    assert request.id == "p0/quality"
    assert request.seed == len("p0/quality")
    assert (request.sampling.temperature, request.sampling.top_p, request.sampling.max_tokens) == (0.5, 0.9, 7)
    assert request.sampling.stop == ("[[",)
    assert list(stage.scorings(rows, judge)) == []
    evaluated, rejected, funnel = stage.assess_rows(rows, judge, results(rows, judge).__getitem__, 3).parted()
    assert evaluated == [{**rows[0], "quality": 8.0, "quality_text": " 8||fine 10"}]
    assert rejected == [{**rows[1], "quality": None, "quality_text": "no idea 10", "rule": "unscored_quality"}]
    assert funnel.record(1, 1)["rejected"] == {"unscored_quality": 1}


def test_pmi_is_the_mean_gain_of_a_token():
    pmi = build(Pmi())
    rows = [row(0, "the sea there"), row(1, "a hill"), row(2, "Say something.", "Name the hill")]
    assert [request.id for request in stage.scorings(rows[:1], pmi)] == ["p0/pmi/given", "p0/pmi/neutral"]
    evaluated, _, _ = stage.assess_rows(rows, pmi, results(rows, pmi).__getitem__, 0).parted()
    # "the" stands in the prompt; "sea" is glued to <|im_end|> there: one word of three gains 2 nats.
    assert [each["pmi"] for each in evaluated] == pytest.approx([2 / 3, 0.0, -1.0], rel=1e-5)


def test_pmi_renders_as_outputs_are_generated():
    pmi = build(Pmi(neutral="Say it."))
    given, neutral = stage.scorings([{**row(0, "blue"), "input": "x"}], pmi)
    assert given.prompt == Prompt(
        "<|im_start|>user\nName the sea\n\nx<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False
    )
    assert neutral.prompt.text == "<|im_start|>user\nSay it.<|im_end|>\n<|im_start|>assistant\n"
    assert given.continuations == neutral.continuations == ("blue",)


def test_plain_format_gives_the_output_its_space():
    pmi = build(Pmi(), plain=PLAIN)
    given, _ = stage.scorings([row(0, "blue")], pmi)
    assert given.prompt == Prompt("Instruction: Name the sea\n\nResponse:", add_special_tokens=True)
    assert given.continuations == (" blue",)
    pmi = build(Pmi(), plain=Plain(text="Q: {prompt}\nA:\n"))
    assert next(stage.scorings([row(0, "blue")], pmi)).continuations == ("blue",)


def test_plain_judge_is_shown_the_rubric_as_text():
    judge = build(Judge(), plain=PLAIN)
    (request,) = stage.scorings([row(0, "x<|im_end|>")], judge)
    assert request.prompt.add_special_tokens
    assert request.prompt.text.startswith("You grade an answer to a task")
    assert request.prompt.text.endswith("as a bare number.\nScore:")
    assert "<|im_end|>" not in request.prompt.text


def test_control_tokens_in_what_pmi_scores_are_broken():
    output = "done<|im_end|>\n<|im_start|>user"
    for plain in (None, PLAIN):
        pmi = build(Pmi(), plain=plain)
        given, _ = stage.scorings([row(0, output, "Say <|im_end|>")], pmi)
        assert "<|im_" not in given.continuations[0]
        if plain:
            assert "<|im_" not in given.prompt.text


@pytest.mark.parametrize("output", ["", " \n"])
def test_empty_output_has_no_pmi_and_asks_for_none(output):
    pmi = build(Pmi())
    assert list(stage.scorings([row(0, output)], pmi)) == []
    _, rejected, _ = stage.assess_rows([row(0, output)], pmi, {}.__getitem__, 0).parted()
    assert rejected == [{**row(0, output), "pmi": None, "rule": "unscored_pmi"}]


def test_row_over_the_context_is_rejected_with_all_columns_and_the_first_rule():
    assessors = build(Judge(), Pmi())
    rows = [row(0, "sea"), row(1, "sea " * 500)]
    evaluated, rejected, _ = stage.assess_rows(rows, assessors, results(rows, assessors).__getitem__, 0).parted()
    assert [each["id"] for each in evaluated] == ["p0"]
    nothing = {"quality": None, "quality_mass": None, "pmi": None, "rule": "unscored_quality"}
    assert rejected == [{**rows[1], **nothing}]
    assert encode(rejected[0])


def test_judges_of_a_row_are_shown_the_same_text_up_to_their_criterion():
    judges = build(Judge(), Judge(name="following", rubric="config/prompts/following.txt"))
    quality, following = (request.prompt.text for request in stage.scorings([row(0, "the sea")], judges))
    shared, _, criterion = quality.partition("Grade how good")
    assert "the sea" in shared and criterion
    assert following.startswith(shared + "Grade whether")


def test_requests_go_row_by_row_and_have_distinct_ids():
    assessors = build(*Assess().assessors)
    rows = [row(0, "sea"), row(1, "hill")]
    asked = [request.id for request in stage.scorings(rows, assessors)]
    assert asked[:4] == ["p0/quality", "p0/following", "p0/pmi/given", "p0/pmi/neutral"]
    pairs = sample_pairs(rows, 10, seed=0)
    asked += [request.id for request in stage.scorings([shuffled for _, shuffled in pairs], assessors)]
    assert len(set(asked)) == len(asked) == 16


def test_discrimination_runs_on_the_same_assessors():
    rows = [row(number, f"w{number} v{number}", f"Say w{number} or v{number} now") for number in range(12)]
    pmi = build(Pmi())
    pairs = sample_pairs(rows, 12, seed=0)
    done = results([*rows, *(shuffled for _, shuffled in pairs)], pmi)
    found = discrimination(pairs, pmi, done.__getitem__, 0.6)["pmi"]
    assert (found["n"], found["auc"], found["verdict"]) == (12, 1.0, "separates")


def test_plan_asks_for_every_row_and_then_for_the_shuffled_copies():
    run = Run(select=KeepAll(), assess=Assess(assessors=(Pmi(),), discrimination=Discrimination(pairs=3)))
    rows = [row(number, f"answer {number}") for number in range(5)]
    todo = plan(run, Template(), judge=0, round_number=1, rows=rows)
    asked = list(todo.asked())
    assert [each["id"] for each in asked[:5]] == [each["id"] for each in rows]
    assert len(asked) == 8
    assert all(each["id"].endswith("/shuffled") for each in asked[5:])
    assert plan(run, Template(), 0, 2, rows).pairs != todo.pairs


def test_plan_addresses_only_an_untuned_base_model_plainly():
    run = Run(select=KeepAll(), model=Model(chat=False), assess=Assess(assessors=(Pmi(),)))
    texts = []
    for chat, judge in ((False, 0), (False, 1), (True, 0)):
        model = run.model.model_copy(update={"chat": chat})
        pmi = plan(run.model_copy(update={"model": model}), Template(), judge, 1, [row(0, "blue")]).assessors
        texts.append(next(stage.scorings([row(0, "blue")], pmi)).prompt.text)
    assert texts[0] == "Instruction: Name the sea\n\nResponse:"
    assert texts[1] == texts[2] == "<|im_start|>user\nName the sea<|im_end|>\n<|im_start|>assistant\n"


def test_columns_may_not_clash():
    with pytest.raises(UserError, match="two columns named quality_mass"):
        build(Judge(name="quality"), Pmi(name="quality_mass"))
    with pytest.raises(UserError, match="two columns named output"):
        build(Pmi(name="output"), fields=["id", "output"])


def test_rubrics_are_looked_for_under_the_root(tmp_path):
    with pytest.raises(UserError, match=r"config/prompts/quality\.txt: cannot read the rubric"):
        build(Judge(), root=tmp_path)
