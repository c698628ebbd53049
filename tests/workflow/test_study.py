"""A study on the fake engine: one graph, what is shared asked once, a tidy table and a plot at the end."""

from __future__ import annotations

import csv
import json

import pytest
import yaml
from workplace import FAKE, Workplace

from isheep import whatif
from isheep.errors import UserError
from isheep.results import Run


def test_thresholds_over_one_d_0_end_in_a_table_and_a_plot_and_a_replay_agrees(tmp_path, monkeypatch):
    place = Workplace(tmp_path)
    place.configure({"mine": {**FAKE, "rounds": 1}})
    above = {str(value): {"select": {"kind": "threshold", "above": {"quality": value}, "floor": 1}} for value in (2, 6)}
    above["0"] = {"assess": {"assessors": []}, "select": {"kind": "none"}}
    paid = {"outputs": {"budget": 2000}, "select": {"kind": "none"}}
    above["paid"] = {**paid, "assess": {"assessors": []}}
    (tmp_path / "cuts.yaml").write_text(yaml.safe_dump({"vary": {"threshold": above}}))
    done = place.snakemake("study", "--config", "study=cuts.yaml")
    table, plot, page = (
        f"results/{path}" for path in ("studies/cuts.csv", "studies/cuts.svg", "comparisons/cuts.html")
    )
    assert (
        f"Table: {table}\nTable: results/studies/cuts.seeds.csv\nPlot: {plot}\nReport: {page} (open it in a browser)\n"
        in done.stdout
    )

    asked = [
        json.loads(file.read_text())["made"]["tokens"]["completion"]
        for file in tmp_path.glob("results/*/d_0/records/generate_outputs.json")
    ]
    assert len(asked) == 1 and asked[0] > 0, "four runs, one d_0"
    assert len(list(tmp_path.glob("results/*/d_0/.work/assess_outputs"))) == 1
    with open(tmp_path / table) as handle:
        rows = list(csv.DictReader(handle))
    selected = {row["threshold"]: int(float(row["value"])) for row in rows if row["metric"] == "select_data.rows"}
    trained = {name: json.loads((tmp_path / f"results/cuts-{name}/iter_1/training.json").read_text()) for name in "026"}
    assert selected["2"] > selected["6"] > 0
    assert {name: selected[name] for name in "26"} == {
        name: trained[name]["rows"] + trained[name]["heldout_rows"] for name in "26"
    }
    assert {row["run"] for row in rows} == {"cuts-0", "cuts-2", "cuts-6", "cuts-paid"}
    assert "<svg" in (tmp_path / plot).read_text()
    assert (tmp_path / page).is_file()

    changed = {"6": {"select": {"above": {"quality": 6}}}, "all": {"select": {"kind": "none"}}, "paid": paid}
    monkeypatch.chdir(tmp_path)
    told = {row[0]: dict(zip(whatif.HEADS, row, strict=True)) for row in whatif.replay(Run("results/cuts-2"), changed)}
    assert told["6"]["selected"] == selected["6"], "what is replayed is what that run did"
    assert told["all"]["selected"] == told["all"]["filtered"] > selected["6"]
    assert (told["6"]["unanswered"], told["6"]["unassessed"]) == (0, 0)
    afforded = {row["threshold"]: int(float(row["value"])) for row in rows if row["metric"] == "filter_outputs.rows"}
    assert 0 < told["paid"]["filtered"] == afforded["paid"] < afforded["2"], "a budget is replayed as it was spent"
    strict = {"strict": {"prompts": {"similarity": 0.2}}, "forgetful": {"prompts": {"similarity": 0.2, "forget": 2}}}
    few, more = (row[whatif.HEADS.index("prompts")] for row in whatif.replay(Run("results/cuts-2"), strict))
    assert 0 < few < more < told["6"]["prompts"]
    with pytest.raises(UserError, match="select reads 'cluster', which finished rows lack"):
        list(whatif.replay(Run("results/cuts-2"), {"x": {"select": {"kind": "density"}}}))
