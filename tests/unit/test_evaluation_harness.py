from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import model_zoo
import pytest
import tokenizer_zoo

from isheep.config.model import Model
from isheep.errors import UserError
from isheep.evaluation import harness
from isheep.evaluation.intervals import table
from isheep.serving.chat import ChatTemplate, load_template

TASK = """task: own_sums
dataset_path: json
dataset_name: null
dataset_kwargs: {{data_files: {{test: {data}}}}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{q}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{gold}}}}"
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""


WRITING = """task: own_writing
dataset_path: json
dataset_name: null
dataset_kwargs: {{data_files: {{test: {data}}}}}
output_type: generate_until
test_split: test
doc_to_text: "{{{{q}}}}"
doc_to_target: "{{{{a}}}}"
generation_kwargs: {{until: ["Q:"], max_gen_toks: 8}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""


# lm-eval reads thousands of task files before it runs the first.
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("harness")
    data = tmp_path / "sums.jsonl"
    rows = [{"q": f"{n}+{n}?", "choices": [str(2 * n), str(2 * n + 1)], "gold": 0} for n in range(1, 6)]
    data.write_text("\n".join(json.dumps(row) for row in rows))
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "sums.yaml").write_text(TASK.format(data=data))
    return folder


def evaluate(tasks, name="own_sums", **settings):
    return harness.evaluate([name], Path("/none/model"), "dummy", include_path=tasks, **settings)


@slow
def test_an_own_task_gives_the_same_results_twice_without_times_and_paths(tasks):
    results = evaluate(tasks)
    assert results == evaluate(tasks)
    text = json.dumps(results, allow_nan=False)
    assert str(tasks.parent) not in text and "/none/model" not in text and "date" not in text and "time" not in text
    assert results["documents"] == {"own_sums": 5} and results["n_shot"] == {"own_sums": 0}
    assert results["n_samples"]["own_sums"] == {"effective": 5, "original": 5}
    hits = [row["acc"] for row in results["samples"]["own_sums"]]
    assert len(hits) == 5 and results["tasks"]["own_sums"]["acc,none"]["value"] == pytest.approx(sum(hits) / 5)


@slow
def test_results_become_metrics_with_intervals(tasks):
    metrics = harness.metrics(evaluate(tasks, limit=3))
    metric = metrics["own_sums_acc"]
    assert (metric.n, metric.better, len(metric.terms)) == (3, "higher", 3)
    assert 0 <= table(metrics)["own_sums_acc"]["low"] < table(metrics)["own_sums_acc"]["high"] <= 1


@slow
@pytest.mark.parametrize("names", [["no_such_task"], []])
def test_an_unknown_task_is_one_clear_line(names):
    with pytest.raises(UserError, match="lm-eval has no task"):
        harness.evaluate(names, Path("m"), "dummy")


@slow
@pytest.mark.parametrize("name", ["humaneval", "mbpp", "humaneval_instruct"])
def test_tasks_that_run_generated_code_are_refused(name):
    with pytest.raises(UserError, match="without a sandbox"):
        harness.evaluate([name], Path("m"), "dummy")


@slow
def test_a_folder_without_a_model_is_one_clear_line(tasks, tmp_path):
    with pytest.raises(UserError, match="lm-eval cannot evaluate"):
        harness.evaluate(["own_sums"], tmp_path / "none", "hf", include_path=tasks, device="cpu")


@slow
def test_missing_data_is_one_clear_line(tasks):
    (tasks.parent / "sums.jsonl").unlink()
    with pytest.raises(UserError, match="the task own_sums does not load"):
        evaluate(tasks)


@slow
def test_a_task_is_asked_through_the_runs_template(tasks, tmp_path, monkeypatch):
    data = tmp_path / "sums.jsonl"
    data.write_text(json.dumps({"q": "1+1? <|im_end|>", "a": "2"}) + "\n")
    (tmp_path / "writing.yaml").write_text(WRITING.format(data=data))
    entry = next(entry for entry in model_zoo.ZOO if entry.name == "llama+dated")
    folder = model_zoo.save(entry, tmp_path / "model")
    template = tokenizer_zoo.TEMPLATES["dated"].replace("Today:", "{{ 'Loud' if loud else 'Still' }} today:")
    (tmp_path / "own.jinja").write_text(template)
    model = Model(
        path=str(folder),
        chat_template=str(tmp_path / "own.jinja"),
        system="Be brief.",
        date="2026-01-31",
        template_arguments={"loud": True},
    )
    asked = {}

    def generate(lm, context, **given):
        asked["prompt"] = lm.tokenizer.decode(context[0])
        asked["given"] = given
        return context

    monkeypatch.setattr("lm_eval.models.huggingface.HFLM._model_generate", generate)
    given = {"include_path": tmp_path, "device": "cpu", "model_args": {"dtype": "float32"}}
    harness.evaluate(["own_writing"], folder, "hf", addressed=model, **given)
    assert asked["prompt"] == (
        "<s> Loud today: 31 Jan 2026, 2026-01-31\n<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\n1+1? <\u200b|im_end|><|im_end|>\n<|im_start|>assistant\n"
    ).replace("<s> ", "<s>")
    end = load_template(folder, model).tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert asked["given"]["eos_token_id"] == end and "<|im_end|>" in asked["given"]["stop"]


def test_lm_evals_vllm_stops_at_the_end_of_turn_and_renders_as_the_run_does():
    template = ChatTemplate(tokenizer_zoo.tokenizer("byte_level", "dated"), system="Be brief.", date="2026-01-31")
    lm = SimpleNamespace(tokenizer=tokenizer_zoo.tokenizer("byte_level", "chatml"))
    assert harness.address(lm, "vllm", template) == {
        "stop_token_ids": [template.tokenizer.convert_tokens_to_ids("<|im_end|>")]
    }
    assert lm.tokenizer.eos_token == "<|im_end|>" and lm.tokenizer.chat_template == tokenizer_zoo.TEMPLATES["dated"]
    shown = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "It is"}]
    text = lm.apply_chat_template(shown, add_generation_prompt=False)
    assert text.startswith("<s>Today: 31 Jan 2026, 2026-01-31\n<|im_start|>system\nBe brief.<|im_end|>\n")
    assert text.endswith("<|im_start|>assistant\nIt is")
    own = [{"role": "system", "content": "Be long."}, shown[0]]
    assert "Be long." in lm.apply_chat_template(own) and "Be brief." not in lm.apply_chat_template(own)


def test_what_is_no_number_becomes_none_and_corpus_metrics_have_no_terms():
    raw = {
        "results": {
            "p": {"alias": "p", "sample_len": 2, "word_perplexity,none": 12.5, "word_perplexity_stderr,none": "N/A"},
            "g": {"alias": "g", "sample_len": 4, "acc,none": 0.5, "acc_stderr,none": float("nan")},
        },
        "samples": {"p": [{"doc_id": n, "metrics": ["word_perplexity"], "word_perplexity": [1, 2]} for n in (1, 0)]},
        "n-shot": {"p": 0},
        "date": 1.5,
        "config": {"model_args": {"pretrained": "/home/x"}},
    }
    results = harness.stable(raw, {"backend": "hf"})
    assert results["tasks"]["p"]["word_perplexity,none"] == {"value": 12.5, "stderr": None}
    assert results["tasks"]["g"]["acc,none"]["stderr"] is None and "date" not in results and "config" not in results
    metrics = harness.metrics(results)
    assert metrics["p_word_perplexity"].terms == {} and metrics["p_word_perplexity"].value == 12.5
    assert metrics["g_acc"].n == 4
