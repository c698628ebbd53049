import json
import random
import string
import subprocess
import sys
from datetime import datetime

import pytest
import tokenizer_zoo as zoo

from isheep.config.model import Model
from isheep.errors import UserError
from isheep.serving import chat, reasoning
from isheep.serving.engines.base import Prompt
from isheep.serving.engines.tokens import TextStream, encode_continuation, encode_prompt, end_tokens
from isheep.serving.imports import TRUSTED
from isheep.training.encode import encode_row

EVERY = [(kind, name) for kind in zoo.KINDS for name in zoo.TEMPLATES]
PIECES = [
    "<think>",
    "</s>",
    "<|im_end|>",
    "<end_of_turn>",
    "[/INST]",
    "<|user|>",
    "<",
    "s>",
    "|>",
    "\n",
    "\n\n",
    "  ",
    "▁",
]
PIECES += ["Grüße", "日本語", "👨‍👩‍👧", "10", " 1", "USER:", "don't", "é", "\t", "<0x0A>", "\u200b", "\\", "{{ x }}"]


def random_text(seed: int) -> str:
    draw = random.Random(seed)
    pieces = [draw.choice([*PIECES, *string.printable[:94], " "]) for _ in range(draw.randint(1, 40))]
    return "".join(pieces).strip()


@pytest.fixture(scope="module")
def made():
    known = {}

    def make(kind, name, **changes):
        key = (kind, name, repr(changes))
        if key not in known:
            known[key] = chat.ChatTemplate(zoo.tokenizer(kind, name, **changes))
        return known[key]

    return make


def row(instruction, output):
    return {"instruction": instruction, "input": "", "output": output}


# ---- control tokens


def test_added_tokens_that_no_template_knows_are_left_whole(made):
    added = ("<think>", "</think>", "<table>", "<tr>", "ü", "üß", "user", "###", "\n\n")
    template = made("byte_level", "thinking", added=added)
    assert template.control_tokens == ("</s>", "<s>", "<unk>", "<|im_end|>", "<|im_start|>")
    text = "<think>a</think><table><tr>Grüße, user ### b"
    assert chat.neutralise(text, template.control_tokens) == text
    text = text.replace("Grüße", "Hello")  # a ByteLevel decoder cannot write the added token "ü"
    assert template.tokenizer.decode(encode_row(template, row("x", text), 500).answer[:-1]) == text


def test_an_added_token_that_the_template_writes_is_a_control_token_though_not_special(made):
    template = made("byte_level", "vicuna", added=("USER:", "ASSISTANT:", "<tool>"))
    assert {"USER:", "ASSISTANT:"} <= set(template.control_tokens)
    assert "<tool>" not in template.control_tokens
    assert chat.neutralise("a USER: b", template.control_tokens) == "a U\u200bSER: b"


def test_a_token_left_over_from_two_that_overlap_is_broken_too():
    assert chat.neutralise("<ab>", ["<ab", "ab>"]) == "<\u200ba\u200bb>"
    assert chat.neutralise("e", ["e"]) == "e"


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_no_text_holds_a_control_token_for_the_tokenizer(made, kind, name):
    template = made(kind, name)
    special = set(template.tokenizer.all_special_ids) - {template.tokenizer.unk_token_id}
    for seed in range(15):
        encoded = encode_row(template, row(random_text(seed), random_text(seed + 1000)), 5000)
        clean = encode_row(template, row("x", "y"), 5000)
        count = lambda ids: sum(token in special for token in ids)
        assert count(encoded.input_ids) == count(clean.input_ids), seed


@pytest.mark.parametrize("kind", ["byte_level", "replace", "prepend", "metaspace_first"])
def test_neutralised_text_decodes_to_what_was_written_but_for_control_tokens(made, kind):
    # Tokenizers that put a blank before every piece do so behind an added token, too, whatever the text.
    blanks = kind in ("prepend", "metaspace_first")
    template = made(kind, "chatml", added=() if blanks else ("<table>", "<think>"))
    for seed in range(60):
        text = random_text(seed).replace("▁", "")  # the sign of a blank itself is written as one
        broken = chat.neutralise(text, template.control_tokens)
        ids = template.tokenizer(broken, add_special_tokens=False).input_ids
        assert template.tokenizer.decode(ids) == broken
        if not any(token in text for token in template.control_tokens):
            assert broken == text


