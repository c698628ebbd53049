from __future__ import annotations

import json
from pathlib import Path

import pytest
from exams import load, made, score_all

from isheep.errors import UserError
from isheep.evaluation.base import Floor, Item, said
from isheep.evaluation.kinds import squad2, triviaqa
from isheep.evaluation.kinds.squad2 import Squad2, f1, opencompass, says_no_answer
from isheep.evaluation.kinds.triviaqa import TriviaQa, contains
from isheep.evaluation.short_answers import first_line

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the repository")


def question(*golds, plausible=()):
    fields = {"question": "?", "context": "c", "answers": list(golds), "plausible": list(plausible)}
    fields["normalised"] = [triviaqa.normalise(gold) for gold in golds]
    return Item("q", fields)


def test_normalisation_is_the_official_one():
    assert squad2.normalise("The  Cat's, an Apple!") == "cats apple"
    assert triviaqa.normalise("The  Cat's, an Apple!") == "cat s apple"
    assert first_line("\n \n Paris.\nMore") == "Paris." and first_line("") == ""


@pytest.mark.parametrize(
    ("prediction", "gold", "value"),
    [
        ("the red cat", "red cat", 1.0),
        ("red cat", "red dog", 0.5),
        ("red red cat", "red", 2 * 1 / (3 + 1)),
        ("", "", 1.0),
        ("", "red", 0.0),
        ("the", "red", 0.0),
    ],
)
def test_f1_counts_common_words(prediction, gold, value):
    assert f1(prediction, gold) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "em", "contained"),
    [
        ("Tequila", 1, 1),
        ("the TEQUILA!", 1, 1),
        ("It is tequila, I think", 0, 1),
        ("I think, it is tequila", 0, 0),
        ("Well.\nTequila", 0, 0),
        ("The answer is tequila.", 0, 1),
        ("Gin", 0, 0),
        ("", 0, 0),
    ],
)
def test_triviaqa_matches_the_first_line_exactly_or_contains_an_alias(text, em, contained):
    row = made(TriviaQa).score(question("Tequila", "Agave spirit"), {"answer": said(text)})
    assert (row["em"], row["contains"]) == (em, contained)


def test_an_alias_of_signs_alone_is_not_contained_in_everything():
    assert contains("anything", ["🙏", "The", "Pray"]) == 0 and contains("pray", ["🙏", "Pray"]) == 1
    assert made(TriviaQa).score(question("The"), {"answer": said("")})["em"] == 0


@pytest.mark.parametrize(
    ("said_text", "gold"),
    [
        ("forty five", "forty-five"),
        ("Forty_Five", "forty-five"),
        ("Hobson\u2019s choice", "Hobson's Choice"),
        ("Hobson\u00b4s choice", "Hobson`s choice"),
        ("\u2018Hamlet\u2019", "Hamlet"),
        ("'Hamlet'", "hamlet"),
        ("AC/DC", "ac dc"),
        ("The Beatles, a band", "Beatles band"),
    ],
)
def test_triviaqa_takes_signs_for_blanks_as_its_authors_do(said_text, gold):
    assert made(TriviaQa).score(question(gold), {"answer": said(said_text)})["em"] == 1
    assert made(TriviaQa).score(question(said_text), {"answer": said(gold)})["em"] == 1


@pytest.mark.parametrize(("said_text", "gold"), [("fortyfive", "forty-five"), ("Hobsons choice", "Hobson's choice")])
def test_triviaqa_does_not_close_the_gap_that_a_sign_leaves(said_text, gold):
    assert made(TriviaQa).score(question(gold), {"answer": said(said_text)})["em"] == 0


