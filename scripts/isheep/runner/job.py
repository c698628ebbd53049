"""The one place that knows what Snakemake hands to a script: files, settings, log and record of a job."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from isheep import config
from isheep.config.run import Run
from isheep.data.files import contents_of, digest, digest_artifact, read_json
from isheep.data.rows import Stream
from isheep.errors import UserError
from isheep.runner.leases import lease
from isheep.runner.origin import find_origin
from isheep.runner.portable import ROOT, portable, portable_places, renamed
from isheep.runner.progress import LiveHandler, no_live_line, title
from isheep.runner.record import hardware, versions, write_record
from isheep.serving import models
from isheep.serving.memory import peak_memory_mib

logger = logging.getLogger(__name__)
# Inputs that a record does not name: a model is known by its identity file, markers of shards say nothing about the
# result.
UNNAMED = ("model", "shards")
# What libraries say of themselves would bury what a stage says: no progress bars, no advice, warnings and errors only.
QUIET = {
    "TQDM_DISABLE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
}
# Threads that wait for each other turn a thousand times, some 15 us, before they sleep: enough for the short waits of a
# machine where nobody else works, too little to take the time of whoever does (docs/performance.md). Read by libgomp
# when torch loads it; it decides no byte.
WAITING = {"GOMP_SPINCOUNT": "1000"}


class Files(dict[str, Any]):
    """The files of a rule's input or output: a path or a list of paths by name, as attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the rule names no file {name!r}") from None

    def each(self) -> Iterator[tuple[str, str]]:
        """Yield the name and path of every file."""
        for name, value in self.items():
            yield from ((name, file) for file in ([value] if isinstance(value, str) else value))


class Job:
    """A job of the workflow.

    Parameters
    ----------
    snakemake
        The object that Snakemake gives to a rule's script.
    stage
        Which stage it works for. Not the rule's name: whoever imports the workflow may rename its rules.
    """

    def __init__(self, snakemake: Any, stage: str) -> None:
        self.stage = stage
        self.params = snakemake.params
        self.wildcards = snakemake.wildcards
        self.round = int(snakemake.wildcards.get("i", 0))
        self.started = datetime.now(UTC)
        self.tokens: dict[str, int] = {}  # read, written, scored or trained on, for the record
        self.is_final = True  # what it made would come out the same again; not so when something could not be reached
        self.threads: int = snakemake.threads
        self.gpus = int(snakemake.resources.get("gpu", 0))
        self.root = ROOT
        self.place = _place(snakemake.output)
        self.environment = dict(os.environ)  # as the job was started, before its imports add to it
        self.home, self.log = os.getcwd(), os.path.abspath(snakemake.log[0])
        self.is_heavy = bool(snakemake.resources.get("model", 0))  # takes the machine's place for a model
        self.engine_peak_mib = 0.0  # of an engine in another process
        self.input, self.output = self._from_place(snakemake.input), self._from_place(snakemake.output)
        self._config = snakemake.config
        if self.place:
            self.config  # noqa: B018 - the user's paths start where Snakemake works, the job's in its place
            os.chdir(self.place)
        self._read = self._contents()
        hashed = {"asked": self.params.weights, "state": self._read.get(str(self.model_folder))} if self.hashes else {}
        self._weights: dict[str, str | None] = hashed

    def _from_place(self, files: Any) -> Files:
        def moved(path: str) -> str:
            return path[len(self.place) :] if path.startswith(self.place) else os.path.abspath(path)

        if not self.place:
            return Files({name: value if isinstance(value, str) else list(value) for name, value in files.items()})
        named = files.items()
        return Files({name: moved(value) if isinstance(value, str) else [*map(moved, value)] for name, value in named})

    @cached_property
    def run(self) -> Run:
        """The resolved settings of the job's run."""
        return self.config.runs[self.wildcards.run]

    @cached_property
    def config(self) -> config.Config:
        """The resolved settings of all runs."""
        return config.load(self._config, self.root, place=self.place)

    @property
    def is_shard(self) -> bool:
        """Whether it does a part of the stage's requests only."""
        return hasattr(self.wildcards, "shard")

    @property
    def shard(self) -> tuple[int, int]:
        """Which shard (from 0) it is, and the number of shards; (0, 1) when one job does it all."""
        return (int(self.wildcards.shard) - 1, int(self.wildcards.shards)) if self.is_shard else (0, 1)

    def part(self, rows: Iterable[Any]) -> Stream[Any]:
        """Return every n-th row: those that this job asks about."""
        return (rows if isinstance(rows, Stream) else Stream(lambda: rows)).part(*self.shard)

    def work_folder(self, fingerprint: str) -> Path:
        """Return the undeclared folder of this stage for what its results depend on, beside its files."""
        first = Path(next(path for _, path in self.output.each()))
        folder = first.parents[2] if ".shards" in first.parts else first.parent
        return folder / ".work" / self.stage / fingerprint[:16]

    @property
    def model_folder(self) -> Path | None:
        """The folder of the model that the job runs; None for the fake engine's base."""
        folder = self.params.model_folder
        return Path(folder) if folder else None

    @staticmethod
    def log_timing(timing: dict[str, Any]) -> None:
        """Log what differs between two equal runs instead of writing it into an artifact."""
        logger.info("%s", ", ".join(f"{key} {value}" for key, value in timing.items()) or "done")

    @property
    def seconds(self) -> float:
        """Seconds since the job started."""
        return round((datetime.now(UTC) - self.started).total_seconds(), 3)

    @cached_property
    def observed(self) -> dict[str, Any]:
        """What may differ between two equal jobs: the machine, the start, the seconds until it is asked for."""
        shards = [read_json(file) for file in self.input.get("shards", [])]
        took = [{key: told.get(key, 0) for key in ("seconds", "gpus")} for told in shards]
        return {
            "hardware": {**hardware(self.gpus), "threads": self.threads},
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": self.seconds,
            "peak_memory_mib": max(peak_memory_mib(), self.engine_peak_mib),
            **({"shards": took} if took else {}),
            **({"weights": self._weights} if self._weights else {}),
        }

    def _contents(self) -> dict[str, str]:
        """Return the sha256 of the user's files that the job reads, and the state of a model that it is to hash."""
        files: list[str] = self.input.get("files", [])
        folder = self.model_folder if self.hashes else None
        states = {str(folder): models.state(folder)} if folder else {}
        return {file: digest_artifact(file) for file in files} | states

    @property
    def hashes(self) -> bool:
        """Whether it hashes the weights of a model."""
        return hasattr(self.params, "weights")

    def check_files(self) -> None:
        """Raise UserError when a file of the user's was changed meanwhile: nobody knows what was read."""
        for file, sha256 in self._contents().items():
            if self._read[file] != sha256:
                raise UserError(f"{file}: changed while {self.stage} read it; leave it as it is now and start again")

    def write_record(self) -> None:
        """Write beside the artifacts what made them; called last, so that a record vouches for whole outputs."""
        files = [file for name, file in self.input.each() if name not in UNNAMED]
        hashes = {file: digest_artifact(file) for file in files}
        given = set(self.input.get("files", []))
        own = {file for file in hashes if file not in given and file.startswith("results/")}
        names = {file: file if file in own else portable(file, sha256) for file, sha256 in hashes.items()}
        origins = {names[file]: origin for file in given if (origin := find_origin(Path(file), hashes[file]))}
        places = portable_places(self.run.model_dump(mode="json"))
        outputs = [file for name, file in self.output.each() if name != "record"]
        contents = {file: contents_of(file) for file in outputs if Path(file).is_dir()}
        made = {
            "stage": self.stage,
            "run": self.wildcards.run,
            "round": self.round if hasattr(self.wildcards, "i") else None,
            "seed": self.run.seed,
            "model": read_json(self.input.identity)["sha256"] if self.input.get("identity") else None,
            "settings": renamed(self.params.get("settings", {}), names | places),
            "code": self.params.get("code"),
            "versions": versions(),
            "tokens": self.tokens,
            "inputs": {names[file]: sha256 for file, sha256 in hashes.items()},
            "outputs": {
                file: digest(contents[file]) if file in contents else digest_artifact(file) for file in outputs
            },
            "contents": contents,
            **({"origins": origins} if origins else {}),
        }
        write_record(self.output.record, made, self.observed)


