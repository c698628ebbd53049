"""What a base model is shown: demonstrations that end in a mark, wherever it is asked; where answers are cut."""

from pathlib import Path

import pytest
import yaml

from isheep.assess import stage as assessing
from isheep.assess.kinds.pmi import Pmi
from isheep.assess.plan import plan
from isheep.config import load
from isheep.config.assess import Assess
from isheep.config.plain import Plain
from isheep.data.seeds import Seed, read_seeds
from isheep.errors import UserError
from isheep.evaluation.base import Ask
from isheep.filters.registry import resolve
from isheep.outputs import answers
from isheep.outputs.cuts import cut
from isheep.outputs.kinds.few_shot import FewShot
from isheep.outputs.kinds.zero_shot import ZeroShot
from isheep.serving.chat import user
from isheep.serving.engines.base import Completion, Sampling
from isheep.serving.engines.fake import FakeTemplate
from isheep.stages.table import table

ROOT = Path(__file__).parents[2]
SEEDS = "config/seeds/isheep.jsonl"
ROWS = [{"id": f"d0-{n}", "instruction": f"Count to {n}.", "input": ""} for n in range(6)]
ALL = ("new_task", "repetition", "last_sentence")


@pytest.fixture(autouse=True)
def _at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def asked(seed=1, **changes):
    style = FewShot(**changes)
    plain = style.format(SEEDS, seed)
    return list(answers.requests(ROWS, style, FakeTemplate(), plain, run_seed=seed, round_number=0))


def before(request, row):
    """What stands before the task of a request."""
    own = f"Instruction: {row['instruction']}\n\nResponse:"
    assert request.prompt.text.endswith(own)
    return request.prompt.text.removesuffix(own)


def resolved(**settings):
    raw = {"engine": {"name": "fake"}, "train": {"trainer": "fake"}, **settings}
    return load({"runs": {"a": raw}}, ROOT).runs["a"]


def test_demonstrations_are_seeds_with_their_outputs_and_the_mark():
    request = asked(shots=2, mark="#####")[0]
    shown = before(request, ROWS[0])
    outputs = {seed.output.strip() for seed in read_seeds(SEEDS)}
    parts = shown.split("\n#####\n\n")
    assert len(parts) == 3 and parts.pop() == ""
    for part in parts:
        task, answer = part.split("\n\nResponse: ")
        assert task.startswith("Instruction: ") and answer in outputs
    assert request.prompt.add_special_tokens
    assert request.sampling.stop == ("#####", *Plain().stop)


def test_fresh_demonstrations_follow_from_seed_and_task_fixed_ones_from_the_seed():
    fresh = [before(*pair) for pair in zip(asked(), ROWS, strict=True)]
    assert len(set(fresh)) > 3 and fresh == [before(*pair) for pair in zip(asked(), ROWS, strict=True)]
    assert fresh != [before(*pair) for pair in zip(asked(seed=2), ROWS, strict=True)]
    fixed = {before(*pair) for pair in zip(asked(demonstrations="fixed"), ROWS, strict=True)}
    assert len(fixed) == 1
    assert fixed != {before(*pair) for pair in zip(asked(seed=2, demonstrations="fixed"), ROWS, strict=True)}


def test_a_model_that_knows_its_template_is_shown_the_prompt_alone():
    pair = [
        list(answers.requests(ROWS, style, FakeTemplate(), None, run_seed=1, round_number=1))
        for style in (FewShot(), ZeroShot())
    ]
    assert pair[0] == pair[1]


def test_pmi_shows_the_neutral_prompt_after_the_demonstrations_of_the_row():
    plain = FewShot().format(SEEDS, 1)
    panel = assessing.build(Assess(assessors=[Pmi()]), FakeTemplate(), plain, len, Path())
    row = {**ROWS[3], "output": "1, 2, 3"}
    given, neutral = assessing.scorings([row], panel)
    assert given.prompt.text == asked()[3].prompt.text
    shown = before(asked()[3], row)
    assert neutral.prompt.text == f"{shown}Instruction: {Pmi().neutral}\n\nResponse:"
    assert given.continuations == neutral.continuations == (" 1, 2, 3",)


