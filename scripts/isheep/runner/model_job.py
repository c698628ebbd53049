"""A job of a stage that asks a model: its journal, its engine, its shard of the requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from isheep.config.engine import Engine
from isheep.config.model import Model
from isheep.data.files import digest, read_json, write_json
from isheep.runner import job
from isheep.runner.code import code_digest
from isheep.runner.dispatch import Dispatcher
from isheep.runner.journal import Journal
from isheep.serving import engines
from isheep.serving.engines.base import Engine as Backend
from isheep.serving.engines.base import Template
from isheep.workflow import graph


class ModelJob(job.Job):
    """A job that sends requests to an engine and keeps their results in a journal."""

    @property
    def shard(self) -> tuple[int, int]:
        """Which shard (from 0) it is, and the number of shards; (0, 1) when one job does it all."""
        wildcards = self.wildcards
        return (int(wildcards.shard) - 1, int(wildcards.shards)) if hasattr(wildcards, "shard") else (0, 1)

    @contextmanager
    def journal_of(self, depends_on: dict[str, Any]) -> Iterator[Journal]:
        """Open the journal of this job, for what its results depend on besides their requests."""
        fingerprint = digest(depends_on)
        shard, count = self.shard
        writer = "stage" if count == 1 else f"shard-{shard + 1}-of-{count}"
        with Journal(self.work_folder(fingerprint), fingerprint, writer) as journal:
            yield journal

    @contextmanager
    def journal(
        self, engine: Engine | None = None, model: Model | None = None, code: tuple[str, ...] = ()
    ) -> Iterator[tuple[Journal, Callable[[], Backend]]]:
        """Open the journal of this job; give it with what opens the engine, which is closed at the end.

        Parameters
        ----------
        engine, model
            What runs which model, when not the sections of the run.
        code
            Modules that decide what is kept in the journal, besides the engines and chat.py.
        """
        engine, model = engine or self.run.engine, model or self.run.model
        identity = read_json(self.input.identity)["sha256"]
        depends_on = {
            "model": identity,
            "engine": graph.without_operational("engine", engine.model_dump(mode="json")),
            "addressed": graph.without_operational("model", model.model_dump(mode="json")),
            "code": code_digest("isheep/serving/engines", "isheep/serving/chat.py", *code),
        }
        with self.journal_of(depends_on) as journal, ExitStack() as opened:

            def open_engine() -> Backend:
                loaded = engines.load(engine, model, self.model_folder, identity, self.threads, self.gpus)
                opened.callback(loaded.close)
                return loaded

            yield journal, open_engine

    @contextmanager
    def dispatcher(self, engine: Engine | None = None, model: Model | None = None) -> Iterator[Dispatcher]:
        """Open the journal of this job; the engine follows when a request is not in it. Parameters as of `journal`."""
        with self.journal(engine, model) as (journal, open_engine):
            dispatcher = Dispatcher(journal, open_engine)
            yield dispatcher
            self.tokens = dispatcher.tokens()

    @cached_property
    def template(self) -> Template:
        """How the run's model is addressed; read without opening the engine."""
        return engines.load_template(self.run.engine, self.run.model, self.model_folder)

    def knows_template(self, round_number: int) -> bool:
        """Whether iter_{round_number} was trained on the chat template; a plain base model was not."""
        return self.run.model.chat or round_number > 0

    def finish_shard(self, asked: int) -> None:
        """Write the marker of a shard: how much it asked, how long that took on how many GPUs."""
        write_json(self.output.done, {"asked": asked, "seconds": self.seconds, "gpus": self.gpus})

    def keep_shard_count(self) -> None:
        """Note how many shards made this stage's result, so that another count never repeats it."""
        count = max(len(self.input.get("shards", [])), 1)
        file = Path(graph.shard_count_file(self.wildcards.run, self.stage, self.round))
        if count > 1:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{count}\n")
        else:
            file.unlink(missing_ok=True)


def of(snakemake: Any) -> AbstractContextManager[ModelJob]:
    """Run a model stage's script; as `job.of`."""
    return job.of(snakemake, ModelJob)
