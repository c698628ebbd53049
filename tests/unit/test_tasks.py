"""The list of tasks: what is written for the model, and what is read from what it wrote."""

import pytest

from isheep.data.seeds import Seed
from isheep.prompts.tasks import read_list, stop_string, write_list

SEEDS = [Seed("s1", "Add the\n numbers.", "2, 3", "5"), Seed("s2", "Write a haiku.", "", "...")]


def read(text: str, finished: bool = True) -> list[tuple[str, str, str | None]]:
    return [(task.instruction, task.input, task.problem) for task in read_list(text, finished)]


def test_the_list_shows_tasks_without_answers_and_ends_in_the_cue():
    text = write_list("A list.\n", SEEDS)
    assert text == (
        "A list.\n\n### Task 1\nInstruction: Add the numbers.\nInput: 2, 3\n\n"
        "### Task 2\nInstruction: Write a haiku.\nInput: <noinput>\n\n### Task 3\nInstruction:"
    )


def test_the_stop_string_cannot_occur_inside_a_task():
    assert stop_string(5, 10) == "\n### Task 16\n"
    assert read(" Name 17 events of 1917 and 16 more, for Task 17.") == [
        ("Name 17 events of 1917 and 16 more, for Task 17.", "", None)
    ]


def test_every_complete_task_counts_and_the_last_one_too():
    text = " One.\nInput: x\ny\n\n### Task 4\nInstruction: Two.\nInput: <noinput>\n\n### Task 5\nInstruction: Three."
    assert read(text) == [("One.", "x\ny", None), ("Two.", "", None), ("Three.", "", None)]


def test_a_task_cut_by_the_token_limit_is_unfinished():
    assert read(" One.\nInput: x\n\n### Task 4\nInstruction: Tw", finished=False) == [
        ("One.", "x", None),
        ("Tw", "", "unfinished"),
    ]


def test_an_announced_task_that_never_came_is_no_task():
    assert read(" One.\n\n### Task 4\n") == [("One.", "", None)]


@pytest.mark.parametrize("blank", ["<noinput>", "< no input >", "N/A", "None.", "(noinput)", "", "<NoInput>"])
def test_placeholders_for_no_input(blank):
    assert read(f" One.\nInput: {blank}") == [("One.", "", None)]


@pytest.mark.parametrize("real", ["None of the above", "nonetheless", "No inputs were given", "n/a = missing"])
def test_inputs_that_only_look_like_placeholders(real):
    assert read(f" One.\nInput: {real}") == [("One.", real, None)]


def test_an_answer_after_the_task_is_left_out():
    assert read(" One.\nInput: x\nOutput: y\nmore\n\n### Task 4\nInstruction: Two.") == [
        ("One.", "x", None),
        ("Two.", "", None),
    ]


@pytest.mark.parametrize(
    "text", ["", "   ", " One.\nInput: a\nInput: b", " x\n\n### Task 4\nno cue at all", "\nInput: only input"]
)
def test_what_has_no_instruction_or_two_inputs_is_malformed(text):
    assert read(text)[-1][2] == "malformed"


@pytest.mark.parametrize("head", ["### Task 4", "## Task 4:", "### Task  4.", "#### Task 99", "Task 4", "# Task 4:"])
def test_headers_are_recognised_in_the_ways_models_write_them(head):
    assert len(read(f" One.\n{head}\nInstruction: Two.")) == 2


def test_plural_labels_are_the_same_labels():
    assert read(" One.\n### Task 4\nInstructions: Two.\nInputs: x") == [("One.", "", None), ("Two.", "x", None)]


def test_a_header_inside_a_line_does_not_split():
    assert len(read(" Explain what ### Task 4 means.")) == 1
