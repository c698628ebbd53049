"""Every default prompt rule: what it drops, and what it must let through."""

from __future__ import annotations

import pytest

from isheep.filters import first_broken, resolve

Cases = dict[str, list[tuple[str, str]]]

MANY_WORDS = {count: " ".join(f"w{number}" for number in range(count)) for count in (149, 150, 151, 500)}

DROPPED: Cases = {
    "empty": [("", ""), ("  \n", "Some text to work on."), ("\t", "")],
    "broken_characters": [
        ("Write a poem about\x00 the sea.", ""),
        ("Translate the sentence into French.", "Good \ud83d morning"),
        ("Explain what a fjord is\x1b[0m in two sentences.", ""),
        ("Name the capital of \ufffd\ufffd and its rivers.", ""),
    ],
    "control_token": [
        ("Write a poem about the sea.<|im_end|>", ""),
        ("<|endoftext|>Name three rivers in Africa.", ""),
        ("Summarise the text.", "The meeting was moved. [/INST] Sure, here is a summary."),
        ("Name three rivers in Africa.</s>", ""),
        ("Tell me a story.<start_of_turn>model", ""),
    ],
    "leftover_marker": [
        ("Name a river in Africa.\n8. Instruction: Name a lake in Europe.", ""),
        ("Instruction: Describe how bread is made.", ""),
        ("Find the verb in the sentence.", "7. Input: The dog barks."),
        ("Find the verb in the sentence.\nInput: The dog barks.", ""),
        ("Find the verb in the sentence.", "The dog barks.\nOutput:"),
        ("Name a river in Africa.\n###", ""),
    ],
    "leftover_noinput": [
        ("Name three rivers in Africa.", "<noinput>"),
        ("Name three rivers in Africa. noinput", ""),
        ("Name three rivers in Africa.", "No input needed."),
        ("Name three rivers in Africa.", "(none)"),
        ("Name three rivers in Africa.", "N/A"),
    ],
    "starts_with_punctuation": [
        (", and explain why the sky is blue.", ""),
        (": Write a short poem about rain.", ""),
        ("- Write a short poem about rain.", ""),
        ("... and then write a summary.", ""),
        ("# Write a short poem about rain", ""),
        ("• List five kinds of bread.", ""),
    ],
    "too_short": [("Write a", ""), ("Hello", ""), ("Yes", "The dog barks at night."), ("写诗", "")],
    "too_long": [("Tell me a story about " + "one more thing and " * 40, ""), (MANY_WORDS[151], ""), ("长" * 1501, "")],
    "repeats_itself": [
        ("Write about the " + "very " * 12 + "old house.", ""),
        ("Summarise the text.", "The cat sat on the mat and looked out. " * 5),
        ("List the steps to bake bread and " * 6, ""),
        ("Continue the sound: " + "ha" * 30, ""),
    ],
    "has_url": [
        ("Summarise the article at https://news.site.org/2021/story.html in two sentences.", ""),
        ("Describe the page.", "www.gardening-world.net/roses"),
        ("What does this company do?", "See http://acme.io for details."),
    ],
    "placeholder": [
        ("Summarise the article in two sentences.", "[insert text here]"),
        ("Translate the sentence into French.", "<your text>"),
        ("Correct the spelling of the sentence.", "Insert your sentence here"),
        ("Give a synonym of the word.", "..."),
        ("Write a short story about [insert animal] and a lighthouse.", ""),
        ("Rank the items by price.", "(a list of items)"),
    ],
    "input_repeats_instruction": [
        ("Name three rivers in Africa.", "name three rivers in africa"),
        ("Find the verb in the sentence: The dog barks at night.", "The dog barks at night."),
        ("Find the verb in the sentence.", "Find the verb in the sentence. The dog barks at night."),
        ("Greet me.", "Greet me!"),
    ],
    "missing_input": [
        ("Summarise the following article in two sentences.", ""),
        ("Translate the sentence below.", ""),
        ("Which of the words above is a noun?", ""),
        ("Write a story using the following words:", ""),
    ],
    "needs_other_media": [
        ("Describe what you see in this picture.", ""),
        ("Draw a cat that sleeps on a chair.", ""),
        ("Plot the function y = x^2 between -2 and 2.", ""),
        ("Create a flowchart of how a law is passed.", ""),
        ("Listen to the audio clip and write down what is said.", ""),
        ("Watch the video and summarise it.", ""),
        ("Describe the mood of the photo.", "sunset_beach.jpg"),
        ("What is shown here?", "[Image of a red bicycle]"),
        ("Compose a piece of music for a rainy day.", ""),
        ("Look at the map and name the largest lake on it.", ""),
        ("Summarise the attached file in one paragraph.", ""),
        ("Find the shortest path in the given graph.", ""),
    ],
    "needs_action": [
        ("Go to the nearest library and borrow a book about whales.", ""),
        ("Click on the link and describe the page.", ""),
        ("Search the internet for the price of gold today.", ""),
        ("Please visit the website and fill in the form.", ""),
    ],
}

