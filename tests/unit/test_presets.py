"""Presets of published base models: their numbers against published counts, their settings against those numbers."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import yaml
from workplace import REPOSITORY

from isheep.config import load
from isheep.config.run import Run
from isheep.plan.shape import PUBLISHED as SHAPES
from isheep.plan.shape import Shape
from isheep.training.checks import BYTES
from isheep.training.launch import count_processes

GIB = 2**30
GPU = 80 * GIB
ROWS = 16  # a step, in the paper


@dataclass(frozen=True)
class Published:
    """What is published of a model besides the numbers in config/plan/models.yaml (docs/models.md says where).

    Parameters
    ----------
    billions
        Parameters, as counted from the files of its weights.
    context
        Tokens that it was made for.
    biases, norms_of_heads
        Whether queries, keys and values have biases; whether each head's queries and keys are normalised.
    """

    billions: float
    context: int = 32768
    biases: bool = False
    norms_of_heads: bool = False

    def parameters(self, shape: Shape) -> int:
        """Count the parameters of the numbers: weights, and what the plan leaves out as too small to matter."""
        queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
        attention = shape.hidden * (2 * queries + 2 * keys) + self.biases * (queries + 2 * keys)
        norms = 2 * shape.hidden + self.norms_of_heads * 2 * shape.head_size
        layer = attention + 3 * shape.hidden * shape.feed_forward + norms
        embeddings = shape.vocabulary * shape.hidden * (1 if shape.tied else 2)
        return shape.layers * layer + embeddings + shape.hidden


PUBLISHED = {
    "smollm2-135m": Published(0.1345, 8192),
    "qwen3-0.6b": Published(0.596, norms_of_heads=True),
    "qwen3-4b": Published(4.022, norms_of_heads=True),
    "qwen3-8b": Published(8.191, norms_of_heads=True),
    "qwen1.5-1.8b": Published(1.837, biases=True),
    "qwen1.5-4b": Published(3.950, biases=True),
    "qwen1.5-7b": Published(7.721, biases=True),
    "qwen1.5-14b": Published(14.167, biases=True),
    "qwen1.5-32b": Published(32.512, biases=True),
    "qwen1.5-72b": Published(72.288, biases=True),
    "llama-3-70b": Published(70.554, 8192),
}
everyone = pytest.mark.parametrize("name", PUBLISHED)


def run_of(name: str) -> Run:
    runs = {"runs": {"a": {"preset": name, "recipe": "i_sheep"}}}
    return load(runs, REPOSITORY).runs["a"]


def sized(name: str) -> tuple[Run, Shape]:
    """Return a run of a preset, and the numbers of its model in config/plan/models.yaml."""
    run = run_of(name)
    numbers = yaml.safe_load((REPOSITORY / SHAPES).read_text())[run.model.hub]
    return run, Shape(**numbers)


@everyone
def test_the_shape_adds_up_to_the_published_number_of_parameters(name):
    (_, shape), published = sized(name), PUBLISHED[name]
    counted = published.parameters(shape)
    assert round(counted / 1e9, 3 if published.billions > 0.5 else 4) == published.billions
    assert shape.parameters == pytest.approx(counted, rel=1e-3)


@everyone
def test_a_step_has_the_papers_sixteen_rows_on_any_number_of_its_gpus(name):
    run = run_of(name)
    processes = count_processes(run.train, run.resources.train.gpus)
    assert run.train.batch_size == ROWS and ROWS % (run.train.micro_batch_size * processes) == 0
    assert processes == max(1, run.resources.train.gpus)


@everyone
def test_the_context_is_one_that_the_model_was_made_for(name):
    run = run_of(name)
    assert max(run.engine.context_length, run.train.max_length) <= PUBLISHED[name].context


@everyone
def test_weights_and_eight_full_contexts_fit_the_gpus_that_generate(name):
    run, shape = sized(name)
    size, gpus = BYTES[run.engine.dtype], run.resources.generate.gpus
    room = run.engine.gpu_memory_utilization * GPU * max(gpus, 1)
    assert shape.parameters * size + 8 * run.engine.context_length * shape.cache_bytes(run.engine.dtype) < 0.95 * room
    if gpus:
        assert shape.heads % gpus == 0 and (shape.kv_heads % gpus == 0 or gpus % shape.kv_heads == 0)
    assert run.resources.assess.gpus == gpus


@everyone
def test_weights_adapter_and_activations_fit_each_gpu_that_trains(name):
    run, shape = sized(name)
    train, gpus = run.train, max(run.resources.train.gpus, 1)
    size = BYTES[train.dtype]
    tokens = train.micro_batch_size * train.max_length
    weights = shape.parameters * size / (gpus if train.zero_stage == 3 else 1)
    # Adapter, gradient and two moments in float32; one layer of a ZeRO-3 model is whole on every GPU.
    adapter = 16 * shape.adapter_parameters(train.lora.rank)
    layer = 3 * shape.hidden * shape.feed_forward * size * 2
    kept = tokens * shape.hidden * size * shape.layers * (1 if train.gradient_checkpointing else 34)
    at_once = tokens * size * (34 * shape.hidden + 4 * shape.feed_forward)
    logits = 3 * 4 * tokens * shape.vocabulary
    assert weights + adapter + layer + kept + at_once + logits < 0.9 * GPU


@everyone
def test_memory_of_the_machine_holds_what_is_loaded_and_what_is_compared(name):
    run, shape = sized(name)
    needs = run.resources
    loading = 1 if run.train.zero_stage == 3 else max(needs.train.gpus, 1)
    assert shape.parameters * BYTES[run.train.dtype] * loading < needs.train.mem_gib * GIB
    assert shape.parameters * BYTES[run.engine.dtype] < needs.generate.mem_gib * GIB
    answers = 1.2 * 4 * shape.parameters
    if run.merge.compare == "tensors":
        assert answers > 128 * GIB and needs.merge.mem_gib * GIB > 4 * shape.vocabulary * shape.hidden * 4
    else:
        assert answers < needs.merge.mem_gib * GIB
