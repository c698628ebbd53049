"""The stages as tables: what decides each, and what it makes. graph.py joins them."""

from __future__ import annotations

# The sections of a run that decide what a stage makes from its inputs.
DECIDES: dict[str, tuple[str, ...]] = {
    "identify_model": (),
    "generate_prompts": ("seed", "model", "engine", "prompts"),
    "generate_outputs": ("seed", "model", "engine", "outputs"),
    "filter_outputs": ("outputs",),
    "assess_outputs": ("seed", "model", "engine", "outputs", "assess"),
    "select_data": ("select",),
    "probe_data": ("model", "engine", "outputs", "health"),
    "measure_data": ("assess", "health"),
    "train_adapter": ("seed", "model", "train"),
    "merge_model": ("model", "train", "merge"),
    "evaluate_model": ("seed", "model", "engine", "outputs", "evaluation"),
    "run_harness": ("seed", "model", "engine", "evaluation"),
    "identify_judge": (),
    "calibrate_judge": ("seed", "model", "engine", "outputs", "evaluation"),
    "judge_answers": ("seed", "model", "engine", "outputs", "evaluation"),
    "score_model": ("evaluation",),
}
# Stages that a run has once, in round 0.
ONCE = ("identify_model", "identify_judge", "calibrate_judge")
# Keys that change how fast or where a stage runs, or where its model is read, but not what comes out.
OPERATIONAL: dict[str, tuple[str, ...]] = {
    "model": ("path", "hub", "revision", "gguf"),
    "engine": (
        "max_num_seqs",
        "gpu_memory_utilization",
        "cpu_cache_gib",
        "prefix_caching",
        "chunked_prefill",
        "batch_size",
        "misbehave.crash_after",
        "misbehave.delay_ms",
    ),
    "train": ("checkpoint_steps",),
    "evaluation": (
        *("judge.key_variable", "judge.timeout_s", "judge.attempts", "judge.concurrency"),
        *("judge.model.path", "judge.model.hub", "judge.model.revision", "judge.model.gguf"),
    ),
}
# Of a section, what a stage uses only.
PARTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("generate_outputs", "outputs"): ("sampling", "plain"),
    ("filter_outputs", "outputs"): ("rules",),
    ("assess_outputs", "outputs"): ("plain",),
    ("probe_data", "engine"): ("name", "dtype", "context_length"),
    ("probe_data", "outputs"): ("plain",),
    ("probe_data", "health"): ("sample",),
    ("measure_data", "assess"): ("assessors",),
    ("merge_model", "train"): ("start_from", "trainer"),
    ("evaluate_model", "outputs"): ("plain",),
    ("evaluate_model", "evaluation"): ("benchmarks",),
    ("run_harness", "evaluation"): ("harness",),
    ("calibrate_judge", "outputs"): ("plain",),
    ("calibrate_judge", "evaluation"): ("benchmarks", "judge"),
    ("judge_answers", "outputs"): ("plain",),
    ("judge_answers", "evaluation"): ("benchmarks", "judge"),
    ("score_model", "evaluation"): ("benchmarks", "judge", "harness"),
}
# The file by which later stages know each stage's result, in the folder of its round.
RESULT: dict[str, str] = {
    "identify_model": "iter_{i}/identity.json",
    "generate_prompts": "d_{i}/prompts.jsonl",
    "generate_outputs": "d_{i}/outputs.jsonl",
    "filter_outputs": "d_{i}/filtered.jsonl",
    "assess_outputs": "d_{i}/evaluated.jsonl",
    "select_data": "d_{i}/selected.jsonl",
    "probe_data": "d_{i}/probe.jsonl",
    "measure_data": "d_{i}/health.json",
    "train_adapter": "iter_{i}/adapter",
    "merge_model": "iter_{i}/identity.json",
    "evaluate_model": "iter_{i}/evaluation/answers.jsonl",
    "run_harness": "iter_{i}/evaluation/harness.json",
    "identify_judge": "iter_{i}/evaluation/judge.json",
    "calibrate_judge": "iter_{i}/evaluation/calibration.json",
    "judge_answers": "iter_{i}/evaluation/judgements.jsonl",
    "score_model": "iter_{i}/evaluation/scores.json",
}
