"""What stops an engine before a model is loaded, and the parts of the real engines that need no model."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from isheep.config.engine import Engine as Settings
from isheep.config.model import Model
from isheep.errors import UserError
from isheep.serving import engines
from isheep.serving.engines import vllm
from isheep.serving.engines.base import Prompt
from isheep.serving.engines.tokens import TextStream, encode_continuation, encode_prompt, end_tokens


@pytest.mark.parametrize(("asked", "seen"), [(2, 1), (0, 1), (1, 0)])
@pytest.mark.parametrize("name", ["vllm", "transformers"])
def test_another_number_of_gpus_than_asked_for_is_refused(
    name: str, asked: int, seen: int, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(device_count=lambda: seen)))
    with pytest.raises(UserError, match=rf"asked for {asked} GPUs?, the job sees {seen} \(CUDA_VISIBLE_DEVICES"):
        engines.load(Settings(name=name), Model(), tmp_path, "", threads=1, gpus=asked)


def test_a_real_engine_needs_a_folder() -> None:
    with pytest.raises(UserError, match=r"engine\.name: vllm needs the folder of a model"):
        engines.load(Settings(name="vllm"), Model(), None, "", threads=1, gpus=0)


def test_more_parallel_gpus_than_the_job_has_are_refused() -> None:
    with pytest.raises(UserError, match=r"engine\.tensor_parallel: 4 GPUs wanted, the job has 2"):
        vllm._check(Settings(tensor_parallel=4), gpus=2)
    vllm._check(Settings(tensor_parallel=2), gpus=2)
    vllm._check(Settings(tensor_parallel=1), gpus=0)


@pytest.mark.parametrize(("tensor", "parts", "gpus", "each"), [("gpus", 1, 8, 8), ("gpus", 2, 8, 4), (2, 4, 8, 2)])
def test_a_pipeline_and_shared_layers_take_all_gpus_of_the_job(tensor: Any, parts: int, gpus: int, each: int) -> None:
    settings = Settings(tensor_parallel=tensor, pipeline_parallel=parts)
    vllm._check(settings, gpus)
    assert vllm._tensor_parallel(settings, gpus) == each
    with pytest.raises(UserError, match=r"engine\.(pipeline|tensor)_parallel: .* GPUs"):
        vllm._check(Settings(tensor_parallel=tensor, pipeline_parallel=3), gpus)


def test_chunked_prefill_is_refused_on_a_cpu_only() -> None:
    with pytest.raises(UserError, match=r"engine\.chunked_prefill: on a CPU"):
        vllm._check(Settings(chunked_prefill=True), gpus=0)
    vllm._check(Settings(chunked_prefill=True), gpus=1)


def test_batch_invariant_kernels_are_told_to_be_idle_on_a_cpu(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        vllm._check(Settings(batch_invariant=True), gpus=0)
    assert "engine.batch_invariant has no effect on a CPU" in caplog.text


def test_the_environment_of_vllm_follows_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=threads.append))
    monkeypatch.setattr(os, "environ", {"VLLM_CPU_KVCACHE_SPACE": "40", "HF_HUB_OFFLINE": "0"})
    vllm._set_environment(Settings(batch_invariant=True), threads=3)
    assert threads == [3]
    assert os.environ == {
        "HF_HUB_OFFLINE": "0",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "OMP_NUM_THREADS": "3",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_BATCH_INVARIANT": "1",
        "VLLM_USE_FLASHINFER_SAMPLER": "0",
        "TRITON_F32_DEFAULT": "ieee",
        "VLLM_LOGGING_LEVEL": "WARNING",
    }


@pytest.mark.parametrize(
    ("dtype", "chosen", "expected"), [("float32", "tf32", "tf32"), ("bfloat16", None, None), ("float32", None, "ieee")]
)
def test_float32_is_not_rounded_to_tf32_unless_asked_for(
    monkeypatch: pytest.MonkeyPatch, dtype: str, chosen: str | None, expected: str | None
) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=print))
    monkeypatch.setattr(os, "environ", {"TRITON_F32_DEFAULT": chosen} if chosen else {})
    vllm._set_environment(Settings(dtype=dtype), threads=1)
    assert os.environ.get("TRITON_F32_DEFAULT") == expected


def test_a_dead_engine_is_never_used_again() -> None:
    engine = vllm.VllmEngine.__new__(vllm.VllmEngine)
    steps = []

    def step() -> list[Any]:
        steps.append(1)
        raise RuntimeError("worker 3 was killed\nTraceback ...")

    engine._engine = SimpleNamespace(step=step)
    engine._finished, engine._death = {}, None
    for _ in range(2):
        with pytest.raises(UserError, match=r"^vLLM died \(worker 3 was killed\); .* type the same command") as error:
            list(engine._step({}))
        assert "\n" not in str(error.value)
    assert len(steps) == 1


class Words:
    """A tokenizer of words, written in Python; its ids are places in a list."""

    vocabulary = ("<s>", "</s>", "one", "two", "three", "\ufffd")
    bos_token_id: int | None = 0
    eos_token_id: int | None = 1

    def __call__(self, text: str, add_special_tokens: bool) -> SimpleNamespace:
        text.encode("utf-8")  # as the libraries do: fails on lone surrogates
        ids = [self.vocabulary.index(word) for word in text.split() if word in self.vocabulary]
        return SimpleNamespace(input_ids=[0, *ids] if add_special_tokens else ids)

    def decode(self, ids: list[int], skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        return " ".join(self.vocabulary[token] for token in ids if token > 1)


def test_an_empty_prompt_starts_from_the_start_token_or_else_the_end_token() -> None:
    tokenizer = Words()
    assert encode_prompt(tokenizer, Prompt("one two", False)) == [2, 3]
    assert encode_prompt(tokenizer, Prompt("one", True)) == [0, 2]
    assert encode_prompt(tokenizer, Prompt("", False)) == [0]
    tokenizer.bos_token_id = None
    assert encode_prompt(tokenizer, Prompt("", False)) == [1]
    tokenizer.eos_token_id = None
    with pytest.raises(UserError, match="an empty prompt needs a token to start from"):
        encode_prompt(tokenizer, Prompt("", False))


def test_lone_surrogates_do_not_stop_the_tokenizer() -> None:
    assert encode_continuation(Words(), "one \ud83d two") == [2, 3]
    assert encode_prompt(Words(), Prompt("\udc00 one", False)) == [2]


def test_the_ends_of_a_completion_come_from_tokenizer_and_model(tmp_path: Any) -> None:
    assert end_tokens(Words(), tmp_path) == [1]
    (tmp_path / "config.json").write_text('{"eos_token_id": 9}')
    assert end_tokens(Words(), tmp_path) == [1, 9]
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [1, 7]}')
    assert end_tokens(Words(), tmp_path) == [1, 7, 9]


def push(stream: TextStream, tokens: list[int]) -> Iterator[str | None]:
    return (stream.push(token) for token in tokens)


def test_a_stream_stops_at_the_string_that_is_complete_first() -> None:
    stream = TextStream(Words(), [0], ("three", "two", "e t"))
    assert list(push(stream, [2, 3])) == [None, "e t"]
    assert stream.text == "on"


def test_a_stream_finds_a_stop_string_once_its_last_token_is_there() -> None:
    stream = TextStream(Words(), [0], ("one two three",))
    assert list(push(stream, [4, 2, 3, 4])) == [None, None, None, "one two three"]
    assert stream.text == "three "


def test_a_stream_holds_back_a_character_that_is_not_whole() -> None:
    stream = TextStream(Words(), [0], ())
    assert list(push(stream, [2, 5])) == [None, None]
    assert stream.text.strip() == "one"
