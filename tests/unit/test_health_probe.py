"""The probe on a tiny Llama: its numbers are those of transformers asked directly, and it goes on where it was."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tiny_llama

from isheep.config.engine import Engine
from isheep.config.plain import Plain
from isheep.health.probe import Prober, gather, request
from isheep.runner.dispatch import Dispatcher
from isheep.runner.journal import Journal
from isheep.serving import engines
from isheep.serving.chat import address, conversation
from isheep.serving.embedding import engine_for

SETTINGS = engine_for(Engine(name="vllm", context_length=128, batch_size=8))
ROWS = tiny_llama.rows(5)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tiny_llama.save(tmp_path_factory.mktemp("tiny"))
    with engines.load(SETTINGS, tiny_llama.MODEL, folder, "x", threads=1, gpus=0) as loaded:
        yield loaded


def run(engine, folder, rows=ROWS, plain: Plain | None = None, fingerprint: str = "f" * 64):
    opened = []

    def open_engine():
        opened.append(engine)
        return Prober(engine)

    with Journal(folder, fingerprint, "stage") as journal:
        readings = Dispatcher(journal, open_engine).send(request(row, engine.template, plain) for row in rows)
        return gather(rows, [readings[row["id"]] for row in rows]), opened


def test_the_engine_that_probes_is_transformers_one_text_at_a_time():
    assert (SETTINGS.name, SETTINGS.batch_size, SETTINGS.context_length) == ("transformers", 1, 128)
    assert engine_for(Engine(name="fake")).name == "fake"


@pytest.mark.parametrize("plain", [None, Plain()])
def test_log_likelihoods_are_those_of_one_forward_pass(engine, tmp_path, plain):
    import torch

    found, _ = run(engine, tmp_path / "work", plain=plain)
    model, tokenizer = engine._model, engine._tokenizer
    for row, told in zip(ROWS, found.rows, strict=True):
        prompt = address(conversation(row), engine.template, plain)
        before = tokenizer(prompt.text, add_special_tokens=prompt.add_special_tokens).input_ids
        after = tokenizer(("" if plain is None else " ") + row["output"], add_special_tokens=False).input_ids
        with torch.inference_mode():
            logits = model(torch.tensor([before + after])).logits[0].double()
        chances = torch.log_softmax(logits[len(before) - 1 : -1], dim=-1)
        expected = chances[range(len(after)), after].sum().item()
        assert told["log_likelihood"] == pytest.approx(expected, rel=1e-5)
        assert (told["tokens"], told["bytes"]) == (len(after), len(row["output"].encode()))
    assert found.perplexity == pytest.approx(
        math.exp(-sum(row["log_likelihood"] for row in found.rows) / sum(row["tokens"] for row in found.rows))
    )


def test_embeddings_are_means_of_the_last_hidden_states_without_the_start_token(engine, tmp_path):
    import torch

    found, _ = run(engine, tmp_path / "work")
    for place, row in enumerate(ROWS):
        for field in ("instruction", "output"):
            ids = [engine._tokenizer.bos_token_id, *engine._tokenizer(row[field], add_special_tokens=False).input_ids]
            with torch.inference_mode():
                states = engine._model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0]
            np.testing.assert_allclose(found.vectors[field][place], states[1:].mean(dim=0).numpy(), atol=1e-5)


def test_equal_texts_have_equal_vectors_whatever_stands_beside_them(engine, tmp_path):
    twice, _ = run(engine, tmp_path / "a", [*ROWS, {**ROWS[0], "id": "again", "instruction": "Another thing."}])
    assert np.array_equal(twice.vectors["output"][0], twice.vectors["output"][5])
    alone, _ = run(engine, tmp_path / "b", ROWS[3:4])
    assert np.array_equal(alone.vectors["output"][0], twice.vectors["output"][3])
    assert alone.rows[0] == twice.rows[3]


def test_what_is_in_the_journal_is_not_asked_again(engine, tmp_path):
    whole, _ = run(engine, tmp_path / "whole")
    run(engine, tmp_path / "work", ROWS[:3])
    rest, opened = run(engine, tmp_path / "work")
    assert opened == [engine] and rest.rows == whole.rows
    assert np.array_equal(rest.vectors["instruction"], whole.vectors["instruction"])
    again, opened = run(engine, tmp_path / "work")
    assert opened == [] and again.rows == whole.rows
    _, opened = run(engine, tmp_path / "work", fingerprint="0" * 64)
    assert opened == [engine]


def test_rows_that_do_not_fit_or_say_nothing_have_no_likelihood_but_a_vector(engine, tmp_path):
    rows = [{**ROWS[0], "output": "x" * 400}, {**ROWS[1], "output": ""}, ROWS[2]]
    found, _ = run(engine, tmp_path / "work", rows)
    assert [row["log_likelihood"] is None for row in found.rows] == [True, True, False]
    assert found.vectors["output"].shape == (3, 32) and np.isfinite(found.vectors["output"]).all()
    assert found.metrics()["share_unread"]["value"] == pytest.approx(2 / 3, rel=1e-5)


def test_control_tokens_in_texts_are_read_as_plain_text(engine, tmp_path):
    hostile = {**ROWS[0], "output": f"yes{tiny_llama.END}", "instruction": f"Do {tiny_llama.START}this"}
    found, _ = run(engine, tmp_path / "work", [hostile])
    # A zero-width space of three bytes breaks the token, which is then read byte by byte.
    assert found.rows[0]["tokens"] == len(f"yes{tiny_llama.END}".encode()) + 3


def test_the_fake_engine_stands_in(tmp_path):
    with engines.load(engine_for(Engine(name="fake")), tiny_llama.MODEL, None, "x", 1, 0) as fake:
        found, _ = run(fake, tmp_path / "work")
        assert found.vectors["output"].shape == (5, 64) and found.perplexity > 1
        assert np.array_equal(fake.embed("Rain falls."), fake.embed("rain  FALLS ."))
        assert not np.array_equal(fake.embed("Rain falls."), fake.embed("Snow falls."))
