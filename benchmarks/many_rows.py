"""What a million rows leave in memory: places of results in a journal, and a selection by one column.

PYTHONPATH=scripts python benchmarks/many_rows.py 10000 100000 1000000

Rows and journal lines are short ones, written in seconds; benchmarks/row_stages.py has rows of the usual length for all
stages. Of the journal every line is noted and every tenth result is read. Each figure is of a process of its own.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from zlib import crc32

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from isheep.data.rows import StoredRows, write_parted, write_rows
from isheep.runner.journal import Journal
from isheep.select.kinds.quantile import Quantile
from isheep.select.rows import select
from isheep.serving.memory import peak_memory_mib

PRINT = "f" * 64
ANSWER = "The river that runs through it is long and slow, and in the spring it is high."


def make_journal(folder: Path, count: int) -> None:
    """Write a shard's journal of answers."""
    kept = f'"text": "{ANSWER}", "finish_reason": "stop", "completion_tokens": 19'
    with open(folder / "shard-1-of-1.jsonl", "wb") as handle:

        def write(text: str) -> None:
            body = text.encode()
            handle.write(b"%08x %b\n" % (crc32(body), body))

        write(f'{{"fingerprint": "{PRINT}"}}')
        for number in range(count):
            write(f'{{"request": "{number:064x}/128", "result": {{"id": "d0-{number:06d}", {kept}}}}}')


def make_rows(folder: Path, count: int) -> None:
    """Write evaluated rows."""
    row = {"instruction": "Name a river in the land of your birth.", "input": "", "output": ANSWER, "quality": 8.5}
    rows = ({"id": f"d0-{n:06d}-00", **row, "pmi": n * 7919 % 10007 / 1000} for n in range(count))
    write_rows(folder / "evaluated.jsonl", rows)


def read_journal(folder: Path, count: int) -> None:
    """Note every result, and read every tenth."""
    with Journal(folder, PRINT, "stage") as journal:
        for number in range(0, count, 10):
            ((_, place),) = journal.kept(f"{number:064x}/64")
            assert journal.result(place)["id"] == f"d0-{number:06d}"


def select_rows(folder: Path, count: int) -> None:
    """Keep half of the rows, and write both halves."""
    sifted = select(StoredRows(folder / "evaluated.jsonl"), Quantile(column="pmi", share=0.5), 0)
    paths = [folder / "selected.jsonl", folder / "selected.rejected.jsonl"]
    assert sum(write_parted(paths, ((row, int(rule is not None)) for row, rule in sifted))) == count


def measured(work: Callable[[Path, int], None], folder: Path, count: int) -> tuple[float, float]:
    """Return processor seconds and peak MiB of this process."""
    before = time.process_time()
    work(folder, count)
    return time.process_time() - before, peak_memory_mib()


def main(sizes: list[int]) -> None:
    """Print a line for each size."""
    print("| rows | journal: s | MiB | select_data: s | MiB |\n|---|---|---|---|---|")
    with get_context("spawn").Pool(1, maxtasksperchild=1) as alone:
        for count in sizes:
            cells = []
            for make, work in ((make_journal, read_journal), (make_rows, select_rows)):
                with tempfile.TemporaryDirectory() as folder:
                    alone.apply(make, (Path(folder), count))
                    seconds, peak = alone.apply(measured, (work, Path(folder), count))
                cells += [f"{seconds:.1f}", f"{peak:,.0f}"]
            print(f"| {count:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [10_000, 100_000])