def _place(output: Any) -> str:
    """Return where the results lie, seen from the folder where Snakemake works: nowhere else, or under a prefix.

    A workflow that imports this one may put its files under a prefix, `ours/results/...`; jobs then work in `ours/`.
    """
    first = str(next(iter(output), ""))
    before, found, _ = first.partition("results/")
    return before if found else ""


@contextmanager
def of(snakemake: Any, stage: str) -> Iterator[Job]:
    """Run a rule's script: log to its file and the terminal; end a user's mistake in one message, no traceback."""
    for name, value in (QUIET | WAITING).items():
        os.environ.setdefault(name, value)
    if not snakemake.resources.get("gpu", 0):
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    warnings.filterwarnings("ignore", category=FutureWarning)
    about = title(stage, dict(snakemake.wildcards.items()))
    _log_to(snakemake.log[0], about)
    job = Job(snakemake, stage)
    try:
        with lease(job.gpus, about):
            yield job
        job.check_files()
        if job.output.get("record"):
            job.write_record()
    except UserError as error:
        logger.error("failed: %s (log: %s)", error, snakemake.log[0])
        _leave(1)
    except OSError as error:
        logger.exception("failed: %s %s (log: %s)", error.strerror, error.filename or "", snakemake.log[0])
        _leave(1)
    except Exception:
        logger.exception("failed; this is a fault of the workflow or a library (log: %s)", snakemake.log[0])
        _leave(1)
    except KeyboardInterrupt:  # the driver tells what is kept
        logger.info("stopped by you")
        _leave(130)


def _log_to(file: str, about: str) -> None:
    """Log to a job's file, each line with what says it, and to the terminal, each line with whose work it is about."""
    kept, shown = logging.FileHandler(file, encoding="utf-8"), LiveHandler(sys.stderr)
    kept.addFilter(no_live_line)
    for handler, about_what in ((kept, "%(name)s"), (shown, about.replace("%", "%%"))):
        handler.setFormatter(logging.Formatter(f"%(asctime)s {about_what}: %(message)s", "%H:%M:%S"))
    logging.getLogger("isheep").setLevel(logging.INFO)
    logging.basicConfig(level=logging.WARNING, handlers=[kept, shown], force=True)


def _leave(code: int) -> None:
    """End the process at once: engines may leave threads and child processes that would keep it alive."""
    sys.stderr.flush()
    logging.shutdown()
    os._exit(code)
