"""One machine with eight (made-up) GPUs and no scheduler: shards run beside each other, each on devices of its own."""

from __future__ import annotations

import os
import re
import subprocess

from workplace import FAKE, REPOSITORY

SHARDS = 8
EIGHT = ",".join(map(str, range(SHARDS)))


def snakemake(place, folder, *arguments):
    profile = str(REPOSITORY / "profiles" / "workstation")
    command = [part for part in place.command(*arguments) if part != str(REPOSITORY / "profiles" / "default")]
    command.insert(command.index("--profile") + 1, profile)
    command[command.index("--cores") + 1] = str(SHARDS)
    environment = {key: value for key, value in os.environ.items() if key != "SLURM_JOB_ID"}
    environment |= {"CUDA_VISIBLE_DEVICES": EIGHT, "TMPDIR": str(folder)}
    return subprocess.run(
        command, cwd=place.folder, env=environment, text=True, capture_output=True, timeout=900, check=False
    )


def test_eight_shards_run_on_eight_devices_at_once(workplace, tmp_path):
    place = workplace()
    run = FAKE | {
        "rounds": 1,
        "engine": {"name": "fake", "misbehave": {"delay_ms": 5000}},
        "resources": {"generate": {"gpus": 1, "cpus": 1, "mem_gib": 0.1}},
    }
    place.configure({"a": run}, shards={"generate_prompts": SHARDS})
    done = snakemake(place, tmp_path, "--until", "generate_prompts_shard")
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"generate_prompts shard \d of 8: (started|done)", done.stdout + done.stderr)
    assert shown == ["started"] * SHARDS + ["done"] * SHARDS
    logs = [file.read_text() for file in sorted(place.folder.glob("logs/a/d_0/generate_prompts_shard/*-of-8.log"))]
    leased = [re.findall(r"GPU lease: (\d) of 0,1,2,3,4,5,6,7\n", log) for log in logs]
    assert len(leased) == SHARDS and all(len(devices) == 1 for devices in leased)
    # How many at the same moment hangs on how fast jobs start; tests/unit/test_leases.py holds all eight at once.
    assert len({devices[0] for devices in leased}) > 1
