"""Jobs, nodes and drivers that die under SLURM: runs end right by themselves or with one clear line, in equal bytes.

A scenario stages one fault in a folder of its own while others do the same beside it; tests look at what came of it.
"""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest
from places import PATIENCE, SlurmPlace, faulty, only_partition

pytestmark = pytest.mark.timeout(4 * PATIENCE)
PROMPTS, FILTERED = "results/a/d_0/prompts.jsonl", "results/a/d_0/filtered.jsonl"
UNTIL_PROMPTS = ("--until", "generate_prompts")
UNTIL_FILTERED = ("--until", "filter_outputs")
WAITING = "another process still writes here; waiting for it to end"


def scontrol(*arguments: str) -> None:
    subprocess.run(["scontrol", *arguments], check=True, capture_output=True, text=True)


def wait_for_work(driver, entries: int = 3) -> tuple[str, str]:
    """Wait until a job has answered some requests; return its id and node."""
    driver.until(lambda: len(driver.place.entries()) >= entries, "requests were answered")
    return driver.place.jobs()[0]


def same_prompts(place: SlurmPlace, undisturbed: SlurmPlace) -> bool:
    """Whether the prompts are those of an undisturbed run, and no request was answered twice on the way."""
    bytes_equal = (place.folder / PROMPTS).read_bytes() == (undisturbed.folder / PROMPTS).read_bytes()
    return bytes_equal and sorted(place.entries()) == sorted(undisturbed.entries())


def tell(place: SlurmPlace, driver, **more: object) -> SimpleNamespace:
    return SimpleNamespace(place=place, text=driver.text, code=driver.code, records=place.records(), **more)


def of_rule(story: SimpleNamespace, rule: str = "generate_prompts") -> list:
    return [record for record in story.records if record.rule == rule]


# Scenarios -----------------------------------------------------------------------------------------------------------


def time_limit(place, undisturbed):
    place.begin_as(undisturbed)
    place.configure({"a": faulty(delay_ms=9000, minutes=1)})
    with place.start(*UNTIL_PROMPTS, "--retries", "5") as driver:
        driver.wait()
        return tell(place, driver)


def cancelled(place, undisturbed):
    place.begin_as(undisturbed)
    place.configure({"a": faulty(delay_ms=1500)})
    with place.start(*UNTIL_PROMPTS) as driver:
        job, _ = wait_for_work(driver)
        subprocess.run(["scancel", job], check=True)
        driver.wait()
        return tell(place, driver, job=job)


def out_of_memory(place, undisturbed):
    place.begin_as(undisturbed)
    # Not even Snakemake fits into 150 MB.
    place.configure({"a": faulty(mem_gib=0.15)})
    with place.start(*UNTIL_PROMPTS, "--retries", "3") as driver:
        driver.wait()
        return tell(place, driver)


def node_drained(place, undisturbed):
    place.begin_as(undisturbed)
    place.configure({"a": faulty(delay_ms=1500)})
    with place.start(*UNTIL_FILTERED, *only_partition(place, "drain")) as driver:
        _, node = wait_for_work(driver)
        scontrol("update", f"nodename={node}", "state=drain", "reason=test")
        try:
            driver.wait()
        finally:
            scontrol("update", f"nodename={node}", "state=resume")
        return tell(place, driver, node=node)


def node_down(place, undisturbed):
    place.begin_as(undisturbed)
    place.configure({"a": faulty(delay_ms=1500)})
    with place.start(*UNTIL_PROMPTS, *only_partition(place, "down")) as driver:
        _, node = wait_for_work(driver)
        scontrol("update", f"nodename={node}", "state=down", "reason=test")
        try:
            driver.wait()
        finally:
            scontrol("update", f"nodename={node}", "state=resume")
        return tell(place, driver, node=node)


def requeued(place, undisturbed):
    place.begin_as(undisturbed)
    place.configure({"a": faulty(delay_ms=1500)})
    with place.start(*UNTIL_PROMPTS) as driver:
        job, _ = wait_for_work(driver)
        scontrol("requeue", job)
        driver.wait()
        return tell(place, driver, job=job)


def driver_killed(place, undisturbed):
    place.begin_as(undisturbed)
    place.configure({"a": faulty(delay_ms=2000)}, shards={"generate_prompts": 2})
    with place.start(*UNTIL_PROMPTS) as first:
        first.until(lambda: len(place.jobs()) == 2, "both shards run")
        wait_for_work(first, entries=2)
        first.kill()
    # Frozen, the jobs are still there when the new driver comes, however slow this machine is.
    place.freeze()
    left = [job for job, _ in place.jobs()]
    place.run("--unlock")
    place.configure({"a": faulty()}, shards={"generate_prompts": 2})
    with place.start(*UNTIL_PROMPTS) as driver:
        driver.wait()
        return tell(place, driver, left=left)


def unseen_orphan(place, undisturbed):
    place.begin_as(undisturbed)
    place.configure({"a": faulty(delay_ms=2000)})
    with place.start(*UNTIL_PROMPTS) as first:
        wait_for_work(first, entries=2)
        first.kill()
    place.freeze()
    place.run("--unlock")
    # Without hooks the new driver does not look for jobs of the old one.
    with place.start(*UNTIL_PROMPTS, "--no-hooks") as driver:
        driver.until(lambda: WAITING in place.logs("**/generate_prompts"), "the new job waits")
        place.freeze(False)
        driver.wait()
        return tell(place, driver)


