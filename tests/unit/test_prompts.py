"""Stage generate_prompts: what it keeps is decided by request order alone; too little stops it with the funnel."""

import random
from pathlib import Path

import pytest

from isheep.config.run import Run
from isheep.errors import UserError
from isheep.prompts import maker as prompts
from isheep.serving.engines.fake import FakeEngine

ROOT = Path(__file__).resolve().parents[2]


META = str(ROOT / "config/prompts/meta.txt")
FILES = {"seeds": {"path": str(ROOT / "config/seeds/isheep.jsonl")}}


def run(**changes) -> Run:
    base = {
        "meta_prompt": str(ROOT / "config/prompts/meta.txt"),
        "rows": 30,
        "shots": 3,
        "tasks_per_request": 5,
        "sampling": {"max_tokens": 400},
    }
    return Run.model_validate(
        {"engine": {"name": "fake"}, "train": {"trainer": "fake"}, "prompts": {**base, **changes}, **FILES}
    )


def maker(settings: Run, round_number: int = 0) -> prompts.PromptMaker:
    return prompts.PromptMaker.of(settings, round_number)


class Served:
    """Completes requests on the fake engine in a shuffled order, and counts them."""

    def __init__(self, settings: Run, seed: int) -> None:
        self.engine = FakeEngine(settings.engine, settings.model, "model")
        self.draw = random.Random(seed)

    def send(self, requests):
        requests = list(requests)
        self.draw.shuffle(requests)
        return {result.id: result for result in self.engine.complete(requests)}

    def gather(self, made: prompts.PromptMaker, earlier=()) -> prompts.Collected:
        return prompts.gather(made, self.send, earlier)


def test_the_rows_do_not_depend_on_the_order_of_answers():
    settings = run()
    first, second = (Served(settings, seed).gather(maker(settings)) for seed in (1, 2))
    assert [*first.rows] == [*second.rows] and [*first.rejected] == [*second.rejected]
    assert len(first.rows) == 30
    assert [row["id"] for row in first.rows] == sorted(row["id"] for row in first.rows)


def test_fewer_rows_are_the_beginning_of_more():
    few, many = (Served(run(rows=rows), 0).gather(maker(run(rows=rows))) for rows in (10, 30))
    assert many.rows[:10] == [*few.rows]


def test_rounds_and_seeds_draw_differently():
    settings = run()
    assert maker(settings, 0).request(0).seed != maker(settings, 1).request(0).seed
    shown = {
        tuple(seed.id for seed in settings.prompts.shown(number, maker(settings).material)) for number in range(20)
    }
    assert len(shown) == 20


def test_every_row_is_counted_and_says_where_it_comes_from():
    made = Served(run(), 0).gather(maker(run()))
    made.funnel.record(len(made.rows), len(made.rejected))
    assert {"id", "round", "request", "seeds", "instruction", "input"} == set(made.rows[0])
    assert all(row["rule"] for row in made.rejected)


def test_near_duplicates_of_seeds_and_earlier_rounds_are_dropped():
    settings = run()
    rows = Served(settings, 0).gather(maker(settings)).rows
    earlier = [{"id": "d9-x", "instruction": rows[0]["instruction"]}]
    again = Served(settings, 0).gather(maker(settings), earlier)
    dropped = [row for row in again.rejected if row.get("like") == "d9-x"]
    assert rows[0]["id"] in [row["id"] for row in dropped] and rows[0] not in again.rows


def test_too_few_rows_stop_with_the_funnel_or_go_on_when_told():
    settings = run(max_requests=2)
    with pytest.raises(UserError, match=r"of 30 prompts after 2 requests .*generate_prompts kept"):
        Served(settings, 0).gather(maker(settings))
    going_on = run(max_requests=2, on_shortfall="continue")
    assert 0 < len(Served(going_on, 0).gather(maker(going_on)).rows) < 30


def test_more_requests_follow_by_themselves():
    settings = run(rules=("none",), similarity=0.3)
    made = Served(settings, 0).gather(maker(settings))
    assert made.requests > prompts.first_wave(maker(settings)) and len(made.rows) == 30


def test_shards_share_the_first_wave_without_overlap():
    made = maker(run())
    parts = [prompts.first_wave_of_shard(made, shard, 3) for shard in range(3)]
    ids = [request.id for part in parts for request in part]
    assert sorted(ids) == [made.request_id(number) for number in range(prompts.first_wave(made))]
