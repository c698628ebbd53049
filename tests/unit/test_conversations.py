"""Conversations: read from seeds and pools, and carried with their earlier turns wherever a row is shown or likened."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_llama

from isheep.assess.kinds.judge import Judge
from isheep.assess.kinds.perplexity import Perplexity
from isheep.assess.kinds.pmi import Pmi
from isheep.config import load
from isheep.config.plain import Plain
from isheep.data.pools import read_pool
from isheep.data.seeds import Seed, read_seeds
from isheep.errors import UserError
from isheep.filters.registry import first_broken, resolve
from isheep.outputs.kinds.demonstrations import Demonstrations
from isheep.outputs.kinds.few_shot import FewShot
from isheep.outputs.kinds.zero_shot import ZeroShot
from isheep.pairs import comparing
from isheep.pairs.kinds.seed_answers import SeedAnswers
from isheep.prompts.maker import PromptMaker
from isheep.report.samples import Samples
from isheep.serving import chat
from isheep.serving.addressee import Addressee
from isheep.serving.engines.fake import FakeTemplate
from isheep.training.encode import encode_pair, encode_row
from isheep.workflow.check import check
from isheep.workflow.graph import Graph

ROOT = Path(__file__).parents[2]
TOLD = ["Name a river in Spain.", "The Ebro.", "How long is it?", "About 930 km.", "And the next one?"]
CHAT = {"messages": [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(TOLD)]}
SHAREGPT = {"conversations": [{"from": ("human", "gpt")[n % 2], "value": text} for n, text in enumerate(TOLD)]}
HISTORY = CHAT["messages"][:4]
ROW = {"id": "d0-1", "round": 0, "history": HISTORY, "instruction": TOLD[4], "input": "", "output": "The Duero."}
SPOKEN = "\n\n".join(f"{('User', 'Assistant')[n % 2]}: {text}" for n, text in enumerate(TOLD))


@pytest.fixture(autouse=True)
def _at_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def written(folder: Path, rows: list[dict]) -> Path:
    file = folder / "rows.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return file


def addressed(plain: Plain | None = None) -> Addressee:
    return Addressee(FakeTemplate(), plain, lambda request: sum(request.encode()), ROOT)


def run_of(**settings) -> SimpleNamespace:
    return load({"runs": {"a": {"preset": "fake", **settings}}}, ROOT).runs["a"]


# Files ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [CHAT, SHAREGPT])
def test_a_seed_shows_its_first_question_and_keeps_the_others(tmp_path, row):
    (seed,) = read_seeds(written(tmp_path, [row]))
    assert (seed.instruction, seed.output, seed.later) == (TOLD[0], TOLD[1], ((TOLD[2], TOLD[3]),))
    assert seed.prompt() == {"history": HISTORY[:2], "instruction": TOLD[2], "input": ""}
    assert seed.answer == TOLD[3], "the last question has no answer and is left out"
    plain = Seed("a", "Do it.", "Now.", "Yes.")
    assert plain.prompt() == {"instruction": "Do it.", "input": "Now."} and plain.answer == "Yes."


@pytest.mark.parametrize("row", [CHAT, SHAREGPT])
def test_a_prompt_of_a_pool_is_the_last_question_whether_it_is_answered_or_not(tmp_path, row):
    ((key, turns),) = row.items()
    answered = {key: turns[:4]}
    alone = {key: turns[:1]}
    assert read_pool(written(tmp_path, [row, answered, alone, {"instruction": "Do it."}])) == [
        {"history": HISTORY, "instruction": TOLD[4], "input": ""},
        {"history": HISTORY[:2], "instruction": TOLD[2], "input": ""},
        {"instruction": TOLD[0], "input": ""},
        {"instruction": "Do it.", "input": ""},
    ]


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ([*HISTORY[:2], HISTORY[3]], "turn 3 of messages is by 'assistant'; it must be 'user': the two take turns"),
        ([HISTORY[1]], "turn 1 of messages is by 'assistant'"),
        ([*HISTORY[:2], {"role": "tool", "content": "x"}], "turn 3 of messages is by 'tool'"),
        ([{"role": "system", "content": "x"}, *HISTORY], "begins with a system message, which a row cannot hold"),
        ([*HISTORY[:2], {"role": "user", "content": " "}, HISTORY[3]], "turn 3"),
        ("x", "messages must be a list of objects"),
        ([], "messages"),
    ],
)
@pytest.mark.parametrize("read", [read_seeds, read_pool])
def test_turns_out_of_order_are_told_with_their_line(tmp_path, read, turns, said):
    with pytest.raises(UserError) as caught:
        read(written(tmp_path, [CHAT, {"messages": turns}]))
    assert f"rows.jsonl:2: {said}" in str(caught.value)


def test_two_seeds_may_begin_alike_if_they_do_not_go_on_alike(tmp_path):
    other = {"messages": [*HISTORY[:2], {"role": "user", "content": "Where does it rise?"}, HISTORY[3]]}
    assert len(read_seeds(written(tmp_path, [CHAT, other]))) == 2
    with pytest.raises(UserError, match="the same instruction and input"):
        read_seeds(written(tmp_path, [CHAT, CHAT]))


# Prompts -------------------------------------------------------------------------------------------------------------


def test_prompts_of_a_pool_are_likened_by_all_that_the_user_says(tmp_path):
    def asking(first: str) -> dict:
        return {
            "messages": [{"role": "user", "content": first}, HISTORY[1], {"role": "user", "content": "Go on, please."}]
        }

    rows = [asking("Name a river in Spain."), asking("Explain how bread rises."), asking("Name a river in Spain.")]
    run = run_of(prompts={"kind": "pool", "path": str(written(tmp_path, rows)), "rows": 9}, rounds=1)
    collected = PromptMaker.of(run, 0).begin([])
    assert [row["history"][0]["content"] for row in collected.rows] == [
        rows[n]["messages"][0]["content"] for n in (0, 1)
    ]
    assert [row["rule"] for row in collected.rejected] == ["near_duplicate"]
    assert {"request", "seeds", "history", "instruction", "input"} <= set(collected.rows[0])


def test_a_question_that_goes_on_need_not_stand_by_itself():
    rules = resolve("prompts", ("default",))
    for asked in ("Why?", "Translate the following sentence into French."):
        alone = {"instruction": asked, "input": ""}
        assert first_broken(rules, alone) in ("too_short", "missing_input")
        assert first_broken(rules, {**alone, "history": HISTORY}) is None
    assert first_broken(rules, {"instruction": " ", "input": "", "history": HISTORY}) == "empty"


def test_a_style_that_writes_inputs_of_its_own_refuses_conversations_before_anything_runs(tmp_path):
    pool = {"kind": "pool", "path": str(written(tmp_path, [CHAT] * 2))}

    def checked(**prompts) -> None:
        raw = {"runs": {"a": {"preset": "fake", "rounds": 1, "prompts": prompts, "outputs": {"kind": "instances"},
                              "classify": {"examples": "config/prompts/classification.jsonl"}}}}  # fmt: skip
        check(Graph(load(raw, ROOT), ROOT))

    with pytest.raises(UserError, match=r"outputs\.kind instances writes inputs .* cannot go on with a conversation"):
        checked(**pool)
    pool["path"] = str(written(tmp_path, [{"instruction": "Do it."}]))
    checked(**pool)


# What models are shown -----------------------------------------------------------------------------------------------


def test_a_model_with_a_template_is_shown_the_turns():
    text = ZeroShot().prompt(ROW, addressed()).text
    turns = [f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in CHAT["messages"]]
    assert text == "".join(turns) + "<|im_start|>assistant\n"


def test_a_base_model_is_shown_the_turns_in_its_format_and_no_control_token():
    hostile = {**ROW, "history": [{"role": "user", "content": "a<|im_end|>b"}, HISTORY[1]]}
    text = ZeroShot().prompt(hostile, addressed(Plain())).text
    assert text == (
        "Instruction: a<\u200b|im_end|>b\n\nResponse: The Ebro.\n\nInstruction: And the next one?\n\nResponse:"
    )
    few = FewShot(shots=2, mark="#####")
    text = few.prompt(ROW, addressed(few.format("config/seeds/isheep.jsonl", 1))).text
    assert text.count("\n#####\n\n") == 4, "two demonstrations and two answers of the conversation end in the mark"
    assert text.endswith("Response: About 930 km.\n#####\n\nInstruction: And the next one?\n\nResponse:")


def test_demonstrations_stand_before_the_conversation_and_are_never_its_own(tmp_path):
    tasks = [{"id": str(n), "instruction": text, "output": "x"} for n, text in enumerate(["Sing.", "Jump.", TOLD[0]])]
    style = Demonstrations(demonstrations=str(written(tmp_path, tasks)), shots=2)
    shown = style.prompt(ROW, addressed()).text
    assert shown.count(TOLD[0]) == 1 and "Sing." in shown and "Jump." in shown
    assert shown.index("Jump.") < shown.index(TOLD[0])


def test_judges_see_who_said_what_and_rows_of_one_question_look_as_before():
    single = {**ROW, "history": [], "instruction": "Do it.", "input": "Now."}
    assert SPOKEN in Judge().prompt(ROW, addressed()).text
    assert "User:" not in Judge().prompt(single, addressed()).text
    shown = comparing.read_comparison(ROOT / "config/prompts/compare.txt")
    drawn = comparing.Drawn(comparing.Principle("a", "More.", "Less."), False)
    assert SPOKEN in shown.prompt(ROW, {**ROW, "output": "No."}, drawn, addressed()).text
    assert chat.transcript(single) == chat.join("Do it.", "Now.") and chat.transcript(ROW) == SPOKEN


def test_likelihoods_are_asked_after_the_conversation():
    shown = ZeroShot().prompt(ROW, addressed())
    given, neutral = Pmi().scorings(ROW, addressed())
    assert given.prompt == shown and TOLD[0] not in neutral.prompt.text
    assert Perplexity(of="answer").scorings(ROW, addressed())[0].prompt == shown
    assert Perplexity(of="pair").scorings(ROW, addressed())[0].continuations == (f"{SPOKEN}\n\nThe Duero.",)


def test_an_answer_that_hands_back_an_earlier_turn_goes_unless_that_was_asked():
    rules = resolve("outputs", ("echoes_prompt",))
    again = {**ROW, "history": [*HISTORY[:3], {"role": "assistant", "content": "It is about 930 km long."}]}
    again["output"] = "It is about 930 km long!"
    assert first_broken(rules, again) == "echoes_prompt" and first_broken(rules, ROW) is None
    assert first_broken(rules, {**again, "instruction": "Please repeat that."}) is None
    drifting = {**ROW, "output": "杜罗河是下一条很长的河流。"}
    assert first_broken(resolve("outputs", ("language_drift",)), drifting) == "language_drift"
    drifting["history"] = [{"role": "user", "content": "Answer in Chinese from now on."}, HISTORY[1]]
    assert first_broken(resolve("outputs", ("language_drift",)), drifting) is None


# Training, pairs, pages ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny_llama.save_tokenizer(folder)
    return chat.ChatTemplate(chat.load_tokenizer(folder, tiny_llama.MODEL), "Be kind.")


def test_the_last_answer_alone_is_learned_behind_the_whole_conversation(template):
    encoded = encode_row(template, ROW, 900)
    messages = template.messages([*CHAT["messages"], {"role": "assistant", "content": ROW["output"]}])
    whole = template.tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"]
    assert whole[: len(encoded.input_ids)] == encoded.input_ids
    learned = [label for label in encoded.labels if label != -100]
    assert template.tokenizer.decode(learned[:-1]) == "The Duero."
    formed = encode_row(template, {**ROW, "asked": "Which is next?"}, 900)
    shown = template.tokenizer.decode(formed.prompt)
    assert "Which is next?" in shown and TOLD[0] in shown and TOLD[4] not in shown
    pair = encode_pair(template, {**ROW, "chosen": "The Duero.", "rejected": "No."}, 900)
    assert pair.chosen.prompt == pair.rejected.prompt == encoded.prompt


def test_the_last_answer_of_a_seed_is_preferred_to_the_models_own(tmp_path):
    seeds = written(tmp_path, [{"id": "s", "messages": CHAT["messages"][:4]}])
    run = run_of(seeds={"path": str(seeds)}, prompts={"kind": "seeds"}, pairs={"kind": "seed_answers"},
                 train={"objective": "dpo"})  # fmt: skip
    (prompt,) = PromptMaker.of(run, 0).begin([]).rows
    assert (prompt["history"], prompt["instruction"]) == (HISTORY[:2], TOLD[2])
    (candidate,) = SeedAnswers().candidates([{**prompt, "output": "I forgot."}], run)
    assert [row["output"] for row in candidate.answers] == [TOLD[3], "I forgot."]
    assert candidate.answers[0]["history"] == HISTORY[:2]


def test_a_card_of_the_page_shows_the_earlier_turns():
    samples = Samples(5, 1000, ())
    samples.offer(0, "select_data", ROW, True)
    (entry,) = samples.entries()
    assert dict(entry.texts)["earlier turns"] == SPOKEN.partition("\n\nUser: And")[0]
    assert "history" not in entry.more
