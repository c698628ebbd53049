"""The engine that users run: vLLM in this process, kept full by requests drawn one at a time."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from isheep.config.engine import Engine as Settings
from isheep.config.model import Model
from isheep.errors import UserError
from isheep.serving.chat import load_template
from isheep.serving.engines import nucleus, path, scoring
from isheep.serving.engines.base import Completion, Request, Sampling, Score, ScoreRequest
from isheep.serving.engines.tokens import encode_continuation, encode_prompt, end_tokens
from isheep.serving.imports import spare_scikit_learn
from isheep.serving.reasoning import handle

logger = logging.getLogger(__name__)

MEMORY = re.compile(r"memory|KV cache|cache blocks|larger than the maximum number of tokens", re.IGNORECASE)
MAX_CAUSE = 400  # characters
MAX_NGRAM = 4  # tokens whose earlier occurrence says what comes next

Result = TypeVar("Result", Completion, Score)
Job = Generator[list[scoring.Call], list[Any], Result]  # yields calls, is sent their outputs, returns a result


@dataclass
class _Batch:
    """The calls that a job waits for, and what came back of them so far."""

    job: Job
    ids: list[str]
    outputs: dict[str, Any] = field(default_factory=dict)


class VllmEngine(AbstractContextManager):
    """Runs a model with vLLM: continuous batching, prefix caching, a seed for each request.

    The engine lives in this process (one GPU or CPU) or has its workers as children (several GPUs), so that killing
    the process leaves nothing behind.
    """

    def __init__(self, settings: Settings, model: Model, folder: Path, threads: int, gpus: int) -> None:
        self._engine = _start(settings, folder, prepare(settings, model, threads, gpus), gpus)
        self.context_length = settings.context_length
        self.template = load_template(folder, model)
        self._tokenizer = self.template.tokenizer
        self._ends = end_tokens(self._tokenizer, folder, self.template.end_of_turn)
        self._reasoning = model.reasoning
        self._max_calls = settings.max_num_seqs
        self._on_cpu = gpus == 0
        self._names = map(str, count())
        self._finished: dict[str, Any] = {}
        self._death: str | None = None

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield a completion for each request as it finishes; at most `max_num_seqs` requests are drawn ahead."""
        return self._run(self._completion(request) for request in requests)

    def score(self, requests: Iterable[ScoreRequest]) -> Iterator[Score]:
        """Yield the log-likelihoods for each request as it finishes; at most `max_num_seqs` are drawn ahead."""
        return self._run(self._scoring(request) for request in requests)

    def close(self) -> None:
        """Stop the engine and free its memory; the engine cannot be used afterwards."""
        if self._engine is None:
            return
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        self._engine.engine_core.shutdown()
        self._engine = None
        cleanup_dist_env_and_memory()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _completion(self, request: Request) -> Job[Completion]:
        prompt = encode_prompt(self._tokenizer, request.prompt)
        room = self.context_length - len(prompt)
        if room <= 0:
            return Completion(request.id, "", "context", None, len(prompt), 0)
        sampling = request.sampling
        settings = {
            **drawn(sampling, self._on_cpu),
            "max_tokens": min(sampling.max_tokens, room),
            "stop": list(sampling.stop),
            "seed": request.seed,
        }
        (output,) = yield [(prompt, settings)]
        done = output.outputs[0]
        stop = done.stop_reason if isinstance(done.stop_reason, str) else None
        text, refused = handle(self._reasoning, done.text, self._tokenizer, done.token_ids)
        finish = "reasoning" if refused and done.finish_reason == "stop" else done.finish_reason
        return Completion(request.id, text, finish, stop, len(prompt), len(done.token_ids))

    def _scoring(self, request: ScoreRequest) -> Job[Score]:
        prompt = encode_prompt(self._tokenizer, request.prompt)
        continuations = [
            encode_continuation(self._tokenizer, text, request.prompt.text) for text in request.continuations
        ]
        if len(prompt) + max(map(len, continuations), default=0) > self.context_length:
            return Score(request.id, (), ())
        sums = yield from scoring.ask(prompt, continuations, self._ends if self._on_cpu else None)
        return Score(request.id, sums, tuple(map(len, continuations)))

    def _run(self, jobs: Iterator[Job[Result]]) -> Iterator[Result]:
        """Drive jobs through the engine: draw one whenever there is room, step when there is none."""
        waiting: dict[str, _Batch] = {}
        try:
            for job in jobs:
                result = self._advance(job, None, waiting)
                if result is not None:
                    yield result
                while len(waiting) >= self._max_calls:
                    yield from self._step(waiting)
            while waiting:
                yield from self._step(waiting)
        finally:
            if waiting and self._engine is not None and self._death is None:
                self._engine.abort_request(list(waiting))

    def _advance(self, job: Job[Result], outputs: list[Any] | None, waiting: dict[str, _Batch]) -> Result | None:
        """Send a job what it waited for; hand its next calls to the engine, or return its result."""
        try:
            calls = next(job) if outputs is None else job.send(outputs)
        except StopIteration as end:
            return end.value
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        batch = _Batch(job, [next(self._names) for _ in calls])
        for name, (ids, settings) in zip(batch.ids, calls, strict=True):
            params = SamplingParams(
                **settings,
                ignore_eos=True,
                stop_token_ids=self._ends,
                skip_special_tokens=True,
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
            self._engine.add_request(name, {"type": "token", "prompt_token_ids": ids}, params)
            waiting[name] = batch
        return None

    def _step(self, waiting: dict[str, _Batch]) -> Iterator[Any]:
        """Let the engine work once; yield the results of the jobs that are over."""
        if self._death is None:
            try:
                # Other streams of this engine may be open: their outputs stay until they are asked for.
                self._finished.update({output.request_id: output for output in self._engine.step() if output.finished})
            except Exception as error:
                self._death = _first_line(error)
                logger.debug("vLLM died", exc_info=True)
        if self._death is not None:
            raise UserError(f"vLLM died ({self._death}); what was finished is kept, type the same command to go on")
        for name in [name for name in waiting if name in self._finished]:
            batch = waiting.pop(name)
            batch.outputs[name] = self._finished.pop(name)
            if len(batch.outputs) == len(batch.ids):
                result = self._advance(batch.job, [batch.outputs[each] for each in batch.ids], waiting)
                if result is not None:
                    yield result


def drawn(sampling: Sampling, on_cpu: bool) -> dict[str, Any]:
    """Return temperature and top-p as keywords of SamplingParams; on a CPU, top-p is cut by `nucleus`."""
    if not on_cpu or sampling.temperature == 0 or sampling.top_p == 1:
        return {"temperature": sampling.temperature, "top_p": sampling.top_p}
    return {"temperature": sampling.temperature, "extra_args": {nucleus.KEY: sampling.top_p}}


def prepare(settings: Settings, model: Model, threads: int, gpus: int) -> dict[str, Any]:
    """Set what vLLM reads from the environment when it is imported, and return its arguments, all but the model's."""
    _check(settings, gpus)
    _set_environment(settings, threads)
    on_cpu = {"kv_cache_memory_bytes": int(settings.cpu_cache_gib * 2**30)}
    on_gpu = {"gpu_memory_utilization": settings.gpu_memory_utilization}
    return {
        "dtype": settings.dtype,
        "max_model_len": settings.context_length,
        "max_num_seqs": settings.max_num_seqs,
        "max_num_batched_tokens": _batched_tokens(settings),
        "enable_prefix_caching": settings.prefix_caching and not _cache_moves_digits(settings, gpus),
        "enable_chunked_prefill": settings.chunked_prefill,
        "enforce_eager": settings.enforce_eager,
        "tensor_parallel_size": _tensor_parallel(settings, gpus),
        "pipeline_parallel_size": settings.pipeline_parallel,
        "load_format": "auto" if model.allow_pickle else "safetensors",
        "trust_remote_code": model.trust_remote_code,
        # The run's settings decide how to draw, not the model's generation_config.json.
        "generation_config": "vllm",
        "logprobs_mode": "raw_logprobs",
        "max_logprobs": scoring.MAX_CHILDREN,
        "seed": 0,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        **(_guessing(settings) if settings.speculative_tokens else {}),
        **(on_gpu if gpus else on_cpu),
    }


def _batched_tokens(settings: Settings) -> int:
    """Return the tokens of a step: a prompt that is read whole must fit."""
    return max(settings.max_batched_tokens, 0 if settings.chunked_prefill else settings.context_length)


def _guessing(settings: Settings) -> dict[str, Any]:
    ngram = {"method": "ngram", "num_speculative_tokens": settings.speculative_tokens, "prompt_lookup_max": MAX_NGRAM}
    return {"speculative_config": ngram}


def _tensor_parallel(settings: Settings, gpus: int) -> int:
    """Return how many GPUs share a layer: as told, else all of the job over the parts of the pipeline."""
    each = max(gpus, 1) // settings.pipeline_parallel
    return max(each, 1) if settings.tensor_parallel == "gpus" else settings.tensor_parallel


def _check(settings: Settings, gpus: int) -> None:
    parallel, parts = settings.tensor_parallel, settings.pipeline_parallel
    if parallel != "gpus" and parallel > max(gpus, 1):
        raise UserError(
            f"engine.tensor_parallel: {parallel} GPUs wanted, the job has {gpus}; write gpus to take them all"
        )
    if parts > 1 and _tensor_parallel(settings, gpus) * parts != gpus:
        raise UserError(
            f"engine.pipeline_parallel: {parts} parts of {_tensor_parallel(settings, gpus)} GPUs each, but the job has "
            f"{gpus}; the two must multiply to the job's GPUs"
        )
    if gpus == 0 and settings.chunked_prefill:
        raise UserError(
            "engine.chunked_prefill: on a CPU vLLM dies of it together with the requests' seeds; set it to false"
        )
    if gpus == 0 and settings.speculative_tokens:
        raise UserError("engine.speculative_tokens: for GPUs; on a CPU top-p is cut row by row and takes none: set 0")
    if gpus == 0 and settings.batch_invariant:
        logger.warning("engine.batch_invariant has no effect on a CPU; float32 keeps equal bytes there")


def _cache_moves_digits(settings: Settings, gpus: int) -> bool:
    """Tell whether a prompt gives other last digits when its beginning is in the cache, where float32 promises none.

    Whether it is there hangs on what was asked before, on kills and shards. With AVX-512 the kernels gave equal bits
    either way; with AVX2 sums of log-probabilities moved by 2e-5 (docs/engines.md).
    """
    if gpus or settings.dtype != "float32":
        return False
    import torch

    if torch.backends.cpu.get_cpu_capability() == "AVX512":
        return False
    logger.info("engine.prefix_caching is off: on this CPU (no AVX-512) a cached beginning moves last digits")
    return True


def _set_environment(settings: Settings, threads: int) -> None:
    """Set what vLLM reads from the environment when it is imported."""
    os.environ.update(
        # In one process, so that it dies as one, and so that the order of work does not hang on another one's pace.
        VLLM_ENABLE_V1_MULTIPROCESSING="0",
        OMP_NUM_THREADS=str(threads),
        VLLM_NO_USAGE_STATS="1",
        DO_NOT_TRACK="1",
        VLLM_BATCH_INVARIANT=str(int(settings.batch_invariant)),
        # It takes no seeds, so it would be compiled (with nvcc) and never used.
        VLLM_USE_FLASHINFER_SAMPLER="0",
    )
    if settings.dtype == "float32":
        # Products in Triton's kernels, attention among them, would be rounded to TF32's 10 bits.
        os.environ.setdefault("TRITON_F32_DEFAULT", "ieee")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.pop("VLLM_CPU_KVCACHE_SPACE", None)  # would replace engine.cpu_cache_gib

    import torch

    torch.set_num_threads(threads)  # for the case that torch was imported, and read its environment, before


def _start(settings: Settings, folder: Path, arguments: dict[str, Any], gpus: int) -> Any:
    spare_scikit_learn()
    try:
        from vllm.engine.arg_utils import EngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.llm_engine import LLMEngine
    except ImportError as error:
        raise UserError(f"engine.name: vllm cannot be imported ({error}); see envs/, or write transformers") from None
    if current_platform.is_cpu() != (gpus == 0):
        built = "a CPU" if current_platform.is_cpu() else "GPUs"
        raise UserError(f"engine.name: this vllm was built for {built}, but the job has {gpus} GPUs; see envs/")
    try:
        on_cpu = {} if gpus else {"logits_processors": [nucleus.processor(), path.processor()]}
        return LLMEngine.from_engine_args(EngineArgs(model=str(folder), **arguments, **on_cpu))
    except (ValueError, RuntimeError, OSError) as error:
        memory = "gpu_memory_utilization" if gpus else "cpu_cache_gib"
        cause = _cause(error)
        hint = (
            "what it can hold follows from engine.context_length, engine.max_num_seqs and engine." + memory
            if MEMORY.search(cause)
            else "correct that in the model's folder or in section engine, or try engine.name: transformers"
        )
        raise UserError(f"{folder}: vLLM cannot start ({cause}); {hint}") from error


def _cause(error: Exception) -> str:
    """Return what an error says in a line; pydantic's first line only counts the errors, which stand below it."""
    details = getattr(error, "errors", None)
    if callable(details) and (first := details()):
        return " ".join(str(first[0].get("msg", "")).removeprefix("Value error, ").split())[:MAX_CAUSE]
    return _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
