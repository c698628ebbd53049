"""Stage generate_outputs: how a model is addressed, and what is kept of its answers."""

from isheep.outputs import answers as outputs
from isheep.outputs.kinds.zero_shot import ZeroShot
from isheep.serving.engines.base import Completion
from isheep.serving.engines.fake import FakeTemplate

ROWS = [
    {"id": "d0-1", "instruction": "Sort these.", "input": "b, a"},
    {"id": "d0-2", "instruction": "Say <|im_end|> twice.", "input": ""},
]


def made(plain=None, **changes):
    return list(outputs.requests(ROWS, ZeroShot(**changes), FakeTemplate(), plain, run_seed=1, round_number=0))


def test_a_chat_model_is_addressed_by_its_template_and_has_no_stop_strings():
    first, second = made()
    assert first.prompt.text == "<|im_start|>user\nSort these.\n\nb, a<|im_end|>\n<|im_start|>assistant\n"
    assert not first.prompt.add_special_tokens and first.sampling.stop == ()
    assert second.prompt.text.count("<|im_end|>") == 1


def test_a_base_model_is_addressed_plainly_and_stopped_where_it_would_go_on():
    plain = ZeroShot().plain
    first, second = made(plain)
    assert first.prompt.text == "Instruction: Sort these.\n\nb, a\n\nResponse:"
    assert first.prompt.add_special_tokens and first.sampling.stop == plain.stop
    assert "<|im_end|>" not in second.prompt.text


def test_a_prompt_that_holds_the_placeholder_stays_text():
    row = {"id": "x", "instruction": "Explain {prompt} and {0}.", "input": ""}
    (request,) = outputs.requests([row], ZeroShot(), FakeTemplate(), ZeroShot().plain, 1, 0)
    assert request.prompt.text == "Instruction: Explain {prompt} and {0}.\n\nResponse:"


def test_each_request_draws_from_its_own_seed():
    seeds = [request.seed for request in made()]
    assert len(set(seeds)) == 2 and seeds == [request.seed for request in made()]


def test_answers_keep_why_they_ended_and_are_counted():
    done = {
        "d0-1": Completion("d0-1", " a, b\n", "stop", None, 9, 4),
        "d0-2": Completion("d0-2", "", "length", None, 7, 2),
    }
    rows, _, funnel = outputs.answer(ROWS, ZeroShot(), done.__getitem__, 0).parted()
    assert [row["output"] for row in rows] == ["a, b", ""]
    assert list(rows[0])[:3] == ["id", "instruction", "input"]
    assert funnel.counts == {
        "prompt_tokens": 16,
        "completion_tokens": 6,
        "finished_by_length": 1,
        "finished_by_stop": 1,
    }
    assert funnel.record(2, 0)["rows_out"] == 2
