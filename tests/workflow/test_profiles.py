"""What jobs ask a cluster for comes from the model's preset, whatever executor takes them; rules name none."""

from __future__ import annotations

import re

import pytest
import yaml
from workplace import REPOSITORY

# GPUs and GiB of memory by rule.
ANSWERING = ("generate_prompts", "generate_outputs", "assess_outputs")
LIGHT = dict.fromkeys(("filter_outputs", "select_data"), (0, 1.95))
SMALL = LIGHT | dict.fromkeys((*ANSWERING, "train_adapter", "merge_model"), (0, 8))
LARGE = LIGHT | dict.fromkeys(ANSWERING, (8, 200)) | {"train_adapter": (8, 400), "merge_model": (0, 32)}


def slurm() -> dict:
    return yaml.safe_load((REPOSITORY / "slurm/profile.yaml").read_text())


def kubernetes() -> dict:
    """Return the stub without what needs its plugins, which the environment does not hold."""
    stub = yaml.safe_load((REPOSITORY / "profiles/kubernetes/profile.yaml").read_text())
    return {key: value for key, value in stub.items() if not re.match("executor|kubernetes-|default-storage-", key)}


@pytest.mark.parametrize("profile", [slurm, kubernetes])
def test_a_small_model_asks_for_no_gpu_and_a_large_one_for_eight(workplace, profile):
    place = workplace()
    (place.folder / "cluster").mkdir()
    (place.folder / "cluster/profile.yaml").write_text(yaml.safe_dump(profile()))
    presets = {"small": "smollm2-135m-instruct", "large": "qwen1.5-72b"}
    place.configure({name: {"preset": preset, "recipe": "i_sheep", "rounds": 1} for name, preset in presets.items()})
    said = place.snakemake("--profile", "cluster", "--dry-run", "--quiet", "host").stdout
    jobs = re.findall(r"rule (\w+):.*?run=(\w+).*?mem_mb=(\d+).*?gpu=(\d+)", said, re.DOTALL)
    asked = {(run, rule): (int(gpus), round(int(mib) / 1024, 2)) for rule, run, mib, gpus in jobs}
    for run, needs in (("small", SMALL), ("large", LARGE)):
        assert {rule: asked[run, rule] for rule in needs} == needs


def test_every_preset_of_the_hub_goes_through_a_dry_run(workplace):
    place = workplace()
    presets = {file.stem: yaml.safe_load(file.read_text()) for file in (REPOSITORY / "config/models").glob("*.yaml")}
    names = sorted(name for name, preset in presets.items() if "hub" in preset.get("model", {}))
    assert len(names) >= 11
    runs = {name.replace(".", "_"): {"preset": name, "recipe": "i_sheep", "rounds": 1} for name in names}
    place.configure(runs)
    said = place.snakemake("--dry-run", "--quiet", "host").stdout
    for run in runs:
        assert f"results/{run}/iter_1/model" in said


def test_rules_name_no_executor():
    rules = "".join(file.read_text() for file in (REPOSITORY / "rules").glob("*.smk"))
    assert not re.search(r"slurm_|kubernetes|sbatch|partition", rules)
