"""The default profile refuses, before Snakemake does with a traceback, what `--configfile` swallows."""

from __future__ import annotations

import sys

import pytest
import yte

from isheep.runner.portable import ROOT


def read(monkeypatch, *words: str) -> dict:
    monkeypatch.setattr(sys, "argv", ["snakemake", *words])
    with open(ROOT / "profiles/default/config.yaml", encoding="utf-8") as profile:
        return yte.process_yaml(profile, require_use_yte=True)


@pytest.fixture
def config(tmp_path, monkeypatch):
    (tmp_path / "my.yaml").write_text("runs: {}\n")
    monkeypatch.chdir(tmp_path)
    return "my.yaml"


@pytest.mark.parametrize("words", [("verify", "--configfile", "my.yaml"), ("--configfile=my.yaml", "-n"), ()])
def test_what_is_right_passes(monkeypatch, config, words):
    assert read(monkeypatch, *words)["executor"] == "local"


@pytest.mark.parametrize("words", [("--configfile", "my.yaml", "verify"), ("-n", "--configfile", "my.yaml", "verify")])
def test_a_target_after_the_config_file_is_told_how_to_stand(monkeypatch, config, words):
    with pytest.raises(SystemExit, match=r"verify: no config file; .*: snakemake verify --configfile my\.yaml"):
        read(monkeypatch, *words)


def test_a_config_file_that_is_not_there_is_named(monkeypatch, config):
    with pytest.raises(SystemExit, match=r"other\.yaml: no such config file; --configfile takes a path, seen from "):
        read(monkeypatch, "--configfile", "other.yaml")


def test_another_profile_stays_as_it_is(monkeypatch, config):
    assert not read(monkeypatch, "--profile", "slurm", "--configfile", "my.yaml")
