"""A server that speaks OpenAI's protocol (vLLM's and SGLang's do): asked with patience, its errors told in one line."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from isheep.errors import UserError


@dataclass(frozen=True)
class Server:
    """Where a model is served.

    Parameters
    ----------
    base_url, model
        Such as http://localhost:8000/v1, and the name under which it serves the model.
    key_variable
        Environment variable that holds the key; a server that asks for none needs none. The key goes nowhere else.
    timeout_s, attempts, concurrency
        Seconds for one reply, how often a failed request is sent in all, and requests at a time.
    longest_pause_s
        Seconds before a failed request is sent again; the first pause is half a second, each next one twice as long.
    """

    section: ClassVar[str] = "judge"
    """Where the settings name it."""

    base_url: str
    model: str
    key_variable: str = "OPENAI_API_KEY"
    timeout_s: float = 120.0
    attempts: int = 5
    concurrency: int = 8
    longest_pause_s: float = 30.0

    def client(self) -> Any:
        """Return a client, which threads may share."""
        import openai

        key = os.environ.get(self.key_variable) or "none"
        return openai.OpenAI(base_url=self.base_url, api_key=key, timeout=self.timeout_s, max_retries=0)

    def ask(self, call: Callable[..., Any], **body: Any) -> Any:
        """Return what a method of the client gives; again and again where the server is busy, fails or is not reached.

        Raises
        ------
        UserError
            It stays so, or the server refuses: the key, the name of the model, the request.
        """
        import openai
        import tenacity

        passing = (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(passing),
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=tenacity.wait_exponential(multiplier=0.5, max=self.longest_pause_s),
            reraise=True,
        )
        try:
            return retrying(call, **body)
        except openai.OpenAIError as error:
            raise UserError(self._explain(error)) from None

    def greet(self) -> None:
        """Ask one short question: which models it serves."""
        self.ask(self.client().models.list)

    def silence(self) -> str | None:
        """Return in a line why it does not answer one short question; None where it does."""
        try:
            self.greet()
        except UserError as error:
            return str(error)
        return None

    def _explain(self, error: Exception) -> str:
        import openai

        name = self.section
        where = f"{name} {self.base_url} (model {self.model})"
        if isinstance(error, openai.APIConnectionError):
            return (
                f"{where}: cannot be reached; start the server or correct {name}.base_url. Other results are not lost"
            )
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return f"{where}: the key is refused; put a valid one into the environment variable {self.key_variable}"
        if isinstance(error, openai.NotFoundError):
            return (
                f"{where}: no such model or path there; correct {name}.model or {name}.base_url (it mostly ends in /v1)"
            )
        return f"{where}: {str(error).splitlines()[0][:200]}"
