"""The schema, the list of defaults and the reference page are what the settings' classes say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from isheep.config import Config, load
from isheep.config.generate import COMMAND, files, scalar
from isheep.config.run import Run
from isheep.workflow.study import lay_out

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", files())
def test_generated_file_is_up_to_date(name):
    found = (ROOT / name).read_text(encoding="utf-8") if (ROOT / name).exists() else ""
    assert found == files()[name], f"{name} differs from what the settings' classes say: type `{COMMAND}`"


def test_defaults_file_loads_as_the_defaults():
    loaded = load(yaml.safe_load(files()["config/defaults.yaml"]), ROOT)
    assert loaded == Config(runs={"example": Run()})


def test_every_key_has_a_meaning():
    tables = re.findall(r"^\| `([^`]+)` \|.*\| ([^|]*) \|$", files()["docs/config.md"], flags=re.MULTILINE)
    assert len(tables) > 80
    assert [key for key, meaning in tables if not meaning.strip()] == []


def test_schema_accepts_every_config_in_the_repository():
    schema = json.loads(files()["config/schema.json"])
    configs = [*ROOT.glob("config/*.yaml"), *ROOT.glob("config/test/*.yaml")]
    assert len(configs) >= 2
    for path in configs:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "vary" in config:  # a study is runs once it is laid out
            config = {"study": str(path)}
            assert lay_out(config, ROOT) is not None and len(config["runs"]) >= 3
        jsonschema.validate(config, schema)


def test_every_recipe_has_a_short_round_on_real_weights():
    vary = yaml.safe_load((ROOT / "config/test/studies/recipes-small.yaml").read_text(encoding="utf-8"))["vary"][
        "recipe"
    ]
    assert sorted(vary) == sorted(path.stem for path in (ROOT / "config/recipes").glob("*.yaml"))
    assert all(name == settings["recipe"] for name, settings in vary.items())


@pytest.mark.parametrize(
    ("run", "key"),
    [
        ({"round": 3}, "round"),
        ({"engine": {"name": "vlm"}}, "vlm"),
        ({"rounds": 0}, "0"),
        ({"select": {"kind": "quantile", "share": 2}}, "select"),
    ],
)
def test_schema_refuses_what_the_settings_refuse(run, key):
    with pytest.raises(jsonschema.ValidationError, match=key):
        jsonschema.validate({"runs": {"a": run}}, json.loads(files()["config/schema.json"]))


@pytest.mark.parametrize(
    "value",
    ["plain", "yes", "null", "", "with: colon", "two\nlines", " space ", "1.5", "~", "[x]", "# no", 5e-05, 1, True],
)
def test_scalar_is_read_back_as_it_was(value):
    assert yaml.safe_load(f"key: {scalar(value)}") == {"key": value}
    assert yaml.safe_load(f"key: {scalar([value, value])}") == {"key": [value, value]}
