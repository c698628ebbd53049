"""The fake trainer keeps the real one's promises: files, reports, errors, equal bytes."""

from __future__ import annotations

import pytest
import tiny_llama

from isheep.config.train import Merge
from isheep.data.files import digest_file
from isheep.errors import UserError
from isheep.training import fake
from isheep.training.checks import check_adapter

ROWS = tiny_llama.rows(20)


def train(out, rows=ROWS, settings=tiny_llama.TRAIN, seed=1):
    return fake.train(settings, tiny_llama.MODEL, None, rows, out / "adapter", out / "work", seed, 1)


def merge(out, base=None):
    return fake.merge(Merge(), tiny_llama.MODEL, base, out / "adapter", out / "model", ROWS, 1)


def digests(folder):
    return {path.relative_to(folder).as_posix(): digest_file(path) for path in folder.rglob("*") if path.is_file()}


def test_equal_trainings_give_equal_bytes_and_reports(tmp_path):
    reports = [(train(tmp_path / name), merge(tmp_path / name)) for name in "ab"]
    assert reports[0] == reports[1]
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert set(digests(tmp_path / "a" / "model")) == {"config.json", "model.safetensors"}


@pytest.mark.parametrize("change", ["row", "seed", "settings"])
def test_another_row_seed_or_setting_gives_another_adapter(tmp_path, change):
    train(tmp_path / "a")
    rows = [{**ROWS[0], "output": "other"}, *ROWS[1:]] if change == "row" else ROWS
    settings = tiny_llama.TRAIN.model_copy(update={"epochs": 3.0}) if change == "settings" else tiny_llama.TRAIN
    train(tmp_path / "b", rows, settings, seed=2 if change == "seed" else 1)
    assert digests(tmp_path / "a") != digests(tmp_path / "b")


def test_the_adapter_passes_the_check_of_real_ones(tmp_path):
    train(tmp_path)
    assert check_adapter(tmp_path / "adapter")["tensors"] == 4


def test_every_round_makes_another_model(tmp_path):
    for name in ("a", "b"):
        train(tmp_path / name)
    merge(tmp_path / "a")
    merge(tmp_path / "b", base=tmp_path / "a" / "model")
    assert digests(tmp_path / "a" / "model") != digests(tmp_path / "b" / "model")


def test_the_report_counts_what_was_trained(tmp_path):
    report = train(tmp_path)
    assert (report["rows"], report["heldout_rows"], report["steps"]) == (16, 4, 8)
    assert [log["step"] for log in report["loss"]] == list(range(1, 9))
    assert report["heldout"]["after"] < report["heldout"]["before"]


def test_no_row_to_train_on_is_told(tmp_path):
    with pytest.raises(UserError, match="no row is left to train on"):
        train(tmp_path, rows=[])
    assert not (tmp_path / "adapter").exists()
