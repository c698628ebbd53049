"""What the terminal shows of a run, from records as Snakemake makes them."""

from __future__ import annotations

import io
import logging
from types import SimpleNamespace

import pytest
from snakemake.logging import ColorizingTextHandler
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.common import LogEvent

from isheep.runner.progress import CLEAR, LIVE, LiveHandler
from isheep.workflow import screen

LAST = "WorkflowError:\nAt least one job did not complete successfully."


class Run:
    """A screen, and what was written on it."""

    def __init__(self, **options) -> None:
        self.written: list[str] = []
        self.screen = screen.Screen(self.written.append, **options)
        self.logger = logging.Logger("snakemake-like", logging.INFO)
        self.logger.addHandler(self.screen)

    def say(self, message, event=None, level=logging.INFO, **extra) -> None:
        self.logger.log(level, message, extra={"event": event, **extra} if event else extra)

    def job(self, number: int, rule: str, log: list[str] | None = None, **wildcards) -> None:
        about = {"rule_name": rule, "wildcards": wildcards, "jobid": number, "log": log or [], "rule_msg": None}
        self.say(f"Rule: {rule}", LogEvent.JOB_INFO, **about)

    def finish(self, number: int, done: int, total: int) -> None:
        self.say(f"Finished jobid: {number}", LogEvent.JOB_FINISHED, job_id=number)
        self.say(None, LogEvent.PROGRESS, done=done, total=total)

    def fail(self, number: int, log: list[str], message: str | None = None) -> None:
        about = {"rule_name": "x", "jobid": number, "log": log, "rule_msg": message}
        self.say("Error in rule", LogEvent.JOB_ERROR, logging.ERROR, **about)

    def error(self, text: str, kind: str = "WorkflowError") -> None:
        self.say(text, LogEvent.ERROR, logging.ERROR, exception=kind)

    @property
    def lines(self) -> list[str]:
        return "".join(self.written).splitlines()


@pytest.fixture
def run():
    return Run()


def log(tmp_path, *lines: str) -> str:
    file = tmp_path / "stage.log"
    file.write_text("".join(f"{line}\n" for line in lines))
    return str(file)


def test_a_job_is_named_by_run_round_and_stage_and_how_far_the_run_is(run):
    run.job(4, "generate_outputs_shard", run="a", i="1", shard="2", shards="8")
    run.finish(4, 3, 41)
    started, done = run.lines
    assert started[9:] == "a round 1 generate_outputs shard 2 of 8: started"
    assert done[9:] == "a round 1 generate_outputs shard 2 of 8: done in 0 s (3 of 41 jobs done)"


def test_snakemakes_bookkeeping_is_not_shown_and_warnings_and_unknown_lines_are(run):
    for line in ("Building DAG of jobs...", "Select jobs to execute...", "Execute 1 jobs...", "Using shell: /bin/bash"):
        run.say(line)
    run.say("Provided cores: 2", LogEvent.RESOURCES_INFO)
    assert run.lines == []
    run.say("Nothing to be done (all requested files are present and up to date).")
    run.say("config changed", level=logging.WARNING)
    assert run.lines[0].endswith("Nothing to be done (all requested files are present and up to date).")
    assert run.lines[1] == "config changed"


def test_what_a_failed_job_said_stands_last(run, tmp_path):
    said = log(tmp_path, "08:00:00 isheep.runner.job: failed: 3 rows, fewer than select.floor (4) (log: stage.log)")
    run.job(7, "select_data", [said], run="a", i="0")
    run.job(8, "freeze_config", run="a")
    run.error(
        f"CalledProcessError in file x.smk:\nCommand '...' returned non-zero exit status 1. {said}", "RuleException"
    )
    run.fail(7, [said])
    run.finish(8, 1, 9)
    run.say("Exiting because a job execution failed. Look above for error messages", level=logging.ERROR)
    run.error(LAST)
    assert run.lines[-1].startswith("a round 0 select_data failed: 3 rows, fewer than select.floor (4)")
    assert "1 of 9 jobs are done" in run.lines[-2] and "kept" in run.lines[-2]
    assert not any("CalledProcessError" in line or "Exiting" in line for line in run.lines)


def test_a_fault_is_told_with_the_last_line_of_its_traceback(run, tmp_path):
    lines = ("08:00:00 isheep.x: 3 to do", "08:00:01 isheep.runner.job: failed; this is a fault of the workflow")
    said = log(tmp_path, *lines, "Traceback (most recent call last):", '  File "x.py", line 3', "ValueError: no such k")
    run.job(7, "merge_model", [said], run="a", i="2")
    run.fail(7, [said])
    run.error(LAST)
    assert run.lines[-1].startswith(
        "a round 2 merge_model failed: this is a fault of the workflow: ValueError: no such k"
    )


def test_a_job_that_was_killed_is_told_with_the_signal_and_its_log(run, tmp_path):
    said = log(tmp_path, "08:00:00 isheep.runner.dispatch: 9 requests: 0 already done, 9 to do")
    run.job(7, "generate_outputs", [said], run="a", i="0")
    run.error("CalledProcessError in file x:\nCommand 'x' died with <Signals.SIGKILL: 9>.", "RuleException")
    run.fail(7, [said])
    run.error(LAST)
    assert "generate_outputs failed: killed (SIGKILL; often the machine had no memory left)" in run.lines[-1]
    assert said in run.lines[-1]