def test_a_benchmark_is_asked_in_the_same_format():
    plain = FewShot().format(SEEDS, 1)
    ask = Ask("a", ({"role": "user", "content": ROWS[2]["instruction"]},), sampling=Sampling(0, 1, 8, ("\n\n",)))
    request = ask.request("x", None, plain, 0)
    assert request.prompt.text == asked()[2].prompt.text
    assert request.sampling.stop == ("\n\n", "=====", *Plain().stop)
    assert "=====" not in ask.request("x", FakeTemplate(), plain, 0).prompt.text


def test_control_tokens_in_demonstrations_are_broken(tmp_path):
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text('{"id": "a", "instruction": "Say <|im_end|>.", "output": "<|im_end|>"}\n')
    plain = FewShot(shots=1).format(str(seeds), 0)
    (request,) = answers.requests(ROWS[:1], FewShot(shots=1), FakeTemplate(), plain, 0, 0)
    assert "im_end" in request.prompt.text and "<|im_end|>" not in request.prompt.text


def test_too_few_seeds_with_an_output_are_refused():
    seeds = [Seed("a", "Do.", "", "Done."), Seed("b", "Do.", "", " "), Seed("c", "Draw.", "", "=====")]
    FewShot(shots=1).check(seeds)
    with pytest.raises(UserError, match=r"outputs\.shots: 2 seeds to show, but 1 of the file's 3"):
        FewShot(shots=2).check(seeds)


@pytest.mark.parametrize("mark", [" ==", "=\n=", ""])
def test_a_mark_is_one_line(mark):
    with pytest.raises(ValueError, match="mark"):
        FewShot(mark=mark)


# The style follows from the model -----------------------------------------------------------------------------------


def test_a_base_model_is_shown_demonstrations_unless_a_kind_is_named():
    base = {"model": {"chat": False, "chat_template": "config/prompts/chat.jinja"}}
    assert resolved().outputs.kind == "zero_shot"
    run = resolved(**base, outputs={"sampling": {"max_tokens": 9}, "shots": 4, "rules": None})
    assert (run.outputs.kind, run.outputs.shots, run.outputs.sampling.max_tokens) == ("few_shot", 4, 9)
    assert run.outputs.rules == ("default",) and run.outputs.cuts == ALL
    assert resolved(**base, outputs={"cuts": []}).outputs.cuts == resolved().outputs.cuts == ()
    assert resolved(**base, outputs={"kind": "zero_shot"}).outputs.kind == "zero_shot"
    assert resolved(outputs={"kind": "few_shot"}).outputs.kind == "few_shot"
    with pytest.raises(UserError, match=r"runs\.a\.outputs\.shots: expected a number"):
        resolved(**base, outputs={"shots": True})


def test_the_demo_from_a_base_model_shows_demonstrations_and_measures_with_what_is_here():
    raw = yaml.safe_load((ROOT / "config/demo-base.yaml").read_text())
    run = load(raw, ROOT).runs["demo-base"]
    assert (run.model.chat, run.rounds, run.outputs.kind, run.outputs.mark) == (False, 3, "few_shot", "=====")
    formats = {name: benchmark.format for name, benchmark in run.evaluation.on.items()}
    own, alike = dict.fromkeys(("heldout", "constraints"), "own"), ("heldout_template", "constraints_template")
    assert formats == own | dict.fromkeys(alike, "template")
    assert all((ROOT / file).is_file() for file in run.evaluation.files)


@pytest.mark.parametrize("stage", ["generate_outputs", "assess_outputs", "probe_data", "evaluate_model"])
def test_what_a_base_model_is_shown_decides_every_stage_that_asks_one(stage):
    declared = table()[stage]
    base = resolved(model={"chat": False})
    assert base.seeds.path in declared.files(base)
    assert declared.derives(base)["outputs"]["mark"] == "====="
    assert "isheep/outputs/kinds/few_shot.py" in declared.modules(base)
    assert resolved().seeds.path not in declared.files(resolved())


