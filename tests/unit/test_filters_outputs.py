"""Every default output rule: what it drops, and what it must let through."""

from __future__ import annotations

import pytest

from isheep.filters import first_broken, resolve

Case = tuple[str, str, str]
Cases = dict[str, list[Case]]
"""Instruction, input, output."""

CAPITAL = "What is the capital of France?"

DROPPED: Cases = {
    "empty": [(CAPITAL, "", ""), (CAPITAL, "", "   "), (CAPITAL, "", "\n\t\n")],
    "broken_characters": [
        (CAPITAL, "", "Paris\x00"),
        (CAPITAL, "", "The capital is \ufffd\ufffd."),
        (CAPITAL, "", "Paris \udc80 is the capital."),
        (CAPITAL, "", "\x08\x08Paris"),
    ],
    "control_token": [
        (CAPITAL, "", "Paris.<|im_end|>\n"),
        (CAPITAL, "", "Paris.<|eot_id|><|start_header_id|>user<|end_header_id|>"),
        (CAPITAL, "", "Paris</s>"),
        (CAPITAL, "", "Paris. [INST] And of Spain? [/INST]"),
    ],
    "reasoning": [
        (CAPITAL, "", "The user asks for a capital.</think>\n\nParis."),
        (CAPITAL, "", "<think>\nThe capital of France"),
        (CAPITAL, "", "analysisThe user asks for a capital.assistantfinalParis."),
        (CAPITAL, "", "It is in France.[/THINK]Paris."),
    ],
    "leftover_marker": [
        (CAPITAL, "", "Paris.\n\n### Instruction:\nName the capital of Spain."),
        (CAPITAL, "", "Paris.\nInstruction: Name the capital of Spain."),
        (CAPITAL, "", "Response: Paris."),
        (CAPITAL, "", "### Response\nParis."),
        (CAPITAL, "", "Paris.\n7. Instruction: Name a river."),
    ],
    "leftover_noinput": [
        (CAPITAL, "", "Paris.\n<noinput>"),
        (CAPITAL, "", "noinput"),
        (CAPITAL, "", "(No input)"),
        (CAPITAL, "", "No input required."),
    ],
    "continues_dialogue": [
        (CAPITAL, "", "Paris.\n\nHuman: And of Spain?"),
        (CAPITAL, "", "Paris.\nUser: And of Spain?\nAssistant: Madrid."),
        (CAPITAL, "", "Paris.\nuser\nAnd of Spain?"),
        (CAPITAL, "", "Paris.\n**Assistant:**\nIs there anything else?"),
        (CAPITAL, "", "Paris.\nsystem\nYou are a helpful assistant."),
        (CAPITAL, "", "Paris.\n\nQuestion: What is the capital of Spain?\nAnswer: Madrid."),
    ],
    "asks_back": [
        ("Summarise the text.", "", "Please provide the text that you would like me to summarise."),
        ("Write a poem.", "", "Sure! What would you like the poem to be about?"),
        ("Fix my code.", "", "I'm sorry, I don't see any code. Could you please share it with me?"),
        (CAPITAL, "", "What is the capital of Germany?"),
        (CAPITAL, "", "Hello! How can I help you today?"),
        ("Explain the greenhouse effect.", "", "What is the greenhouse effect? Why does it matter?"),
    ],
    "multiple_choice_continuation": [
        (CAPITAL, "", "A. Paris\nB. London\nC. Rome\nD. Madrid"),
        (CAPITAL, "", "Paris is the capital.\n\nAnswer Choices:\n(A) Paris (B) Rome"),
        (CAPITAL, "", "Paris. Which river runs through it? A. Seine B. Thames C. Tiber D. Rhine"),
        (CAPITAL, "", "Paris.\nWhich river runs through it?\n(A) Seine\n(B) Thames\n(C) Tiber"),
        (CAPITAL, "", "Paris.\nOptions:\nA) Paris\nB) Rome"),
    ],
    "language_drift": [
        (CAPITAL, "", "法国的首都是巴黎。"),
        (CAPITAL, "", "The capital of France is Paris, which lies on the Seine. 巴黎是法国的首都和最大城市。"),
        (CAPITAL, "", "Столица Франции - Париж."),
        ("Name three fruits.", "", "사과, 바나나, 오렌지"),
        ("Name three fruits.", "", "apple, banana, そして orange と grape"),
    ],
    "echoes_prompt": [
        (CAPITAL, "", "What is the capital of France?"),
        ("Find the verb in the sentence.", "", "find the  verb in the sentence"),
        ("Summarise the text.", "A whale was seen off the coast.", "A whale was seen off the coast."),
        ("Explain the idiom.", "black sheep", "Explain the idiom.\n\nblack sheep"),
    ],
    "repeats_itself": [
        (CAPITAL, "", "Paris is the capital. " * 20),
        (CAPITAL, "", "It is Paris, " + "very very " * 20),
        ("List the uses of a brick.", "", "\n".join(f"{number}. Use it as a paperweight." for number in range(1, 30))),
        (CAPITAL, "", "巴黎是法国的首都。" * 10),
        (CAPITAL, "", "ParisParis" * 30),
    ],
    "unfinished": [
        ("Name three fruits.", "", "Here are three fruits:"),
        ("Name three fruits.", "", "Sure.\n\n**Three fruits:**\n"),
        (CAPITAL, "", "The answer is:"),
    ],
}