def wrong_gpus(place, undisturbed):
    place.begin_as(undisturbed)
    place.configure({"a": faulty()})
    (place.folder / ".wrong-gpus").write_text("0,1")
    with place.start(*UNTIL_PROMPTS, "--retries", "0") as driver:
        driver.wait()
        story = tell(place, driver, entries=len(place.entries()))
    (place.folder / ".wrong-gpus").unlink()
    story.mended = place.run(*UNTIL_PROMPTS).wait()
    return story


def too_many_gpus(place, undisturbed):
    place.begin_as(undisturbed)
    place.configure({"a": faulty(gpus=3)})
    with place.start(*UNTIL_PROMPTS, "--retries", "0") as driver:
        driver.wait()
        return tell(place, driver)


# What came of them ---------------------------------------------------------------------------------------------------


@pytest.mark.scenario(of=time_limit)
def test_after_the_time_limit_the_retry_gets_twice_the_time_and_goes_on(outcome, undisturbed):
    assert outcome.code == 0, outcome.text
    states = [record.state for record in of_rule(outcome)]
    assert states[0] == "TIMEOUT" and states[-1] == "COMPLETED"
    assert same_prompts(outcome.place, undisturbed)


@pytest.mark.scenario(of=cancelled)
def test_a_cancelled_job_is_sent_again_and_goes_on(outcome, undisturbed):
    assert outcome.code == 0, outcome.text
    assert [record.state for record in of_rule(outcome)] == ["CANCELLED", "COMPLETED"]
    assert f"SLURM-job '{outcome.job}' failed, SLURM status is: 'CANCELLED'" in outcome.text
    assert same_prompts(outcome.place, undisturbed)


@pytest.mark.scenario(of=out_of_memory)
def test_after_running_out_of_memory_the_retry_gets_twice_the_memory(outcome, undisturbed):
    assert outcome.code == 0, outcome.text
    states = [record.state for record in of_rule(outcome)]
    assert len(states) > 1 and states[-1] == "COMPLETED" and "COMPLETED" not in states[:-1]
    assert "Exceeded job memory limit" in outcome.text
    assert same_prompts(outcome.place, undisturbed)


@pytest.mark.scenario(of=node_drained)
def test_a_job_on_a_drained_node_ends_there_and_the_next_goes_elsewhere(outcome, undisturbed):
    assert outcome.code == 0, outcome.text
    assert [(record.node, record.state) for record in of_rule(outcome)] == [(outcome.node, "COMPLETED")]
    after = of_rule(outcome, "outputs_filter_outputs_generate_outputs")
    assert [record.state for record in after] == ["COMPLETED"] and after[0].node not in ("", outcome.node)
    assert same_prompts(outcome.place, undisturbed)
    assert (outcome.place.folder / FILTERED).read_bytes() == (undisturbed.folder / FILTERED).read_bytes()


@pytest.mark.scenario(of=node_down)
def test_a_job_on_a_dead_node_is_queued_again_by_slurm_and_goes_on_elsewhere(outcome, undisturbed):
    assert outcome.code == 0, outcome.text
    first, *_, last = of_rule(outcome)
    assert (first.node, first.state) == (outcome.node, "NODE_FAIL")
    assert last.id == first.id and last.state == "COMPLETED" and last.node != outcome.node
    assert same_prompts(outcome.place, undisturbed)


@pytest.mark.scenario(of=requeued)
def test_a_requeued_job_goes_on_under_its_old_id(outcome, undisturbed):
    assert outcome.code == 0, outcome.text
    assert [(record.id, record.state) for record in of_rule(outcome)] == [
        (outcome.job, "REQUEUED"),
        (outcome.job, "COMPLETED"),
    ]
    assert same_prompts(outcome.place, undisturbed)


@pytest.mark.scenario(of=driver_killed)
def test_a_new_driver_ends_the_jobs_of_a_killed_one_and_goes_on_from_their_work(outcome, undisturbed):
    assert outcome.code == 0, outcome.text
    assert len(outcome.left) == 2
    assert "SLURM still holds jobs of an earlier start in this folder" in outcome.text
    assert all(job in outcome.text for job in outcome.left)
    states = {record.id: record.state for record in of_rule(outcome, "generate_prompts_shard")}
    assert [states.pop(job) for job in outcome.left] == ["CANCELLED"] * 2
    assert list(states.values()) == ["COMPLETED"] * 2
    assert same_prompts(outcome.place, undisturbed)


@pytest.mark.scenario(of=unseen_orphan)
def test_a_job_waits_for_an_orphan_that_still_writes_and_repeats_nothing(outcome, undisturbed):
    assert outcome.code == 0, outcome.text
    assert [record.state for record in of_rule(outcome)] == ["COMPLETED"] * 2
    assert same_prompts(outcome.place, undisturbed)


@pytest.mark.scenario(of=wrong_gpus)
def test_a_node_that_shows_other_gpus_than_asked_for_stops_the_job_in_one_line(outcome, undisturbed):
    assert outcome.code == 1
    assert "asked for 1 GPU, the job sees 2 (CUDA_VISIBLE_DEVICES is '0,1')" in outcome.text
    assert "Traceback" not in outcome.text and outcome.entries == 0
    assert outcome.mended == 0
    assert same_prompts(outcome.place, undisturbed)


@pytest.mark.scenario(of=too_many_gpus)
def test_more_gpus_than_any_node_has_are_refused_when_submitted(outcome):
    assert outcome.code == 1
    assert "Requested node configuration is not available" in outcome.text
    assert not [record for record in of_rule(outcome) if record.node.startswith("gpu")]
    assert "Traceback" not in outcome.text
