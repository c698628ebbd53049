"""The portable engine, and the oracle of the others: Hugging Face transformers, one batch after another."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isheep.config.engine import Engine as Settings
from isheep.config.model import Model
from isheep.errors import UserError
from isheep.serving.chat import load_template
from isheep.serving.engines.base import Completion, Prompt, Request, Score, ScoreRequest
from isheep.serving.engines.tokens import TextStream, encode_continuation, encode_prompt, end_tokens
from isheep.serving.imports import spare_scikit_learn
from isheep.serving.reasoning import Handling, handle
from isheep.serving.repeatable import make_gpus_repeatable

if TYPE_CHECKING:
    import numpy as np


class TransformersEngine(AbstractContextManager):
    """Runs a model with `generate`; each request draws from its own generator.

    With `batch_size` 1 a completion depends on its request alone, to the byte. Larger batches are padded on the left,
    which shifts float results a little: a text may then depend on its neighbours.
    """

    def __init__(self, settings: Settings, model: Model, folder: Path, threads: int, gpus: int) -> None:
        spare_scikit_learn()
        import torch
        from transformers import AutoModelForCausalLM, GenerationConfig
        from transformers.utils import logging

        torch.set_num_threads(threads)
        if gpus:
            make_gpus_repeatable()
        logging.disable_progress_bar()
        self.context_length = settings.context_length
        self._batch_size = settings.batch_size
        self.template = load_template(folder, model)
        self._tokenizer = self.template.tokenizer
        self._ends = frozenset(end_tokens(self._tokenizer, folder, self.template.end_of_turn))
        self._reasoning = model.reasoning
        try:
            self._model = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=getattr(torch, settings.dtype),
                trust_remote_code=model.trust_remote_code,
                use_safetensors=None if model.allow_pickle else True,
                device_map={0: "cpu", 1: "cuda"}.get(gpus, "auto"),
            ).eval()
        except (OSError, ValueError) as error:
            raise UserError(f"{folder}: transformers cannot load the model ({str(error).splitlines()[0]})") from None
        # What a model's author thinks of penalties and temperatures is not part of the run's settings.
        self._model.generation_config = GenerationConfig()

    def complete(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield a completion for each request, batch after batch; a batch is drawn when the one before is done."""
        requests = iter(requests)
        while batch := list(islice(requests, self._batch_size)):
            rows = [self._row(request) for request in batch]
            if open_rows := [row for row in rows if row.room > 0]:
                self._generate(open_rows)
            yield from (row.completion() for row in rows)

    def _row(self, request: Request) -> _Row:
        return _Row(request, self._tokenizer, self._ends, self.context_length, self._reasoning)

    def _generate(self, rows: list[_Row]) -> None:
        import torch
        from transformers import LogitsProcessorList, StoppingCriteriaList

        width = max(len(row.prompt) for row in rows)
        pad = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([[pad] * (width - len(row.prompt)) + row.prompt for row in rows])
        mask = torch.tensor([[0] * (width - len(row.prompt)) + [1] * len(row.prompt) for row in rows])

        def draw(_: Any, logits: Any) -> Any:
            chosen = torch.full_like(logits, -math.inf)
            for number, row in enumerate(rows):
                chosen[number, pad if row.done else row.draw(logits[number])] = 0
            return chosen

        def done(ids: Any, _: Any) -> Any:
            for row, token in zip(rows, ids[:, -1].tolist(), strict=True):
                if not row.done:
                    row.take(token)
            return torch.tensor([row.done for row in rows], device=ids.device)

        self._model.generate(
            ids.to(self._model.device),
            attention_mask=mask.to(self._model.device),
            do_sample=False,
            max_new_tokens=max(row.limit for row in rows),
            pad_token_id=pad,
            logits_processor=LogitsProcessorList([draw]),
            stopping_criteria=StoppingCriteriaList([done]),
        )

    def score(self, requests: Iterable[ScoreRequest]) -> Iterator[Score]:
        """Yield the log-likelihoods for each request, in order, each before the next request is drawn."""
        for request in requests:
            prompt = encode_prompt(self._tokenizer, request.prompt)
            continuations = [
                encode_continuation(self._tokenizer, text, request.prompt.text) for text in request.continuations
            ]
            if len(prompt) + max(map(len, continuations), default=0) > self.context_length:
                yield Score(request.id, (), ())
            else:
                yield Score(request.id, self._sums(prompt, continuations), tuple(map(len, continuations)))

    def _sums(self, prompt: list[int], continuations: list[list[int]]) -> tuple[float, ...]:
        """Return the log-likelihood of each continuation; the prompt is read once and its cache shared."""
        import torch

        with torch.inference_mode():
            read = self._forward(prompt, None)
            shared = getattr(read, "past_key_values", None)
            sums = []
            for ids in continuations:
                logits = read.logits[0]
                if len(ids) > 1 and shared is None:  # recurrent models keep their state elsewhere, or nowhere
                    logits = self._read_through(prompt + ids[:-1])[len(prompt) - 1 :]
                elif len(ids) > 1:
                    cache = copy.deepcopy(shared) if len(continuations) > 1 else shared
                    logits = torch.cat([logits, self._forward(ids[:-1], cache).logits[0]])
                # One row of the vocabulary's log-probabilities for each token of the continuation.
                rows = torch.log_softmax(logits[: len(ids)].float(), dim=-1).cpu()
                sums.append(math.fsum(row[token].item() for row, token in zip(rows, ids, strict=True)))
        return tuple(sums)

    def embed(self, text: str) -> np.ndarray:
        """Return the mean over a text's tokens of the last hidden states (float32, hidden size), read by itself.

        A start token stands before the text, as nearly all attention falls on a first token, and is left out of the
        mean; what exceeds the context is cut.
        """
        import torch

        ids = encode_prompt(self._tokenizer, Prompt("", add_special_tokens=False))
        ids += encode_continuation(self._tokenizer, text)[: self.context_length - 1]
        with torch.inference_mode():
            tensor = torch.tensor([ids], device=self._model.device)
            states = self._model.base_model(tensor, use_cache=False).last_hidden_state[0]
            return states[min(1, len(ids) - 1) :].float().mean(dim=0).cpu().numpy()

    def _forward(self, ids: list[int], cache: Any) -> Any:
        import torch

        keep = 1 if cache is None else len(ids)
        tensor = torch.tensor([ids], device=self._model.device)
        return self._model(tensor, past_key_values=cache, use_cache=True, logits_to_keep=keep)

    def _read_through(self, ids: list[int]) -> Any:
        import torch

        return self._model(torch.tensor([ids], device=self._model.device), use_cache=False).logits[0]

    def close(self) -> None:
        """Free the model's memory; the engine cannot be used afterwards."""
        self._model = None

    def __exit__(self, *_: object) -> None:
        self.close()


