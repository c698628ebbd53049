"""Forms of asking: which one a row draws, what the trainer sees, and which files are refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import tiny_llama

from isheep.config.train import Train
from isheep.errors import UserError
from isheep.serving import chat
from isheep.training.encode import encode_row
from isheep.training.forms import asked, read_forms

ROOT = Path(__file__).parents[2]
FORMS = str(ROOT / "config/prompts/forms.yaml")
ROWS = [
    {"id": f"r{n}", "instruction": f"Sort {n} by {{input}}.", "input": "b a" * (n % 2), "output": "a b"}
    for n in range(200)
]


def test_a_row_draws_a_form_by_its_id_and_by_whether_it_has_an_input():
    forms = read_forms(FORMS)
    assert [len(forms[has]) for has in (True, False)] == [7, 6]
    found = list(asked(ROWS, Train(forms=FORMS), 3))
    assert found == list(asked(ROWS, Train(forms=FORMS), 3)) != list(asked(ROWS, Train(forms=FORMS), 4))
    assert list(asked(reversed(ROWS), Train(forms=FORMS), 3)) == found[::-1]
    drawn: Counter[str] = Counter()
    for row in found:
        fitting = [
            form.replace("{input}", row["input"]).replace("{instruction}", row["instruction"])
            for form in forms[bool(row["input"])]
        ]
        assert row["asked"] in fitting and {key: row[key] for key in ROWS[0]} in ROWS
        drawn[forms[bool(row["input"])][fitting.index(row["asked"])]] += 1
    assert len(drawn) == 13


def test_without_forms_rows_stay_as_they_are():
    assert list(asked(ROWS, Train(), 3)) == ROWS


def test_the_trainer_sees_the_form_inside_the_chat_template(tmp_path):
    template = chat.ChatTemplate(chat.load_tokenizer(tiny_llama.save(tmp_path), tiny_llama.MODEL), None)
    row = {**ROWS[1], "asked": "Given b a: sort."}
    plain, formed = (encode_row(template, each, 400) for each in (ROWS[1], row))
    said = template.tokenizer.decode(formed.prompt)
    assert "Given b a: sort." in said and ROWS[1]["instruction"] not in said
    assert formed.answer == plain.answer and formed.prompt != plain.prompt


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- form: do it", r"entry 1: a form holds \{instruction\} once"),
        ("- form: '{instruction}'", r"needs forms with \{input\} and forms without it"),
        ("- other: x", "entry 1: expected form, and nothing else"),
    ],
)
def test_forms_that_cannot_be_used_are_refused(tmp_path, text, message):
    (tmp_path / "forms.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_forms(tmp_path / "forms.yaml")
