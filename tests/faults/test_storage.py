"""Processes and disks: what a crash, a full disk or a second driver may do to a run."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from zlib import crc32

import pytest
from harness import ANSWERING, Kill, small

OUTPUTS = "results/a/d_0/outputs.jsonl"


def line(entry: dict) -> bytes:
    """Return a journal line that is whole."""
    body = json.dumps(entry).encode()
    return b"%08x %s\n" % (crc32(body), body)


def wait(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def fill(folder) -> None:
    """Leave no room on a folder's disk."""
    disk = os.statvfs(folder)
    (folder / "ballast").write_bytes(bytes(disk.f_bavail * disk.f_frsize))


def redo(place) -> str:
    """Take away the outputs, but not their journal, and make them again."""
    (place.folder / OUTPUTS).unlink()
    return place.finish(OUTPUTS)


# Journals ------------------------------------------------------------------------------------------------------------


def test_torn_journal(finished, undisturbed):
    (file,) = finished.journals("generate_outputs")
    file.write_bytes(file.read_bytes()[:-30])
    said = redo(finished)
    assert "1 damaged lines; those requests are done again" in said
    assert "12 requests: 11 already done, 1 to do" in said
    assert finished.hashes() == undisturbed.hashes()


def test_zero_byte_journal(finished, undisturbed):
    (file,) = finished.journals("generate_outputs")
    file.write_bytes(b"")
    assert "12 requests: 0 already done, 12 to do" in redo(finished)
    assert finished.hashes() == undisturbed.hashes()


def test_journal_full_of_nul_bytes(finished, undisturbed):
    (file,) = finished.journals("generate_outputs")
    file.write_bytes(bytes(file.stat().st_size))
    said = redo(finished)
    assert "not a journal of this stage and settings; ignored" in said
    assert "12 requests: 0 already done, 12 to do" in said
    assert finished.hashes() == undisturbed.hashes()


def test_journal_with_another_fingerprint(finished, undisturbed):
    (file,) = finished.journals("generate_outputs")
    entries = file.read_bytes().splitlines(keepends=True)[1:]
    lie = [json.loads(entry.partition(b" ")[2]) for entry in entries]
    for entry in lie:
        entry["result"]["text"] = "an answer of another model"
    file.write_bytes(line({"fingerprint": "0" * 64}) + b"".join(map(line, lie)))
    assert "12 requests: 0 already done, 12 to do" in redo(finished)
    assert finished.hashes() == undisturbed.hashes()


def test_config_changed_between_two_starts(finished):
    settings = small()
    settings["engine"] = {"context_length": 1024}
    finished.configure({"a": settings})
    said = finished.finish("--until", "generate_outputs")
    # Another engine setting is another work folder: what the old one holds is neither used nor lost.
    assert said.count(" 0 already done") == 2
    assert len(finished.journals("generate_outputs")) == 2


# Processes -----------------------------------------------------------------------------------------------------------


def test_killed_job_with_retries_goes_on_by_itself(place, undisturbed):
    kill = Kill("generate_outputs", "line", 5, "job")
    (place.faults / "plan.json").write_text(json.dumps({**kill.__dict__, "note": kill.note}))
    said = place.finish("--retries", "1")
    assert (place.faults / "fired").exists()
    assert "12 requests: 5 already done, 7 to do" in said
    assert place.hashes() == undisturbed.hashes()


def test_killed_driver_leaves_a_lock_that_the_message_names(place, undisturbed):
    kill = Kill("generate_outputs", "line", 5, "both")
    (place.faults / "plan.json").write_text(json.dumps({**kill.__dict__, "note": kill.note}))
    assert place.run()[0] == -signal.SIGKILL
    said = place.fail()
    assert "Directory cannot be locked" in said and "--unlock" in said
    place.finish("--unlock")
    assert "12 requests: 5 already done, 7 to do" in place.finish()
    assert place.hashes() == undisturbed.hashes()


def test_interrupted_driver_keeps_its_work(place, undisturbed):
    place.configure({"a": small(engine={"misbehave": {"delay_ms": 150}})})
    driver = place.start()
    wait(lambda: place.entries("generate_outputs") >= 2)
    os.killpg(driver.pid, signal.SIGTERM)
    assert driver.wait(60) != 0
    assert not (place.folder / OUTPUTS).exists()
    kept = place.entries("generate_outputs")
    assert kept >= 2
    place.configure({"a": small()})
    place.unlock()
    said = place.finish()
    assert f"12 requests: {place.entries('generate_outputs') - (12 - kept)} already done" in said
    assert place.hashes() == undisturbed.hashes()


@pytest.mark.slow
def test_two_drivers_at_once(place, undisturbed):
    place.configure({"a": small(engine={"misbehave": {"delay_ms": 200}})})
    first = place.start()
    wait(lambda: place.entries("generate_outputs") >= 1)
    output = (place.faults / "output.txt").rename(place.faults / "first.txt")
    assert "Directory cannot be locked" in place.fail()
    assert first.wait(300) == 0, output.read_text()
    assert place.hashes() == undisturbed.hashes()
    for stage in ANSWERING:
        assert len(place.answered(stage)) == len(set(place.answered(stage)))


def test_engine_that_dies_again_and_again(place, undisturbed):
    place.configure({"a": small(engine={"misbehave": {"crash_after": 8}})})
    said = place.finish("--retries", "12")
    assert "12 requests: 8 already done, 4 to do" in said
    assert place.hashes() == undisturbed.hashes()
    for stage in ANSWERING:
        assert sorted(place.answered(stage)) == sorted(undisturbed.answered(stage))