def test_a_base_model_assesses_in_the_format_in_which_it_answers():
    run = resolved(model={"chat": False}, assess={"assessors": [{"kind": "pmi"}]})
    rows = [{**row, "output": "x"} for row in ROWS]
    first = plan(run, FakeTemplate(), 0, 0, rows).assessors.model
    assert first.task(user("a")).text.count("=====") == 3 and first.stop[0] == "====="
    assert plan(run, FakeTemplate(), 1, 1, rows).assessors.model.plain is None


# Cuts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "reason", "kept", "by"),
    [
        ("Paris.", "stop", "Paris.", None),
        ("Paris.\n\nQuestion: What is Rome?\nA city.", "stop", "Paris.", "new_task"),
        ("Paris.\n### Task 4\nSay it.", "length", "Paris.", "new_task"),
        ("Paris.\n\n## Instructions\n\nSay it.", "stop", "Paris.", "new_task"),
        ("Paris.\nInstructions: Say it.", "stop", "Paris.", "new_task"),
        ("The task of a city: none.\nIt is old.", "stop", "The task of a city: none.\nIt is old.", None),
        ("Question: what is Rome?", "stop", "Question: what is Rome?", None),  # nothing before it
        (
            "It is a large city. It is old. It is a large city. It",
            "length",
            "It is a large city. It is old.",
            "repetition",
        ),
        ("1. Bread\n2. Milk\n3. Bread\n4. Mi", "length", "1. Bread\n2. Milk", "repetition"),
        ("Yes. No. Yes. No.", "stop", "Yes. No. Yes. No.", None),
        ("It is old. It was built by", "length", "It is old.", "last_sentence"),
        ("It is old. It was built by", "stop", "It is old. It was built by", None),
        ("1. Bread and butter\n2. Milk\n3. So", "length", "1. Bread and butter\n2. Milk", "last_sentence"),
        ("- Bread.\n- Milk from", "length", "- Bread.", "last_sentence"),
        ("The sum is 3.5 and then", "length", "The sum is 3.5 and then", None),  # nothing whole
        ("He said \u201cNo.\u201d Then he", "length", "He said \u201cNo.\u201d", "last_sentence"),
        ("\u5929\u6c14\u5f88\u597d\u3002\u6211\u4eec", "length", "\u5929\u6c14\u5f88\u597d\u3002", "last_sentence"),
        ("It is done.", "length", "It is done.", "last_sentence"),
        ("", "length", "", None),
    ],
)
def test_an_answer_is_cut_where_it_ends(output, reason, kept, by):
    assert cut(output, "What is Paris?" if "Question" not in kept else "", reason, ALL) == (kept, by)


def test_what_the_prompt_speaks_of_is_not_cut():
    quiz = "Sure.\nQuestion: How old is Rome?\nQuestion: Where is it?"
    assert cut(quiz, "Write two questions about Rome.", "stop", ALL) == (quiz, None)
    steps = "Mix it.\nInstructions: stir."
    assert cut(steps, "Give an instruction.", "stop", ALL) == (steps, None)
    assert cut("Mix it.\nQ: Why?", "What is a quiche?", "stop", ALL) == ("Mix it.", "new_task")
    chant = "Row the boat home.\nRow the boat home."
    assert cut(chant, "Repeat a line twice.", "stop", ALL) == (chant, None)
    assert cut(chant, "Write a line.", "stop", ALL) == ("Row the boat home.", "repetition")
    assert cut(chant, "Write a line.", "stop", ()) == (chant, None)


def test_a_cut_answer_says_what_cut_it_and_the_rule_for_truncated_ones_lets_it_pass():
    done = Completion("d0-0", " One. Two", "length", None, 5, 3)
    for cuts, kept, ended in (
        ((), "One. Two", ("length", None)),
        (("last_sentence",), "One.", ("cut", "last_sentence")),
    ):
        (row,), _ = answers.answer(ROWS[:1], ZeroShot(cuts=cuts), lambda _: done, 0)
        assert (row["output"], (row["finish_reason"], row["stop_reason"])) == (kept, ended)
        kept_rows, _, _ = answers.filter_rows([row], resolve("outputs", ["truncated"]), 0)
        assert len(kept_rows) == len(cuts)
