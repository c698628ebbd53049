"""Evaluation on real weights: lm-eval's own model classes through the workflow, against the model asked directly."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from workplace import ROUND, Workplace

CAPITALS = {"France": "Paris", "Italy": "Rome", "Japan": "Tokyo", "Germany": "Berlin", "Spain": "Madrid"}
CHOOSE = """task: own_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{right}}}}"
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""
WRITE = """task: own_writing
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
output_type: generate_until
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: [".", "\\n"], max_gen_toks: 8, do_sample: false}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}}
filter_list:
  - name: first_word
    filter:
      - {{function: regex, regex_pattern: "(\\\\w+)"}}
      - {{function: take_first}}
"""


def own_tasks(place: Workplace) -> None:
    """Write two tasks over one local file: the right capital is the second of two options, or is to be written."""
    rows = [
        {
            "question": f"The capital of {country} is",
            "choices": ["banana", city],
            "right": 1,
            "answer": city,
        }
        for country, city in CAPITALS.items()
    ]
    data = place.folder / "capitals.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (place.folder / "tasks").mkdir()
    for name, task in (("choice", CHOOSE), ("writing", WRITE)):
        (place.folder / f"tasks/{name}.yaml").write_text(task.format(data=data))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("engine", "backend"), [("transformers", "hf"), ("vllm", "vllm")])
def test_own_lm_eval_tasks_on_real_weights_know_capitals_and_stand_above_their_floor(
    tmp_path, smollm2, engine, backend
):
    settings = deepcopy(ROUND)
    settings["model"] = {"gguf": None, "path": str(smollm2)}
    settings["engine"] = {"name": engine}
    settings["evaluation"]["harness"] = {"tasks": ["own_choice", "own_writing"], "include_path": "tasks"}
    place = Workplace(tmp_path)
    own_tasks(place)
    place.configure({"a": settings})
    place.snakemake("results/a/iter_0/evaluation/scores.json")

    results = json.loads((place.folder / "results/a/iter_0/evaluation/harness.json").read_text())
    assert results["settings"]["backend"] == backend and str(place.folder) not in json.dumps(results)
    found = json.loads((place.folder / "results/a/iter_0/evaluation/scores.json").read_text())["benchmarks"]
    choosing, answering = (found[f"harness/{task}"] for task in ("own_choice", "own_writing"))
    assert all(entry["error"] is None and entry["items"] == 5 for entry in (choosing, answering))
    choice = choosing["metrics"]["own_choice_acc"]
    writing = answering["metrics"]["own_writing_exact_match_first_word"]
    assert choice["value"] == 1 and choice["n"] == 5 and choice["low"] < 1
    assert writing["value"] >= 0.6 and writing["n"] == 5
    assert answering["floors"]["dummy"]["own_writing_exact_match_first_word"]["value"] == 0
    assert choosing["floors"]["dummy"]["own_choice_acc"]["value"] < 1
    # Two options a question are scored, one answer is written.
    assert choosing["tokens"]["scored"] >= 10 and 5 <= answering["tokens"]["completion"] <= 40
    assert answering["tokens"]["prompt"] > 5 * 4
