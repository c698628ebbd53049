"""A run's numbers as a tracker is given them; a library that is missing is one line."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from report_results import Made

from isheep import export
from isheep.export import flat, main, series
from isheep.results import Run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    Made(folder, rounds=1, rows=12, hostile=False)
    (folder / "results/study/summary.txt").write_text("Run study\n")
    return folder / "results" / "study"


def test_every_number_has_its_round_and_scores_that_do_not_count_are_left_out(folder):
    told = {(i, name): value for i, name, value in series(Run(folder))}
    assert told[1, "scores/constraints/prompt_strict"] == pytest.approx(0.25)
    assert told[1, "scores/constraints/prompt_strict.minus_base"] == 0.04
    assert told[0, "rows/generate_prompts"] > told[0, "rows/select_data"] > 0
    assert told[1, "costs/train_adapter/seconds"] == 630 and told[0, "health/diversity.output.distinct_1"] > 0
    assert not any("local_judge" in name for _, name in told)


def test_settings_are_flat(folder):
    assert {"seed": "0", "engine.name": "fake"}.items() <= dict(flat(Run(folder).settings)).items()


def test_mlflow_gets_parameters_metrics_by_round_and_files(folder, monkeypatch):
    told = {"metrics": [], "files": []}

    @contextmanager
    def start_run(run_name):
        told["run"] = run_name
        yield

    library = SimpleNamespace(
        start_run=start_run,
        set_experiment=lambda name: told.update(experiment=name),
        log_params=lambda values: told.update(params=values),
        log_metric=lambda name, value, step: told["metrics"].append((name, value, step)),
        log_artifact=told["files"].append,
    )
    monkeypatch.setitem(sys.modules, "mlflow", library)
    assert main(["mlflow", str(folder), "--project", "mine"]) == 0
    assert (told["run"], told["experiment"], told["params"]["rounds"]) == ("study", "mine", "1")
    assert ("rows/generate_prompts", float, 0) in [(name, type(value), step) for name, value, step in told["metrics"]]
    assert [file.rpartition("/")[2] for file in told["files"]] == ["summary.txt"]


def test_wandb_gets_settings_one_step_a_round_and_the_files_as_an_artifact(folder, monkeypatch):
    told = {"logged": {}, "files": []}

    class Tracked:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            told["ended"] = True

        def log(self, values, step):
            told["logged"][step] = values

        def log_artifact(self, artifact):
            told["artifact"] = artifact.name

    class Artifact:
        def __init__(self, name, type):
            self.name = f"{type} {name}"

        def add_file(self, file):
            told["files"].append(file.rpartition("/")[2])

    def init(project, name, config):
        told.update(run=(project, name), settings=config)
        return Tracked()

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init, Artifact=Artifact))
    assert main(["wandb", str(folder), "--project", "mine"]) == 0
    assert told["run"] == ("mine", "study") and told["settings"]["rounds"] == 1 and told["ended"]
    assert {i: len(values) for i, values in told["logged"].items()} == {
        i: len({name for at, name, _ in series(Run(folder)) if at == i}) for i in (0, 1)
    }
    assert (told["artifact"], told["files"]) == ("report study-report", ["summary.txt"])


def test_a_run_that_lost_a_record_is_told_before_a_tracker_is(folder, monkeypatch, capsys):
    record = folder / "d_0/records/generate_prompts.json"

    def lost(run):
        yield 0, "rows", float(len((record.parent / "gone" / record.name).read_text()))

    monkeypatch.setattr(export, "series", lost)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=lambda **_: pytest.fail("begun")))
    assert main(["wandb", str(folder)]) == 1
    assert re.match(r".*generate_prompts\.json: .*; type `snakemake`, which makes it again\n$", capsys.readouterr().err)


def test_what_a_tracker_complains_of_is_one_line(folder, monkeypatch, capsys):
    def refuse(name):
        raise RuntimeError("no server at the address\nand much more")

    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(set_experiment=refuse))
    assert main(["mlflow", str(folder)]) == 1
    assert capsys.readouterr().err == "mlflow: no server at the address\n"


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_library_that_is_missing_is_one_line(folder, monkeypatch, capsys, name):
    monkeypatch.setitem(sys.modules, name, None)
    assert main([name, str(folder)]) == 1
    assert f"{name} is not installed here; type: python -m pip install {name}" in capsys.readouterr().err
