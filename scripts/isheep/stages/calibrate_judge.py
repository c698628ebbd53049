"""Stage calibrate_judge: the judge is tried on spoilt answers and on answers without skill, before it counts."""

from __future__ import annotations

from isheep.config.run import Run
from isheep.evaluation.judge_work import JudgeWork, files_of_judge, reads_of_judge, weights
from isheep.evaluation.judging import calibrate
from isheep.runner.dispatch import Send
from isheep.runner.stage import Made
from isheep.stages.base import Stage


def _files(run: Run) -> list[str]:
    judge = run.evaluation.judge
    return [*run.evaluation.files, *([judge.calibration.path] if judge else []), *files_of_judge(run)]


STAGE = Stage(
    "calibrate_judge",
    about="tries the judge on spoilt answers and answers without skill",
    place=101,
    folder="iter_{i}/evaluation",
    makes=("calibration.json",),
    of="once",
    settings=("seed", "model", "engine", "outputs.plain", "evaluation.benchmarks", "evaluation.judge"),
    reads=reads_of_judge,
    files=_files,
    weights=weights,
    machine="judge",
    present=lambda run: run.evaluation.is_judged,
    engine=True,
    does="evaluate",
)


class Work(JudgeWork):
    """Asks the judge about pairs whose better answer is known."""

    def requests(self, send: Send) -> None:
        """Send every pair in every form that the benchmarks use."""
        self.calibration = calibrate(self.run.evaluation, self.base_answers, self.to_judge(send), self.failures)

    def finish(self) -> Made:
        """Return whether the judge can judge."""
        return {"calibration": self.calibration}
