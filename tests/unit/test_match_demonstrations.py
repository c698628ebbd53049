"""Stage match_demonstrations: the answered tasks nearest to each prompt, by a model's embeddings."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from isheep.config import load
from isheep.data.rows import write_rows
from isheep.data.seeds import read_seeds
from isheep.serving.engines.fake import FakeEngine
from isheep.stages import match_demonstrations

ROOT = Path(__file__).parents[2]


def test_the_tasks_with_most_words_in_common_are_found_but_not_the_prompt_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    settings = {"preset": "fake", "recipe": "soft", "outputs": {"choice": "nearest", "shots": 2}}
    run = load({"runs": {"a": settings}}, ROOT).runs["a"]
    seeds = read_seeds(run.outputs.demonstrations)
    like = {"id": "like", "instruction": f"{seeds[0].instruction} Be kind.", "input": seeds[0].input}
    same = {"id": "same", "instruction": seeds[0].instruction, "input": seeds[0].input}
    write_rows(tmp_path / "rows.jsonl", [like, same])
    given = SimpleNamespace(rows=tmp_path / "rows.jsonl")
    work = match_demonstrations.Work(SimpleNamespace(run=run, input=given, model_folder=None, round=0))
    vectors = work.answering(FakeEngine(work.engine, work.model, "x"))
    work.requests(lambda asked: {each.id: each for each in vectors.vectors(asked)})
    made = work.finish()
    assert [row["id"] for row in made["rows"]] == ["like", "same"] and made["funnel"].kept == 2
    found = {row["id"]: row["nearest"] for row in made["rows"]}
    assert found["like"][0] == seeds[0].id and len(set(found["like"])) == 2
    assert seeds[0].id not in found["same"] and len(found["same"]) == 2
