"""Proof for whoever has only the results: `python -m isheep.proof verify FOLDER`, or `compare`, or `push`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from isheep.data.files import write_json
from isheep.errors import UserError
from isheep.proof import compare
from isheep.proof.archive import recorded_models
from isheep.proof.push import push
from isheep.proof.reproduce import TOLERANCE
from isheep.proof.results import Results
from isheep.proof.stale import recorded_run, stale_code
from isheep.proof.verify import verify


def _verify(asked: argparse.Namespace) -> bool:
    documents = []
    for folder in asked.folders:
        results = Results(folder)
        base, judge = recorded_models(results)
        verification, stages = verify(results, asked.threads, asked.base or base, asked.judge or judge)
        if other := stale_code(stages, None, recorded_run(results.manifest)):
            verification.notes.append(f"{len(other)} of {len(stages)} stages were made by other code than is here")
        print(*verification.lines(), sep="\n")
        documents.append(verification.document())
    if asked.json:
        write_json(asked.json, documents)
    return all(document["ok"] for document in documents)


def _compare(asked: argparse.Namespace) -> bool:
    old, new = Results(asked.old), Results(asked.new)
    compared = compare.compare(old.need_manifest(), new.need_manifest(), old, new, asked.tolerance)
    if asked.json:
        write_json(asked.json, compare.document(new.run, compared, asked.tolerance))
    print(*compare.lines(new.run, compared, asked.tolerance), sep="\n")
    return compare.outcome(compared) in (compare.IDENTICAL, compare.CLOSE)


def _push(asked: argparse.Namespace) -> bool:
    print(*push(asked.folder, asked.id, execute=asked.execute, public=asked.public), sep="\n")
    return True


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit status: 0 when all is well, 1 when not, 2 for a mistake of the user."""
    parser = argparse.ArgumentParser(prog="python -m isheep.proof", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("verify", help="hash a run again and check every link; needs its folder alone")
    command.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="results/RUN, wherever it is now")
    command.add_argument("--base", type=Path, help="folder of the base model, to check its weights too")
    command.add_argument("--judge", type=Path, help="folder of the evaluation's own judge, likewise")
    command.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="files that are read at once")
    command.add_argument("--json", type=Path, help="write the findings here too, a list of runs")
    command.set_defaults(do=_verify)

    command = commands.add_parser("compare", help="compare two runs artifact by artifact")
    command.add_argument("old", type=Path, help="results/RUN of the one")
    command.add_argument("new", type=Path, help="results/RUN of the other")
    command.add_argument("--tolerance", type=float, default=TOLERANCE, help="largest |a-b|/max(1,|a|,|b|) of equals")
    command.add_argument("--json", type=Path, help="write the comparison here too")
    command.set_defaults(do=_compare)

    command = commands.add_parser("push", help="send a published folder to the hub; without --execute only tell")
    command.add_argument("folder", type=Path, help="results/RUN/published/d_I or iter_I")
    command.add_argument("id", help="where to: owner/name")
    command.add_argument("--execute", action="store_true", help="really send")
    command.add_argument("--public", action="store_true", help="for everyone to see; private otherwise")
    command.set_defaults(do=_push)

    asked = parser.parse_args(arguments)
    try:
        return 0 if asked.do(asked) else 1
    except UserError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
