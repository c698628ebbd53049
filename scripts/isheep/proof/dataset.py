"""d_i as a data set that every library loads: Parquet shards and JSON Lines, chat messages and Alpaca columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isheep.config.run import Run
from isheep.data.rows import Row, write_rows
from isheep.serving import chat
from isheep.training.encode import encode_row, split_heldout

FORMS = ("messages", "alpaca")
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
        template = chat.load_template(adapter, run.model)
        answered = [row for row in rows if encode_row(template, row, run.train.max_length).answer]
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

    scores = _scores(run)
    text, number = pa.string(), pa.float64()
    messages = pa.list_(pa.struct([("role", text), ("content", text)]))
    columns = {
        "messages": [("id", text), ("messages", messages)],
        "alpaca": [("id", text), ("instruction", text), ("input", text), ("output", text)],
    }
    for form in FORMS:
        schema = pa.schema([*columns[form], *((name, number) for name in scores)])
        (folder / "data" / form).mkdir(parents=True)
        for name, rows in splits.items():
            shaped = [shape(form, row, run) for row in rows]
            write_rows(folder / "jsonl" / form / f"{name}.jsonl", shaped)
            for place, shard in _shards(name, shaped, run.publish.rows_per_shard):
                pq.write_table(pa.Table.from_pylist(shard, schema), folder / "data" / form / place, compression="zstd")
    return [
        {
            "config_name": form,
            "default": form == FORMS[0],
            "data_files": [{"split": name, "path": f"data/{form}/{name}-*.parquet"} for name in splits],
        }
        for form in FORMS
    ]


def shape(form: str, row: Row, run: Run) -> Row:
    """Return a selected row as one of the `FORMS`: chat messages or Alpaca's columns, with the assessors' scores."""
    kept = {name: row.get(name) for name in _scores(run)}
    if form == "alpaca":
        return {key: row[key] for key in ("id", "instruction", "input", "output")} | kept
    turns = [{"role": "system", "content": run.model.system}] if run.model.system else []
    turns += chat.user(chat.join(row["instruction"], row["input"]))
    return {"id": row["id"], "messages": [*turns, {"role": "assistant", "content": row["output"]}]} | kept


def _scores(run: Run) -> list[str]:
    return [assessor.name for assessor in run.assess.assessors]


def _shards(name: str, rows: list[Row], size: int) -> list[tuple[str, list[Row]]]:
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    return [(f"{name}-{number:05d}-of-{len(parts):05d}.parquet", part) for number, part in enumerate(parts)]
