"""Two runs in one config: what happens to one is not the other's."""

from __future__ import annotations

from starts import Scenario, settings


def test_when_one_run_fails_the_finished_one_gets_its_summary_report_and_manifest(place: Scenario) -> None:
    gone = [place.path(name) for name in ("summary.txt", "report.html", "manifest.json", "d_1/outputs.jsonl")]
    for file in gone:
        file.unlink()
    hopeless = settings(prompts={"max_requests": 1, "on_shortfall": "stop"})
    place.configure({"b": hopeless, "a": settings()})
    done = place.start(check=False)
    assert done.code and done.jobs == {"generate_prompts": 1, "generate_outputs": 1}
    assert "12 prompts after 1 requests" in done.said
    assert all(file.is_file() for file in gone)
    assert not (place.folder / "results/b/summary.txt").exists()
    assert "a: verified:" in place.start("verify", check=False).said


def test_a_run_that_joins_or_leaves_moves_nothing(place: Scenario) -> None:
    before = place.hashes()
    place.configure({"b": settings(train={"epochs": 1}), "a": settings()})
    joined = place.start("results/b/iter_1/identity.json")
    assert joined.jobs == {"train_adapter": 1, "merge_model": 1} and joined.asked == 0
    place.configure({"a": settings()})
    assert not place.start().jobs
    assert {name: sha256 for name, sha256 in place.hashes().items() if name.startswith("results/a/")} == before