def test_where_the_file_gives_normalised_answers_they_and_the_human_ones_count(tmp_path):
    answer = {"Aliases": ["Sunset Blvd."], "NormalizedAliases": ["sunset blvd", "sunset bulevard"], "Value": "Sunset"}
    answer["HumanAnswers"] = ["The Boulevard"]
    rows = {"Data": [{"QuestionId": "1", "Question": "Q?", "Answer": answer}]}
    (tmp_path / "a.json").write_text(json.dumps(rows))
    hub = {
        "question_id": "1",
        "question": "Q?",
        "answer": {"aliases": ["S"], "normalized_aliases": ["sunset bulevard"]},
    }
    (tmp_path / "b.jsonl").write_text(json.dumps(hub))
    (official,), (row,) = load(TriviaQa, tmp_path / "a.json"), load(TriviaQa, tmp_path / "b.jsonl")
    hits = {
        text: made(TriviaQa).score(official, {"answer": said(text)})["em"]
        for text in ("Sunset Bulevard", "sunset blvd", "boulevard", "Sunset")
    }
    assert hits == {"Sunset Bulevard": 1, "sunset blvd": 1, "boulevard": 1, "Sunset": 0}
    assert made(TriviaQa).score(row, {"answer": said("Sunset-Bulevard")})["em"] == 1


@needs_data
def test_every_alias_of_the_real_questions_is_right_however_its_signs_are_written():
    benchmark = made(TriviaQa)
    items = load(TriviaQa, DATA / "triviaqa_rc_wikipedia_validation_150.json")
    aliases = [(item, alias) for item in items for alias in item.fields["answers"]]
    rewritten = {
        "as it is": lambda text: text,
        "hyphens as blanks": lambda text: text.replace("-", " "),
        "curly": lambda text: text.replace("'", "\u2019"),
        "quoted": lambda text: f"\u2018{text}\u2019",
        "underscores": lambda text: text.replace(" ", "_"),
    }
    for name, rewrite in rewritten.items():
        right = [benchmark.score(item, {"answer": said(rewrite(alias))})["em"] for item, alias in aliases]
        assert sum(right) == len(aliases) > 2300, name


def test_squad_takes_the_best_gold():
    row = made(Squad2).score(question("10th century", "in the 10th century"), {"answer": said("the 10th century")})
    assert (row["em"], row["f1"]) == (1, 1)
    row = made(Squad2).score(question("Rollo", "the Viking Rollo"), {"answer": said("Viking Rollo the great")})
    assert row["em"] == 0 and row["f1"] == pytest.approx(0.8)


@pytest.mark.parametrize("text", ["", "impossible to answer", "It is impossible to answer.", "Unanswerable"])
def test_declining_is_right_only_where_there_is_no_answer(text):
    without = made(Squad2).score(question(plausible=["Normans"]), {"answer": said(text)})
    assert (without["em"], without["f1"], without["has_answer"]) == (1, 1, False)
    assert made(Squad2).score(question("Rollo"), {"answer": said(text)})["f1"] == 0


def test_a_long_line_that_mentions_the_phrase_does_not_decline():
    assert not says_no_answer("If the passage does not hold the answer, write: impossible to answer and so on")


def test_the_opencompass_variant_counts_plausible_answers_of_unanswerable_questions():
    item = question(plausible=["Normans"])
    row = made(Squad2).score(item, {"answer": said("The answer is the Normans.")})
    assert row["opencompass"] == 1 and row["em"] == 0
    assert made(Squad2).score(item, {"answer": said("impossible to answer")})["opencompass"] == 1
    assert made(Squad2).score(item, {"answer": said("")})["opencompass"] == 0
    assert opencompass("Rollo, of course", ["Rollo"]) == 1 and opencompass("King Rollo", ["Rollo"]) == 0


def test_squad_reports_questions_with_and_without_answer_apart():
    items = [question("Rollo"), question("Norse"), question()]
    texts = ["Rollo", "Dane", ""]
    rows = [
        {"id": str(n), **made(Squad2).score(item, {"answer": said(text)})}
        for n, (item, text) in enumerate(zip(items, texts, strict=True))
    ]
    values = {name: metric.value for name, metric in made(Squad2).summarise(rows).items()}
    assert values["squad2_em"] == pytest.approx(2 / 3) and values["squad2_no_answer"] == 1
    assert values["squad2_has_answer_em"] == values["squad2_has_answer_f1"] == 0.5


