"""The `paper` sets drop what the released scripts drop; the `default` sets have none of their false positives."""

from __future__ import annotations

import pytest

from isheep.filters import first_broken, resolve

Prompt = tuple[str, str]
Answer = tuple[str, str, str]

PROMPTS: dict[str, tuple[list[Prompt], list[Prompt]]] = {
    "paper_length": (
        [("Finish the poem.", "The sea is wide"), ("", ""), ("word " * 151, ""), ("写一首关于大海的诗", "")],
        [("Name three big rivers.", ""), ("word " * 150, ""), ("Name the longest river.", "word " * 200)],
    ),
    "paper_blacklist": (
        [
            ("Describe the image in one sentence.", ""),
            ("Name a river to draw.", ""),
            ("What is on the list?", "Maps, music, a VIDEO"),
            ("Where do people go to school?", ""),
        ],
        [
            ("Write a roadmap for a paragraph about mapping.", ""),
            ("Name two drawings and some plots.", ""),
            ("Where did they go together?", "videos"),
        ],
    ),
    "paper_punctuation": (
        [(", and then a poem", ""), ('"Carpe diem": what is it?', ""), ("(True or false) A whale is a fish.", "")],
        [("Is it so?", ""), ("4 plus 5 is what?", ""), ("Écris un petit poème.", "")],
    ),
    "paper_non_ascii": (
        [("Écris un poème sur la mer.", ""), ("¿Cuál es la capital de Perú?", ""), ("“Carpe diem”: what is it?", "")],
        [("Translate “good morning” to French.", ""), ("!?", ""), ("Sing a song about été.", "été")],
    ),
    "paper_no_input": (
        [("Name a river. <NoInput>", ""), ("Name a river.", "No input"), ("Name a river.", "noinput")],
        [("What is a function with no input?", ""), ("Name a river.", ""), ("Name a river.", "None")],
    ),
    "paper_marker": (
        [
            ("Double it. Input: 4 Output: 8", ""),
            ("Explain the format.", "Output: a number"),
            ("Instruction: name a river.", ""),
        ],
        [("Explain input and output.", ""), ("Follow the Instructions: bake.", ""), ("Find it.", "Question: who?")],
    ),
    "paper_url": (
        [("What does https:// mean?", ""), ("Read it.", "http://acme.io"), ("Open HTTPS://ACME.IO now.", "")],
        [("What does HTTPS mean?", ""), ("Read it.", "www.acme.io"), ("Open acme.io now.", "")],
    ),
}

OUTPUTS: dict[str, tuple[list[Answer], list[Answer]]] = {
    "paper_role": (
        [
            ("Ask.", "", "Paris.\nUser: and Spain?"),
            ("Ask.", "", "Two:\nQuestion: who?\nQuestion: when?"),
            ("Ask.", "", "f(2)\noutput\n4"),
            ("Ask.", "", "Yes.\n\nHUMAN: go on"),
        ],
        [("Ask.", "", "User: and Spain?"), ("Ask.", "", "a\nUsers: 3"), ("Ask.", "", "The system: fine\nAnswer: 4")],
    ),
    "paper_asks": (
        [
            ("Go.", "", "If you do you will see."),
            ("Go.", "", "Sure.\nCan you send it?"),
            ("Go.", "", "It is in Paris.\n\nWhy Paris? It lies on a river."),
            ("Go.", "", "Answer Choices: (A)"),
            ("Go.", "", "There is no input."),
        ],
        [("Go.", "", "Can you see it?"), ("Go.", "", "Paris.\nWhy?"), ("Go.", "", "They do. You may.")],
    ),
    "paper_letter": (
        [("Go.", "", text) for text in ("fruit, e.g. pears", "at 9 a.m.", "vitamin C.", "U.S.A.", "(a) one (b) two")],
        [("Go.", "", "F. Scott"), ("Go.", "", "a) one b) two"), ("Go.", "", "The letter A, then B")],
    ),
    "paper_ideograph": (
        [("Translate to Chinese.", "hello", "你好"), ("Go.", "", "Tokyo (東京)"), ("Go.", "", "Paris 是")],
        [("Go.", "", "おはよう"), ("Go.", "", "안녕"), ("Go.", "", "Écris")],
    ),
    "paper_prompt_leftover": (
        [
            ("Rewrite it.", "It rained; nonetheless we left.", "We left in the rain."),
            ("What does <article> do?", "", "It holds an article."),
            ("Solve it.", "1 < x and x > 0", "x > 1"),
            ("Which, or None?", "", "None"),
            ("Name one.", "No input", "Nile"),
        ],
        [
            ("Name one.", "", "none, or <b>no input</b>"),
            ("Is 3 < 4?", "", "Yes"),
            ("Explain it.", "<this is far too long to be a tag>", "Done"),
        ],
    ),
    "paper_pair": (
        [
            ("Is 2024 even?", "4", "Yes"),
            ("Find the verb: it barks", "it barks", "barks"),
            ("Define mercy.", "me", "us"),
        ],
        [("Is it even?", "4", "Yes"), ("Is it even?", "  ", "Yes"), ("find it.", "Find", "It")],
    ),
    "paper_empty": (
        [("Go.", "", ""), ("Go.", "here", ""), ("", "", "")],
        [("Go.", "", " "), ("Go.", "", "\n"), ("Go.", "", ".")],
    ),
}


def row(case: tuple[str, ...]) -> dict[str, str | None]:
    keys = ("instruction", "input", "output")
    return {**dict(zip(keys, case, strict=False)), "finish_reason": "stop", "stop_reason": None}


