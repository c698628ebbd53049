"""Presets of published base models: their settings against the published shapes, by arithmetic alone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from workplace import REPOSITORY

from isheep.config import load
from isheep.config.run import Run
from isheep.training.launch import count_processes

GIB = 2**30
GPU = 80 * GIB
ROWS = 16  # a step, in the paper
BYTES = {"float32": 4, "bfloat16": 2}


@dataclass(frozen=True)
class Shape:
    """A model as its published config.json describes it (docs/models.md says where each stands)."""

    layers: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    vocabulary: int
    context: int
    tied: bool = False
    head: int | None = None
    biases: bool = False
    norms_of_heads: bool = False

    @property
    def head_size(self) -> int:
        return self.head or self.hidden // self.heads

    @property
    def parameters(self) -> int:
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        attention = self.hidden * (2 * queries + 2 * keys) + self.biases * (queries + 2 * keys)
        norms = 2 * self.hidden + self.norms_of_heads * 2 * self.head_size
        layer = attention + 3 * self.hidden * self.inner + norms
        return self.layers * layer + self.vocabulary * self.hidden * (1 if self.tied else 2) + self.hidden

    def cached(self, size: int) -> int:
        """Bytes of keys and values of a token."""
        return 2 * self.layers * self.kv_heads * self.head_size * size

    def adapter(self, rank: int) -> int:
        """Parameters of an adapter on all linear layers."""
        queries, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        ends = 2 * (self.hidden + queries) + 2 * (self.hidden + keys) + 3 * (self.hidden + self.inner)
        return self.layers * rank * ends


def qwen15(*numbers: int) -> Shape:
    return Shape(*numbers, context=32768, biases=True)


SHAPES = {
    "smollm2-135m": (Shape(30, 576, 1536, 9, 3, 49152, 8192, tied=True), 0.1345),
    "qwen3-0.6b": (Shape(28, 1024, 3072, 16, 8, 151936, 32768, True, 128, norms_of_heads=True), 0.596),
    "qwen3-4b": (Shape(36, 2560, 9728, 32, 8, 151936, 32768, True, 128, norms_of_heads=True), 4.022),
    "qwen3-8b": (Shape(36, 4096, 12288, 32, 8, 151936, 32768, head=128, norms_of_heads=True), 8.191),
    "qwen1.5-1.8b": (qwen15(24, 2048, 5504, 16, 16, 151936), 1.837),
    "qwen1.5-4b": (qwen15(40, 2560, 6912, 20, 20, 151936), 3.950),
    "qwen1.5-7b": (qwen15(32, 4096, 11008, 32, 32, 151936), 7.721),
    "qwen1.5-14b": (qwen15(40, 5120, 13696, 40, 40, 152064), 14.167),
    "qwen1.5-32b": (qwen15(64, 5120, 27392, 40, 8, 152064), 32.512),
    "qwen1.5-72b": (qwen15(80, 8192, 24576, 64, 64, 152064), 72.288),
    "llama-3-70b": (Shape(80, 8192, 28672, 64, 8, 128256, 8192), 70.554),
}
everyone = pytest.mark.parametrize("name", SHAPES)


def run_of(name: str) -> Run:
    runs = {"runs": {"a": {"preset": name, "recipe": "i_sheep"}}}
    return load(runs, REPOSITORY).runs["a"]


@everyone
def test_the_shape_adds_up_to_the_published_number_of_parameters(name):
    shape, billions = SHAPES[name]
    assert round(shape.parameters / 1e9, 3 if billions > 0.5 else 4) == billions


@everyone
def test_a_step_has_the_papers_sixteen_rows_on_any_number_of_its_gpus(name):
    run = run_of(name)
    processes = count_processes(run.train, run.resources.train.gpus)
    assert run.train.batch_size == ROWS and ROWS % (run.train.micro_batch_size * processes) == 0
    assert processes == max(1, run.resources.train.gpus)


@everyone
def test_the_context_is_one_that_the_model_was_made_for(name):
    run = run_of(name)
    assert max(run.engine.context_length, run.train.max_length) <= SHAPES[name][0].context


@everyone
def test_weights_and_eight_full_contexts_fit_the_gpus_that_generate(name):
    run, (shape, _) = run_of(name), SHAPES[name]
    size, gpus = BYTES[run.engine.dtype], run.resources.generate.gpus
    room = run.engine.gpu_memory_utilization * GPU * max(gpus, 1)
    assert shape.parameters * size + 8 * run.engine.context_length * shape.cached(size) < 0.95 * room
    if gpus:
        assert shape.heads % gpus == 0 and (shape.kv_heads % gpus == 0 or gpus % shape.kv_heads == 0)
    assert run.resources.assess.gpus == gpus


@everyone
def test_weights_adapter_and_activations_fit_each_gpu_that_trains(name):
    run, (shape, _) = run_of(name), SHAPES[name]
    train, gpus = run.train, max(run.resources.train.gpus, 1)
    size = BYTES[train.dtype]
    tokens = train.micro_batch_size * train.max_length
    weights = shape.parameters * size / (gpus if train.zero_stage == 3 else 1)
    # Adapter, gradient and two moments in float32; one layer of a ZeRO-3 model is whole on every GPU.
    adapter = 16 * shape.adapter(train.lora.rank)
    layer = 3 * shape.hidden * shape.inner * size * 2
    kept = tokens * shape.hidden * size * shape.layers * (1 if train.gradient_checkpointing else 34)
    at_once = tokens * size * (34 * shape.hidden + 4 * shape.inner)
    logits = 3 * 4 * tokens * shape.vocabulary
    assert weights + adapter + layer + kept + at_once + logits < 0.9 * GPU


@everyone
def test_memory_of_the_machine_holds_what_is_loaded_and_what_is_compared(name):
    run, (shape, _) = run_of(name), SHAPES[name]
    needs = run.resources
    loading = 1 if run.train.zero_stage == 3 else max(needs.train.gpus, 1)
    assert shape.parameters * BYTES[run.train.dtype] * loading < needs.train.mem_gib * GIB
    assert shape.parameters * BYTES[run.engine.dtype] < needs.generate.mem_gib * GIB
    answers = 1.2 * 4 * shape.parameters
    if run.merge.compare == "tensors":
        assert answers > 128 * GIB and needs.merge.mem_gib * GIB > 4 * shape.vocabulary * shape.hidden * 4
    else:
        assert answers < needs.merge.mem_gib * GIB
