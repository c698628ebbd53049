"""`python -m isheep.config FILE...`: what is wrong with config files, also where Snakemake says no line."""

from __future__ import annotations

import sys
from pathlib import Path

from isheep.config.overlay import lay
from isheep.config.reading import read_config
from isheep.config.source import read_source
from isheep.errors import Problems, UserError

ROOT = Path(__file__).resolve().parents[3]


def main(files: list[str]) -> str | None:
    """Return what is wrong with config files laid over one another; None when nothing is."""
    try:
        raw: dict = {}
        for file in files:
            raw = lay(raw, read_source(Path(file), Problems(file)).data, None)
        read_config(raw, ROOT, files).problems.raise_if_any()
    except UserError as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) if sys.argv[1:] else "python -m isheep.config FILE...: which config file?")
