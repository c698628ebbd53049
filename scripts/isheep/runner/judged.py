"""The work of a stage that may ask the evaluation's own judge in place of iter_i."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from isheep.config.engine import Engine as EngineSettings
from isheep.config.evaluation import ModelJudge
from isheep.config.model import Model
from isheep.runner import stage

if TYPE_CHECKING:
    from isheep.stages.base import Stage


class ByOwnJudge(stage.Work):
    """Work whose model and engine are the own judge's where that is asked."""

    declared: ClassVar[Stage]
    """The stage's declaration, which says whom it asks."""

    @property
    def is_own_judge(self) -> bool:
        """Whether the evaluation's own judge is asked: the model that the stage runs is then no iter_i."""
        return self.declared.runs(self.run, self.job.round) is None

    @property
    def _judge(self) -> ModelJudge | None:
        return self.run.evaluation.own_judge if self.is_own_judge else None

    @property
    def engine(self) -> EngineSettings:
        """What runs the judge: its own engine, or the run's."""
        return (self._judge and self._judge.engine) or self.run.engine

    @property
    def model(self) -> Model:
        """The judge, or the run's model."""
        return (self._judge and self._judge.model) or self.run.model