# ---- end of turn


@pytest.mark.parametrize("name", zoo.TEMPLATES)
def test_the_end_of_turn_is_what_the_template_writes_after_an_answer(made, name):
    template = made("byte_level", name)
    assert template.end_of_turn == zoo.ENDS[name]
    end = template.tokenizer.convert_tokens_to_ids(zoo.ENDS[name])
    encoded = encode_row(template, row("Hi", "Hello there!"), 500)
    assert encoded.answer[-1] == end and encoded.answer.count(end) == 1
    assert template.tokenizer.eos_token == "</s>", "the tokenizer is saved as it came"


def test_a_completion_stops_at_the_end_of_turn_and_at_the_end_of_sequence(made, tmp_path):
    template = made("byte_level", "gemma")
    ids = template.tokenizer.convert_tokens_to_ids(["</s>", "<end_of_turn>"])
    assert end_tokens(template.tokenizer, tmp_path, template.end_of_turn) == sorted(ids)


def test_the_setting_overrules_the_template(tmp_path):
    zoo.tokenizer("byte_level", "gemma").save_pretrained(tmp_path)
    assert chat.load_template(tmp_path, Model()).end_of_turn == "<end_of_turn>"
    assert chat.load_template(tmp_path, Model(end_of_turn="</s>")).end_of_turn == "</s>"
    with pytest.raises(UserError, match=r"model\.end_of_turn: '<eot>' is not a token"):
        chat.load_template(tmp_path, Model(end_of_turn="<eot>"))


def test_a_template_and_a_tokenizer_without_any_end_are_told_of(made):
    template = chat.ChatTemplate(zoo.tokenizer("byte_level", "headings", eos_token=None))
    object.__setattr__(template.tokenizer, "chat_template", "{% for m in messages %}{{ m['content'] }}\n{% endfor %}")
    with pytest.raises(UserError, match="name the token that ends an answer"):
        _ = template.end_of_turn


# ---- the date, the template's switches


def test_a_template_is_told_the_date_of_the_settings_whatever_the_clock_says(tmp_path):
    zoo.tokenizer("byte_level", "dated").save_pretrained(tmp_path)
    first = chat.load_template(tmp_path, Model()).render(chat.user("Hi")).text
    assert "Today: 26 Jul 2024, 2024-07-26\n" in first
    own = chat.load_template(tmp_path, Model(date="2026-01-31")).render(chat.user("Hi")).text
    assert "Today: 31 Jan 2026, 2026-01-31\n" in own
    assert datetime.now().strftime("%Y-%m-%d") not in first + own


@pytest.mark.parametrize("value", ["yesterday", "2026-02-30", 7])
def test_a_date_must_be_a_day(value):
    with pytest.raises(ValueError, match="is no day; write it as 2026-01-31"):
        Model(date=value)


def test_a_date_that_yaml_has_read_is_taken():
    assert Model(date=datetime(2026, 1, 31).date()).date == "2026-01-31"


def test_switches_of_the_template_come_from_the_settings(tmp_path):
    zoo.tokenizer("byte_level", "thinking").save_pretrained(tmp_path)
    on = chat.load_template(tmp_path, Model()).render(chat.user("Hi")).text
    off = (
        chat.load_template(tmp_path, Model(template_arguments={"enable_thinking": False})).render(chat.user("Hi")).text
    )
    assert off == on + "<think>\n\n</think>\n\n"
    with pytest.raises(ValueError, match="tokenize is given by the workflow itself"):
        Model(template_arguments={"tokenize": True})


def test_a_template_that_refuses_the_system_role_says_what_to_do(made):
    template = chat.ChatTemplate(made("byte_level", "gemma").tokenizer, system="Be kind.")
    with pytest.raises(UserError, match=r"System role not supported.*delete model\.system"):
        template.render(chat.user("Hi"))


