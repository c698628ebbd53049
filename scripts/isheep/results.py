"""A run to look at in a notebook, as pandas frames: `Run("results/demo").scores`.

Reads records, documents and rows where the run's folder lies now, also while the run is at work; nothing is computed
anew and nothing is written but by `write_tables`.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from isheep.data.rows import read_rows
from isheep.documents import tables
from isheep.documents.choice import Choice, choose
from isheep.documents.records import Settings
from isheep.errors import UserError
from isheep.proof.manifest import OBSERVED
from isheep.proof.results import SETTINGS, Results
from isheep.report.gather import Report, gather
from isheep.stages.table import table as stage_table

if TYPE_CHECKING:
    import pandas as pd

FRAMES = (
    "funnel",
    "rejections",
    "discrimination",
    "training",
    "losses",
    "preferences",
    "scores",
    "health",
    "alarms",
    "costs",
)


class Run:
    """A run's folder as frames; `docs/notebook.md` shows each.

    A run that is at work, or whose manifest is damaged, is read from the records in its own folder; stages that it
    shares with other runs are then missing.

    Parameters
    ----------
    folder
        `results/RUN`, or wherever it was moved.

    Raises
    ------
    UserError
        There is no such folder, it is not of a run, or a file in it is not what its name promises.
    """

    def __init__(self, folder: str | Path) -> None:
        self._results = Results(folder)
        self.name = self._results.run
        self.folder = self._results.folder

    def __repr__(self) -> str:
        return f"Run({str(self._results.folder)!r})"

    @cached_property
    def settings(self) -> Settings:
        """The resolved settings."""
        manifest = self._results.manifest
        if manifest:
            aside = {key: value for key, value in manifest["observed"].items() if key in OBSERVED}
            return {**manifest["made"]["settings"], **aside}
        file = self._results.folder / SETTINGS
        try:
            return yaml.safe_load(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{self._results.folder}: has neither a manifest nor {SETTINGS}; is it a run?") from None

    @cached_property
    def report(self) -> Report:
        """The typed documents of every round and model, from which the frames are made."""
        manifest = self._results.manifest
        records = (
            [stage["record"] for stage in manifest["made"]["stages"].values()]
            if manifest
            else [self._results.recorded_path(file) for file in self._results.records_here()]
        )
        return gather(self.name, self.settings, records, with_rows=False, find=self._results.find)

    @property
    def funnel(self) -> pd.DataFrame:
        """Rows in and out of every stage."""
        return tables.funnel_table(document for data in self.report.rounds for document in data.funnels.values())

    @property
    def rejections(self) -> pd.DataFrame:
        """Rows that went, by stage and rule."""
        return tables.rejections_table(document for data in self.report.rounds for document in data.funnels.values())

    @property
    def discrimination(self) -> pd.DataFrame:
        """How well each assessor tells right from wrong answers."""
        return tables.discrimination_table({data.i: data.discrimination or {} for data in self.report.rounds})

    @property
    def training(self) -> pd.DataFrame:
        """How each model was trained and merged."""
        models = self.report.models
        return tables.training_table(
            {model.i: model.training for model in models if model.training},
            {model.i: model.merging for model in models if model.merging},
        )

    @property
    def losses(self) -> pd.DataFrame:
        """The training loss by step; where pairs train, nats a pair."""
        return tables.loss_table({model.i: model.training for model in self.report.models if model.training})

    @property
    def preferences(self) -> pd.DataFrame:
        """What held-out pairs say before and after each training on pairs."""
        return tables.preferences_table({model.i: model.training for model in self.report.models if model.training})

    @property
    def scores(self) -> pd.DataFrame:
        """Every metric of every benchmark and model, with floors and differences."""
        return tables.scores_table(model.scores for model in self.report.models if model.scores)

    @property
    def best(self) -> Choice | None:
        """The chosen model, by `publish.best`; None where the settings choose none or nothing was measured yet."""
        best = self.settings["publish"].get("best")
        if not best:
            return None
        return choose([model.scores for model in self.report.models if model.scores], best["benchmark"], best["metric"])

    @property
    def health(self) -> pd.DataFrame:
        """Every measure of the data of every round."""
        return tables.health_table(data.health for data in self.report.rounds if data.health)

    @property
    def alarms(self) -> pd.DataFrame:
        """Alarms that rang."""
        return tables.alarms_table(data.health for data in self.report.rounds if data.health)

    @property
    def costs(self) -> pd.DataFrame:
        """Tokens, seconds and GPU-hours of every stage."""
        return tables.costs_table(self.report.stages)

    def rows(self, i: int, keeps: str = "selected", rejected: bool = False) -> pd.DataFrame:
        """Return the rows of d_i, one a line.

        Parameters
        ----------
        i
            The round.
        keeps
            After which stage: prompts, outputs, filtered, evaluated, selected or pairs.
        rejected
            The rows that this stage rejected, with the rule in column `rule`, in place of those that it kept.

        Raises
        ------
        UserError
            There is no such stage, or it has not made its rows.
        """
        import pandas as pd

        return pd.DataFrame(list(read_rows(self.file_of(i, keeps, rejected))))

    def file_of(self, i: int, keeps: str, rejected: bool = False) -> Path:
        """Return the file of the rows of d_i; arguments and errors are those of `rows`."""
        if keeps not in stage_table().words.values():
            raise UserError(f"{keeps!r}: no stage keeps such rows (known: {', '.join(stage_table().words.values())})")
        name = f"d_{i}/{keeps}.rejected.jsonl" if rejected else f"d_{i}/{keeps}.jsonl"
        made = (path for stage in self.report.stages for path in stage.outputs if path.endswith(f"/{name}"))
        place = next((self._results.find(path) for path in made), None)
        if place is None or not place.is_file():
            raise UserError(f"{self._results.folder}: has no {name}; its stage has not run, or it rejects no rows")
        return place

    def write_tables(self, folder: str | Path) -> list[Path]:
        """Write every frame as `FRAME.csv` into a folder, each whole or not at all; return the files.

        Numbers have all their digits; what is not there is an empty cell.
        """
        return tables.write_frames({name: getattr(self, name) for name in FRAMES}, Path(folder))
