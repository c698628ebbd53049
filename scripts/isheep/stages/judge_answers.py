"""Stage judge_answers: the judge grades and compares what the model answered."""

from __future__ import annotations

from isheep.data.rows import read_rows
from isheep.evaluation.judge_work import JudgeWork, files_of_judge, reads_of_judge, weights
from isheep.evaluation.judging import judge
from isheep.runner.dispatch import Send
from isheep.runner.stage import Made
from isheep.stages.base import Read, Stage

STAGE = Stage(
    "judge_answers",
    about="has the judge grade and compare the answers of iter_i",
    place=102,
    folder="iter_{i}/evaluation",
    makes=("judgements.jsonl", "judging.json"),
    of="model",
    settings=("seed", "model", "engine", "outputs.plain", "evaluation.benchmarks", "evaluation.judge"),
    reads=lambda at: {"answers": Read("evaluate_model", at.i), **reads_of_judge(at)},
    files=lambda run: [*run.evaluation.files, *files_of_judge(run)],
    weights=weights,
    machine="judge",
    present=lambda run: run.evaluation.is_judged,
    engine=True,
    does="evaluate",
)


class Work(JudgeWork):
    """Asks the judge about the model's answers."""

    def requests(self, send: Send) -> None:
        """Send every answer, beside its rival where it has one."""
        rivals = self.base_answers if self.job.round else {}
        answers = list(read_rows(self.job.input.answers))
        self.judged = judge(self.run.evaluation, answers, rivals, self.to_judge(send), self.failures)

    def finish(self) -> Made:
        """Return the judge's replies."""
        rows, judging = self.judged
        return {"judging": judging, "rows": rows}
