"""Seed files as people have them: each format is read to the same tasks, or refused in one sentence that names it."""

from __future__ import annotations

import builtins
import csv
import gzip
import io
import json

import pytest

from isheep.config.places import Places
from isheep.data.seeds import Seed, read_seeds
from isheep.errors import UserError

TASKS = [("Name a river.", "", "Rhine"), ("Sort, please.", "2\n1", 'say "1 2"')]
ROWS = [{"instruction": a, "input": b, "output": c} for a, b, c in TASKS]
DOLLY = [{"instruction": a, "context": b, "response": c, "category": "open_qa"} for a, b, c in TASKS]
NO_INPUT = [{"instruction": a, "output": c} for a, _, c in TASKS]


def seeds_as(name: str, tasks: list[tuple[str, str, str]] = TASKS) -> list[Seed]:
    return [Seed(f"{name}-{number:05d}", *task) for number, task in enumerate(tasks, start=1)]


def lines(rows: list[dict]) -> str:
    return "\n".join(map(json.dumps, rows))


def table(rows: list[dict], delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def chat(key: str, who: str, text: str, user: str, assistant: str) -> list[dict]:
    return [{key: [{who: user, text: a}, {who: assistant, text: c}, {who: user, text: "more"}]} for a, _, c in TASKS]


MESSAGES = chat("messages", "role", "content", "user", "assistant")
SHAREGPT = chat("conversations", "from", "value", "human", "gpt")
COMPLETIONS = [{"prompt": a, "completion": c} for a, _, c in TASKS]
NUMBERED = [{"id": n, **row} for n, row in enumerate(ROWS)]
WITHOUT = [(a, "", c) for a, _, c in TASKS]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", table(ROWS), seeds_as("alpaca")),
        ("a.tsv", table(ROWS, "\t"), seeds_as("alpaca")),
        ("a.csv", table(ROWS, ";"), seeds_as("alpaca")),
        ("a.csv", "\ufeff" + table(ROWS).replace("instruction", "Instruction"), seeds_as("alpaca")),
        ("text", table(DOLLY), seeds_as("dolly")),
        ("a.jsonl", lines(DOLLY), seeds_as("dolly")),
        ("a.json", json.dumps(DOLLY, indent=1), seeds_as("dolly")),
        ("a.jsonl", lines(NO_INPUT), seeds_as("alpaca", WITHOUT)),
        ("a.jsonl", lines([{**row, "input": None} for row in NO_INPUT]), seeds_as("alpaca", WITHOUT)),
        ("a.jsonl", lines(MESSAGES), seeds_as("chat", WITHOUT)),
        ("a.json", json.dumps(SHAREGPT), seeds_as("sharegpt", WITHOUT)),
        ("a.jsonl", lines(COMPLETIONS), seeds_as("prompt", WITHOUT)),
        (
            "a.jsonl",
            lines(NUMBERED),
            [Seed("0", *TASKS[0]), Seed("1", *TASKS[1])],
        ),
        (
            "a.csv",
            table(NUMBERED),
            [Seed("0", *TASKS[0]), Seed("1", *TASKS[1])],
        ),
    ],
)
def test_what_people_have_is_read(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    assert read_seeds(tmp_path / name) == expected


@pytest.mark.parametrize("rows", [ROWS, DOLLY, MESSAGES, NO_INPUT], ids=["alpaca", "dolly", "chat", "no input"])
def test_parquet_gives_what_json_gives(tmp_path, rows):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "seeds.parquet")
    (tmp_path / "seeds.jsonl").write_text(lines(rows))
    assert read_seeds(tmp_path / "seeds.parquet") == read_seeds(tmp_path / "seeds.jsonl")


def said_of(path) -> str:
    with pytest.raises(UserError) as caught:
        read_seeds(path)
    return str(caught.value)