def test_snakemakes_notes_of_another_version_or_none(finished):
    shutil.rmtree(finished.folder / ".snakemake")
    assert "Nothing to be done" in finished.finish("--rerun-triggers", "mtime")


def test_damaged_notes_of_snakemake(finished, undisturbed):
    for note in (finished.folder / ".snakemake/metadata").rglob("*"):
        if note.is_file():
            note.write_bytes(b"")
    finished.finish()
    assert finished.hashes() == undisturbed.hashes()
    # What is made again comes out of the journals.
    assert finished.answered("generate_outputs") == undisturbed.answered("generate_outputs")


# Disks ---------------------------------------------------------------------------------------------------------------


def test_disk_full_at_the_journal(place, undisturbed, small_disk):
    work = place.folder / "results/a/d_0/.work"
    small_disk(work, "size=16k")
    said = place.fail()
    assert "No space left on device" in said and "what was finished is kept: free some space, then start again" in said
    assert "results/a/d_0/.work/" in said
    assert place.entries("generate_prompts") > 0
    small_disk(work, "size=4m")
    place.finish()
    assert place.hashes() == undisturbed.hashes()
    answers = sum(len(place.answered(stage)) for stage in ANSWERING)
    assert answers - sum(len(undisturbed.answered(stage)) for stage in ANSWERING) <= 1


def test_disk_full_at_publish(finished, undisturbed, small_disk):
    results = finished.folder / "results/a/d_0"
    shutil.copytree(results, finished.folder / "kept")
    small_disk(results, "size=4m")
    shutil.copytree(finished.folder / "kept", results, dirs_exist_ok=True)
    (results / "outputs.jsonl").unlink()
    before = (results / "prompts.jsonl").read_bytes()
    fill(results)
    said = finished.fail(OUTPUTS)
    # Whichever of the stage's files is the first that does not fit.
    assert re.search(r"results/a/d_0/outputs\.\S+: No space left on device; free some space, then start again", said)
    assert not (results / "outputs.jsonl").exists() and finished.leftovers() == []
    assert (results / "prompts.jsonl").read_bytes() == before
    (results / "ballast").unlink()
    assert "12 requests: 12 already done, 0 to do" in finished.finish(OUTPUTS)
    assert finished.hashes()[OUTPUTS] == undisturbed.hashes()[OUTPUTS]


@pytest.mark.slow
def test_disk_full_at_merge(finished, undisturbed, small_disk):
    results = finished.folder / "results/a/iter_1"
    shutil.copytree(results, finished.folder / "kept")
    small_disk(results, "size=1m")
    shutil.copytree(finished.folder / "kept", results, dirs_exist_ok=True)
    shutil.rmtree(results / "model")
    for name in ("merging.json", "identity.json", "records/merge_model.json"):
        (results / name).unlink()
    fill(results)
    said = finished.fail("--forcerun", "merge_model")
    assert "results/a/iter_1/model: No space left on device" in said
    assert not (results / "model").exists() and finished.leftovers() == []
    (results / "ballast").unlink()
    finished.finish()
    assert finished.hashes() == undisturbed.hashes()


def test_too_little_space_for_a_merge_is_told_beforehand(tmp_path, small_disk):
    from isheep.errors import UserError
    from isheep.training.checks import check_free_space

    numpy = pytest.importorskip("safetensors.numpy")
    import numpy as np

    (tmp_path / "base").mkdir()
    numpy.save_file({"weight": np.zeros((512, 512), dtype=np.float16)}, tmp_path / "base/model.safetensors")
    small_disk(tmp_path / "disk", "size=512k")
    with pytest.raises(UserError, match=r"no space left for the merged model: it needs 0\.00 GiB \(0\.3 M parameters"):
        check_free_space(tmp_path / "base", tmp_path / "disk/iter_1/model", "float32")
    small_disk(tmp_path / "disk", "size=2m")
    check_free_space(tmp_path / "base", tmp_path / "disk/iter_1/model", "float32")


@pytest.mark.slow
def test_read_only_folder(place, undisturbed, small_disk):
    results = place.folder / "results"
    small_disk(results, "size=8m")
    place.finish("--until", "generate_prompts")
    small_disk(results, "ro")
    code, said = place.run()
    assert code != 0
    assert "Read-only file system" in said and "results/a/" in said
    small_disk(results, "rw")
    place.unlock()
    place.finish()
    assert place.hashes() == undisturbed.hashes()


# Clocks --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_touched_seeds(finished):
    seeds = finished.folder / "seeds.jsonl"
    shutil.copy(finished.folder / "config/seeds/isheep.jsonl", seeds)
    finished.configure({"a": small(seeds={"path": "seeds.jsonl"})})
    finished.finish()
    later = time.time() + 3600
    os.utime(seeds, (later, later))
    assert "Nothing to be done" in finished.finish()
    seeds.write_text("\n".join(seeds.read_text().splitlines()[:-1]) + "\n")
    assert "generate_prompts" in finished.finish("--dry-run")


@pytest.mark.slow
def test_clock_skew_and_reversed_times(finished, undisturbed):
    files = [path for path in (finished.folder / "results/a/d_0").rglob("*.json*") if "/." not in str(path)]
    # The first results become the newest, as when folders are copied or a node's clock is wrong; all become older than
    # the workflow's own files, as after a checkout.
    long_ago = time.time() - 10**8
    for age, path in enumerate(sorted(files, key=lambda path: path.stat().st_mtime)):
        os.utime(path, (long_ago - 60 * age, long_ago - 60 * age))
    said = finished.finish()
    assert "Nothing to be done" in said
    assert finished.hashes() == undisturbed.hashes()
