"""The real engines on SmolLM2-135M-Instruct in float32: they conform, and they agree with each other."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance import (
    AHEAD,
    CONTEXT,
    QUESTIONS,
    Conformance,
    chat,
    complete,
    draw,
    greedy,
    one,
    sampled,
    score,
    scorings,
)
from workplace import GPUS

from isheep.config.engine import Engine as Settings
from isheep.config.model import Model
from isheep.errors import UserError
from isheep.serving import engines
from isheep.serving.chat import load_tokenizer
from isheep.serving.engines.base import Engine, Prompt, Request, Sampling, ScoreRequest
from isheep.serving.engines.tokens import encode_prompt

# Seen: at most 9.2e-5 nats over 176 sums of up to 32 tokens (docs/engines.md).
TOLERANCE = 1e-3


def load(name: str, folder: Path, **settings: object) -> Engine:
    few = {"context_length": CONTEXT, "max_num_seqs": AHEAD, "cpu_cache_gib": 0.25, "gpu_memory_utilization": 0.2}
    return engines.load(Settings(name=name, **few | settings), Model(), folder, "0" * 64, threads=1, gpus=GPUS)


@pytest.fixture(scope="module")
def transformers(smollm2: Path) -> Iterator[Engine]:
    with load("transformers", smollm2) as engine:
        yield engine


@pytest.fixture(scope="module")
def vllm(smollm2: Path) -> Iterator[Engine]:
    with load("vllm", smollm2) as engine:
        yield engine


@pytest.fixture(scope="module", params=["transformers", "vllm"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.getfixturevalue(request.param)


class TestRealEngines(Conformance):
    pass


def test_vllm_and_transformers_write_the_same_at_temperature_0(vllm: Engine, transformers: Engine) -> None:
    requests = greedy(transformers)
    assert complete(vllm, requests) == complete(transformers, requests)


def test_vllm_and_transformers_give_the_same_log_likelihoods(vllm: Engine, transformers: Engine) -> None:
    expected = score(transformers, scorings(transformers))
    for key, found in score(vllm, scorings(vllm)).items():
        assert found.tokens == expected[key].tokens
        assert found.log_likelihoods == pytest.approx(expected[key].log_likelihoods, abs=TOLERANCE)


def test_log_likelihoods_are_those_of_a_plain_forward_pass(vllm: Engine, smollm2: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)
    tokenizer = load_tokenizer(smollm2, Model())
    for request in scorings(vllm)[:2]:
        (found,) = vllm.score([request])
        prompt = encode_prompt(tokenizer, request.prompt)
        for text, log_likelihood in zip(request.continuations, found.log_likelihoods, strict=True):
            ids = tokenizer(text, add_special_tokens=False).input_ids
            with torch.no_grad():
                rows = model(torch.tensor([prompt + ids])).logits[0].log_softmax(-1)
            expected = math.fsum(rows[len(prompt) + n - 1, token].item() for n, token in enumerate(ids))
            assert log_likelihood == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("name", ["transformers", "vllm"])
def test_draws_follow_the_probabilities(name: str, request: pytest.FixtureRequest) -> None:
    """The commonest first token of 100 draws against its probability, within four standard deviations."""
    engine: Engine = request.getfixturevalue(name)
    prompt, number = Prompt("Heads or tails? I say:", True), 100
    drawn = complete(engine, [Request(str(seed), prompt, Sampling(1.0, 1.0, 1), seed) for seed in range(number)])
    texts = [result.text for result in drawn.values()]
    commonest = max(sorted(set(texts)), key=texts.count)
    (result,) = engine.score([ScoreRequest("one", prompt, (commonest,))])
    assert result.tokens == (1,)
    share = math.exp(result.log_likelihoods[0])
    assert abs(texts.count(commonest) - number * share) < 4 * math.sqrt(number * share * (1 - share))


def test_top_p_leaves_out_what_is_unlikely(transformers: Engine) -> None:
    prompt = chat(transformers, QUESTIONS[0])
    requests = [Request(str(seed), prompt, Sampling(1.5, 0.05, 8), seed) for seed in range(4)]
    assert {result.text for result in transformers.complete(requests)} == {one(transformers, prompt, draw(8, 0.0)).text}


def test_batches_of_the_transformers_engine_keep_to_their_requests(smollm2: Path, transformers: Engine) -> None:
    """Padding may shift float results, so sampled texts are not compared; greedy ones agree, and so does the form."""
    requests = greedy(transformers)
    with load("transformers", smollm2, batch_size=3) as batched:
        assert complete(batched, requests) == complete(transformers, requests)
        mixed = [*sampled(batched)[:4], Request("long", Prompt(" a" * 2 * CONTEXT, True), draw(4), 0)]
        found = complete(batched, random.Random(2).sample(mixed, len(mixed)))
        alone = complete(transformers, mixed)
        assert {key: (found[key].prompt_tokens, found[key].finish_reason == "context") for key in found} == {
            key: (alone[key].prompt_tokens, alone[key].finish_reason == "context") for key in alone
        }


def test_vllm_starts_again_in_the_same_process_and_repeats_itself(smollm2: Path, vllm: Engine) -> None:
    """Without prefix caching, with another number of requests at a time, and asked in another order."""
    beginning = "An instruction and an answer follow; judge how well the answer does what it was asked for. " * 12
    alike = [
        ScoreRequest(str(i), Prompt(f"{beginning} Topic {i}{', more' * i}. Score: ", False), ("1", "5", "10"))
        for i in range(6)
    ]
    expected, scores = complete(vllm, sampled(vllm)), score(vllm, alike)
    with load("vllm", smollm2, prefix_caching=False, max_num_seqs=16) as other:
        assert complete(other, sampled(other)) == expected
        assert score(other, alike[::-1]) == scores
        other.close()
        other.close()


def test_a_folder_without_weights_ends_in_one_line(smollm2: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / name).write_bytes((smollm2 / name).read_bytes())
    with pytest.raises(UserError, match=r"transformers cannot load the model \(") as error:
        load("transformers", tmp_path)
    assert "\n" not in str(error.value)


def test_a_rendered_prompt_has_the_token_ids_of_the_tokenizers_own_template(vllm: Engine, smollm2: Path) -> None:
    tokenizer = load_tokenizer(smollm2, Model())
    for text in QUESTIONS:
        turns = [{"role": "user", "content": text}]
        ids = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)["input_ids"]
        assert encode_prompt(tokenizer, vllm.template.render(turns)) == ids
