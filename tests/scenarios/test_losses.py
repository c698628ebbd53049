"""Files deleted between two starts: what is lost is made again, and nothing else."""

from __future__ import annotations

import shutil

from starts import Scenario, settings


def test_lost_files_are_made_again_and_wake_nobody(place: Scenario) -> None:
    before = place.hashes()
    for name in ("d_0/filtered.rejected.jsonl", "d_1/outputs.jsonl", "ro-crate-metadata.json"):
        place.path(name).unlink()
    shutil.rmtree(place.path("iter_2/model"))
    done = place.start()
    assert done.jobs == {"filter_outputs": 1, "generate_outputs": 1, "merge_model": 1} and done.asked == 0
    assert place.hashes() == before and place.path("ro-crate-metadata.json").is_file()
    assert "verified:" in place.start("verify").said


def test_a_model_deleted_to_save_space_costs_its_merge_when_a_benchmark_wants_it(place: Scenario) -> None:
    before = place.hashes("results/a/d_*/[!h]*")
    shutil.rmtree(place.path("iter_1/model"))
    assert not place.start().jobs
    more = {"heldout": {"limit": 2, "max_tokens": 16}, "constraints": {"limit": 2, "max_tokens": 16}}
    place.configure({"a": settings(evaluation={"benchmarks": more})})
    done = place.start()
    assert done.jobs == {"merge_model": 1, "evaluate_model": 3, "score_model": 3, "measure_data": 2}, (
        "measure_data looks for the new benchmark's questions in the data"
    )
    assert done.asked == 3 * 2, "two questions of the new benchmark to each of three models"
    assert place.hashes("results/a/d_*/[!h]*") == before


def test_a_lost_training_is_given_back(place: Scenario) -> None:
    before = place.hashes("results/a/iter_*/*")
    shutil.rmtree(place.path("iter_1/adapter"))
    place.path("iter_1/training.json").unlink()
    done = place.start()
    assert done.jobs == {"train_adapter": 1} and done.given_back == 1
    assert place.hashes("results/a/iter_*/*") == before


def test_work_folders_of_finished_stages_are_deleted_at_no_cost(place: Scenario) -> None:
    for folder in [*place.folder.glob("results/**/.work"), *place.folder.glob("results/**/.shards")]:
        shutil.rmtree(folder)
    assert not place.start().jobs
