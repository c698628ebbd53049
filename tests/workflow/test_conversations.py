"""Rows that go on with a conversation, from a pool to published data, on the fake engine: for answers and for pairs."""

from __future__ import annotations

import json

from workplace import Workplace

from isheep import whatif
from isheep.results import Run

BASE = {
    "preset": "fake",
    "rounds": 1,
    "engine": {"context_length": 4096},
    "evaluation": {"benchmarks": {"heldout": None, "constraints": None}},
    "prompts": {"kind": "pool", "path": "chats.jsonl", "similarity": 0.95},
    "assess": {"discrimination": {"pairs": 4}},
}
THINGS = "river bridge candle market window garden mirror harbour lantern basket blanket whistle".split()


def conversation(number: int, thing: str) -> dict:
    asked = [f"Say what a {thing} is good for.", f"And a {thing} of glass?", "Why?"][: 1 + 2 * (number % 2)]
    said = [text for question in asked for text in (question, f"It is made for the {thing}s of people.")]
    return {"messages": [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]}


def rows(place: Workplace, file: str) -> list[dict]:
    return [json.loads(line) for line in (place.folder / "results" / file).read_text().splitlines()]


def test_earlier_turns_stay_with_their_rows_up_to_what_is_published(tmp_path, monkeypatch):
    alone = {**BASE, "recipe": "i_sheep", "select": {"kind": "quantile", "column": "pmi", "share": 0.9, "floor": 2}}
    pairs = {**BASE, "recipe": "salmon", "pairs": {"floor": 1, "per_pair": 4, "discrimination": {"pairs": 4}}}
    place = Workplace(tmp_path)
    chats = [conversation(*each) for each in enumerate(THINGS)]
    (tmp_path / "chats.jsonl").write_text("".join(f"{json.dumps(chat)}\n" for chat in chats))
    shards = {"generate_outputs": 2, "assess_outputs": 2, "pair_answers": 2}
    place.configure({"alone": alone, "pairs": pairs}, shards=shards)
    place.snakemake()
    assert len(rows(place, "alone/d_0/prompts.jsonl")) == len(THINGS)

    for run, file in (("alone", "d_0/selected.jsonl"), ("pairs", "d_0/pairs.jsonl")):
        kept = rows(place, f"{run}/{file}")
        spoken = {row["id"]: row["history"] for row in kept if "history" in row}
        assert {len(turns) for turns in spoken.values()} == {4} and len(spoken) < len(kept)
        assert {row["instruction"] for row in kept if "history" in row} == {"Why?"}
    place.snakemake("publish")
    published = tmp_path / "results"
    for row in rows(place, "alone/published/d_0/jsonl/messages/train.jsonl"):
        asked = [turn["role"] for turn in row["messages"] if turn["role"] != "system"]
        assert asked == ["user", "assistant"] * (len(asked) // 2)
    counts = {len(row["prompt"]) for row in rows(place, "pairs/published/d_0/jsonl/preference/train.jsonl")}
    assert max(counts) - min(counts) == 4
    assert "| `history` |" in (published / "alone/published/d_0/README.md").read_text()
    assert "earlier turns" in (published / "alone/report.html").read_text()
    monkeypatch.chdir(tmp_path)
    ((_, _, prompts, *_),) = whatif.replay(Run("results/alone"), {"as it ran": {}})
    assert prompts == len(rows(place, "alone/d_0/prompts.jsonl")), "a pool's prompts are replayed once"
    assert "verified:" in place.snakemake("verify").stdout
