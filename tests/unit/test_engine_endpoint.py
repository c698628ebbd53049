"""The engine that asks a server: says what an honest one says, is patient with a failing one, refuses a wrong one.

tests/real/test_endpoint.py runs it against the server of vLLM.
"""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_llama
from conformance import AHEAD, CONTEXT
from model_endpoint import ModelEndpoint

from isheep.config.engine import Engine as Settings
from isheep.config.engine import Served
from isheep.config.model import Model
from isheep.errors import UserError
from isheep.serving import engines
from isheep.serving.engines.base import Engine, Prompt, Request, Sampling, ScoreRequest
from isheep.serving.engines.transformers import TransformersEngine, _Row

ROOM = CONTEXT + 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama.save(tmp_path_factory.mktemp("tiny"), max_position_embeddings=2 * CONTEXT)


class Honest:
    """Answers as a model server does, by the oracle of the engines, from token ids."""

    def __init__(self, folder: Path) -> None:
        self.oracle = engines.load(
            Settings(name="transformers", context_length=ROOM), Model(), folder, "", threads=1, gpus=0
        )
        assert isinstance(self.oracle, TransformersEngine)
        self._one_at_a_time = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
        with self._one_at_a_time:
            return self._echo(body) if body.get("echo") else self._write(body)

    def _write(self, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
        oracle = self.oracle
        sampling = Sampling(body["temperature"], body["top_p"], body["max_tokens"], tuple(body["stop"]))
        request = Request("", Prompt("", True), sampling, body["seed"])
        tokenizer = oracle._tokenizer
        row = _Row(request, tokenizer, frozenset(body["stop_token_ids"]), ROOM, "keep")
        row.prompt, row.limit = body["prompt"], body["max_tokens"]
        row._stream = type(row._stream)(tokenizer, row.prompt, sampling.stop)
        oracle._generate([row])
        done = row.completion()
        told = {"text": done.text, "finish_reason": done.finish_reason, "stop_reason": done.stop_reason}
        return {**told, "token_ids": row._tokens}, done.completion_tokens

    def _echo(self, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
        import torch

        ids = body["prompt"]
        with torch.no_grad():
            rows = self.oracle._model(torch.tensor([ids])).logits[0].log_softmax(-1)
        read = [None, *(rows[place, token].item() for place, token in enumerate(ids[1:])), -1.0]
        return {"text": "", "finish_reason": "length", "logprobs": {"token_logprobs": read}}, 1


def load(folder: Path, url: str, **changes: Any) -> Engine:
    served = Served(base_url=url, concurrency=AHEAD, attempts=2, **changes)
    settings = Settings(name="endpoint", context_length=CONTEXT, endpoint=served)
    return engines.load(settings, Model(), folder, "", threads=1, gpus=0)


def test_it_writes_and_scores_as_the_engine_behind_the_server_does(folder):
    honest = Honest(folder)
    template, prompts = honest.oracle.template, ("Name a river.", "Why? " * 20, "x" * 400)
    requests = [
        Request(f"{number}-{limit}", template.render([{"role": "user", "content": text}]), sampling, number)
        for number, text in enumerate(prompts)
        for limit in (1, 6, 400)
        for sampling in [Sampling(1.0, 0.9, limit, ("e", "\n"))]
    ]
    scorings = [ScoreRequest(request.id, request.prompt, (" yes", "", "no, no")) for request in requests[::3]]
    settings = Settings(name="transformers", context_length=CONTEXT)
    with (
        engines.load(settings, Model(), folder, "", threads=1, gpus=0) as alone,
        ModelEndpoint(honest, str(folder), ROOM) as server,
        load(folder, server.url) as engine,
    ):
        assert engine.context_length == CONTEXT and isinstance(engine, Engine)
        expected = {done.id: done for done in alone.complete(requests)}
        assert {done.id: done for done in engine.complete(requests)} == expected
        assert {done.finish_reason for done in expected.values()} == {"stop", "length", "context"}
        sums = {score.id: score for score in alone.score(scorings)}
        for score in engine.score(scorings):
            assert score.tokens == sums[score.id].tokens
            assert score.log_likelihoods == pytest.approx(sums[score.id].log_likelihoods, abs=1e-3)


STEP = Request("a", Prompt("Name a river.", False), Sampling(0.0, 1.0, 4), 3)


def written(body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    return {"text": "The Rhine", "finish_reason": "stop", "stop_reason": None}, 4


def test_a_server_that_is_busy_is_asked_again_and_one_that_stays_so_ends_in_one_line(folder):
    answers = iter([503, written(STEP), 429, 500])
    with ModelEndpoint(lambda _: next(answers), str(folder), ROOM) as server:
        engine = load(folder, server.url)
        (done,) = engine.complete([STEP])
        assert (done.text, done.completion_tokens, len(server.asked)) == ("The Rhine", 4, 2)
        with pytest.raises(UserError, match=r"engine\.endpoint http.*: .*not now") as error:
            list(engine.complete([STEP]))
        assert "\n" not in str(error.value) and len(server.asked) == 4


def test_what_was_answered_before_a_failure_is_yielded_first(folder):
    def answer(body: dict[str, Any]) -> tuple[dict[str, Any], int] | int:
        return 404 if body["seed"] == 5 else written(body)

    requests = [Request(str(seed), STEP.prompt, STEP.sampling, seed) for seed in range(9)]
    seen = []
    with (
        ModelEndpoint(answer, str(folder), ROOM) as server,
        load(folder, server.url) as engine,
        pytest.raises(UserError, match=r"no such model or path there; correct engine\.endpoint\.model"),
    ):
        for done in engine.complete(requests):
            seen.append(done.id)
    assert {"0", "1", "2", "3", "4"} <= set(seen) and "5" not in seen


@pytest.mark.parametrize(
    ("model", "room", "message"),
    [
        ("another", ROOM, r"serves another, not .*; start it with this model \(vLLM: --model .* --max-model-len 257\)"),
        (None, CONTEXT, r"holds 256 tokens, engine.context_length is 256; start it with room for 257"),
    ],
)
def test_a_server_of_another_model_or_with_too_little_room_is_refused(folder, model, room, message):
    with (
        ModelEndpoint(written, model or str(folder), room) as server,
        pytest.raises(UserError, match=message),
    ):
        load(folder, server.url)


def test_a_server_that_is_not_there_and_gpus_for_nothing_are_refused(folder):
    with pytest.raises(UserError, match=r"cannot be reached; start the server or correct engine\.endpoint\.base_url"):
        load(folder, "http://127.0.0.1:9/v1")
    settings = Settings(name="endpoint")
    with pytest.raises(UserError, match="endpoint runs no model itself, but the job asked for 1 GPUs"):
        engines.load(settings, Model(), folder, "", threads=1, gpus=1)


def test_a_server_that_echoes_no_log_probabilities_is_told(folder):
    with ModelEndpoint(written, str(folder), ROOM) as server, load(folder, server.url) as engine:
        with pytest.raises(UserError, match="gives no log-probabilities of a prompt's tokens"):
            list(engine.score([ScoreRequest("a", STEP.prompt, (" yes",))]))
        assert server.asked[-1]["echo"] is True


def test_the_stop_string_is_named_as_either_server_names_it():
    from isheep.serving.engines.endpoint import _stop_string

    assert _stop_string(SimpleNamespace(stop_reason="X"), ("X",)) == "X"
    assert _stop_string(SimpleNamespace(matched_stop="X"), ("X",)) == "X"
    assert _stop_string(SimpleNamespace(stop_reason=2), ("X",)) is None
