"""Rows laid end to end in a pass: the training that padding them gives, and each row alone in it."""

from __future__ import annotations

import pytest
import tiny_llama
from pydantic import ValidationError
from tiny_llama import digests, without_timing

from isheep.config.train import Lora, Train
from isheep.data.rows import write_rows
from isheep.errors import UserError
from isheep.serving import chat
from isheep.training import launch, lora
from isheep.training.encode import encode_row, split_heldout
from isheep.training.packing import BY_ROW, attend_by_row, by_row

MODEL, ROWS, SEED = tiny_llama.MODEL, tiny_llama.rows(15), 5
TRAIN = tiny_llama.TRAIN.model_copy(update={"micro_batch_size": 4, "lora": Lora(rank=4, alpha=8, dropout=0.0)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_llama.save(tmp_path_factory.mktemp("tiny"))


def train(folder, out, **changes):
    settings = TRAIN.model_copy(update={"packing": True} | changes)
    return lora.train(settings, MODEL, folder, ROWS, out / "adapter", out / "work", SEED, 1)


@pytest.fixture(scope="module")
def packed(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed")
    return out / "adapter", train(folder, out)


def losses(report):
    return [log["loss"] for log in report["loss"]]


def test_packed_rows_train_as_padded_rows_and_single_rows_do(folder, packed, tmp_path):
    for name, changes in (("padded", {}), ("single", {"micro_batch_size": 1})):
        report = train(folder, tmp_path / name, packing=False, **changes)
        assert losses(packed[1]) == pytest.approx(losses(report), rel=1e-4)
        for key in ("rows", "heldout_rows", "steps", "tokens", "answer_tokens_per_epoch"):
            assert packed[1][key] == report[key]
        for when in ("before", "after", "tokens"):
            assert packed[1]["heldout"][when] == pytest.approx(report["heldout"][when], rel=1e-4)


def test_the_first_loss_is_that_of_a_plain_loop_over_the_rows(folder, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    report = train(folder, tmp_path, order="file", epochs=1)
    template = chat.ChatTemplate(chat.load_tokenizer(folder, MODEL), None)
    network = AutoModelForCausalLM.from_pretrained(folder)
    nats, tokens = 0.0, 0
    for row in split_heldout(ROWS, TRAIN.heldout_share, SEED)[0][: TRAIN.batch_size]:
        encoded = encode_row(template, row, TRAIN.max_length)
        with torch.no_grad():
            logits = network(torch.tensor([encoded.input_ids])).logits[0, len(encoded.prompt) - 1 : -1]
        nats += float(torch.nn.functional.cross_entropy(logits, torch.tensor(encoded.answer), reduction="sum"))
        tokens += encoded.answer_tokens
    assert losses(report)[0] == pytest.approx(nats / tokens, rel=1e-4)


def test_equal_packed_trainings_give_equal_bytes_killed_or_not(folder, packed, tmp_path, monkeypatch):
    with tiny_llama.dying_in_save(5, monkeypatch):
        train(folder, tmp_path)
    resumed = train(folder, tmp_path)
    assert resumed["timing"]["resumed_from_step"] == 4
    assert digests(tmp_path / "adapter") == digests(packed[0])
    assert without_timing(resumed) == without_timing(packed[1])


def test_two_processes_train_packed_rows_as_one_does(folder, packed, tmp_path):
    write_rows(tmp_path / "rows.jsonl", ROWS)
    settings = TRAIN.model_copy(update={"packing": True, "micro_batch_size": 2, "processes": 2})
    places = (tmp_path / "rows.jsonl", tmp_path / "adapter", tmp_path / "work")
    report = launch.launch(settings, MODEL, folder, *places, SEED, 2, gpus=0)
    assert losses(report) == pytest.approx(losses(packed[1]), rel=1e-4)
    assert report["heldout"] == pytest.approx(packed[1]["heldout"], rel=1e-4)
    assert report["tokens"] == packed[1]["tokens"]


def test_an_architecture_in_which_a_row_sees_its_neighbour_is_refused(folder, tmp_path, monkeypatch):
    from transformers import masking_utils

    monkeypatch.setattr(masking_utils, "find_packed_sequence_indices", lambda position_ids: None)
    with pytest.raises(UserError, match=r"train\.packing: in LlamaForCausalLM a row sees its neighbour"):
        train(folder, tmp_path)
    assert not (tmp_path / "adapter").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"micro_batch_size": 1}, "set micro_batch_size above 1, or packing: false"),
        ({"micro_batch_size": 4, "objective": "dpo"}, "packing is of objective sft"),
    ],
)
def test_settings_that_contradict_packing_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        Train(packing=True, **changes)


def test_sums_are_those_of_the_row_whose_token_is_predicted():
    import torch

    padded = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]])
    assert by_row(padded, None).tolist() == [[6.0], [9.0]]
    # Rows of four and three tokens: between them, the last of one predicts the first of the next, which counts there.
    together, positions = torch.tensor([[1.0, 2.0, 3.0, 0.0, 4.0, 5.0]]), torch.tensor([[0, 1, 2, 3, 0, 1, 2]])
    assert by_row(together, positions).tolist() == [[6.0], [9.0]]
    assert by_row(together > 0, positions).tolist() == [[3], [2]]


def test_attention_goes_row_by_row_and_gives_what_the_mask_gives(folder):
    import torch

    network = lora.load_model(folder, MODEL, "float32")
    ids, positions = torch.arange(7)[None], torch.tensor([[0, 1, 2, 3, 0, 1, 2]])
    ends = torch.tensor([0, 4, 7], dtype=torch.int32)
    with torch.no_grad():
        masked = network(ids, position_ids=positions, use_cache=False).logits
        attend_by_row(network)
        calls = []
        network.model.layers[0].self_attn.o_proj.register_forward_hook(lambda *seen: calls.append(seen))
        by_row_too = network(ids, position_ids=positions, cu_seq_lens_q=ends, use_cache=False).logits
        alone = [network(ids[:, a:b], use_cache=False).logits for a, b in ((0, 4), (4, 7))]
    assert network.config._attn_implementation == BY_ROW and len(calls) == 3
    assert float((by_row_too - masked).abs().max()) < 1e-5
    assert float((by_row_too - torch.cat(alone, dim=1)).abs().max()) < 1e-5


def test_other_attention_than_sdpa_stays_as_it_is(folder):
    network = lora.load_model(folder, MODEL, "float32", attn_implementation="eager")
    attend_by_row(network)
    assert network.config._attn_implementation == "eager"
