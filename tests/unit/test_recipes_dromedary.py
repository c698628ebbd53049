"""Recipe dromedary: what its base model is shown, what is kept of thoughts and answers, what leaks or is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from isheep.config import load
from isheep.config.run import Run
from isheep.errors import UserError
from isheep.filters.registry import resolve
from isheep.outputs import answers
from isheep.outputs.exemplars import Leaks, read_exemplars, read_principles
from isheep.prompts.maker import PromptMaker
from isheep.serving.engines.base import Completion
from isheep.serving.engines.fake import FakeTemplate
from isheep.stages.table import table

ROOT = Path(__file__).parents[2]
ROW = {"id": "d0-000000-00", "round": 0, "instruction": "Name a tree.", "input": "in Norway"}
EXEMPLARS = ROOT / "config/principles/exemplars.yaml"
THOUGHT = " Some trees grow there."


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    monkeypatch.chdir(ROOT)


def run_of(recipe: str = "dromedary", **changes: object) -> Run:
    return load({"runs": {"a": {"preset": "fake", "recipe": recipe, **changes}}}, ROOT).runs["a"]


def asked(run: Run, row: dict, plain: bool = True):
    (request,) = answers.requests(
        [row], run.outputs, FakeTemplate(), run.outputs.plain if plain else None, run.seed, row["round"]
    )
    return request


def read(run: Run, text: str, row: dict = ROW, reason: str = "stop") -> dict:
    done = Completion(row["id"], text, reason, None, 5, 5)
    (read,) = answers.answer([row], run.outputs, lambda _: done, 0).parted()[0]
    return read


def dropped(run: Run, text: str, **row: str) -> str | None:
    whole = {**ROW, **row}
    _, rejected, _ = answers.filter_rows([read(run, text, whole)], resolve("outputs", run.outputs.rules), 0).parted()
    return rejected[0]["rule"] if rejected else None


def test_a_model_is_shown_principles_then_examples_with_thoughts_then_the_task_and_the_cue_for_thoughts():
    run = run_of()
    principles, exemplars = read_principles(run.outputs.principles), read_exemplars(run.outputs.exemplars)
    assert len(principles) >= 16 and len(exemplars) >= 5
    request = asked(run, ROW)
    shared, *examples, task = request.prompt.text.split("\n=====\n")
    assert [line.partition("(")[2].partition(")")[0] for line in shared.splitlines()[1:]] == [
        p.name for p in principles
    ]
    assert examples == [f"Task: {e.task}\nThoughts: {e.thoughts}\nAnswer: {e.answer}" for e in exemplars]
    assert task == "Task: Name a tree.\n\nin Norway\nThoughts:"
    assert request.prompt.add_special_tokens and request.sampling.stop == ("\n=====", "\nTask:")
    assert (request.sampling.temperature, request.sampling.top_p, request.sampling.max_tokens) == (0.5, 0.95, 256)
    assert asked(run, ROW, plain=False).prompt == request.prompt, "in context, whatever format the model knows"


def test_control_tokens_of_a_task_are_broken():
    text = asked(run_of(), {**ROW, "input": "<|im_end|>"}).prompt.text
    assert "<|im_end|>" not in text and "im_end" in text


@pytest.mark.parametrize(
    ("text", "thoughts", "output"),
    [
        (f"{THOUGHT}\nAnswer: A pine.", "Some trees grow there.", "A pine."),
        (f"{THOUGHT}\nAnswer: A pine.\nAnswer: An oak.", "Some trees grow there.", "A pine.\nAnswer: An oak."),
        (f"{THOUGHT} The Answer: is near.\nAnswer: A pine.", "Some trees grow there. The Answer: is near.", "A pine."),
        (THOUGHT, "Some trees grow there.", ""),
        ("\nAnswer: A pine.", "", "A pine."),
        ("", "", ""),
    ],
)
def test_thoughts_go_into_a_column_of_their_own(text, thoughts, output):
    row = read(run_of(), text)
    assert (row["thoughts"], row["output"], row["instruction"]) == (thoughts, output, ROW["instruction"])


def test_an_answer_is_cut_by_itself_and_may_say_what_was_thought():
    thought = "Pines grow in the cold of Norway."
    said = f" {thought}\nAnswer: {thought} They are tall and dark.\n{thought}\nMore is"
    row = read(run_of(), said, reason="length")
    assert row["output"] == f"{thought} They are tall and dark." and row["thoughts"] == thought
    assert (row["finish_reason"], row["stop_reason"]) == ("cut", "repetition")
    row = read(run_of(), f" {thought}\nAnswer: A pine. Or perhaps an", reason="length")
    assert (row["output"], row["stop_reason"]) == ("A pine.", "last_sentence")


@pytest.mark.parametrize(
    ("text", "changes", "rule"),
    [
        (f"{THOUGHT}\nAnswer: A pine.", {}, None),
        ("\nAnswer: A pine.", {}, "no_thoughts"),
        (THOUGHT, {}, "no_answer"),
        (f"{THOUGHT}\nAnswer: A pine near Quennerholt.", {}, "leaked_exemplar"),
        (f"{THOUGHT}\nAnswer: A pine near Quennerholt.", {"input": "near Quennerholt"}, None),
        (f"{THOUGHT}\nAnswer: It weighs 8,430 g.", {}, "leaked_exemplar"),
        (f"{THOUGHT}\nAnswer: It weighs 84 g.", {}, None),
        (f"{THOUGHT}\nAnswer: A pine, and what counts here is height.", {}, "leaked_exemplar"),
        (f"{THOUGHT}\nAnswer: A pine.\nThoughts: no more.", {}, "leaked_exemplar"),
        (f"{THOUGHT}\nAnswer: The report is not there, only the request for it.", {}, "leaked_exemplar"),
        (f"{THOUGHT}\nAnswer: I'm sorry, I know no tree.", {}, "apology"),
        (f"{THOUGHT}\nAnswer: My apologies. A pine.", {}, "apology"),
        (f"{THOUGHT}\nAnswer: Sorry is a word, and a pine a tree.", {"instruction": "Write a letter."}, None),
        (f"{THOUGHT}\nAnswer: A sorry sight: a pine without needles.", {}, None),
    ],
)
def test_answers_without_thoughts_with_leaks_or_with_an_apology_are_dropped_by_name(text, changes, rule):
    assert dropped(run_of(), text, **changes) == rule


def test_the_list_of_leaks_follows_from_the_examples(tmp_path):
    exemplars = read_exemplars(EXEMPLARS)
    leaks = Leaks.of(exemplars)
    for exemplar in exemplars:
        assert leaks.found(exemplar.answer, ""), exemplar.answer
        assert leaks.found(exemplar.answer, f"{exemplar.task} {exemplar.answer}") is None
    assert {"Odrun", "Vasselby", "Quennerholt", "8,430", "340"} <= leaks.words
    assert ("what", "counts", "here") in leaks.runs
    for harmless in ("How many jars do I need?", "In 2024 the town of Oslo had 24 jars.", "Write two lines."):
        assert leaks.found(harmless, "") is None
    other = tmp_path / "other.yaml"
    other.write_text(
        '- {task: "Who is Brenn Oskarby?", thoughts: "Nobody I know.", answer: "I cannot say who that is."}\n'
    )
    run = run_of(outputs={"exemplars": str(other)})
    assert read(run, f"{THOUGHT}\nAnswer: Ask Oskarby.")["leaked"] == "Oskarby"
    assert read(run, f"{THOUGHT}\nAnswer: Ask in Quennerholt.")["leaked"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected a list of {task: ..., thoughts: ..., answer: ...}"),
        ("- {task: a, thoughts: b}", "entry 1: expected task, thoughts, answer, and nothing else"),
        ("- {task: a, thoughts: b, answer: true}", "entry 1: answer must be a text"),
        ('- {task: a, thoughts: b, answer: "c\\nTask: d"}', "entry 1: answer holds 'Task:', a mark of the format"),
        ("- {task: a", "no YAML"),
    ],
)
def test_a_file_of_examples_that_cannot_be_used_is_refused_in_one_line(tmp_path, text, message):
    file = tmp_path / "exemplars.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as refused:
        run_of(outputs={"exemplars": str(file)}).outputs.check_files(Path(), 4000)
    assert message in str(refused.value) and str(file) in str(refused.value)


def test_principles_that_are_no_file_or_fill_the_context_are_refused():
    with pytest.raises(UserError, match=r"nowhere\.yaml: cannot be read .*; set outputs\.principles to a file"):
        run_of(outputs={"principles": "nowhere.yaml"}).outputs.check_files(Path(), 4000)
    with pytest.raises(UserError, match=r"over \d{3} tokens, which leave a prompt no room in engine\.context_length"):
        run_of().outputs.check_files(Path(), 700)


def test_a_verbose_round_asks_the_trained_model_at_length_and_keeps_no_thoughts():
    run = run_of(rounds=2, outputs={"verbose": {}})
    later = {**ROW, "id": "d1-000000-00", "round": 1}
    assert asked(run, ROW).prompt == asked(run_of(), ROW).prompt
    request = asked(run, later, plain=False)
    assert "user\nAnswer the following at length" in request.prompt.text and "\n\nName a tree." in request.prompt.text
    assert "Thoughts:" not in request.prompt.text and request.sampling.max_tokens == 512
    row = read(run, " A pine.\nAnswer: it is.", later)
    assert (row["thoughts"], row["output"], row["leaked"]) == (None, "A pine.\nAnswer: it is.", None)
    assert dropped(run, " A pine, and more of it.", id="d1-000000-00", round=1) is None
    assert table()["generate_outputs"].model(run, 1) == 1 and run.train.start_from == "base"


def test_a_verbose_round_by_the_base_is_refused():
    with pytest.raises(
        UserError, match=r"outputs\.verbose asks the model that was trained; set outputs\.model: current"
    ):
        run_of(rounds=2, outputs={"verbose": {}, "model": "base"})
    with pytest.raises(UserError, match=r"outputs\.verbose is for rounds from 1 on; set rounds: 2"):
        run_of(outputs={"verbose": {}})


def test_some_requests_ask_for_questions_by_topic_and_the_others_for_the_list():
    maker = PromptMaker.of(run_of(), 0)
    source = maker.source
    assert len(source.triples) == 20
    numbers = [number for number in range(400) if source.by_topic(number, maker.material)]
    assert 70 < len(numbers) < 130
    request = maker.request(numbers[0])
    shown, kind = source.drawn(numbers[0], maker.material)
    ask, *triples, cue = request.prompt.text.split("\n\n### Question ")
    assert ask.startswith("Questions that") and cue == f"6\nKind: {kind}\nTopic:"
    assert triples == [f"{n}\n{triple.text}" for n, triple in enumerate(shown, start=1)]
    assert request.sampling.stop == ("\n### Question 11\n",) and request.sampling.top_p == 0.98
    other = next(number for number in range(9) if number not in numbers)
    assert maker.request(other).prompt.text.endswith("### Task 6\nInstruction:")


def test_questions_are_read_with_kind_and_topic_and_a_topic_is_a_few_words():
    maker = PromptMaker.of(run_of(), 0)
    source = maker.source
    number = next(number for number in range(400) if source.by_topic(number, maker.material))
    kind = source.drawn(number, maker.material)[1]
    text = (
        " Deep lakes\nQuestion: How deep is\nthe deepest?\n\n### Question 7\nKind: Today\nTopic: News.\nQuestion: Why?"
        "\n\n### Question 8\nKind: Now\nQuestion: Which?\n\n### Question 9\nKind: Now\nTopic: Rain\nQuestion: Will i"
    )
    found = list(maker.candidates(number, Completion("d0-000000", text, "length", None, 1, 1)))
    told = [(row["topic_kind"], row["topic"], row["instruction"], why) for row, why in found]
    assert told[0] == (kind, "Deep lakes", "How deep is the deepest?", None)
    assert told[1] == ("Today", "News.", "Why?", "no_topic")
    assert [why for *_, why in told[2:]] == ["malformed", "unfinished"]
    assert all(len(row["seeds"]) == 5 and row["seeds"][0].startswith("topic-") for row, _ in found)


def test_triples_that_cannot_be_used_are_refused(tmp_path):
    file = tmp_path / "topics.jsonl"
    file.write_text(json.dumps({"kind": "Today", "topic": "Rain", "question": "Will it?"}) + "\n")
    with pytest.raises(UserError, match=r"prompts\.triples_shown: 5, but .* has 1"):
        PromptMaker.of(run_of(prompts={"topics": str(file)}), 0)
    with pytest.raises(UserError, match=r"nowhere\.jsonl: no such file; set prompts\.topics to one"):
        PromptMaker.of(run_of(prompts={"topics": str(tmp_path / "nowhere.jsonl")}), 0)
    file.write_text('{"kind": "Today"}\n')
    with pytest.raises(UserError, match=r"topics\.jsonl:1: write \{kind, topic, question\}, each a text"):
        PromptMaker.of(run_of(prompts={"topics": str(file)}), 0)


def test_dromedary_assesses_nothing_and_trains_once_from_the_base():
    run = run_of()
    present = {stage.name for stage in table() if stage.present(run)}
    assert not present & {"assess_outputs", "select_data", "order_data", "pair_answers"} and run.rounds == 1
    assert (run.train.start_from, run.train.lora.rank, run.train.schedule) == ("base", 16, "linear")


def test_i_sheep_by_principles_assesses_and_selects_what_was_answered_by_principles():
    run = run_of("i_sheep_principles")
    assert run.outputs.kind == "principles" and run.select.above == {"quality": 8, "following": 8}
    assert {"assess_outputs", "select_data"} <= {stage.name for stage in table() if stage.present(run)}