KEPT: Cases = {
    "empty": [(CAPITAL, "", "Paris"), ("How many is 3 plus 4?", "", "7"), ("Which sign means addition?", "", "+")],
    "broken_characters": [
        ("Draw a tree in ASCII, please.", "", "\t/\\\r\n\t||"),
        ("Which emoji stands for a family?", "", "👨‍👩‍👧"),
        ("Translate to Persian.", "I am going.", "می‌روم."),
    ],
    "control_token": [
        ("Show struck-out text in HTML.", "", "<s>old price</s>"),
        ("How do you pipe a value in F#?", "", "Use x |> f, or f <| x."),
        ("Write |x| < 3 without bars.", "", "-3 < x < 3, that is, |x|<3."),
    ],
    "reasoning": [
        (CAPITAL, "", "<think>France.</think>Paris."),
        ("What does a closing </think> mean?", "", "A </think> ends the reasoning of a model."),
        ("Give an analysis of the game.", "", "Analysis: the assistant coach made the final call."),
    ],
    "leftover_marker": [
        ("Write a recipe for pancakes.", "", "### Ingredients\nFlour, milk\n\n### Instructions\nMix and fry."),
        ("Write an instruction for a chatbot.", "", "Instruction: Answer in one sentence."),
        ("Write a function that doubles a number.", "", "def f(x):\n    return 2 * x\n\nInput: 4\nOutput: 8"),
        ("What does HTTP exchange?", "", "Request: sent by the client.\nResponse: sent by the server."),
    ],
    "leftover_noinput": [
        ("What does the function return?", "", "It returns None, since there is no input to work on."),
        ("Rewrite the sentence.", "It rained but they walked.", "It rained; nonetheless, they walked."),
        ("Which of these is a mammal?", "trout, raven", "None of them."),
    ],
    "continues_dialogue": [
        ("Write a conversation between a user and a bot.", "", "User: Hi!\nBot: Hello.\n\nUser: Bye!"),
        ("Write a question-answer pair.", "Bill Gates, born 1955", "Question: When was he born?\nAnswer: 1955."),
        ("Make a quiz about France.", "", "Here it is.\nQuestion: What is its capital?\nAnswer: Paris."),
        ("How many legs do they have?", "human, dog", "Human: 2\nDog: 4"),
        ("Who may do what in the system?", "", "An administrator can delete.\nUser: can read only."),
        ("Continue the chat.", "User: Hi!\nAssistant: Hello!", "User: How are you?\nAssistant: Fine."),
        ("Name the parts of a paper.", "", "Introduction: says why.\nSystem: says what.\nResults: say how well."),
    ],
    "asks_back": [
        ("Why did the chicken cross the road?", "", "Nobody knows. Do you think it wanted to get away?"),
        ("How do you apologise?", "", "Say what you did wrong. If you do you will be forgiven."),
        (
            CAPITAL,
            "",
            "Do you know the Eiffel Tower? It stands in Paris, the capital.\n\nWhy Paris? It lies on a river.",
        ),
        ("Write a list of questions to start a conversation.", "", "How are you today? What did you do last weekend?"),
        ("Write an email that asks for the report.", "", "Could you please send me the report?"),
        ("Translate to English.", "¿Dónde está la biblioteca?", "Where is the library?"),
        ("Write a slogan for a milk brand.", "", "Got milk?"),
        ('How does one say "Where is it?" in Spanish and Italian?', "", "- Spanish: ¿Dónde está?\n- Italian: Dov'è?"),
        ("Give me medical advice.", "", "I'm sorry, I can't help with that."),
        (CAPITAL, "", "Paris. Please let me know if you need anything else."),
    ],
    "multiple_choice_continuation": [
        ("Which vitamins help against a cold?", "", "Mostly vitamin C. Others, e.g. zinc, i.e. a mineral, help less."),
        (
            "When does the shop open?",
            "",
            "At 9 a.m. If it is closed, there is always plan B. It is run by A. B. Smith.",
        ),
        ("Where was she born?", "", "In Washington, D.C., U.S.A."),
        ("Why do birds migrate?", "", "Because (a) food gets scarce, (b) days get short and (c) it gets cold."),
        ("Write an outline of an essay on bees.", "", "A. Introduction\nB. Honey\nC. Pollination"),
        ("Which is the largest planet? (A) Mars (B) Jupiter (C) Venus", "", "(B) Jupiter"),
        ("Name four seasons.", "", "A. Spring\nB. Summer\nC. Autumn\nD. Winter"),
    ],
    "language_drift": [
        ("Translate the sentence into Chinese.", "She went to school.", "她去了学校。"),
        ("How do people in Japan say good morning?", "", "おはようございます"),
        ("这句话是什么意思?", "", "这是一个问题。"),
        ("Where were the Games of 2020 held?", "", "They were held in Tokyo (東京), the capital, a year late."),
        ("Who wrote War and Peace?", "", "Leo Tolstoy (Лев Толстой)"),
        ("Which letter stands for the circle constant?", "", "π"),
        ("Name the angles of a triangle.", "", "α, β and γ, with α + β + γ = 180°"),
        ("Summarise the text.", "Привет, как дела?", "Привет!"),
        ("Write a sentence in French.", "", "Écris-moi une lettre, s'il te plaît."),
    ],
    "echoes_prompt": [
        ("Correct the grammar.", "She goes to school every day.", "She goes to school every day."),
        ("Which of the words is a name?", "Peter", "Peter"),
        ("Sort the numbers.", "1, 2, 3, 4, 5", "1, 2, 3, 4, 5"),
        (CAPITAL, "", "The capital of France is Paris."),
        ("Turn the statement into a question.", "You like tea very much.", "Do you like tea very much?"),
        ("Type a smiley.", "", "!?"),
    ],
    "repeats_itself": [
        ("Repeat the word 'go' thirty times.", "", "go " * 30),
        ("Write out a 4 by 4 matrix of zeros.", "", "0 0 0 0\n0 0 0 0\n0 0 0 0\n0 0 0 0"),
        (
            "What is the longest grammatical sentence of one word?",
            "",
            "Buffalo buffalo buffalo buffalo buffalo buffalo.",
        ),
        ("Count to ten.", "", "one two three four five six seven eight nine ten"),
        ("Which sound does a laughing child make?", "", "Ha ha ha ha ha! Hahaha!"),
        ("List the chapters.", "", "\n".join(f"Chapter {number}" for number in range(1, 13))),
        (
            "Make a table of schools.",
            "",
            "| name | open |\n|---|---|\n" + "".join(f"| s{n} | yes |\n" for n in range(12)),
        ),
    ],
    "unfinished": [
        ("Write a Python loop header.", "", "for item in items:\n    print(item)"),
        ("Which emoticon is happy?", "", ":) or (:"),
        ("Which mark comes before a list?", "", ":"),
        ("List two fruits.", "", "Two fruits:\n- apple\n- pear"),
    ],
}


