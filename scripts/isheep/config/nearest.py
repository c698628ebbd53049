"""The key that somebody meant: by spelling, by meaning (`lr`), or one that lives elsewhere (`temperature`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

from isheep.config.run import Run
from isheep.config.section import Section
from isheep.config.shape import items_of, sections_in

NAME = "NAME"  # stands for a name that the user chooses
SHOWN = 4
ANSWERS, TASKS = "outputs.sampling", "prompts.sampling"
# What a setting is called elsewhere (transformers, TRL, PEFT, vLLM, axolotl, papers). The likeliest path comes first.
MEANINGS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("lr", "learning_rate_init", "step_size"): ("train.learning_rate",),
    ("epoch", "num_epochs", "n_epochs", "num_train_epochs"): ("train.epochs",),
    ("batch", "bs", "gradient_accumulation_steps"): ("train.batch_size",),
    ("per_device_train_batch_size", "per_device_batch_size", "mini_batch_size"): ("train.micro_batch_size",),
    ("max_seq_length", "max_seq_len", "seq_len", "cutoff_len"): ("train.max_length",),
    ("warmup", "num_warmup_steps"): ("train.warmup_steps",),
    ("wd",): ("train.weight_decay",),
    ("grad_clip", "clip", "gradient_clipping", "max_gradient_norm"): ("train.max_grad_norm",),
    ("lr_scheduler", "lr_scheduler_type", "scheduler"): ("train.schedule",),
    ("beta", "dpo_beta"): ("train.dpo.beta",),
    ("save_steps",): ("train.checkpoint_steps",),
    ("r", "lora_r"): ("train.lora.rank",),
    ("deepspeed", "zero"): ("train.zero_stage",),
    ("precision", "torch_dtype", "bf16", "fp16"): ("engine.dtype", "train.dtype"),
    ("model_name", "model_name_or_path", "base_model", "model_dir", "checkpoint"): ("model.path", "model.hub"),
    ("model_id", "repo_id"): ("model.hub",),
    ("template", "chat_format"): ("model.chat_template",),
    ("system_prompt", "system_message"): ("model.system",),
    ("eos", "eos_token", "stop_token"): ("model.end_of_turn",),
    ("seed_file", "seed_path", "seed_tasks", "seed_tasks_path", "seeds_file"): ("seeds.path",),
    ("file", "file_name", "filename", "folder", "directory", "dir"): ("seeds.path", "model.path"),
    ("random_seed", "rng_seed"): ("seed",),
    ("n", "num_samples", "n_samples", "samples", "num_prompts", "n_prompts", "num_rows", "prompts_per_round"): (
        "prompts.rows",
    ),
    ("iterations", "num_iterations", "iters", "num_rounds", "n_rounds", "t"): ("rounds",),
    ("num_shots", "n_shots", "fewshot", "num_fewshot", "num_demonstrations"): ("prompts.shots",),
    ("temp",): (f"{ANSWERS}.temperature", f"{TASKS}.temperature"),
    ("max_new_tokens", "max_output_tokens", "max_gen_len"): (f"{ANSWERS}.max_tokens", f"{TASKS}.max_tokens"),
    ("nucleus", "p"): (f"{ANSWERS}.top_p", f"{TASKS}.top_p"),
    ("threshold", "min_score", "cutoff", "score_threshold"): ("select.above",),
    ("filters",): ("outputs.rules", "prompts.rules"),
    ("judge_model",): ("evaluation.judge", "assess.model"),
    ("criteria", "judges"): ("assess.assessors",),
    ("max_model_len", "max_context", "context", "context_len", "context_size"): ("engine.context_length",),
    ("tp", "tensor_parallel_size"): ("engine.tensor_parallel",),
    ("backend",): ("engine.name",),
    ("gpu_memory", "gpu_mem"): ("engine.gpu_memory_utilization",),
    ("num_gpus", "n_gpus", "gpu"): ("resources.generate.gpus", "resources.train.gpus"),
    ("memory", "mem"): ("resources.generate.mem_gib", "resources.train.mem_gib"),
    ("eval", "evals", "tasks"): ("evaluation.benchmarks", "evaluation.harness.tasks"),
}
CALLED = {word: paths for words, paths in MEANINGS.items() for word in words}


def suggest(word: Any, known: Sequence[str], of_run: bool = True) -> str:
    """Return what to write in place of an unknown word, as the end of a message.

    Parameters
    ----------
    word
        What was written.
    known
        What may stand there.
    of_run
        It is a key of a run's settings, which may be one that lives elsewhere in them.
    """
    plain = str(word).strip().lower().replace("-", "_").replace(" ", "_")
    by_hand = get_close_matches(str(word), known, n=1, cutoff=0.8)
    elsewhere = _elsewhere(plain) if of_run else []
    here = [leaf for leaf in (plain, *(path.rpartition(".")[2] for path in elsewhere)) if leaf in known]
    called = elsewhere if plain in CALLED else []
    near = get_close_matches(str(word), known, n=1)
    for beside, away in ((here, called), (by_hand, elsewhere), (near, [])):
        if beside:
            return f"; did you mean {beside[0]!r}?"
        if away:
            return f"; did you mean {' or '.join(away[:SHOWN])}?"
    return f" (known: {', '.join(known)})" if known else ""


def _elsewhere(plain: str) -> list[str]:
    """Return the paths of settings that are called so, mean that, or are written `model_path` for `model.path`."""
    if plain in CALLED:
        return list(CALLED[plain])
    paths = every_path()
    same = [path for path in paths if path.rpartition(".")[2] == plain]
    joined = [path for path in paths if f"_{path.replace('.', '_')}".endswith(f"_{plain}") and path.count(".")]
    nearest: dict[str, str] = {}  # one of each section: its own sampling is meant, not that of a part of it
    for path in same or joined:
        if NAME not in path:
            nearest.setdefault(path.partition(".")[0], path)
    return list(nearest.values())[: SHOWN + 1] or (same or joined)[:SHOWN]


@cache
def every_path() -> tuple[str, ...]:
    """Return the path of every setting of a run, the nearest to the top first."""
    paths = dict.fromkeys(_paths(Run, ""))
    return tuple(sorted(paths, key=lambda path: path.count(".")))


def _paths(section: type[Section], prefix: str) -> Iterator[str]:
    for key, field in section.model_fields.items():
        yield f"{prefix}{key}"
        named, listed = items_of(field.annotation, dict), items_of(field.annotation, tuple)
        for inner in sections_in(field.annotation):
            yield from _paths(inner, f"{prefix}{key}.")
        for inner in sections_in(named) + sections_in(listed):
            yield from _paths(inner, f"{prefix}{key}.{NAME}.")