def each(kind: int) -> list[tuple[str, str, tuple[str, ...]]]:
    tables = {"prompts": PROMPTS, "outputs": OUTPUTS}
    return [(stage, name, case) for stage, table in tables.items() for name in table for case in table[name][kind]]


@pytest.mark.parametrize(("stage", "name", "case"), each(0))
def test_a_paper_rule_drops_what_the_scripts_drop(stage: str, name: str, case: tuple[str, ...]) -> None:
    (rule,) = resolve(stage, [name])
    assert rule.broken(row(case))


@pytest.mark.parametrize(("stage", "name", "case"), each(1))
def test_a_paper_rule_keeps_what_the_scripts_keep(stage: str, name: str, case: tuple[str, ...]) -> None:
    (rule,) = resolve(stage, [name])
    assert not rule.broken(row(case))


@pytest.mark.parametrize(("stage", "table"), [("prompts", PROMPTS), ("outputs", OUTPUTS)])
def test_every_paper_rule_has_three_cases_of_each_kind(stage: str, table: dict) -> None:
    assert [rule.name for rule in resolve(stage, ["paper"])] == list(table)
    assert all(len(cases) >= 3 for kinds in table.values() for cases in kinds)


FALSE_POSITIVES: list[tuple[str, Answer]] = [
    ("paper_letter", ("Which minerals help?", "", "Some, e.g. zinc, help a little.")),
    ("paper_letter", ("Which minerals help?", "", "Trace elements, i.e. zinc and iron.")),
    ("paper_letter", ("When does the shop open today?", "", "It opens at 9 a.m. and closes at noon.")),
    ("paper_letter", ("What does an orange hold?", "", "An orange is rich in vitamin C.")),
    ("paper_letter", ("What if the train is late?", "", "Then we turn to plan B. It is a bus.")),
    ("paper_letter", ("Where was she born and raised?", "", "In the U.S.A. and in Washington, D.C.")),
    ("paper_letter", ("Why do birds leave in autumn?", "", "(a) Food is scarce. (b) Nights are cold.")),
    ("paper_asks", ("How can I sleep better?", "", "Keep regular hours. If you do you will notice soon.")),
    ("paper_asks", ("Tell me about the Seine.", "", "It crosses Paris.\n\nWhy there? The city grew around it.")),
    ("paper_role", ("Write three quiz questions about rivers.", "", "Here.\nQuestion: which is longest?")),
    ("paper_ideograph", ("Translate the sentence into Chinese.", "She went to school.", "她去了学校。")),
    ("paper_ideograph", ("Translate the sentence into Japanese.", "I eat bread.", "私はパンを食べます。")),
    ("paper_prompt_leftover", ("Rewrite the sentence in plain words.", "He nonetheless left.", "Still, he left.")),
    ("paper_prompt_leftover", ("Is it a fish, a bird, or none of them?", "whale", "None of them.")),
    ("paper_prompt_leftover", ("Explain the HTML in one sentence.", "<b>bold</b>", "It makes text bold.")),
    ("paper_prompt_leftover", ("Which whole numbers fit this?", "1 < x, and also 9 > x", "2 to 8")),
    ("paper_pair", ("Which came first, 2024 or 1999?", "4", "1999")),
    ("paper_blacklist", ("What can you draw as a conclusion?", "It rained.", "The street is wet.")),
    ("paper_blacklist", ("Map each country to its capital city.", "Peru", "Lima")),
    ("paper_blacklist", ("What should I pack if I go to Norway?", "", "Warm clothes.")),
    ("paper_blacklist", ("Name the plot of Hamlet in short.", "", "A prince avenges his father.")),
    ("paper_non_ascii", ("Écris une courte phrase sur la mer.", "", "La mer est calme.")),
    ("paper_punctuation", ('"Carpe diem" is Latin: what does it mean?', "", "Seize the day.")),
    ("paper_marker", ("Double the number.\nInput: 4\nOutput: 8\nNow do 5.", "", "10")),
    ("paper_url", ("What does the s in https:// stand for?", "", "Secure.")),
    ("paper_length", ("Finish the poem.", "The sea is wide, the boat is small", "And yet the harbour waits.")),
]


@pytest.mark.parametrize(("name", "case"), FALSE_POSITIVES)
def test_the_default_sets_keep_what_the_paper_sets_drop_by_mistake(name: str, case: Answer) -> None:
    stage = "prompts" if name in PROMPTS else "outputs"
    assert first_broken(resolve(stage, ["paper"]), row(case)) == name
    for both in ("prompts", "outputs"):
        assert first_broken(resolve(both, ["default"]), row(case)) is None


@pytest.mark.parametrize("output", ["The book is on the none", "A roadmap, a paragraph and a photograph"])
def test_words_inside_words_are_no_reason_to_drop(output: str) -> None:
    case = ("Write a roadmap and shorten the paragraph.", "monograph, mapping", output)
    assert first_broken(resolve("prompts", ["paper", "default"]), row(case)) is None
    assert first_broken(resolve("outputs", ["paper", "default"]), row(case)) is None


def test_paper_lets_blank_and_cut_answers_pass() -> None:
    cut = row(("Name three rivers.", "", "The Nile, the")) | {"finish_reason": "length"}
    blank = row(("Name three rivers.", "", " \n"))
    rules = resolve("outputs", ["paper"])
    assert first_broken(rules, cut) is None
    assert first_broken(rules, blank) is None
    assert first_broken(resolve("outputs", ["default"]), cut) == "truncated"
    assert first_broken(resolve("outputs", ["default"]), blank) == "empty"
