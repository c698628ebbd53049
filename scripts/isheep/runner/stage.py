"""What a rule's script calls: the work of a stage done, its files published, its record written.

A stage's module does its work in one of two ways. One that runs no model has `make(job)`, which returns what to write
by the names of the rule's outputs. One that asks a model has a class `Work` with `requests(send)` and `finish()`: what
to ask, and what to make of the answers. Journal, engine, shards and order are the same for all of them and stand here:

    requests of this job ──► journal has the answer? ──yes──► results ──► finish() ──► rows, funnel, documents
                                   └─no──► engine ──► journal ──┘

A shard job stops after its requests: what they gave is in the journal, which the job that gathers reads whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from types import ModuleType
from typing import Any, ClassVar

from isheep.config.engine import Engine as EngineSettings
from isheep.config.model import Model
from isheep.config.plain import PlainFormat
from isheep.config.section import deciding
from isheep.data.files import digest, read_json, write_json
from isheep.data.funnel import Funnel, Sifted
from isheep.data.rows import write_parted, write_rows
from isheep.runner import job, kept
from isheep.runner.code import code_digest
from isheep.runner.dispatch import Dispatcher, Send
from isheep.runner.engine import engine_of, make_room
from isheep.runner.journal import Journal
from isheep.serving import engines
from isheep.serving.engines.base import Template

Made = dict[str, Any]
"""What a stage made, by the names of its rule's outputs: rows, a funnel, or a JSON document.

Rows that are `Sifted` stand for the rejected ones and the funnel as well.
"""


def run(snakemake: Any, module: ModuleType) -> None:
    """Do the work of a stage.

    Parameters
    ----------
    snakemake
        The object that Snakemake gives to a rule's script.
    module
        The stage's module, with `STAGE`, and `make` or `Work`.
    """
    with job.of(snakemake, module.STAGE.name) as this:
        if not hasattr(module, "Work"):
            make(this, module)
            return
        work = module.Work(this)
        with work.asking() as send:
            work.requests(send)
            if this.is_shard:
                finish_shard(this)
            else:
                publish(this, work.finish())


def make(this: job.Job, module: ModuleType) -> None:
    """Make what a stage makes that asks no engine of ours; what is kept of the same is given back instead."""
    folder = kept.folder_of(this) if module.STAGE.keeps else None
    if folder and kept.give_back(this, folder):
        return
    if this.is_heavy:
        make_room(this)
    publish(this, module.make(this))
    if folder and this.is_final:
        kept.keep(this, folder)


def publish(this: job.Job, made: Made) -> None:
    """Write what a stage made; a funnel is checked against the rows that were really written.

    Rows that are sifted go into both files as they come; they bring their funnel.
    """
    written, funnel = {"rejected": 0}, made.get("funnel")
    for name, value in made.items():
        if isinstance(value, Sifted):
            paths = {file: this.output[file] for file in ("rows", "rejected") if file in this.output}
            parted = write_parted([*paths.values()], ((row, int(rule is not None)) for row, rule in value))
            written |= dict(zip(paths, parted, strict=True))
            funnel = value.funnel
        elif name in ("rows", "rejected") or str(this.output[name]).endswith(".jsonl"):
            written[name] = write_rows(this.output[name], value)
        elif not isinstance(value, Funnel):
            write_json(this.output[name], value)
    if isinstance(funnel, Funnel):
        write_json(this.output.funnel, funnel.record(written["rows"], written["rejected"]))


def finish_shard(this: job.Job) -> None:
    """Write the marker of a shard: how long it took on how many GPUs."""
    write_json(this.output.done, {"seconds": this.seconds, "gpus": this.gpus})


class Work:
    """The work of a stage that asks a model: `requests`, then `finish` where it is not a shard of it.

    Parameters
    ----------
    this
        The job.
    """

    code: ClassVar[tuple[str, ...]] = ()
    """Modules that decide what the journal keeps, besides engine and chat template."""

    def __init__(self, this: job.Job) -> None:
        self.job = this
        self.run = this.run

    def requests(self, send: Send) -> None:
        """Have everything answered that this job is to ask, wave after wave."""
        raise NotImplementedError

    def finish(self) -> Made:
        """Return what is made of the answers."""
        raise NotImplementedError

    @property
    def engine(self) -> EngineSettings:
        """Settings of the engine that is asked."""
        return self.run.engine

    @property
    def model(self) -> Model:
        """Settings of the model that is asked."""
        return self.run.model

    @cached_property
    def template(self) -> Template:
        """How the model is addressed; read without opening the engine."""
        return engines.load_template(self.engine, self.model, self.job.model_folder)

    def plain(self, i: int | None) -> PlainFormat | None:
        """Return how iter_i (None: the own judge) is shown tasks as a base model; None where it knows its template."""
        return self.run.plain_for(i)

    def answering(self, engine: Any) -> Any:
        """Return what answers this stage's requests, made of the engine once it is open: mostly the engine itself."""
        return engine

    @contextmanager
    def asking(self) -> Iterator[Send]:
        """Yield what sends requests to the engine, which is opened when one is not in the journal."""
        identity = read_json(self.job.input.identity)["sha256"]
        depends_on = {
            "model": identity,
            "engine": deciding(self.engine),
            "addressed": deciding(self.model),
            "code": code_digest(engines.module_of(self.engine.name), "isheep/serving/chat.py", *self.code),
        }
        with ExitStack() as opened:

            def open_engine() -> Any:
                engine = opened.enter_context(engine_of(self.job, self.engine, self.model, identity))
                return self.answering(engine)

            with self.dispatching(depends_on, open_engine) as dispatcher:
                yield dispatcher.send

    @contextmanager
    def dispatching(self, depends_on: dict[str, Any], open_engine: Callable[[], Any]) -> Iterator[Dispatcher]:
        """Open the journal for what its results depend on besides their requests."""
        fingerprint = digest(depends_on)
        shard, count = self.job.shard
        writer = f"shard-{shard + 1}-of-{count}" if self.job.is_shard else "stage"
        with Journal(self.job.work_folder(fingerprint), fingerprint, writer) as journal:
            dispatcher = Dispatcher(journal, open_engine)
            yield dispatcher
            self.job.tokens = dispatcher.tokens()
