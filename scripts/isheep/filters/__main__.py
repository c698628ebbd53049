"""`python -m isheep.filters [FILE] [--rows SET]`: the table of rules, or what the sets drop of a file's rows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from isheep.errors import command
from isheep.filters import SETS
from isheep.filters.measure import STAGES, dropped, measure, read, rule_table, table


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m isheep.filters", description=__doc__.partition(": ")[2])
    parser.add_argument("file", nargs="?", help="rows to measure; without a file, the table of rules is printed")
    parser.add_argument("--rows", metavar="SET", choices=SETS[:-1], help="print each row that this set drops")
    asked = parser.parse_args(arguments)
    if asked.file is None:
        print(rule_table())
        return 0
    rows = read(asked.file)
    if asked.rows:
        lines = [
            (stage, name, row["id"], _short(row["instruction"]), _short(row[shown]))
            for stage, shown in zip(STAGES, ("input", "output"), strict=True)
            for row, name in dropped(rows, stage, asked.rows)
        ]
        print(table(("stage", "rule", "row", "instruction", "input or output"), lines))
    else:
        print(f"{len(rows)} rows\n\n{table(('stage', 'set', 'rule', 'rows dropped'), measure(rows))}")
    return 0


def _short(text: str, width: int = 70) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


if __name__ == "__main__":
    sys.exit(main())
