"""Rule score_model: every benchmark's metrics with floors, intervals and differences; programs run in the sandbox."""

from isheep.data.files import read_json, write_json
from isheep.data.rows import read_rows, write_rows
from isheep.evaluation.scores import Earlier, Measured, score
from isheep.runner import job


def rows(file):
    """Return the rows of a file; none where there is none."""
    return list(read_rows(file)) if file else []


def report(file):
    """Return what is in a JSON file; None where there is none."""
    return read_json(file) if file else None


with job.of(snakemake) as this:
    given = this.input
    earlier = {
        other: Earlier(rows(given[f"{other}_items"]), report(given[f"{other}_harness"]))
        for other in ("base", "previous")
        if given[f"{other}_scores"]
    }
    measured = Measured(
        this.round,
        rows(given.answers),
        rows(given.base_answers),
        rows(given.judgements),
        report(given.judging) or {},
        report(given.calibration) or {},
        report(given.harness),
        earlier,
        report(given.base_scores),
    )
    scores, items = score(this.run.evaluation, measured, this.threads)
    write_rows(this.output.measures, items)
    write_json(this.output.scores, scores)