def test_triviaqa_reads_all_three_formats(tmp_path):
    flat = [{"qid": "1", "question": "Q?", "gold_answer": "A", "aliases": ["B"]}]
    hub = {"question_id": "1", "question": "Q?", "answer": {"value": "A", "aliases": ["B"]}}
    official = {"Data": [{"QuestionId": "1", "Question": "Q?", "Answer": {"Value": "A", "Aliases": ["B"]}}]}
    (tmp_path / "a.json").write_text(json.dumps(flat))
    (tmp_path / "b.jsonl").write_text(json.dumps(hub))
    (tmp_path / "c.json").write_text(json.dumps(official))
    wanted = [Item("1", {"question": "Q?", "answers": ["A", "B"], "normalised": ["", "b"]})]
    assert [load(TriviaQa, tmp_path / name) for name in ("a.json", "b.jsonl", "c.json")] == [wanted] * 3


def test_files_in_another_format_are_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"data": [{"paragraphs": [{"qas": [{}]}]}]}')
    with pytest.raises(UserError, match="not SQuAD's format"):
        load(Squad2, tmp_path / "a.json")
    with pytest.raises(UserError, match="expected a list of questions"):
        load(TriviaQa, tmp_path / "a.json")
    (tmp_path / "b.jsonl").write_text('{"id": "1", "question": "Q?"}')
    with pytest.raises(UserError, match=r"b.jsonl:1: no accepted answer"):
        load(TriviaQa, tmp_path / "b.jsonl")


def test_the_question_is_shown_zero_shot_and_greedy():
    (ask,) = made(TriviaQa).requests(Item("1", {"question": "Who?", "answers": ["A"]}), {})
    assert "Who?" in ask.last and ask.sampling.temperature == 0 and ask.sampling.max_tokens == 50
    assert made(TriviaQa).requests(Item("1", {"question": "Who?", "answers": ["A"]}), {"answer": said("")}) == []
    (ask,) = made(Squad2).requests(question("A"), {})
    assert "Passage: c" in ask.last and "impossible to answer" in ask.last


def test_questions_are_read_one_a_row_as_the_hub_has_them(tmp_path):
    rows = [
        {"id": "a", "context": "Rome is old.", "question": "What is old?", "answers": {"text": ["Rome", "Rome"]}},
        {"id": "b", "context": "Rome is old.", "question": "What is new?", "answers": {"text": []}},
    ]
    (tmp_path / "s.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first, second = load(Squad2, tmp_path / "s.jsonl")
    assert first.fields["answers"] == ["Rome"] and second.fields["answers"] == []
    (tmp_path / "s.jsonl").write_text(json.dumps({**rows[0], "answers": {"text": "Rome"}}))
    with pytest.raises(UserError, match=r"s.jsonl:1: 'text' must be list"):
        load(Squad2, tmp_path / "s.jsonl")


@needs_data
def test_floors_and_ceilings_on_the_real_questions():
    trivia = load(TriviaQa, DATA / "triviaqa_rc_wikipedia_validation_150.json")
    squad = load(Squad2, DATA / "squad_v2_dev_slice.json")
    assert (len(trivia), len(squad)) == (150, 363)
    for floor in ("empty", "lol", "echo"):
        values = made(TriviaQa).summarise(score_all(Floor(made(TriviaQa), floor), trivia, {}))
        assert values["triviaqa_em"].value == 0 and values["triviaqa_contains"].value < 0.04
    empty = made(Squad2).summarise(score_all(Floor(made(Squad2), "empty"), squad, {}))
    assert empty["squad2_f1"].value == pytest.approx(194 / 363) and empty["squad2_opencompass"].value == 0
    echo = made(Squad2).summarise(score_all(Floor(made(Squad2), "echo"), squad, {}))
    assert echo["squad2_em"].value == 0
    for benchmark, items in ((made(TriviaQa), trivia), (made(Squad2), squad)):
        gold = {item.id: {"answer": said((item.fields["answers"] or ["impossible to answer"])[0])} for item in items}
        ceiling = benchmark.summarise(score_all(benchmark, items, gold))
        assert {name: metric.value for name, metric in ceiling.items()} == dict.fromkeys(ceiling, 1.0)
