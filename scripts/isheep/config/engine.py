"""Section `engine`: what runs the model when it writes and judges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from isheep.config.model import Dtype
from isheep.config.section import Section


class Misbehaviour(Section):
    """Ways in which the fake engine goes wrong on demand, each the share of requests (0-1) that it hits."""

    operational = frozenset({"crash_after", "delay_ms"})

    empty: float = Field(0.0, ge=0, le=1, description="Completions without any text.")
    endless: float = Field(0.0, ge=0, le=1, description="Completions that repeat one phrase up to the token limit.")
    garbage: float = Field(0.0, ge=0, le=1, description="Completions in no known format (control tokens, HTML, NULs).")
    duplicate: float = Field(0.0, ge=0, le=1, description="Completions that are the same for every such request.")
    crash_after: int | None = Field(None, ge=0, description="Die (as if killed) after this many results of a process.")
    delay_ms: float = Field(0.0, ge=0, description="Time spent on each result, in milliseconds.")


class Served(Section):
    """Engine `endpoint`: a server with OpenAI's completions and log-probabilities (vLLM, SGLang), started by you."""

    operational = frozenset({"base_url", "model", "key_variable", "timeout_s", "attempts", "concurrency"})

    base_url: str = Field("http://localhost:8000/v1", description="Address of the server.")
    model: str = Field(
        "{folder}",
        description="Name under which it serves the model; {folder} is the model's folder, as vLLM names it.",
    )
    key_variable: str = Field("OPENAI_API_KEY", description="Environment variable that holds the key, if it asks one.")
    timeout_s: float = Field(600.0, gt=0, description="Seconds for one reply.")
    attempts: int = Field(5, ge=1, description="How often a request is sent in all when the server fails.")
    concurrency: int = Field(64, ge=1, description="Requests at a time.")

    def served(self, folder: str | Path | None) -> dict[str, Any]:
        """Return the settings for the model in a folder."""
        return self.model_dump() | {"model": self.model.replace("{folder}", str(folder))}


class Engine(Section):
    """The engine and its limits. With float32 every text depends on its own request alone; see docs/engines.md."""

    operational = frozenset(
        {"repeatable", "max_num_seqs", "max_batched_tokens", "gpu_memory_utilization", "cpu_cache_gib"}
        | {"prefix_caching", "chunked_prefill", "batch_size", "keep"}
    )

    name: Literal["vllm", "transformers", "endpoint", "fake"] = Field("vllm", description="Which engine.")
    repeatable: bool = Field(
        True,
        description="Which values the keys of this section have that nobody gives: true, those that keep equal bytes "
        "(float32; batch-invariant kernels on a GPU); false, the fast ones of a GPU (bfloat16, CUDA graphs, 512 "
        "requests, prompts in chunks). Where it is not given: true on a CPU, false where resources.generate has GPUs.",
    )
    dtype: Dtype = Field("float32", description="Number format of weights and activations. float32 keeps equal bytes.")
    context_length: int = Field(2048, ge=64, description="Longest prompt plus completion, in tokens.")
    max_num_seqs: int = Field(64, ge=1, description="vllm: requests decoded together.")
    max_batched_tokens: int = Field(
        4096,
        ge=64,
        description="vllm: tokens of a step; at least engine.context_length where prompts are not read in chunks.",
    )
    prefix_caching: bool = Field(
        True,
        description="vllm: reuse the attention cache of shared beginnings (float32 on a CPU: only with AVX-512).",
    )
    chunked_prefill: bool = Field(
        False, description="vllm: split long prompts over steps; on CPU this fails together with per-request seeds."
    )
    enforce_eager: bool = Field(True, description="vllm: no compilation and no CUDA graphs; faster start.")
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1, description="vllm on GPU: share of memory to take.")
    cpu_cache_gib: float = Field(1.0, gt=0, description="vllm on CPU: memory for the attention cache, in GiB.")
    tensor_parallel: int | Literal["gpus"] = Field(
        "gpus", description="vllm: GPUs that share one model; `gpus` takes all that the job was given (1 on CPU)."
    )
    pipeline_parallel: int = Field(
        1,
        ge=1,
        description="vllm: parts that a model's layers are split into, each on tensor_parallel GPUs; untested.",
    )
    batch_invariant: bool = Field(
        False, description="vllm on GPU: its batch-invariant kernels; docs/engines.md tells what they kept equal."
    )
    speculative_tokens: int = Field(
        0,
        ge=0,
        description="vllm on GPU: tokens guessed ahead from what the text said before (n-grams); pays where answers "
        "repeat their prompts, and draws other texts; not with repeatable; untested.",
    )
    batch_size: int = Field(1, ge=1, description="transformers: requests a batch; 1 keeps equal bytes.")
    keep: float | Literal["auto"] = Field(
        "auto",
        description="Seconds that a loaded engine waits for the next stage with the same weights and settings; 0: each "
        "stage loads its own. auto: 120 where Snakemake itself runs the jobs, 0 in jobs of SLURM and for `fake`.",
    )
    endpoint: Served = Field(Served(), description="endpoint: the server.")
    misbehave: Misbehaviour = Field(Misbehaviour(), description="fake: what goes wrong, for tests.")

    def contradictions(self) -> Iterator[str]:
        """Yield what is asked for beside `repeatable` that keeps no equal bytes."""
        if self.repeatable and self.name in ("vllm", "transformers") and self.dtype != "float32":
            how = f"engine.dtype is {self.dtype}: set repeatable: false"
            yield f"engine.repeatable keeps equal bytes in float32 alone, {how}"
        if self.repeatable and self.speculative_tokens:
            yield "engine.speculative_tokens draws texts that engine.repeatable excludes: set 0, or repeatable: false"


FAST: dict[str, Any] = {
    "repeatable": False,
    "dtype": "bfloat16",
    "max_num_seqs": 512,
    "max_batched_tokens": 8192,
    "chunked_prefill": True,
    "enforce_eager": False,
}
"""What a GPU is best used by; vLLM itself adds asynchronous scheduling."""
EXACT: dict[str, Any] = {"repeatable": True, "batch_invariant": True}
"""What keeps equal bytes on a GPU, besides the defaults."""


def engine_of_machine(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what a run's settings (as files give them) say of `engine` by its machine, where they name no value.

    A run whose jobs generate on GPUs is fast unless it asks to be repeatable; any other keeps the defaults. A number
    format other than float32, or guesses, say by themselves that nothing is promised.
    """
    engine, generate = settings.get("engine") or {}, settings.get("resources") or {}
    generate = (generate.get("generate") if isinstance(generate, dict) else None) or {}
    if not isinstance(engine, dict) or not isinstance(generate, dict):
        return {}
    if engine.get("name", "vllm") == "vllm" and generate.get("gpus"):
        return {"engine": EXACT if engine.get("repeatable") is True else FAST}
    loose = engine.get("dtype", "float32") != "float32" or engine.get("speculative_tokens")
    return {"engine": {"repeatable": False}} if loose else {}
