"""The settings of a driver, frozen when it starts: its jobs read these, whatever is edited while it lives.

Every job of a cluster starts Snakemake anew, which reads the config file that the driver was given. Were that edited
meanwhile, half of a run would be made with other settings than its manifest tells. So the driver writes what it has
resolved, presets and recipes laid in, and hands that file to its jobs in the place of the user's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isheep.config import Config
from isheep.data.files import digest, write_json

FROZEN = ".isheep.config-{}.json"


def resolved(config: Config) -> dict[str, Any]:
    """Return a config as a file would have it: every default written out, no preset, no recipe."""
    return config.model_dump(mode="json")


def freeze(workflow: Any, config: Config, folder: Path) -> None:
    """Write the settings and have the jobs of Snakemake's driver read them (`onstart`).

    Parameters
    ----------
    workflow
        Snakemake's, which gives its jobs the paths of its config files.
    config
        What the driver has read.
    folder
        Where the driver works; what a killed one left there goes.
    """
    settings = resolved(config)
    file = folder.absolute() / FROZEN.format(digest(settings)[:12])
    thaw(folder)
    write_json(file, settings)
    workflow.config_settings.configfiles = [file]


def thaw(folder: Path) -> None:
    """Remove what was frozen in a folder (`onsuccess`, `onerror`)."""
    for file in folder.glob(FROZEN.format("*")):
        file.unlink(missing_ok=True)
