"""Results that cost hours, kept beside the work for them: who asks for the same again is given it back.

Snakemake decides before it starts what is to run, and deletes what a job is to make. So a setting that in the end
changes no row still starts the training that follows, of equal data. Its job finds here what was made of the same:

    key = settings, code, versions of libraries, content of every input
    key kept and whole? ──yes──► linked back, with the tokens, the hardware and the seconds that it took then
           └─no──► made, then kept

Files are linked, not copied, so that this takes no room; one that was damaged since is not given back.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from isheep.data.files import contents_of, digest, digest_artifact, publish, read_json, write_json
from isheep.errors import UserError
from isheep.runner.job import UNNAMED, Job
from isheep.runner.record import versions

logger = logging.getLogger(__name__)
TOLD = "kept.json"  # written last: what is beside it is whole


def folder_of(job: Job) -> Path:
    """Return the folder in which a job's results are kept, named by what decides them."""
    named = job.input.each()
    contents = [[name, digest_artifact(file)] for name, file in named if name not in UNNAMED]
    decides = {
        "settings": job.params.get("settings"),
        "code": job.params.get("code"),
        "versions": versions(),
        "inputs": contents,
    }
    return job.work_folder(digest(decides)) / "kept"


def give_back(job: Job, folder: Path) -> bool:
    """Put what is kept in a folder into the places of a job's outputs; return whether there is such, whole."""
    try:
        told = read_json(folder / TOLD)
        for name, file in _results(job).items():
            if _contents(folder / name) != told["contents"][name]:
                logger.warning("%s: changed since it was kept; made anew", folder / name)
                return False
            with publish(file) as temporary:
                _link(folder / name, temporary)
    except (OSError, UserError, KeyError):
        return False
    job.tokens, job.observed = told["tokens"], told["observed"]
    logger.info("made before of the same settings, code and files: given back; to make it anew delete %s", folder)
    return True


def keep(job: Job, folder: Path) -> None:
    """Keep what a job has made, with what it took.

    Raises
    ------
    UserError
        A file of the user's was changed meanwhile: what was made is not what the folder's name says.
    """
    job.check_files()
    results = _results(job)
    with publish(folder) as temporary:
        temporary.mkdir()
        for name, file in results.items():
            _link(Path(file), temporary / name)
        contents = {name: _contents(Path(file)) for name, file in results.items()}
        write_json(temporary / TOLD, {"contents": contents, "tokens": job.tokens, "observed": job.observed})


def _results(job: Job) -> dict[str, str]:
    return {name: file for name, file in job.output.each() if name != "record"}


def _contents(path: Path) -> str | dict[str, str]:
    return contents_of(path) if path.is_dir() else digest_artifact(path)


def _link(path: Path, to: Path) -> None:
    """Link a file, or a folder's files; copy them where the file system has no links."""

    def one(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)

    if path.is_dir():
        shutil.copytree(path, to, copy_function=one, ignore=shutil.ignore_patterns(".*"))
    else:
        one(str(path), str(to))