# ---- the seam


@pytest.mark.parametrize(
    ("name", "seam"), [("chatml", ""), ("vicuna", " "), ("inst", " "), ("gemma", ""), ("glm", ""), ("headings", "")]
)
def test_the_seam_is_what_stands_between_prompt_and_answer(made, name, seam):
    assert made("byte_level", name).seam == seam


def test_a_template_that_ends_in_a_word_without_a_blank_gets_one_and_a_mark_none():
    for prompt, seam in (("ASSISTANT:", " "), ("<|assistant|>", ""), ("助手：", ""), ("Answer\n", "")):
        template = chat.ChatTemplate(zoo.tokenizer("byte_level", "chatml"))
        template.tokenizer.chat_template = (
            "{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] }}{% else %}"
            + prompt
            + "{{ m['content'] }}</s>{% endif %}{% endfor %}{% if add_generation_prompt %}"
            + prompt
            + "{% endif %}"
        )
        assert template.seam == seam, prompt


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_prompt_and_answer_have_the_ids_of_the_joined_text(made, kind, name):
    template = made(kind, name)
    tokenizer = template.tokenizer
    compared = 0
    for seed in range(25):
        question, answer = random_text(seed), random_text(seed + 500)
        if not answer:
            continue
        encoded = encode_row(template, row(question, answer), 5000)
        prompt = template.render(chat.user(question))
        assert encoded.prompt == encode_prompt(tokenizer, prompt)
        text = template.seam + chat.neutralise(answer, template.control_tokens)
        joined = tokenizer(prompt.text + text, add_special_tokens=False).input_ids
        end = tokenizer.convert_tokens_to_ids(template.end_of_turn)
        if joined[: len(encoded.prompt)] == encoded.prompt:  # no token reaches over the seam
            assert encoded.input_ids == [*joined, end], (question, answer)
            compared += 1
        labels = [label for label in encoded.labels if label != -100]
        assert labels[-1] == end
        # A blank's own sign is read as one, and this unigram model, unlike a real one, reads a byte's name as the byte.
        if "▁" not in answer and not (kind == "unigram" and "<0x" in answer):
            assert tokenizer.decode(labels[:-1]).strip() == chat.neutralise(answer, template.control_tokens).strip()
    assert compared >= 15


@pytest.mark.parametrize("kind", zoo.KINDS)
def test_the_judges_candidates_are_on_the_path_that_the_model_writes(made, kind):
    tokenizer = made(kind, "chatml").tokenizer
    cue = "Score the answer from 1 to 10.\nScore:"
    prompt = encode_prompt(tokenizer, Prompt(cue, add_special_tokens=True))
    for score in range(1, 11):
        text = f"{chat.gap(cue)}{score}"
        ids = encode_continuation(tokenizer, text, cue)
        assert prompt + ids == tokenizer(cue + text).input_ids
        assert tokenizer.decode(prompt + ids, skip_special_tokens=True) == cue + text


@pytest.mark.parametrize("kind", zoo.KINDS)
def test_an_answer_is_encoded_as_far_behind_a_long_prompt_as_behind_a_short_one(made, kind):
    tokenizer = made(kind, "chatml").tokenizer
    long = "The capital of France is Paris. " * 40 + "Answer:"
    assert encode_continuation(tokenizer, " Paris", long) == encode_continuation(tokenizer, " Paris", "Answer:")


def test_a_token_that_reaches_over_the_seam_is_split_at_it(made):
    tokenizer = made("byte_level", "chatml").tokenizer
    ids = encode_continuation(tokenizer, "7", "Score: ")
    assert ids == tokenizer("7", add_special_tokens=False).input_ids


