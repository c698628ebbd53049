"""What verify says of a finished run that went on otherwise: notes, or findings with the command that mends them."""

from __future__ import annotations

from starts import Scenario, settings


def test_what_earlier_settings_and_publications_left_is_told_apart_from_damage(place: Scenario) -> None:
    place.configure({"a": settings(rounds=1)})
    assert not place.start().jobs
    said = place.start("verify").said
    assert "a: verified:" in said
    assert "d_1/records/generate_prompts.json is of earlier settings" in said
    assert place.start("publish").jobs["publish_data"] == 1

    place.configure({"a": settings()})
    assert not place.start().jobs, "what is of the second round is still there"
    told = place.start("verify", check=False)
    assert told.code and "a: NOT verified: 2 findings" in told.said
    assert told.said.count("type `snakemake publish`") == 2
    assert place.start("archive").jobs["archive_run"] == 1, "it packs nothing that was published"
    assert place.start("publish").jobs == {"publish": 1, "publish_data": 2, "publish_model": 2}
    assert "a: verified:" in place.start("verify").said


def test_a_stage_that_a_run_has_itself_and_shares_is_no_fault(place: Scenario) -> None:
    place.configure({"b": settings(train={"epochs": 1}, rounds=1), "a": settings()})
    place.start("results/b/iter_1/identity.json")
    own = place.folder / "results/b/d_0/records"
    own.mkdir(parents=True, exist_ok=True)
    (own / "filter_outputs.json").write_bytes(place.path("d_0/records/filter_outputs.json").read_bytes())
    place.start()
    said = place.start("verify").said
    assert "a: verified:" in said and "b: verified:" in said


def test_a_damaged_file_is_mended_by_what_verify_names(place: Scenario) -> None:
    before = place.hashes()
    file = place.path("d_0/outputs.jsonl")
    file.write_bytes(file.read_bytes().replace(b"e", b"E", 1))
    told = place.start("verify", check=False)
    assert "changed artifact: results/a/d_0/outputs.jsonl" in told.said
    assert "delete results/a/d_0/outputs.jsonl, then type `snakemake`" in told.said
    file.unlink()
    mended = place.start()
    assert mended.jobs == {"generate_outputs": 1} and mended.asked == 0 and place.hashes() == before
    assert "a: verified:" in place.start("verify").said