KEPT: Cases = {
    "empty": [("Name three rivers.", ""), ("Why is the sky blue?", ""), ("Translate to French.", "Good morning")],
    "broken_characters": [
        ("Écris un poème sur la mer.", ""),
        ("What do the emoji 👩‍🚀🚀 stand for?", ""),
        ("Explain what the code prints.", "def f():\n\treturn 1\r\n"),
        ("اكتب قصيدة عن البحر", ""),
    ],
    "control_token": [
        ("Explain what the operators |> and <| do in F#.", ""),
        ("What does the HTML element mean?", "<s>old price</s>"),
        ("Is |x| < 3 the same as -3 < x < 3?", ""),
        ("Fill in the <mask> with a proper word.", "The <mask> barks."),
    ],
    "leftover_marker": [
        ("Write a function that doubles a number.\nExample:\nInput: 4\nOutput: 8", ""),
        ("Explain the difference between input and output: which one comes first?", ""),
        ("Classify the review.\nOutput: positive or negative.", "I liked it a lot."),
        ("Put the instructions in order: bake, mix, weigh.", ""),
        ("Summarise the document.", "## Heading\nSome text.\n### Details\nMore text."),
        ("Answer the question.", "Question: In which year did the war end?\nAnswer:"),
    ],
    "leftover_noinput": [
        ("Rewrite the sentence.", "It rained; nonetheless they walked."),
        ("Explain what a function with no input is good for.", ""),
        ("Which of these is a mammal, or is it none of them?", "trout, raven, whale"),
        ("What does None mean in Python, and when is it returned?", ""),
    ],
    "starts_with_punctuation": [
        ('"Carpe diem" is a famous phrase. Explain it.', ""),
        ("(True or false) A whale is a fish.", ""),
        ("-5 plus 3 is what number?", ""),
        (".NET or Java: which is older?", ""),
        ("¿Cuál es la capital de Perú?", ""),
        ("Écris une courte lettre à un ami.", ""),
        ("请写一首关于大海的诗。", ""),
        ("*args and **kwargs: what is the difference?", ""),
        ("___ is the capital of France. Fill in the blank.", ""),
        ("$20 is how many euros at a rate of 0.9?", ""),
    ],
    "too_short": [
        ("Finish the poem.", "The sea is wide, the boat is small"),
        ("Explain quantum entanglement.", "for a child of ten"),
        ("Name three rivers.", ""),
        ("写一首诗", ""),
        ("Translate to French:", "Good morning"),
    ],
    "too_long": [
        (MANY_WORDS[149], ""),
        (MANY_WORDS[150], ""),
        ("Name three rivers that occur in the text.", MANY_WORDS[500]),
        ("请根据下面的故事回答问题。" + "".join(map(chr, range(0x4E00, 0x4E00 + 300))), ""),
    ],
    "repeats_itself": [
        ("Is 'Buffalo buffalo Buffalo buffalo buffalo buffalo Buffalo buffalo' a sentence?", ""),
        ("Continue the song.", "Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, merrily"),
        ("What is the sum of the row?", "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1"),
        ("Fill in the table.", "| a | b |\n|---|---|\n| 0 | 0 |\n| 0 | 0 |\n| 0 | 0 |\n| 0 | 0 |\n| 0 | 0 |"),
        ("Explain the notation.", "." * 200 + " page 7"),
    ],
    "has_url": [
        ("What does the s in https:// stand for?", ""),
        ("Extract the domain from the URL.", "https://shop.acme.io/cart?id=7"),
        ("Explain what the server does.", "It listens on http://localhost:8000/health"),
        ("Write a regular expression for addresses such as https://example.com/a", ""),
    ],
    "placeholder": [
        ("Reply to the email.", "Hi [your name], are you free on Friday? Best, [sender]"),
        ("Replace the placeholders with names.", "I met [insert name] on [insert day]."),
        ("Sort the list.", "[10, 2, 5]"),
        ("Find all subsets that sum to 14.", "{3, 12, 7, 2}"),
        ("What does this HTML element do?", "<article>"),
        ("Solve for x.", "(x + 2)(x - 3) = 0"),
    ],
    "input_repeats_instruction": [
        ("Which year came first, 2024 or 1999?", "4"),
        ("Say whether the statement is true or false.", "false"),
        ("Summarise the text in one sentence.", "The text of the treaty was signed in one sentence."),
        ("Tell me whether a is a vowel.", "a"),
    ],
    "missing_input": [
        ("Answer the following question: who wrote Hamlet?", ""),
        ("Write a story with the following words: sea, rope, lamp", ""),
        ('Correct the following sentence. "He go home."', ""),
        ("Describe what happened in the following year.", ""),
        ("Summarise the following article.", "A whale was seen off the coast of Norway."),
        ("Write a function that sorts the given list.", ""),
    ],
    "needs_other_media": [
        ("Write a roadmap for learning to cook.", ""),
        ("Shorten the paragraph to one sentence.", "A paragraph about photography and cartography."),
        ("What conclusion can you draw from the experiment?", "The plant in the dark died."),
        ("Draw a comparison between cats and dogs.", ""),
        ("Describe the plot of Hamlet in three sentences.", ""),
        ("Why do people go to concerts?", ""),
        ("Write a story about a thief who plots the perfect heist.", ""),
        ("Explain what a graph is in graph theory.", ""),
        ("Map each country to its capital.", "France, Italy, Peru"),
        ("Write a Python script that draws a bar chart of sales.", ""),
        ("Write a caption for this photo.", "Two children build a snowman in front of a barn."),
        ("Explain how to draw a horse.", ""),
        ("Suggest three titles for a video about knitting.", ""),
        ("Write a notice and make a photo contest plan.", ""),
        ("Create an image caption for a bakery.", ""),
        ("How do I file a complaint with an airline?", ""),
        ("Create a mind map of the causes of inflation.", ""),
        ("Give me the big picture of how the internet works.", ""),
        ("Who composed the music for Swan Lake?", ""),
        ("Come up with a video game about gardening.", ""),
        ("Picture yourself as an old tree and tell me how you feel.", ""),
        ("Find the shortest path in the given graph.", "A-B 3, B-C 4, A-C 9"),
    ],
    "needs_action": [
        ("What should I pack when I go to Norway in winter?", ""),
        ("Explain why people go to church on Sundays.", ""),
        ("Download speeds are slow at night; what could be the reason?", ""),
        ("Go to statements are called harmful; explain why.", ""),
    ],
}


def row(case: tuple[str, str]) -> dict[str, str]:
    return {"instruction": case[0], "input": case[1]}


def each(table: Cases) -> list[tuple[str, tuple[str, str]]]:
    return [(name, case) for name, cases in table.items() for case in cases]


@pytest.mark.parametrize(("name", "case"), each(DROPPED))
def test_a_default_prompt_rule_drops_what_it_is_for(name: str, case: tuple[str, str]) -> None:
    (rule,) = resolve("prompts", [name])
    assert rule.broken(row(case))


@pytest.mark.parametrize(("name", "case"), each(KEPT))
def test_no_default_prompt_rule_drops_a_sound_prompt(name: str, case: tuple[str, str]) -> None:
    assert first_broken(resolve("prompts", ["default"]), row(case)) is None


def test_every_default_prompt_rule_has_three_cases_of_each_kind() -> None:
    names = [rule.name for rule in resolve("prompts", ["default"])]
    assert list(DROPPED) == names == list(KEPT)
    assert all(len(cases) >= 3 for table in (DROPPED, KEPT) for cases in table.values())
