"""d_i as a data set that every library loads: Parquet shards and JSON Lines, in the forms that trainers read.

Rows are published as chat messages and in Alpaca's columns; preference pairs as prompt, chosen and rejected, each in
messages or as text. Of a conversation all turns are published: the columns of Alpaca have a `history` then.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

from isheep.config.run import Run
from isheep.data.conversations import history
from isheep.data.rows import Row, write_rows
from isheep.serving import chat
from isheep.training.encode import split_heldout
from isheep.training.forms import asked
from isheep.training.objective import objective_of

FORMS = ("messages", "alpaca")
PAIR_FORMS = ("preference", "preference_text")
Splits = dict[str, list[Row]]


def split(run: Run, rows: list[Row], adapter: Path) -> tuple[Splits, int]:
    """Return the rows that the next model was trained on and those kept out, and how many could not be trained on.

    It is the split of the training itself: same rows left out because their prompt leaves no room, same draw.

    Parameters
    ----------
    run
        The run's settings.
    rows
        Selected rows, in file order.
    adapter
        Folder of the adapter that they trained, which holds the tokenizer.
    """
    answered = rows
    if run.train.trainer != "fake":
        template, objective = chat.load_template(adapter, run.model), objective_of(run.train)
        trained = zip(rows, asked(rows, run.train, run.seed), strict=True)
        answered = [row for row, formed in trained if objective.encode(template, formed, run.train.max_length).teaches]
    train, heldout = split_heldout(answered, run.train.heldout_share, run.seed % 2**32)
    splits = {"train": train, "heldout": heldout}
    return {name: kept for name, kept in splits.items() if kept}, len(rows) - len(answered)


def write(folder: Path, splits: Splits, run: Run) -> list[dict[str, Any]]:
    """Write every split in both forms; return the `configs` of the card's head, by which libraries find them.

    Parameters
    ----------
    folder
        `data/{form}/{split}-{n}-of-{shards}.parquet` and `jsonl/{form}/{split}.jsonl` are written into it.
    splits
        Split name: rows.
    run
        Gives the columns of scores, the system message, and the rows of a shard.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.string()
    types = {str: text, bool: pa.bool_(), float: pa.float64()}
    told = [(name, types[kind]) for name, kind in _told(run).items()]
    messages = pa.list_(pa.struct([("role", text), ("content", text)]))
    columns = {
        "messages": [("id", text), ("messages", messages)],
        "alpaca": [("id", text), ("instruction", text), ("input", text), ("output", text)]
        + ([("history", messages)] if goes_on(splits) else []),
        "preference": [("id", text), ("prompt", messages), ("chosen", messages), ("rejected", messages)],
        "preference_text": [("id", text), ("prompt", text), ("chosen", text), ("rejected", text)],
    }
    for form in forms(run):
        schema = pa.schema([*columns[form], *told])
        (folder / "data" / form).mkdir(parents=True)
        for name, rows in splits.items():
            shaped = [shape(form, row, run) for row in rows]
            write_rows(folder / "jsonl" / form / f"{name}.jsonl", shaped)
            for place, shard in _shards(name, shaped, run.publish.rows_per_shard):
                pq.write_table(pa.Table.from_pylist(shard, schema), folder / "data" / form / place, compression="zstd")
    return [
        {
            "config_name": form,
            "default": form == forms(run)[0],
            "data_files": [{"split": name, "path": f"data/{form}/{name}-*.parquet"} for name in splits],
        }
        for form in forms(run)
    ]


def goes_on(splits: Splits) -> bool:
    """Return whether a row goes on with a conversation."""
    return any(map(history, chain.from_iterable(splits.values())))


def forms(run: Run) -> tuple[str, ...]:
    """Return the forms in which a run's data is published, the one that libraries load by default first."""
    return PAIR_FORMS if run.pairs.present else FORMS


def shape(form: str, row: Row, run: Run) -> Row:
    """Return a row as one of the `forms`, with the assessors' scores and what was told of a pair."""
    kept = {name: row.get(name) for name in _told(run)}
    if form == "alpaca":
        before = {"history": row["history"]} if history(row) else {}
        return {key: row[key] for key in ("id", "instruction", "input", "output")} | before | kept
    if form == "preference_text":
        return {
            "id": row["id"],
            "prompt": chat.transcript(row),
            "chosen": row["chosen"],
            "rejected": row["rejected"],
        } | kept
    turns = [{"role": "system", "content": run.model.system}] if run.model.system else []
    turns += chat.conversation(row)
    if form == "messages":
        return {"id": row["id"], "messages": [*turns, *_answer(row["output"])]} | kept
    sides = {side: _answer(row[side]) for side in ("chosen", "rejected")}
    return {"id": row["id"], "prompt": turns, **sides} | kept


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _told(run: Run) -> dict[str, type]:
    """Return the columns of scores, those of the chosen answer where pairs train, and what was told of a pair."""
    return {**{assessor.name: float for assessor in run.assess.assessors}, **run.pairs.columns}


def _shards(name: str, rows: list[Row], size: int) -> list[tuple[str, list[Row]]]:
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    return [(f"{name}-{number:05d}-of-{len(parts):05d}.parquet", part) for number, part in enumerate(parts)]
