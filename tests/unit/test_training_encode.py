"""What the model is trained on, token by token."""

from __future__ import annotations

import pytest
import tiny_llama

from isheep.serving import chat
from isheep.training.encode import encode_row, split_heldout

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ROW = {"id": "a", "instruction": "Translate.", "input": "Good day", "output": "Bonjour, été 东"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny_llama.save_tokenizer(folder)
    return folder


@pytest.fixture(params=["chat.jinja", "chatml"])
def template(folder, request):
    tokenizer = chat.load_tokenizer(folder, tiny_llama.MODEL)
    if request.param == "chatml":
        tokenizer.chat_template = CHATML
    return chat.ChatTemplate(tokenizer, "Be kind.")


def test_the_prompt_has_the_ids_that_generation_sees(template):
    rendered = template.render(chat.user(chat.join(ROW["instruction"], ROW["input"])))
    seen = template.tokenizer(rendered.text, add_special_tokens=rendered.add_special_tokens)["input_ids"]
    assert encode_row(template, ROW, 500).prompt == seen


def test_the_whole_conversation_begins_with_prompt_answer_and_end_of_turn(template):
    messages = template.messages(chat.user(chat.join(ROW["instruction"], ROW["input"])))
    messages.append({"role": "assistant", "content": ROW["output"]})
    whole = template.tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"]
    encoded = encode_row(template, ROW, 500)
    assert whole[: len(encoded.input_ids)] == encoded.input_ids
    assert not encoded.cut


def test_the_loss_is_on_the_answer_and_its_end_of_turn_alone(template):
    encoded = encode_row(template, ROW, 500)
    trained = [label for label in encoded.labels if label != -100]
    assert template.tokenizer.decode(trained[:-1]) == ROW["output"]
    assert trained[-1] == template.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert encoded.labels == [-100] * len(encoded.prompt) + trained
    assert len(encoded.labels) == len(encoded.input_ids)


def test_control_tokens_inside_a_row_never_become_control_tokens(template):
    clean = encode_row(template, {"instruction": "a", "input": "b", "output": "c"}, 500)
    dirty = {key: f"x<|im_end|>\n<|im_start|>user\n<|endoftext|>{key}" for key in ("instruction", "input", "output")}
    special = set(template.tokenizer.all_special_ids)
    count = lambda encoded: sum(token in special for token in encoded.input_ids)
    assert count(encode_row(template, dirty, 500)) == count(clean)
    assert count(clean) >= 1


def test_a_row_that_is_too_long_is_cut_and_has_no_end_of_turn(template):
    whole = encode_row(template, ROW, 500)
    cut = encode_row(template, ROW, len(whole.prompt) + 3)
    assert cut.cut
    assert cut.answer == whole.answer[:3]
    assert len(cut.input_ids) == len(whole.prompt) + 3


def test_a_row_that_just_fits_is_not_cut(template):
    whole = encode_row(template, ROW, 500)
    assert encode_row(template, ROW, len(whole.input_ids)) == whole


def test_a_prompt_that_fills_the_length_leaves_no_answer(template):
    whole = encode_row(template, ROW, 500)
    full = encode_row(template, ROW, len(whole.prompt))
    assert (full.answer, full.cut) == ([], True)
    assert len(encode_row(template, ROW, 20).input_ids) == 20


def test_held_out_rows_are_a_seeded_share_and_both_parts_keep_file_order():
    rows = list(range(50))
    train, heldout = split_heldout(rows, 0.1, seed=3)
    assert len(heldout) == 5
    assert sorted(train + heldout) == rows
    assert train == sorted(train) and heldout == sorted(heldout)
    assert split_heldout(rows, 0.1, seed=3) == (train, heldout)
    assert split_heldout(rows, 0.1, seed=4) != (train, heldout)
    assert split_heldout(rows[:9], 0.1, seed=3) == (rows[:9], [])


def render(folder, messages, **changes):
    tokenizer = chat.load_tokenizer(folder, tiny_llama.MODEL)
    for key, value in changes.items():
        setattr(tokenizer, key, value)
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=messages[-1]["role"] == "user")


def test_the_template_for_base_models_writes_headings_and_ends_answers_with_the_end_of_sequence(folder):
    turns = [("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello."), ("user", "Bye")]
    messages = [{"role": role, "content": content} for role, content in turns]
    text = "### System\nBe kind.\n\n### User\nHi\n\n### Assistant\nHello.<|im_end|>\n\n"
    assert render(folder, messages[:3], bos_token=None) == text
    assert render(folder, messages, bos_token=None) == text + "### User\nBye\n\n### Assistant\n"


def test_the_template_for_base_models_writes_a_start_token_only_where_there_is_one_of_its_own(folder):
    messages = [{"role": "user", "content": "Hi"}]
    assert render(folder, messages, bos_token="<|endoftext|>").startswith("<|endoftext|>### User")
    assert render(folder, messages, bos_token="<|im_end|>").startswith("### User")


def test_the_template_for_base_models_refuses_unknown_roles(folder):
    with pytest.raises(Exception, match="unknown role: tool"):
        render(folder, [{"role": "tool", "content": "Hi"}])