class _Row:
    """One request being completed: what it draws, what it has written, and whether it is over."""

    def __init__(
        self, request: Request, tokenizer: Any, ends: frozenset[int], context_length: int, reasoning: Handling
    ) -> None:
        import torch

        self._request = request
        self._tokenizer = tokenizer
        self._reasoning = reasoning
        self._ends = ends
        self.prompt = encode_prompt(tokenizer, request.prompt)
        self.room = context_length - len(self.prompt)
        self.limit = min(request.sampling.max_tokens, self.room)
        self._stream = TextStream(tokenizer, self.prompt, request.sampling.stop)
        self._generator = torch.Generator().manual_seed(request.seed)
        self._tokens: list[int] = []
        self._finish = "length" if self.room > 0 else "context"
        self._stop: str | None = None
        self.done = False

    def draw(self, logits: Any) -> int:
        """Return the next token: the likeliest at temperature 0, else one of the nucleus by a single uniform number.

        The nucleus is the smallest set of likeliest tokens whose probabilities sum to top_p (Holtzman et al. 2020).
        """
        import torch

        sampling = self._request.sampling
        if sampling.temperature == 0:
            return int(logits.argmax())
        # Double precision on the CPU: the cumulative sums, and so the draw, are then the same on every device.
        probabilities = torch.softmax(logits.cpu().double() / sampling.temperature, dim=-1)
        probabilities, tokens = probabilities.sort(descending=True, stable=True)
        sums = probabilities.cumsum(dim=-1)
        nucleus = min(int((sums < sampling.top_p).sum()) + 1, len(sums))
        point = torch.rand((), generator=self._generator, dtype=torch.float64) * sums[nucleus - 1]
        return int(tokens[min(int((sums <= point).sum()), nucleus - 1)])

    def take(self, token: int) -> None:
        """Add a token to what was written; note whether it ended the completion, and why."""
        self._tokens.append(token)
        if token in self._ends:
            self._finish, self.done = "stop", True
            return
        self._stop = self._stream.push(token)
        if self._stop is not None:
            self._finish = "stop"
        self.done = self._stop is not None or len(self._tokens) >= self.limit

    def completion(self) -> Completion:
        """Return the result."""
        counts = len(self.prompt), len(self._tokens)
        text, refused = handle(self._reasoning, self._stream.text, self._tokenizer, self._tokens)
        finish = "reasoning" if refused and self._finish == "stop" else self._finish
        return Completion(self._request.id, text, finish, self._stop, *counts)