def test_rows_of_a_table_are_told_with_their_number(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list([*ROWS, {**ROWS[0], "output": None}]).to_parquet(tmp_path / "seeds.parquet")
    said = said_of(tmp_path / "seeds.parquet")
    assert "seeds.parquet: row 3: output must be a string, is null" in said
    assert f"as at {tmp_path}/seeds.parquet: row 1" not in said


@pytest.mark.parametrize("rows", [ROWS, MESSAGES], ids=["alpaca", "chat"])
def test_a_folder_of_datasets_stands_for_its_one_file(tmp_path, rows):
    datasets = pytest.importorskip("datasets")
    whole = datasets.Dataset.from_list(rows)
    whole.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": whole}).save_to_disk(tmp_path / "split")
    (tmp_path / "seeds.jsonl").write_text(lines(rows))
    for folder, file in ("one", "one/data-00000-of-00001.arrow"), ("split", "split/train/data-00000-of-00001.arrow"):
        found = Places(tmp_path, whole=False).find(str(tmp_path / folder))
        assert found == str(tmp_path / file)
        assert read_seeds(found) == read_seeds(tmp_path / "seeds.jsonl")
    assert Places(tmp_path, whole=False).find(str(tmp_path)) == str(tmp_path)
    (tmp_path / "state.json").write_text('{"_data_files": [3]}')
    assert Places(tmp_path, whole=False).find(str(tmp_path)) == str(tmp_path)


def test_an_arrow_file_gives_what_json_gives(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.Table.from_pylist(ROWS)
    with pyarrow.ipc.new_file(tmp_path / "seeds.arrow", table.schema) as file:
        file.write_table(table)
    (tmp_path / "seeds.jsonl").write_text(lines(ROWS))
    assert read_seeds(tmp_path / "seeds.arrow") == read_seeds(tmp_path / "seeds.jsonl")


def test_a_folder_of_datasets_of_several_files_is_refused_with_what_to_name(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    whole = datasets.DatasetDict({name: datasets.Dataset.from_list(ROWS) for name in ("train", "test")})
    whole.save_to_disk(tmp_path / "whole", num_shards={"train": 2, "test": 1})
    said = said_of(tmp_path / "whole")
    assert f"a folder of datasets with the splits train, test; name one: {tmp_path}/whole/train" in said
    said = said_of(tmp_path / "whole/train")
    assert "a folder of datasets with several files; write the tasks into one: python -c" in said
    monkeypatch.chdir(tmp_path)
    exec(said.partition("python -c ")[2].strip('"'))
    assert read_seeds("seeds.jsonl") == seeds_as("alpaca")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b"x"), "a gzip file; unpack it first (gunzip)"),
        (b"PK\x03\x04...", "a zip or Excel file; unpack it, or save the sheet as CSV"),
        (b"ARROW1\0\0", "a damaged Arrow file"),
        (b"\xff\xff\xff\xff\0", "a damaged Arrow stream"),
        ("{}".encode("utf-16"), "saved in UTF-16; save the file in UTF-8"),
        (b"PAR1 and no more", "a damaged Parquet file"),
        (json.dumps({"data": ROWS}, indent=1).encode(), "one JSON object whose key 'data' holds the tasks"),
        (lines([{"text": "a"}, {"text": "b"}]).encode(), "rows of no known format (their keys: text); rename them to"),
        (lines([{"question": "a", "choices": []}]).encode(), "(their keys: question, choices)"),
    ],
)
def test_what_is_not_read_is_refused_in_one_sentence(tmp_path, content, said):
    (tmp_path / "seeds").write_bytes(content)
    message = said_of(tmp_path / "seeds")
    assert said in message and len(message.splitlines()) <= 2


@pytest.mark.parametrize("name", ["tatsu-lab/alpaca", "hf://datasets/tatsu-lab/alpaca"])
def test_a_hub_id_is_refused_with_the_command_that_fetches_it(name):
    said = said_of(name)
    assert "load_dataset('tatsu-lab/alpaca', split='train').to_json('seeds.jsonl')" in said
    assert said.count("\n") == 0


def test_a_missing_file_is_no_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no such seed file; set seeds.path" in said_of("mine/seeds.jsonl")
    (tmp_path / "mine").mkdir()
    assert "no such seed file; set seeds.path" in said_of("mine/seeds")


def test_without_its_library_a_table_says_how_to_convert_it(tmp_path, monkeypatch):
    imported = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == "pyarrow":
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    assert "the Parquet file needs pyarrow, which is not installed here; where it is: python -c" in said_of(
        tmp_path / "a.parquet"
    )
    (tmp_path / "a.csv").write_text(table(ROWS), newline="")
    assert read_seeds(tmp_path / "a.csv") == seeds_as("alpaca")


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ([{"role": "system", "content": "x"}, *MESSAGES[0]["messages"]], "begins with a system message"),
        ([{"role": "user", "content": "x"}], "messages must begin with a turn of 'user' and one of 'assistant'"),
        ([{"role": "user", "content": ["x"]}, {"role": "assistant", "content": "y"}], "instruction must be a string"),
        ("x", "messages must be a list of objects"),
    ],
)
def test_conversations_that_are_no_task_are_told(tmp_path, turns, said):
    (tmp_path / "seeds.jsonl").write_text(lines([{"messages": turns}]))
    assert f"seeds.jsonl:1: {said}" in said_of(tmp_path / "seeds.jsonl")


def test_rows_of_csv_are_told_with_the_line_where_they_begin(tmp_path):
    content = 'instruction,output\n"a\nb",x\nc,"y\n'
    (tmp_path / "a.csv").write_text(content)
    assert "a.csv:4: not CSV" in said_of(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text('instruction,output\n"a\nb",x\nc, d,y\n')
    assert "a.csv:4: 3 cells under a header of 2; a text with ',' goes in quotes" in said_of(tmp_path / "a.csv")


def test_many_problems_are_cut_to_ten_lines(tmp_path):
    (tmp_path / "a.jsonl").write_text(lines([*ROWS, *({"instruction": str(n)} for n in range(30))]))
    said = said_of(tmp_path / "a.jsonl").splitlines()
    assert said[0].endswith("30 problems") and len(said) == 12 and said[-1].strip() == "and 20 more"