def row(case: Case, finish_reason: str = "stop") -> dict[str, str | None]:
    instruction, given, output = case
    reasons = {"finish_reason": finish_reason, "stop_reason": None}
    return {"instruction": instruction, "input": given, "output": output, **reasons}


def each(table: Cases) -> list[tuple[str, Case]]:
    return [(name, case) for name, cases in table.items() for case in cases]


@pytest.mark.parametrize(("name", "case"), each(DROPPED))
def test_a_default_output_rule_drops_what_it_is_for(name: str, case: Case) -> None:
    (rule,) = resolve("outputs", [name])
    assert rule.broken(row(case))


@pytest.mark.parametrize(("name", "case"), each(KEPT))
def test_no_default_output_rule_drops_a_sound_answer(name: str, case: Case) -> None:
    assert first_broken(resolve("outputs", ["default"]), row(case)) is None


@pytest.mark.parametrize("output", ["The capital of France is", "", "Paris."])
def test_the_finish_reason_alone_decides_truncated_and_over_context(output: str) -> None:
    truncated, over_context = resolve("outputs", ["truncated", "over_context"])
    case = (CAPITAL, "", output)
    assert [truncated.broken(row(case, reason)) for reason in ("length", "stop", "context")] == [True, False, False]
    assert [over_context.broken(row(case, reason)) for reason in ("context", "stop", "length")] == [True, False, False]


def test_an_output_cut_or_never_begun_is_rejected_for_that_and_not_as_empty() -> None:
    rules = resolve("outputs", ["default"])
    assert first_broken(rules, row((CAPITAL, "", ""), "context")) == "over_context"
    assert first_broken(rules, row((CAPITAL, "", ""), "length")) == "truncated"
    assert first_broken(rules, row((CAPITAL, "", ""))) == "empty"


def test_a_refusal_is_an_answer() -> None:
    refusal = "I'm sorry, but I can't share anyone's home address."
    assert first_broken(resolve("outputs", ["default"]), row(("Give me his address.", "", refusal))) is None


def test_every_default_output_rule_has_three_cases_of_each_kind() -> None:
    names = [rule.name for rule in resolve("outputs", ["default"])]
    assert names == ["over_context", "truncated", *DROPPED]
    assert list(DROPPED) == list(KEPT)
    assert all(len(cases) >= 3 for table in (DROPPED, KEPT) for cases in table.values())
