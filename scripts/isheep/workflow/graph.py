"""What the Snakefile asks: which file feeds a rule, what decides a stage, which run owns an artifact.

All of it follows from the table of stages. Everything here is light (no pandas, torch or vllm): every cluster job reads
the Snakefile twice.

Work that runs share is done once. Each stage of each round has a digest of everything that decides its result, made of
its own settings and files and of the digests of what it reads, so of everything before it. Two runs that differ in
`select` alone have equal digests up to assess_outputs:

    run  generate_prompts  …  assess_outputs  select_data  train_adapter
    a    3f…                  81…             c0…          5e…
    b    3f… as a             81… as a        77…          92…

Then a owns both runs' d_0/evaluated.jsonl, and b's select_data reads it in results/a.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from isheep.config import Config
from isheep.config.model import Model
from isheep.config.resources import Need
from isheep.config.run import Run
from isheep.config.section import at, deciding
from isheep.data.files import digest, digest_file
from isheep.errors import UserError
from isheep.evaluation.benchmark import FETCHED
from isheep.runner.code import code_digest
from isheep.runner.portable import shipped, shipped_in
from isheep.serving.gguf import parts
from isheep.stages.base import Read, Reads, Round
from isheep.stages.table import Table, table
from isheep.workflow import budget
from isheep.workflow.links import Links, within
from isheep.workflow.remains import Remains

GATHERING = Need(gpus=0, cpus=1, mem_gib=4, minutes=30)


class Graph:
    """The runs of a config as one graph; work that two runs share is done once.

    Parameters
    ----------
    config
        The resolved settings.
    root
        Repository root.
    place
        Where results lie, seen from the working folder: nowhere else, or under a prefix that ends in `/`.
    forced
        Tells whether a user forces what stands: then it waits for lost files, too, that are made again beside it.
    name
        Of the config's file or the study: what its comparison is called.
    """

    def __init__(
        self, config: Config, root: Path, place: str = "", forced: Callable[[], bool] = bool, name: str = "config"
    ) -> None:
        self.root = root
        self.place = Path(place)
        self.forced = forced
        self.name = name
        self.table: Table = table()
        self._follow(within(config, self.table, self.place))
        real = self.links.real(self.file)  # what a link leads to may lie in the folder of a third run, which owns it
        if real is not self.config:
            self._follow(real)

    def _follow(self, config: Config) -> None:
        """Find out what is linked, and who owns what."""
        self.config = config
        self.links = Links(config, self.table)
        self.settings = cache(self._settings)
        self.digest = cache(self._digest)
        self.code = cache(self._code)
        self._code_digest = cache(code_digest)
        self._reads = cache(self._declared_reads)
        self.owner = cache(self._owner)
        self.stages = cache(self._stages)
        self.remains = Remains(self)
        self.content = cache(_content)
        # In the order of the graph, so that a stage finds what it reads known: a hundred rounds need no deep recursion.
        for of in (self.digest, self.owner):
            for run in self.links.order:
                for stage, i in self.stages(run):
                    of(run, stage, i)

    # What decides a stage ------------------------------------------------------------------------------------------

    def _settings(self, run: str, stage: str) -> dict[str, Any]:
        """Return the settings that decide what a stage makes, as plain JSON values, nested as in a config file."""
        settings, declared = self.config.runs[run], self.table[stage]
        decides: dict[str, Any] = {}
        for key in declared.settings:
            *outer, last = key.split(".")
            inner = decides
            for part in outer:
                inner = inner.setdefault(part, {})
            inner[last] = deciding(at(settings, key))
        decides |= declared.derives(settings)
        return shipped_in(decides)

    def files(self, run: str, stage: str) -> list[str]:
        """Return the user's files (templates, rubrics, seeds) that a stage reads, results of other runs among them."""
        settings, declared = self.config.runs[run], self.table[stage]
        model = declared.weights(settings) if declared.weights else None
        known_by = self.links.of_model(run, base_folder(model)) if model else []
        return list(dict.fromkeys([*declared.files(settings), *known_by]))

    def contents(self, run: str, stage: str) -> dict[str, str | None]:
        """Return the sha256 of the user's files that a stage reads; None for one that is not there.

        Those that the workflow makes itself are left out: settings tell from where, or which stage of which run.
        """
        files = [file for file in self.files(run, stage) if not self.links.of(run, file)]
        return {file: self.content(file) for file in files if not file.startswith(FETCHED)}

    def user_files(self, run: str) -> list[str]:
        """Return every file of the user's that a stage of the run reads."""
        return sorted({file for stage, _ in self.stages(run) for file in self.files(run, stage)})

    def _code(self, run: str, stage: str) -> str:
        """Return the digest of the code behind a stage: Snakemake does not see imported modules."""
        return self._code_digest(*self.table[stage].modules(self.config.runs[run]))

    # Which stages feed a stage -------------------------------------------------------------------------------------

    def _stages(self, run: str) -> list[tuple[str, int]]:
        """Return every stage of a run with its round, in an order in which they can run."""
        return [(stage.name, i) for stage, i in self.table.of_run(self.config.runs[run])]

    def run(self, run: str) -> Run:
        """Return the settings of a run with the rounds that it has: fewer than asked for after a stop by its budget."""
        return budget.within(self.config.runs[run], self.place / "results" / run)

    def made(self, run: str) -> list[tuple[str, int]]:
        """Return every stage of the rounds that a run has, as `stages` does of those asked for."""
        return [(stage.name, i) for stage, i in self.table.of_run(self.run(run))]

    def has(self, run: str, stage: str) -> bool:
        """Return whether a run has a stage."""
        return self.table[stage].present(self.config.runs[run])

    def reads(self, run: str, stage: str, i: int, name: str) -> str | list[str]:
        """Return the files that a stage of round `i` reads of others, under the name of its rule's input."""
        wanted = self._reads(run, stage, i)[name]
        files = [self.file(run, read) for read in self._awaited(run, stage, i, wanted)]
        return files[0] if files and isinstance(wanted, Read) else files

    def _awaited(self, run: str, stage: str, i: int, wanted: Read | Sequence[Read]) -> list[Read]:
        """Return, of what a stage reads, that for which it has to wait: nothing that is lost, when it stands itself."""
        reads = [wanted] if isinstance(wanted, Read) else list(wanted)
        owners = {read: self.owner(read.run or run, read.stage, read.i) for read in reads}
        lost = [read for read in reads if self.remains.lost(owners[read], read.stage, read.i)]
        stands = bool(lost) and not self.forced() and self.remains.stands(run, stage, i)
        return [read for read in reads if read not in lost] if stands else reads

    def _declared_reads(self, run: str, stage: str, i: int) -> Reads:
        return self.table[stage].reads(self._at(run, i))

    def upstream(self, run: str, stage: str, i: int) -> list[Read]:
        """Return all that a stage of round `i` reads of others, the model that it runs included."""
        links = self.links.among(run, self.files(run, stage))
        return [*self.table[stage].upstream(self._at(run, i)), *links]

    def linked(self, run: str, stage: str, i: int) -> list[str]:
        """Return the results of other runs that a stage reads in the place of files of the user's."""
        links = self.links.among(run, self.files(run, stage))
        return [self.file(run, read) for read in self._awaited(run, stage, i, links)]

    def refers(self, run: str, stage: str, i: int) -> list[str]:
        """Return what a stage reads, whoever owns it: stages with their rounds, the user's files with their content."""
        reads = self.upstream(run, stage, i)
        stages = [" ".join(filter(None, [read.stage, str(read.i), read.run and f"of {read.run}"])) for read in reads]
        files = [f"{shipped(file)} {(sha256 or '')[:16]}" for file, sha256 in self.contents(run, stage).items()]
        return [*stages, *files]

    def data(self, run: str, i: int) -> str:
        """Return d_i as it trains a model."""
        return self.file(run, self._at(run, i).data(i))

    def beside(self, run: str, stage: str, file: str) -> list[str]:
        """Return a file that a stage makes, in every round of `made`; none when the run does not have the stage."""
        rounds = self.table[stage].rounds(self.run(run)) if self.has(run, stage) else ()
        return [self.file(run, Read(stage, i, file)) for i in rounds]

    def funnels(self, run: str) -> list[str]:
        """Return the funnels of every row stage in every round."""
        rows = self.table.row_stages(self.config.runs[run])
        return [file for stage in rows for file in self.beside(run, stage.name, f"{stage.word}.funnel.json")]

    def _at(self, run: str, i: int) -> Round:
        return self.table.at(self.config.runs[run], i)

    def file(self, run: str, read: Read) -> str:
        """Return the path of a file that a stage has made, in the folder of the run that owns it."""
        result = Path(self.result(read.run or run, read.stage, read.i))
        return str(result.with_name(read.file) if read.file else result)

    # Which run owns a result ---------------------------------------------------------------------------------------

    def _digest(self, run: str, stage: str, i: int) -> str:
        """Return a digest of everything that decides a result: equal in two runs means equal results."""
        reads = self.upstream(run, stage, i)
        decides = {
            "stage": stage,
            "round": i,
            "settings": self.settings(run, stage),
            "decides": self.table[stage].decides(self.config.runs[run]),
            "files": self.contents(run, stage),
            "upstream": [self.digest(read.run or run, read.stage, read.i) for read in reads],
            "links": [read.file for read in reads if read.run],
        }
        return digest(decides)

    def _owner(self, run: str, stage: str, i: int) -> str:
        """Return the run whose folder holds a result, of those whose results would be equal.

        What is finished is never made again nor moved: the run itself when it has it, else another that has. Then one
        that has begun (its work folder holds a journal), then the first in the config.
        """
        wanted = self.digest(run, stage, i)
        equal = [
            other
            for other in self.config.runs
            if other == run or ((stage, i) in self.stages(other) and self.digest(other, stage, i) == wanted)
        ]
        if len(equal) == 1:
            return run
        preferred = [run, *(other for other in equal if other != run)]
        finished = (other for other in preferred if self.remains.finished(other, stage, i) is not None)
        begun = (other for other in equal if (self.place / self.own(other, stage, i, f".work/{stage}")).is_dir())
        return next(finished, next(begun, equal[0]))

    def own(self, run: str, stage: str, i: int, file: str | None = None) -> str:
        """Return the path of a stage's result, or of a file beside it, in a run's own folder, whoever owns it."""
        declared = self.table[stage]
        return f"results/{run}/{declared.folder.format(i=i)}/{file or declared.makes[0]}"

    def result(self, run: str, stage: str, i: int) -> str:
        """Return the path of a stage's result, in the folder of the run that owns it."""
        return self.own(self.owner(run, stage, i), stage, i)

    def record(self, run: str, stage: str, i: int) -> str:
        """Return the path of a stage's record, beside its result."""
        return str(Path(self.result(run, stage, i)).parent / "records" / f"{stage}.json")

    def records(self, run: str) -> list[str]:
        """Return the records of every stage of `made`."""
        return [self.record(run, stage, i) for stage, i in self.made(run)]

    def records_before(self, run: str, i: int) -> list[str]:
        """Return the records of all that a run makes before d_i, the measures of iter_i included."""
        return [self.record(run, *each) for each in budget.before(self.config.runs[run], i)]

    # Models --------------------------------------------------------------------------------------------------------

    def identity(self, run: str, stage: str, i: int) -> str | list[str]:
        """Return the identity of the model that a stage runs in a round."""
        number = self.table[stage].runs(self.config.runs[run], i)
        if number is None:
            return self.reads(run, stage, i, "identity")
        wanted = self._at(run, i).model(number)
        return next((self.file(run, read) for read in self._awaited(run, stage, i, wanted)), [])

    def awaits_model(self, run: str, stage: str, i: int) -> bool:
        """Return whether a stage has to wait for the model that it runs."""
        number = self.table[stage].runs(self.config.runs[run], i)
        link = self.links.of(run, self.weights(run, stage, i))
        made_here = number is None or bool(self.identity(run, stage, i))
        return made_here and (link is None or bool(self._awaited(run, stage, i, link)))

    def weights(self, run: str, stage: str, i: int) -> str | None:
        """Return the folder of the model that a stage runs; None where it needs none (a fake, an endpoint)."""
        settings, declared = self.config.runs[run], self.table[stage]
        if (number := declared.runs(settings, i)) is not None:
            return self.model_folder(run, number)
        source = declared.weights(settings) if declared.weights else None
        return base_folder(source) if source else None

    def model_folder(self, run: str, i: int) -> str | None:
        """Return the folder of iter_i's weights; None for the fake engine's base, which has none."""
        if i:
            return self.file(run, Read("merge_model", i, "model"))
        return base_folder(self.config.runs[run].model)

    def sources(self) -> dict[str, Model]:
        """Return the folders of models that the workflow makes itself, each with what says from where."""
        runs = self.config.runs.values()
        judges = (getattr(run.evaluation.judge, "model", None) for run in runs)
        models = [*(run.model for run in runs), *(judge for judge in judges if isinstance(judge, Model))]
        return {str(base_folder(model)): model for model in models if model.hub or model.gguf}

    def source(self, folder: str) -> dict[str, Any]:
        """Return from where a model of `sources` is made, and in which state the files are that it is made of."""
        model = self.sources()[folder]
        states = {"state": parts.state(model.gguf)} if model.gguf else {}
        return model.model_dump(mode="json", include={"hub", "revision", "gguf"}) | states

    def datasets(self) -> dict[str, Any]:
        """Return the data files that the workflow fetches itself, each with what says from where."""
        benchmarks = [entry for run in self.config.runs.values() for entry in run.evaluation.on.values()]
        return {str(benchmark.path): benchmark for benchmark in benchmarks if benchmark.hub}

    # Jobs ----------------------------------------------------------------------------------------------------------

    def shards(self, run: str, stage: str, i: int) -> list[str]:
        """Return the markers of a stage's shard jobs; none when one job does it all.

        A finished stage keeps the markers that it was made of, as far as they are there: neither another count in the
        config nor a deleted folder of markers makes it anew.
        """
        count = self.config.shards.of(stage)
        if count == 1 or not self.table[stage].asks(self.config.runs[run]):
            return []
        made_by = self.remains.finished(run, stage, i)
        folder = self.own(run, stage, i, f".shards/{stage}")
        if made_by is not None:
            count = len(made_by["observed"].get("shards", []))
        markers = [f"{folder}/shard-{shard}-of-{count}.done" for shard in range(1, count + 1)]
        gone = made_by is not None and not all((self.place / marker).exists() for marker in markers)
        return [] if gone else markers

    def need(self, run: str, stage: str, i: int, attempt: int, is_shard: bool = False) -> Need:
        """Return what a job of a stage asks for at its n-th try.

        One that asks nothing, or only gathers its shards' results, needs no engine; or else it is tried again.
        """
        declared = self.table[stage]
        assert declared.machine is not None, f"{stage} declares no machine"
        gathers = declared.shards == "whole" and not is_shard and bool(self.shards(run, stage, i))
        if not declared.asks(self.config.runs[run]) or (gathers and attempt == 1):
            return GATHERING
        return self.config.runs[run].resources.at(declared.machine, attempt)


def _content(file: str) -> str | None:
    return digest_file(file) if Path(file).is_file() else None


def check_columns(table: Table, run: Run) -> None:
    """Check that every row stage of a run finds the columns it needs among those that the stages before it add.

    Raises
    ------
    UserError
        The first column that is missing: who needs it, and which there are.
    """
    columns: list[str] = []
    for stage in table.row_stages(run):
        for column in stage.needs(run):
            if column not in columns:
                section = stage.settings[-1].partition(".")[0]
                raise UserError(
                    f"{section}: no stage before {stage.name} adds the column {column!r} (there are: "
                    f"{', '.join(columns)}); name one of these, or add the assessor or stage that makes it"
                )
        columns += stage.adds(run) if stage.adds else ()


def base_folder(model: Model) -> str | None:
    """Return the folder of a model that was not trained here; models/ holds those that the workflow fetches itself."""
    if model.gguf:
        return f"models/{model.gguf.folder}"
    if model.hub:
        return f"models/{model.hub.replace('/', '--')}--{model.revision.replace('/', '--')}"
    return model.path
