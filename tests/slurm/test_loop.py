"""The whole loop through `snakemake --profile slurm`, and what SLURM's accounting has to say of it."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest
from places import PATIENCE, SlurmPlace
from workplace import FAKE, ROUND

pytestmark = pytest.mark.timeout(4 * PATIENCE)

SHARDS = {"generate_prompts": 4, "generate_outputs": 4, "assess_outputs": 4, "evaluate_model": 2}
RESOURCES = {
    "generate": {"gpus": 1, "cpus": 1, "mem_gib": 0.6, "minutes": 30},
    "assess": {"gpus": 1, "cpus": 2, "mem_gib": 0.7, "minutes": 40},
    "train": {"gpus": 2, "cpus": 3, "mem_gib": 0.8, "minutes": 50},
    "merge": {"gpus": 0, "cpus": 1, "mem_gib": 0.9, "minutes": 60},
    "score": {"gpus": 0, "cpus": 1, "mem_gib": 2, "minutes": 70},
}
LOOP = {
    **FAKE,
    "rounds": 2,
    "resources": RESOURCES,
    "evaluation": {
        "benchmarks": {"heldout": {"limit": 6, "max_tokens": 16}, "constraints": {"limit": 4, "max_tokens": 16}}
    },
}
# Two rounds: (partition, GPUs, cores, MB) and how many jobs. Stages that only gather or take seconds need no GPU; other
# rules run where Snakemake runs.
ASKED = {
    "identify_model": ("cpu", 0, 1, 921, 1),
    "generate_prompts_shard": ("gpu", 1, 1, 614, 8),
    "generate_prompts": ("gpu", 1, 1, 614, 2),
    "generate_outputs_shard": ("gpu", 1, 1, 614, 8),
    "outputs_filter_outputs_generate_outputs": ("cpu", 0, 1, 4096, 2),
    "assess_outputs_shard": ("gpu", 1, 2, 716, 8),
    "evaluated_assess_outputs_select_data": ("cpu", 0, 1, 4096, 2),
    "probe_data": ("gpu", 1, 2, 716, 2),
    "measure_data": ("cpu", 0, 1, 2000, 2),
    "train_adapter": ("gpu", 2, 3, 819, 2),
    "merge_model": ("cpu", 0, 1, 921, 2),
    "evaluate_model_shard": ("gpu", 1, 1, 614, 6),
    "evaluate_model": ("cpu", 0, 1, 4096, 3),
    "score_model": ("cpu", 0, 1, 2048, 3),
}
REAL = {
    **ROUND,
    "engine": {"name": "transformers", "context_length": 512},
    "prompts": {**ROUND["prompts"], "rows": 4, "shots": 1},
    "assess": {"discrimination": {"pairs": 1}},
    "resources": {kind: {"cpus": 1, "mem_gib": 5} for kind in ("generate", "assess", "train", "merge")},
}


def whole_loop(place: SlurmPlace, _: SlurmPlace) -> SlurmPlace:
    place.configure({"a": LOOP}, shards=SHARDS)
    place.driver = place.run()
    return place


def real_round(place: SlurmPlace, _: SlurmPlace) -> SlurmPlace:
    (folder := place.folder.with_name("local_round")).mkdir()
    place.local = SlurmPlace(folder)
    for one in (place, place.local):
        one.configure({"a": REAL})
    place.driver = place.run()
    # What it fetched; to convert the weights again would take longer than the round.
    shutil.copytree(place.folder / "models", folder / "models")
    place.local.run_locally()
    return place


@pytest.fixture(scope="module")
def local_loop(make_place) -> SlurmPlace:
    place = make_place("local_loop")
    place.configure({"a": LOOP})
    place.run_locally()
    return place


@pytest.mark.scenario(of=real_round)
def test_a_round_on_real_weights_ends_in_the_bytes_of_one_without_slurm(outcome):
    assert outcome.driver.code == 0, outcome.driver.text
    assert outcome.hashes() == outcome.local.hashes()
    assert (outcome.folder / "results/a/iter_1/model/model.safetensors").is_file()


@pytest.mark.scenario(of=real_round)
def test_a_model_whose_preset_asks_for_no_gpu_leaves_the_gpu_partition_alone(outcome):
    assert {(record.partition, record.gpus, record.state) for record in outcome.records()} == {("cpu", 0, "COMPLETED")}


@pytest.mark.scenario(of=whole_loop)
def test_the_loop_in_four_shards_ends_in_the_bytes_of_one_without_slurm(outcome, local_loop):
    assert outcome.driver.code == 0, outcome.driver.text
    assert outcome.hashes() == local_loop.hashes()
    assert (outcome.folder / "results/a/iter_2/model/model.safetensors").is_file()


@pytest.mark.scenario(of=whole_loop)
def test_every_job_ran_once_where_it_belongs_with_what_its_preset_asks_for(outcome):
    records = outcome.records()
    counted = Counter((r.rule, r.partition, r.gpus, r.cpus, r.memory_mb) for r in records)
    assert counted == {(rule, *asked): count for rule, (*asked, count) in ASKED.items()}
    assert {record.state for record in records} == {"COMPLETED"}
    assert len({record.id for record in records}) == len(records)
    assert all((record.partition == "gpu") == (record.gpus > 0) for record in records)


@pytest.mark.scenario(of=whole_loop)
def test_every_job_saw_the_gpus_that_it_asked_for(outcome):
    records = outcome.records()
    assert [outcome.devices(record) for record in records] == [{record.gpus} for record in records]
    engines = [line for line in outcome.logs().splitlines() if "GPUs asked for" in line]
    assert len(engines) >= 20 and all("GPUs asked for: 1, seen: 1" in line for line in engines)


@pytest.mark.scenario(of=whole_loop)
def test_shards_of_a_stage_run_side_by_side(outcome):
    shards = [record for record in outcome.records() if record.rule == "generate_outputs_shard"]
    assert any(one.start < other.end and other.start < one.end for one in shards for other in shards if one != other)


@pytest.mark.scenario(of=whole_loop)
def test_a_second_start_has_nothing_to_do(outcome):
    again = outcome.run()
    assert again.code == 0 and "Nothing to be done" in again.text
