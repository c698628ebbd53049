"""The fake engine: it conforms, it drives every stage, and it goes wrong on demand."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from conformance import CONTEXT, LIST, Conformance, chat, complete, draw, one

from isheep.config.engine import Engine as Settings
from isheep.config.engine import Misbehaviour
from isheep.config.model import Model
from isheep.data.dedup import NearDuplicates
from isheep.prompts.tasks import read_list, stop_string
from isheep.serving import engines
from isheep.serving.engines.base import Engine, Prompt, Request, ScoreRequest

IDENTITY = "0" * 64


def fake(identity: str = IDENTITY, system: str | None = None, context_length: int = 2048, **misbehave: float) -> Engine:
    settings = Settings(name="fake", context_length=context_length, misbehave=Misbehaviour(**misbehave))
    return engines.load(settings, Model(system=system), None, identity, threads=1, gpus=0)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return fake(context_length=CONTEXT)


class TestFakeEngine(Conformance):
    pass


def lists(engine: Engine, count: int) -> list[str]:
    stop = stop_string(shown=1, wanted=10)
    requests = [Request(str(n), Prompt(LIST, True), draw(1000, stop=(stop,)), n) for n in range(count)]
    return [result.text for result in engine.complete(requests)]


def test_texts_stay_the_same_for_ever() -> None:
    assert one(fake(), chat(fake(), "What is salt?"), draw(64), seed=3).text == (
        "The point of salt is that salt depends on usefulness. Start with salt, then look at salt in plain English."
    )


def test_another_model_writes_another_text() -> None:
    texts = {one(fake(identity * 64), chat(fake(), "What is salt?"), draw(64), seed=3).text for identity in "0123"}
    assert len(texts) == 4


def test_most_tasks_of_a_list_can_be_used_and_some_cannot() -> None:
    tasks = [task for text in lists(fake(), 60) for task in read_list(text, finished=True)]
    assert 500 < len(tasks) <= 600
    usable = [task for task in tasks if task.problem is None]
    assert 0.9 * len(tasks) < len(usable) < len(tasks)
    with_input = sum(bool(task.input) for task in usable)
    assert 0.2 * len(usable) < with_input < 0.5 * len(usable)


def test_tasks_are_varied_enough_for_deduplication() -> None:
    instructions = [task.instruction for text in lists(fake(), 40) for task in read_list(text, finished=True)]
    kept = NearDuplicates(0.7)
    near = 0
    for number, instruction in enumerate(instructions):
        near += kept.find(instruction) is not None
        kept.add(str(number), instruction)
    assert near < 0.3 * len(instructions)


def test_a_list_goes_on_from_the_number_asked_for() -> None:
    text = one(fake(), Prompt(LIST.replace("Task 2", "Task 6"), True), draw(1000, stop=("\n### Task 16\n",))).text
    assert "### Task 7\n" in text
    assert "### Task 6\n" not in text
    assert "### Task 16\n" not in text


def test_answers_take_up_words_of_the_question() -> None:
    words = {"otters", "carry", "pebbles"}
    answers = complete(fake(), [Request(str(n), chat(fake(), " ".join(words)), draw(200), n) for n in range(20)])
    assert all(
        words & set(answer.text.lower().replace(",", "").replace(".", "").split()) for answer in answers.values()
    )
    assert {answer.finish_reason for answer in answers.values()} == {"stop"}


def test_short_limits_cut_some_answers() -> None:
    answers = complete(fake(), [Request(str(n), chat(fake(), "What is salt?"), draw(40), n) for n in range(60)])
    assert set(Counter(answer.finish_reason for answer in answers.values())) == {"stop", "length"}


def test_a_judge_gets_scores_that_differ_and_agree_in_both_ways_of_asking() -> None:
    numbers = []
    for n in range(40):
        prompt = chat(fake(), f"Grade answer {n} from 1 to 10.")
        asked = Prompt(f"{prompt.text}Score:", False)
        (scored,) = fake().score([ScoreRequest("s", asked, tuple(f" {score}" for score in range(1, 11)))])
        best = max(range(10), key=scored.log_likelihoods.__getitem__) + 1
        written = int(one(fake(), asked, draw(4)).text)
        assert abs(best - written) <= 1
        numbers.append(best)
    assert len(set(numbers)) >= 6
    assert sum(number > 8 for number in numbers) >= 5


def test_matched_continuations_are_likelier_than_shuffled_ones() -> None:
    """The probability that a matched pair is likelier than a shuffled one (AUC), for tasks of its own making."""
    tasks = [task for text in lists(fake(), 6) for task in read_list(text, finished=True)][:40]
    prompts = [chat(fake(), task.instruction) for task in tasks]
    answers = [one(fake(), prompt, draw(200), seed=1).text for prompt in prompts]

    def mean(prompt: Prompt, answer: str) -> float:
        (result,) = fake().score([ScoreRequest("s", prompt, (answer,))])
        return result.log_likelihoods[0] / result.tokens[0]

    matched = [mean(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    shuffled = [mean(prompt, answer) for prompt, answer in zip(prompts, answers[7:] + answers[:7], strict=True)]
    above = sum(a > b for a in matched for b in shuffled)
    assert above > 0.9 * len(matched) * len(shuffled)


def test_the_system_message_stands_before_every_conversation() -> None:
    assert chat(fake(system="Be brief."), "Hi").text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )


def broken(prompt: Prompt | None = None, **misbehave: float) -> list[str]:
    engine = fake(**misbehave)
    requests = [Request(str(n), prompt or chat(engine, f"Question {n}"), draw(60), n) for n in range(40)]
    return [result.text for result in engine.complete(requests)]


def test_empty_completions_on_demand() -> None:
    assert set(broken(empty=1)) == {""}
    assert 5 < sum(text == "" for text in broken(empty=0.5)) < 35


def test_endless_completions_on_demand() -> None:
    engine = fake(endless=1)
    result = one(engine, chat(engine, "Why?"), draw(300))
    assert (result.finish_reason, result.completion_tokens) == ("length", 300)


def test_garbage_on_demand() -> None:
    text = "".join(broken(garbage=1))
    for sign in ("<script>", "<|im_end|>", "\x00", "\ud83d", "{braces}", "$("):
        assert sign in text


def test_some_garbage_in_a_list_keeps_the_form_of_tasks() -> None:
    tasks = [task for text in broken(Prompt(LIST, True), garbage=1) for task in read_list(text, finished=True)]
    assert any(task.problem is None and task.input for task in tasks)
    assert any(task.problem for task in tasks) or any("###" in task.instruction for task in tasks)


def test_duplicates_on_demand() -> None:
    assert len(set(broken(duplicate=1))) == 1
    assert len(set(broken())) > 30
    assert len(set(broken(Prompt(LIST, True), duplicate=1))) == 1


@pytest.mark.parametrize("results", [0, 3])
def test_death_on_demand_comes_after_so_many_results(results: int) -> None:
    program = f"""
