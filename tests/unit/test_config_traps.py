"""What YAML guesses or loses, and what people write: told with file, line and key, all at once, and never guessed."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from isheep.config import load, read_config
from isheep.config.__main__ import main
from isheep.config.nearest import CALLED, every_path, suggest
from isheep.config.run import Run
from isheep.errors import SHOWN, UserError


@pytest.fixture
def root(tmp_path):
    for folder in ("models", "recipes"):
        (tmp_path / "config" / folder).mkdir(parents=True)
    (tmp_path / "config/models/small.yaml").write_text(
        "engine: {name: fake}\ntrain: {trainer: fake}\nprompts:\n  rows: 7\nselect: {kind: threshold, floor: 2, "
        "above: {quality: 8, following: 8}}\n"
    )
    return tmp_path


@pytest.fixture
def told(root, monkeypatch):
    """Read config files of some bytes or text; return the lines of the message."""
    monkeypatch.chdir(root)

    def read(*contents: str | bytes) -> list[str]:
        files, raw = [], {}
        for number, content in enumerate(contents):
            files.append(root / f"c{number or ''}.yaml")
            files[-1].write_bytes(content if isinstance(content, bytes) else dedent(content).encode())
            try:
                raw |= yaml.safe_load(files[-1].read_text()) or {}  # as Snakemake does
            except (yaml.YAMLError, ValueError, TypeError):
                raw = {"runs": {}}
        with pytest.raises(UserError) as caught:
            read_config(raw, root, files).problems.raise_if_any()
        return [line.strip() for line in str(caught.value).splitlines()]

    return read


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "runs:\n  a: {preset: small}\n  a: {preset: small}\n",
            "c.yaml:3: the key runs.a is also in line 2; delete one",
        ),
        ('{"runs": {"a": {"preset": "small", "preset": "small"}}}', "c.yaml: the key 'preset' is there twice"),
        ("runs:\n\ta: {preset: small}\n", "c.yaml:2: a tab before the text; indent with spaces"),
        ("runs:\n  a: {preset: small\n", "c.yaml:3: not YAML (expected ',' or '}', but got '<stream end>'"),
        ("runs:\n  a:\n    preset: x: y\n", "c.yaml:3: not YAML (mapping values are not allowed here"),
        ("", "c.yaml: holds no settings; write runs: {my-run: {preset: smollm2-135m-instruct}}"),
        ("# nothing\n", "c.yaml: holds no settings"),
        ("- a\n- b\n", "c.yaml:1: expected keys, like `runs:`, at the left margin, found a list"),
        ("runs\n", "c.yaml:1: expected keys, like `runs:`, at the left margin, found a text"),
        (b"runs:\n  a: {preset: sm\xe4ll}\n", "c.yaml:2: byte 0xe4 is not UTF-8; save the file in UTF-8"),
        ("runs:\n".encode("utf-16"), "c.yaml:1: saved in UTF-16; save the file in UTF-8"),
        ("on: {a: {preset: small}}\n", 'c.yaml:1: the key on: YAML reads it as true or false; put it in "quotes"'),
        ("runs: {2024-01-02: {preset: small}}\n", "the key 2024-01-02: YAML reads it as a date"),
        ("runs: {2024-01-02: {preset: small}}\n", "runs.2024-01-02: YAML reads this name as a date"),
        ("runs: {7: {preset: small}}\n", 'c.yaml:1: runs.7: YAML reads this name as a number; put it in "quotes"'),
        ("runs:\n  on: {preset: small}\n", "runs.True: YAML reads this name (yes, no, on, off, true or false) as true"),
        (
            "runs:\n  a: {preset: small, rounds: yes}\n",
            "c.yaml:2: runs.a.rounds: expected a number (is True: YAML reads",
        ),
        (
            "runs:\n  a: {preset: small, train: {zero_stage: no}}\n",
            "runs.a.train.zero_stage: expected a number (is False",
        ),
        (
            "runs:\n  a: {preset: small, resources: {merge: {minutes: 1:30}}}\n",
            "YAML reads 1:30 as 90; write that number",
        ),
        ("runs:\n  a: {preset: small, seed: 010}\n", "YAML reads 010 as 8; write the number without the leading 0"),
        ("runs:\n  a: {preset: small, model: {system: no}}\n", "runs.a.model.system: Input should be a valid string"),
        (
            "runs:\n  a: {preset: small, model: {system: no}}\n",
            "is False: YAML reads yes, no, on and off so; put it in",
        ),
        ("runs:\n  a: {preset: small, model: {revision: 2024-01-02}}\n", "YAML reads 2024-01-02 as a date; put it in"),
        (
            "runs:\n  a: {preset: small, seed: !!python/name:os.system 1}\n",
            "could not determine a constructor for the tag",
        ),
        ("runs:\n  a: &a {preset: small, health: *a}\n", "runs.a.health holds itself"),
        ("runs:\n  a: {preset: 7}\n", "c.yaml:2: runs.a.preset: there is no models/7.yaml (known: small)"),
        ("runs:\n  a: small\n", "c.yaml:2: runs.a: expected a mapping of settings, found str"),
        ("runs:\n", "c.yaml:1: runs: at least one run is needed"),
        ("rounds: 3\nruns:\n  a: {preset: small}\n", "c.yaml:1: rounds: unknown key; did you mean"),
    ],
)
def test_each_trap_is_told_with_file_and_line(told, content, said):
    assert said in "\n".join(told(content))


def test_a_byte_order_mark_does_no_harm(root, monkeypatch):
    monkeypatch.chdir(root)
    (root / "c.yaml").write_bytes(b"\xef\xbb\xbfruns:\n  a: {preset: small}\n")
    raw = {"runs": {"a": {"preset": "small"}}}
    reading = read_config(raw, root, ["c.yaml"])
    assert reading.problems.found == [] and reading.config.runs["a"].prompts.rows == 7


def test_config_alone_says_what_to_type(root):
    with pytest.raises(UserError, match=r"--config alone.*--configfile config/config.yaml --config KEY=VALUE"):
        read_config({"rounds": 3}, root, [])
    assert read_config({"runs": {"a": {"preset": "small"}}}, root, []).problems.found == []


def test_of_two_files_the_one_that_has_the_key_is_named(told):
    said = told("runs:\n  a: {preset: small}\n", "shards: {generate_outputs: 0}\n")
    assert said[0] == "c.yaml, c1.yaml: 1 problem"
    assert said[1].startswith("c1.yaml:1: shards.generate_outputs: Input should be greater")


def test_a_mistake_in_a_preset_is_told_with_the_presets_line(told, root):
    (root / "config/models/small.yaml").write_text(
        "engine: {name: fake}\ntrain: {trainer: fake}\nselect: {kind: none}\nprompts:\n  rows: none\n"
    )
    said = told("runs:\n  a: {preset: small}\n")
    assert said[1].startswith("config/models/small.yaml:5: runs.a.prompts.rows: Input should be a valid integer")
    (root / "config/models/small.yaml").write_text("prompts: {rows: 1\n")
    assert "config/models/small.yaml:2: not YAML" in told("runs:\n  a: {preset: small}\n")[1]


FOURTEEN = """\
    run: {}
    runs:
      a:
        preset: small
        rounds: 0
        lr: 1
        temperature: 0.5
        prompts: {row: 3, shots: many, sampling: {top_p: 2}}
        outputs: {plain: {text: no place}}
        assess: {assessors: [{name: x}, {kind: juge}]}
      b: {preset: smal}
      c: {preset: small, select: {kind: threshold, above: {quality: 11}}, train: {batch_size: 3, micro_batch_size: 2}}
    shards: {generate_outputs: 0}
    """


def test_fourteen_mistakes_come_in_one_pass_and_ten_lines(root, told, monkeypatch):
    said = told(FOURTEEN)
    assert said[0] == "c.yaml: 14 problems" and len(said) == SHOWN + 2 and said[-1] == "and 4 more"
    reading = read_config(yaml.safe_load(dedent(FOURTEEN)), root, [root / "c.yaml"])
    text = "\n".join(reading.problems.found)
    for words in (
        "c.yaml:1: run: unknown key; did you mean 'runs'?",
        "c.yaml:5: runs.a.rounds: Input should be greater",
        "c.yaml:6: runs.a.lr: unknown key; did you mean train.learning_rate?",
        "runs.a.temperature: unknown key; did you mean prompts.sampling.temperature or outputs.sampling.temperature?",
        "runs.a.prompts.row: unknown key; did you mean 'rows'?",
        "runs.a.prompts.shots: Input should be a valid integer",
        "runs.a.prompts.sampling.top_p: Input should be less",
        "runs.a.outputs.plain: text must hold {prompt} exactly once",
        "runs.a.assess.assessors.0: kind is missing; write one of kind: judge, perplexity, pmi",
        "runs.a.assess.assessors.1.kind: unknown kind 'juge'; did you mean 'judge'?",
        "c.yaml:11: runs.b.preset: there is no models/smal.yaml; did you mean 'small'?",
        "c.yaml:12: runs.c: select: quality above 11.0 can never be met",
        "runs.c: train.batch_size must be a multiple of train.micro_batch_size",
        "c.yaml:13: shards.generate_outputs: Input should be greater",
    ):
        assert words in text
    # What could be read can be checked further in the same pass.
    assert sorted(reading.config.runs) == ["a", "c"] and reading.config.runs["a"].prompts.rows == 7


def test_a_mistake_brings_no_second_one_about_what_stands_in_its_place(told):
    engine = "engine: {name: fake, context_length: 500}, prompts: {sampling: {max_tokens: 9}}"
    said = told(f"runs:\n  a: {{preset: small, {engine}, outputs: {{sampling: {{max_tokens: x}}}}}}")
    assert len(said) == 2 and "outputs.sampling.max_tokens: Input should be a valid integer" in said[1]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"lr": 1}, "train.learning_rate"),
        ({"train": {"lr": 1}}, "'learning_rate'"),
        ({"model_path": "x"}, "model.path"),
        ({"temperature": 1}, "outputs.sampling.temperature"),
        ({"outputs": {"temperature": 1}}, "outputs.sampling.temperature"),
        ({"batch": 1}, "train.batch_size"),
        ({"train": {"batch": 1}}, "'batch_size'"),
        ({"batch_size": 1}, "train.batch_size"),
        ({"epochs": 1}, "train.epochs"),
        ({"seed_file": "x"}, "seeds.path"),
        ({"seeds": {"file": "x"}}, "'path'"),
        ({"n": 1}, "prompts.rows"),
        ({"num_samples": 1}, "prompts.rows"),
        ({"prompts": {"n": 1}}, "'rows'"),
        ({"max_new_tokens": 1}, "outputs.sampling.max_tokens"),
        ({"lora_rank": 1}, "train.lora.rank"),
        ({"train": {"lora_r": 1}}, "train.lora.rank"),
        ({"num_rounds": 1}, "'rounds'"),
        ({"max-tokens": 1}, "prompts.sampling.max_tokens"),
        ({"Rounds": 1}, "'rounds'"),
        ({"assess": {"assessors": [{"kind": "judge", "rubrik": "x"}]}}, "'rubric'"),
        ({"evaluation": {"benchmarks": {"x": {"kind": "triviaqa", "file": "x"}}}}, "'path'"),
    ],
)
def test_the_nearest_key_is_found_by_meaning_and_spelling(root, written, meant):
    with pytest.raises(UserError) as caught:
        load({"runs": {"a": {"preset": "small", **written}}}, root)
    assert f"did you mean {meant}" in str(caught.value) or f"or {meant}" in str(caught.value)


def test_every_meaning_is_a_setting_and_no_setting_is_given_another():
    paths = set(every_path())
    assert {path for paths_ in CALLED.values() for path in paths_} <= paths
    assert not set(CALLED) & set(Run.model_fields)
    assert suggest("xyzzy", []) == ""


# --- laying over ---


def run_of(root: Path, **settings: object) -> Run:
    return load({"runs": {"a": {"preset": "small", **settings}}}, root).runs["a"]


def test_a_mapping_of_the_users_replaces_and_a_section_merges(root):
    run = run_of(root, select={"above": {"quality": 5}}, prompts={"shots": 2})
    assert run.select.above == {"quality": 5.0} and run.select.floor == 2
    assert (run.prompts.rows, run.prompts.shots) == (7, 2)


def test_null_takes_away_what_lies_below(root):
    assert run_of(root, prompts=None).prompts.rows == 10_000
    assert run_of(root, prompts={"rows": None}).prompts.rows == 10_000
    assert run_of(root, prompts={"kind": "numbered", "rows": None}).prompts.rows == 10_000
    assert run_of(root, prompts={"kind": "seeds"}).prompts.rows == 10_000, "what the preset says is of the default kind"
    assert run_of(root, select=None).select.above == {"quality": 8.0, "following": 8.0}
    assert run_of(root, select={"above": {"quality": 5, "following": None}}).select.above == {"quality": 5.0}


def test_null_stays_where_it_is_a_value(root):
    run = run_of(root, evaluation={"benchmarks": {"heldout": None}}, merge={"tolerance": None})
    assert "heldout" not in run.evaluation.on and "constraints" in run.evaluation.on
    assert run.merge.tolerance is None


def test_named_benchmarks_add_to_those_of_the_recipe(root):
    (root / "config/recipes/r.yaml").write_text(
        "evaluation:\n  benchmarks:\n    x: {kind: triviaqa, path: x.jsonl, limit: 3}\n"
    )
    benchmarks = run_of(root, recipe="r", evaluation={"benchmarks": {"x": {"limit": 5}}}).evaluation.benchmarks
    assert benchmarks["x"].limit == 5 and benchmarks["x"].path == "x.jsonl" and benchmarks["heldout"] is not None


def test_files_that_snakemake_gives_up_on_are_explained_by_a_command(tmp_path):
    file = tmp_path / "c.yaml"
    for content, said in (
        (b"runs:\n\ta: {}\n", "c.yaml:2: a tab before the text"),
        (b"runs:\n  a: {lr: 1}\n", "c.yaml:2: runs.a.lr: unknown key; did you mean train.learning_rate?"),
        (b"runs:\n  a: {preset: fake}\n", None),
    ):
        file.write_bytes(content)
        told = main([str(file)])
        assert told is None if said is None else said in told
