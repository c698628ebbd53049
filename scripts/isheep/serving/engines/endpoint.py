"""A model behind a server that somebody else runs: asked in token ids, so that it reads what every engine reads.

What is asked is in OpenAI's protocol: completions of a list of token ids, and `echo` with `logprobs` for scores. Of
what vLLM and SGLang add to it, `stop_token_ids` and `stop_reason` are used. What such a server cannot promise, equal
bytes above all, docs/engines.md tells.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from isheep.config.engine import Engine as Settings
from isheep.config.model import Model
from isheep.errors import UserError
from isheep.serving.chat import load_template
from isheep.serving.engines.base import Completion, Request, Score, ScoreRequest
from isheep.serving.engines.tokens import encode_continuation, encode_prompt, end_tokens
from isheep.serving.reasoning import handle
from isheep.serving.server import Server

logger = logging.getLogger(__name__)
Asked = TypeVar("Asked")
Result = TypeVar("Result")


class ModelServer(Server):
    """The server of an engine."""

    section: ClassVar[str] = "engine.endpoint"


class EndpointEngine(AbstractContextManager):
    """Asks a server for completions and log-probabilities, `concurrency` requests at a time.

    The model's folder is there for its tokenizer and template alone.
    """

    def __init__(self, settings: Settings, model: Model, folder: Path, threads: int, gpus: int) -> None:
        if gpus:
            raise UserError(
                f"engine.name: endpoint runs no model itself, but the job asked for {gpus} GPUs; set gpus: 0 in "
                "`resources` of the run"
            )
        self._server = ModelServer(**settings.endpoint.served(folder))
        self._client = self._server.client()
        self.context_length = settings.context_length
        self.template = load_template(folder, model)
        self._tokenizer = self.template.tokenizer
        self._ends = end_tokens(self._tokenizer, folder, self.template.end_of_turn)
        self._reasoning = model.reasoning
        self._check_served()
        self._pool = ThreadPoolExecutor(self._server.concurrency)

    def _check_served(self) -> None:
        """Raise UserError unless it serves the model, with room for one token beyond the context, which scores need."""
        served = {each.id: each for each in self._server.ask(self._client.models.list)}
        names = ", ".join(sorted(served)) or "nothing"
        name, wanted = self._server.model, self.context_length + 1
        if name not in served:
            raise UserError(
                f"engine.endpoint {self._server.base_url}: serves {names}, not {name}; "
                f"start it with this model (vLLM: --model {name} --max-model-len {wanted}), then type the same "
                "command again; or write its name into engine.endpoint.model"
            )
        room = getattr(served[name], "max_model_len", None)
        if isinstance(room, int) and room < wanted:
            raise UserError(
                f"engine.endpoint {self._server.base_url}: holds {room} tokens, engine.context_length is "
                f"{self.context_length}; start it with room for {wanted} (vLLM: --max-model-len {wanted})"
            )

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield a completion for each request as it comes; at most `concurrency` requests are drawn ahead."""
        return self._run(self._completion, requests)

    def score(self, requests: Iterable[ScoreRequest]) -> Iterator[Score]:
        """Yield the log-likelihoods for each request as they come; at most `concurrency` are drawn ahead."""
        return self._run(self._score, requests)

    def _run(self, answer: Callable[[Asked], Result], requests: Iterable[Asked]) -> Iterator[Result]:
        """Answer requests side by side; an error is raised once those that were under way have been yielded."""
        waiting: set[Future[Result]] = set()
        failed: UserError | None = None
        try:
            for request in requests:
                waiting.add(self._pool.submit(answer, request))
                while len(waiting) >= self._server.concurrency:
                    results, waiting, failed = _finished(waiting, failed)
                    yield from results
                if failed:
                    break
            while waiting:
                results, waiting, failed = _finished(waiting, failed)
                yield from results
        finally:
            for each in waiting:
                each.cancel()
        if failed:
            raise failed

    def _completion(self, request: Request) -> Completion:
        prompt, sampling = encode_prompt(self._tokenizer, request.prompt), request.sampling
        room = self.context_length - len(prompt)
        if room <= 0:
            return Completion(request.id, "", "context", None, len(prompt), 0)
        choice, reply = self._ask(
            prompt,
            max_tokens=min(sampling.max_tokens, room),
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            stop=list(sampling.stop),
            seed=request.seed,
            more={"return_token_ids": True},
        )
        stop = _stop_string(choice, sampling.stop)
        ids = getattr(choice, "token_ids", None) or []
        text, refused = handle(self._reasoning, choice.text, self._tokenizer, ids)
        finish = "reasoning" if refused and choice.finish_reason == "stop" else choice.finish_reason or "stop"
        written = len(ids) or (reply.usage.completion_tokens if reply.usage else 0)
        return Completion(request.id, text, finish, stop, len(prompt), written)

    def _score(self, request: ScoreRequest) -> Score:
        prompt = encode_prompt(self._tokenizer, request.prompt)
        continuations = [
            encode_continuation(self._tokenizer, text, request.prompt.text) for text in request.continuations
        ]
        if len(prompt) + max(map(len, continuations), default=0) > self.context_length:
            return Score(request.id, (), ())
        sums = tuple(self._sum(prompt, ids) if ids else 0.0 for ids in continuations)
        return Score(request.id, sums, tuple(map(len, continuations)))

    def _sum(self, prompt: list[int], continuation: list[int]) -> float:
        """Return the log-likelihood of a continuation, read as the end of a prompt that the server echoes."""
        ids = prompt + continuation
        choice, _ = self._ask(ids, max_tokens=1, temperature=0.0, top_p=1.0, echo=True, logprobs=1)
        seen = choice.logprobs.token_logprobs if choice.logprobs else []
        read = seen[len(prompt) : len(ids)]
        if len(read) != len(continuation) or None in read:
            raise UserError(
                f"engine.endpoint {self._server.base_url}: gives no log-probabilities of a prompt's tokens (echo with "
                "logprobs); take a server that does (vLLM, SGLang), or another engine"
            )
        return math.fsum(read)

    def _ask(self, ids: list[int], more: dict[str, Any] | None = None, **settings: Any) -> tuple[Any, Any]:
        extra = {"stop_token_ids": self._ends, "ignore_eos": True, "skip_special_tokens": True, **(more or {})}
        create = self._client.completions.create
        reply = self._server.ask(create, model=self._server.model, prompt=ids, extra_body=extra, **settings)
        if not reply.choices:
            raise UserError(
                f"engine.endpoint {self._server.base_url}: the reply holds no choice; is it a model server?"
            )
        return reply.choices[0], reply

    def close(self) -> None:
        """Give up what was not sent and close the connections; the server runs on."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def _finished(
    waiting: set[Future[Result]], failed: UserError | None
) -> tuple[list[Result], set[Future[Result]], UserError | None]:
    """Wait for one at least; return the results there are, what is still waited for, and the first failure."""
    done, others = wait(waiting, return_when=FIRST_COMPLETED)
    results = []
    for each in done:
        try:
            results.append(each.result())
        except UserError as error:
            failed = failed or error
    return results, others, failed


def _stop_string(choice: Any, stops: tuple[str, ...]) -> str | None:
    """Return the stop string that ended a text, as vLLM (`stop_reason`) and SGLang (`matched_stop`) tell it."""
    told = getattr(choice, "stop_reason", None) or getattr(choice, "matched_stop", None)
    return told if told in stops else None