from isheep.serving import engines
from isheep.config.engine import Engine, Misbehaviour
from isheep.config.model import Model
from isheep.serving.engines.base import Prompt, Request, Sampling
settings = Engine(name="fake", misbehave=Misbehaviour(crash_after={results}))
engine = engines.load(settings, Model(), None, "", 1, 0)
for n, _ in enumerate(engine.complete(Request("x", Prompt("y", True), Sampling(1, 1, 9), 0) for _ in range(9))):
    print(n, flush=True)
"""
    scripts = Path(engines.__file__).parents[3]
    run = subprocess.run([sys.executable, "-c", program], cwd=scripts, capture_output=True, text=True)
    assert run.returncode == 137
    assert run.stdout.split() == [str(n) for n in range(results)]


def test_the_engine_is_a_context_manager_and_imports_nothing_heavy() -> None:
    program = """
import sys
from isheep.serving import engines
from isheep.config.engine import Engine
from isheep.config.model import Model
with engines.load(Engine(name="fake"), Model(), None, "", 1, 0) as engine:
    assert engine.context_length == 2048
print(sorted({"torch", "transformers", "vllm", "numpy"} & set(sys.modules)))
"""
    scripts = Path(engines.__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", program], cwd=scripts, capture_output=True, text=True).stdout == "[]\n"