def test_what_a_tokenizer_puts_behind_a_text_is_left_off_a_prompt():
    from tokenizers import processors

    tokenizer = zoo.tokenizer("prepend")
    start, end = tokenizer.convert_tokens_to_ids(["<s>", "</s>"])
    plain = encode_prompt(tokenizer, Prompt("Hello there", True))
    tokenizer._tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", start), ("</s>", end)]
    )
    assert tokenizer("Hello there").input_ids == [*plain, end]
    assert encode_prompt(tokenizer, Prompt("Hello there", True)) == plain
    assert encode_prompt(tokenizer, Prompt("", True)) == [start]


# ---- bytes that are no text


@pytest.mark.parametrize("kind", ["prepend", "metaspace_always", "replace"])
def test_an_emoji_in_bytes_and_two_bytes_more_do_not_stop_the_stream(made, kind):
    tokenizer = made(kind, "chatml").tokenizer
    emoji = [tokenizer.convert_tokens_to_ids(f"<0x{byte:02X}>") for byte in "😀".encode()]
    more = [tokenizer.convert_tokens_to_ids(f"<0x{byte:02X}>") for byte in b"\xe2\x82"]
    prompt = tokenizer("Hi", add_special_tokens=False).input_ids
    stream = TextStream(tokenizer, prompt, ())
    for token in [*emoji, *more, *tokenizer(" fine", add_special_tokens=False).input_ids]:
        stream.push(token)
    assert stream.text.startswith("😀") and stream.text.endswith("fine")


# ---- reasoning


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>\nFrance.\n</think>\n\nParis.", "Paris."),
        ("France.</think>Paris.", "Paris."),
        ("<think>It never ends", ""),
        ("analysisThe user asks.assistantfinalParis.", "Paris."),
        ("[THINK]France.[/THINK]Paris.", "Paris."),
        ("Paris.", "Paris."),
        ("Write <think> before and </think> after it.", "Write <think> before and </think> after it."),
    ],
)
def test_reasoning_is_stripped_from_an_answer(made, text, answer):
    tokenizer = made("byte_level", "thinking").tokenizer
    assert reasoning.handle("strip", text, tokenizer, [])[0] == answer
    assert reasoning.handle("keep", text, tokenizer, []) == (text, False)
    assert reasoning.handle("refuse", text, tokenizer, []) == (text, answer != text)


def test_reasoning_between_special_tokens_is_found_though_the_text_does_not_hold_them():
    tokenizer = zoo.tokenizer("byte_level", additional_special_tokens=["[THINK]", "[/THINK]"])
    ids = tokenizer("[THINK]The capital of France.[/THINK] Paris.", add_special_tokens=False).input_ids
    text = tokenizer.decode(ids, skip_special_tokens=True)
    assert text == "The capital of France. Paris."
    assert reasoning.handle("strip", text, tokenizer, ids) == ("Paris.", False)
    assert reasoning.handle("refuse", text, tokenizer, ids) == (text, True)


def test_a_chat_template_is_read_without_scikit_learn():
    code = (
        "import sys; from isheep.serving.imports import spare_scikit_learn; spare_scikit_learn(); "
        "from transformers import AutoTokenizer; from transformers.utils import is_sklearn_available; "
        "print('sklearn' in sys.modules, is_sklearn_available())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_a_generic_tokenizer_is_read_without_torch_as_it_is_with_it(tmp_path):
    zoo.tokenizer("byte_level").save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    code = (
        "import sys; from isheep.config.model import Model; from isheep.serving.chat import load_tokenizer; "
        "mine = load_tokenizer(sys.argv[1], Model()); print('torch' in sys.modules); "
        "from transformers import AutoTokenizer; theirs = AutoTokenizer.from_pretrained(sys.argv[1]); "
        "print(type(mine) is type(theirs), mine.init_kwargs == theirs.init_kwargs, "
        "mine.backend_tokenizer.to_str() == theirs.backend_tokenizer.to_str())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True", "True"]


def test_only_families_whose_folders_name_the_right_class_are_read_so():
    from transformers.models.auto import tokenization_auto as known

    assert not TRUSTED & known.MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS
    assert all(known.TOKENIZER_MAPPING_NAMES.get(name) != "MistralCommonBackend" for name in TRUSTED)
    assert set(known.CONFIG_MAPPING_NAMES) >= TRUSTED
