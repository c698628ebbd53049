"""The pages that a run ends with: there, told of, outside what is hashed, and in Snakemake's own report."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from copy import deepcopy

import pytest
from workplace import FAKE, Workplace

SHARDS = dict.fromkeys(("generate_prompts", "generate_outputs", "assess_outputs"), 2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two runs of a round, in two shards, that differ in what they keep."""
    place = Workplace(tmp_path_factory.mktemp("finished"))
    few = deepcopy(FAKE)
    few["select"]["share"] = 0.3
    place.configure({"a": {**FAKE, "rounds": 1}, "b": {**few, "rounds": 1}}, shards=SHARDS)
    place.printed = place.snakemake().stdout
    return place


def read(place: Workplace, file: str) -> str:
    return (place.folder / "results" / file).read_text(encoding="utf-8")


def samples(page: str) -> dict:
    return json.loads(re.search(r'data-browser="samples">(.*?)</script>', page)[1])


def test_run_ends_with_the_path_of_its_report(finished):
    told = re.findall(r"^Report: (\S+)", finished.printed, re.MULTILINE)
    assert told == ["results/a/report.html", "results/b/report.html", "results/comparisons/config.html"]


def test_report_shows_the_rows_of_the_run(finished):
    page = read(finished, "a/report.html")
    funnel = json.loads(read(finished, "a/d_0/prompts.funnel.json"))
    told = samples(page)
    assert len(told["rows"]) == funnel["rows_in"]
    (fate,) = [place for place, one in enumerate(told["filters"]) if one["name"] == "fate"]
    is_kept = told["filters"][fate]["options"].index("kept")
    kept = {row[0] for row in told["rows"] if row[1][fate] == is_kept}
    assert kept == {json.loads(line)["id"] for line in read(finished, "a/d_0/selected.jsonl").splitlines()}
    for section in ("funnel", "assessment", "training", "cost", "lineage"):
        assert f'<section id="{section}"' in page


def test_report_is_outside_what_is_hashed_but_its_sha256_is_kept(finished):
    sha256 = hashlib.sha256(read(finished, "a/report.html").encode()).hexdigest()
    manifest = json.loads(read(finished, "a/manifest.json"))
    assert manifest["observed"]["exports"]["report.html"] == sha256
    assert "report.html" not in json.dumps([manifest["made"]["stages"], manifest["made"]["artifacts"]])
    assert {"scores.csv", "funnel.csv", "costs.csv"} < set(manifest["observed"]["exports"])
    assert read(finished, "a/funnel.csv").startswith("round,stage,keeps,rows_in,rows_out\n0,generate_prompts,prompts,")
    assert read(finished, "a/costs.csv").count("\n") > 5


def test_a_second_sweep_does_not_overwrite_the_first_comparison(finished):
    first = (finished.folder / "results/comparisons/config.html").read_bytes()
    (finished.folder / "second.yaml").write_bytes((finished.folder / "config.yaml").read_bytes())
    command = [*finished.command("results/comparisons/second.html")[:-1], "second.yaml"]
    done = subprocess.run(command, cwd=finished.folder, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert (finished.folder / "results/comparisons/config.html").read_bytes() == first
    assert "<h1>second</h1>" in (finished.folder / "results/comparisons/second.html").read_text()


def test_time_of_shards_counts(finished):
    observed = json.loads(read(finished, "a/d_0/records/assess_outputs.json"))["observed"]
    assert len(observed["shards"]) == 2
    assert all(part["seconds"] > 0 and part["gpus"] == 0 for part in observed["shards"])


def test_comparison_names_what_differs_and_counts_shared_work_for_both(finished):
    page = read(finished, "comparisons/config.html")
    shown = "".join(f'<td title="{value}"><span>{value}</span></td>' for value in (0.5, 0.3))
    assert f'<th scope="row">select.share</th>{shown}' in page
    assert "Stages made once for several runs are counted here too; they lie in a" in read(finished, "b/report.html")


def test_changed_report_settings_make_the_report_alone_anew(finished):
    config = (finished.folder / "config.yaml").read_text()
    (finished.folder / "config.yaml").write_text(config.replace("rounds: 1", "report: {samples: 3}\n    rounds: 1", 1))
    done = finished.snakemake("--dry-run", "--quiet", "host")
    jobs = re.findall(r"^rule (\w+):", done.stdout + done.stderr, re.MULTILINE)
    (finished.folder / "config.yaml").write_text(config)
    assert set(jobs) - {"all"} == {"freeze_config", "write_report", "write_comparison", "gather_manifest"}


def test_results_are_in_snakemakes_own_report(finished):
    finished.snakemake("--report", "snakemake.html")
    page = (finished.folder / "snakemake.html").read_text(encoding="utf-8")
    for name in ("results/a/report.html", "results/a/summary.txt", "results/comparisons/config.html"):
        assert name in page
    assert not re.search(r'<(?:script|link|img)[^>]+(?:src|href)="https?:', page)