def test_a_job_that_succeeds_at_its_second_try_is_no_failure(run, tmp_path):
    run.job(7, "judge_answers", run="a", i="0")
    run.job(9, "select_data", run="a", i="0")
    run.fail(7, [], "SLURM-job '12' failed, SLURM status is: 'NODE_FAIL'")
    run.say("Trying to restart job 7.")
    run.finish(7, 1, 2)
    run.fail(9, [], "SLURM-job '13' failed")
    run.error(LAST)
    told = "\n".join(run.lines)
    assert "judge_answers: failed: SLURM-job '12' failed, SLURM status is: 'NODE_FAIL'" in told
    assert "judge_answers: tried again" in told
    assert [line for line in run.lines if " failed: " in line and line.startswith("a ")] == [
        "a round 0 select_data failed: SLURM-job '13' failed"
    ]


def test_the_log_of_a_job_that_ran_elsewhere_is_shown(tmp_path):
    run = Run(with_logs=True)
    said = log(tmp_path, "08:00:00 isheep.runner.job: failed: no memory", "slurmstepd: Exceeded job memory limit")
    run.job(7, "generate_outputs", [said], run="a", i="0")
    run.fail(7, [said])
    assert "slurmstepd: Exceeded job memory limit" in run.lines


def test_control_c_ends_in_one_line_that_says_what_is_kept(run, tmp_path):
    run.job(7, "generate_outputs", run="a", i="0")
    run.say("Terminating processes on user request, this might take some time.")
    run.error("RuleException:\nCalledProcessError: died with <Signals.SIGINT: 2>.", "RuleException")
    run.fail(7, [])
    run.error(LAST)
    assert run.lines[1].endswith("stopping") and len(run.lines) == 3
    assert run.lines[2].startswith("stopped by you after 0 s: 0 of 0 jobs are done; ")
    assert run.lines[2].endswith("the same command goes on from there")


def test_a_users_mistake_stands_alone(run):
    place = '"/x/rules/common.smk", line 55'
    run.error(
        f"WorkflowError in file {place}:\na.yaml: 1 problem\n  a.yaml:2: runs.a.rouds\n  File {place}, in <module>"
    )
    assert run.lines == ["a.yaml: 1 problem", "  a.yaml:2: runs.a.rouds"]


def snakemakes(quiet, **more):
    """Snakemake's logger with its own handler, and as much of its workflow as is looked at."""
    logger = logging.Logger("snakemake-like", logging.INFO)
    handler = ColorizingTextHandler(nocolor=True, stream=io.StringIO())
    handler.name = "DefaultStreamHandler"
    logger.addHandler(handler)
    asked = {"verbose": False, "debug_dag": False, "printshellcmds": False, "show_failed_logs": False, "dryrun": False}
    settings = SimpleNamespace(quiet=quiet, **{**asked, **{key: more[key] for key in more if key in asked}})
    modifier = SimpleNamespace(parent_modifier=more.get("imported_by"))
    mode = SimpleNamespace(name=more.get("mode", "DEFAULT"))
    return logger, handler, SimpleNamespace(output_settings=settings, modifier=modifier, exec_mode=mode)


def test_the_screen_takes_over_what_the_profile_asks_for():
    logger, _, workflow = snakemakes({Quietness.RULES, Quietness.HOST})
    screen.begin(workflow, logger, str)
    assert [type(each) for each in logger.handlers] == [screen.Screen]


@pytest.mark.parametrize(
    ("quiet", "more"),
    [
        ({Quietness.HOST}, {}),
        (None, {}),
        ({Quietness.ALL}, {}),
        ({Quietness.RULES, Quietness.PROGRESS}, {}),
        ({Quietness.RULES}, {"verbose": True}),
        ({Quietness.RULES}, {"printshellcmds": True}),
        ({Quietness.RULES}, {"mode": "REMOTE"}),
        ({Quietness.RULES}, {"imported_by": object()}),
    ],
    ids=["host", "none", "all", "progress", "verbose", "shell commands", "a job", "imported"],
)
def test_snakemakes_own_output_stays_where_it_is_asked_for(quiet, more):
    logger, handler, workflow = snakemakes(quiet, **more)
    screen.begin(workflow, logger, str)
    assert logger.handlers == [handler]


def test_a_dry_run_is_followed_by_its_plan():
    logger, handler, workflow = snakemakes({Quietness.RULES}, dryrun=True)
    screen.begin(workflow, logger, lambda: "the plan")
    logger.info("job count")
    logger.info("This was a dry-run (flag -n). The order of jobs")
    assert handler.stream.getvalue().splitlines() == [
        "job count",
        "the plan",
        "This was a dry-run (flag -n). The order of jobs",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "written"),
    [(io.StringIO(), "first\nsecond\n"), (Terminal(), f"{CLEAR}first\n{CLEAR}3 of 9{CLEAR}second\n")],
    ids=["file", "terminal"],
)
def test_a_live_line_is_for_terminals_alone_and_gives_way_to_the_next(stream, written):
    logger = logging.Logger("job-like", logging.INFO)
    logger.addHandler(LiveHandler(stream))
    logger.info("first")
    logger.info("3 of 9", extra={LIVE: True})
    logger.info("second")
    assert stream.getvalue() == written


def test_a_users_mistake_stands_alone_in_a_dry_run_too():
    logger, handler, workflow = snakemakes({Quietness.RULES}, dryrun=True)
    screen.begin(workflow, logger, str)
    place = '"/x/rules/common.smk", line 55'
    logger.error(f"WorkflowError in file {place}:\na.yaml: 1 problem", extra={"event": LogEvent.ERROR})
    assert handler.stream.getvalue() == "a.yaml: 1 problem\n"
