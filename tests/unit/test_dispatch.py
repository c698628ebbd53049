"""The dispatcher: what was answered is not asked again, whatever limit it was asked with."""

from __future__ import annotations

import pytest

from isheep.data.rows import Stream
from isheep.runner.dispatch import Dispatcher
from isheep.runner.journal import Journal
from isheep.runner.progress import Progress, duration
from isheep.serving.engines.base import Completion, Prompt, Request, Sampling, Score, ScoreRequest

PRINT = "f" * 64


class Engine:
    """Writes 10 tokens and stops, or is cut by the limit; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def complete(self, requests):
        for request in requests:
            self.asked.append(request.id)
            cut = request.sampling.max_tokens < 10
            count = min(10, request.sampling.max_tokens)
            yield Completion(request.id, "x" * count, "length" if cut else "stop", None, 3, count)

    def score(self, requests):
        for request in requests:
            self.asked.append(request.id)
            yield Score(request.id, (-1.0,), (2,))


def requests(limit: int, *ids: str, temperature: float = 1.0) -> list[Request]:
    sampling = Sampling(temperature, 1.0, limit)
    return [Request(id, Prompt(f"tell {id}", True), sampling, seed=1) for id in ids]


@pytest.fixture
def ask(tmp_path):
    def asked(*wave) -> tuple[dict, list[str]]:
        engine = Engine()
        with Journal(tmp_path, PRINT, "stage") as journal:
            return dict(Dispatcher(journal, lambda: engine).send(wave)), engine.asked

    return asked


def test_what_is_in_the_journal_is_not_asked(ask):
    first, asked = ask(*requests(20, "a", "b"), ScoreRequest("s", Prompt("p", True), ("c",)))
    assert sorted(asked) == ["a", "b", "s"] and first["s"] == Score("s", (-1.0,), (2,))
    again, asked = ask(*requests(20, "a", "b"), ScoreRequest("s", Prompt("p", True), ("c",)))
    assert asked == [] and again == first


def test_answers_that_ended_by_themselves_survive_a_raised_limit_and_cut_ones_are_asked_again(ask):
    ask(*requests(20, "a"), *requests(5, "b"))
    results, asked = ask(*requests(40, "a", "b"))
    assert asked == ["b"]
    assert (results["a"].completion_tokens, results["b"].finish_reason) == (10, "stop")


def test_a_lowered_limit_cuts_longer_answers_anew(ask):
    ask(*requests(20, "a"))
    results, asked = ask(*requests(8, "a"))
    assert asked == ["a"] and results["a"].finish_reason == "length"
    results, asked = ask(*requests(8, "a"))
    assert asked == []


def test_another_temperature_is_another_request(ask):
    ask(*requests(20, "a"))
    assert ask(*requests(20, "a", temperature=0.5))[1] == ["a"]


def test_tokens_are_counted_whoever_answered(tmp_path):
    for _ in range(2):
        with Journal(tmp_path, PRINT, "stage") as journal:
            dispatcher = Dispatcher(journal, Engine)
            dispatcher.send([*requests(20, "a", "b"), ScoreRequest("s", Prompt("p", True), ("c",))])
            assert dispatcher.tokens() == {"prompt": 6, "completion": 20, "scored": 2}


def test_a_stream_is_drawn_as_the_engine_takes_it_and_its_results_are_read_when_asked_for(tmp_path):
    made = []

    def wave():
        for request in requests(20, *"abcd"):
            made.append(request.id)
            yield request

    class Slow(Engine):
        def complete(self, requests):
            for done in super().complete(requests):
                assert made[-1] == done.id  # none is made ahead
                yield done

    with Journal(tmp_path, PRINT, "stage") as journal:
        results = Dispatcher(journal, Slow).send(Stream(wave))
        assert made == list("abcdabcd")
        assert results["c"].text == "x" * 10 and list(results) == list("abcd") and "e" not in results


def test_a_request_that_a_wave_holds_twice_is_kept_once(tmp_path):
    with Journal(tmp_path, PRINT, "stage") as journal:
        dispatcher = Dispatcher(journal, Engine)
        dispatcher.send([*requests(20, "a"), *requests(20, "a")])
        assert dispatcher.tokens() == {"prompt": 3, "completion": 10, "scored": 0}
    assert len((tmp_path / "stage.jsonl").read_text().splitlines()) == 2


def test_progress_tells_what_is_done_how_fast_and_what_is_left():
    progress = Progress(total=100, done=9)
    progress.add(tokens=20)  # starts the clock: an engine was loaded before it
    assert progress.line(0.0) == "10 of 100 requests"
    for _ in range(30):
        progress.add(tokens=20)
    assert progress.line(60.0) == "40 of 100 requests, 0.5 requests/s, 10 tokens/s, 2 min left"


@pytest.mark.parametrize(("seconds", "said"), [(40, "40 s"), (700, "12 min"), (11100, "3 h 05 min")])
def test_times_are_told_as_people_say_them(seconds, said):
    assert duration(seconds) == said
