"""Real trainings and merges of a two-layer Llama with random weights."""

from __future__ import annotations

import json
import shutil

import pytest
import tiny_llama
from tiny_llama import digests, without_timing

from isheep.config.train import Lora, Merge
from isheep.data.rows import write_rows
from isheep.errors import UserError
from isheep.serving import chat
from isheep.training import fake, launch, lora, merge, probes, trainer
from isheep.training.encode import encode_row, split_heldout
from isheep.training.end_of_turn import judge_row
from isheep.training.sft import Sft

MODEL, TRAIN = tiny_llama.MODEL, tiny_llama.TRAIN
ROWS = tiny_llama.rows(15)
SEED = 5
ADAPTER_FILES = {
    "adapter_config.json",
    "adapter_model.safetensors",
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_llama.save(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """One undisturbed training: its adapter folder and report."""
    out = tmp_path_factory.mktemp("trained")
    return out / "adapter", train(folder, out)


def train(folder, out, rows=ROWS, **changes):
    settings = TRAIN.model_copy(update=changes)
    return lora.train(settings, MODEL, folder, rows, out / "adapter", out / "work", SEED, 1)


def test_the_adapter_folder_holds_adapter_and_tokenizer_and_nothing_of_this_machine(folder, trained):
    adapter, _ = trained
    assert {path.name for path in adapter.iterdir()} == ADAPTER_FILES
    text = (adapter / "adapter_config.json").read_text() + (adapter / "tokenizer_config.json").read_text()
    assert str(folder) not in text and str(adapter.parent) not in text
    assert json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"] == "base"
    assert (adapter / "chat_template.jinja").read_text() == tiny_llama.TEMPLATE.read_text()


def test_an_equal_training_gives_equal_bytes_and_an_equal_report(folder, trained, tmp_path):
    adapter, report = trained
    write_rows(tmp_path / "selected.jsonl", ROWS)
    again = launch.launch(
        TRAIN, MODEL, folder, tmp_path / "selected.jsonl", tmp_path / "adapter", tmp_path / "work", SEED, 1, gpus=0
    )
    assert digests(tmp_path / "adapter") == digests(adapter)
    assert without_timing(again) == without_timing(report)


def test_an_interrupted_training_ends_with_the_same_bytes(folder, trained, tmp_path, monkeypatch):
    adapter, report = trained
    with tiny_llama.dying_in_save(5, monkeypatch):
        train(folder, tmp_path)
    assert not (tmp_path / "adapter").exists()
    assert (tmp_path / "work" / "checkpoints" / "checkpoint-5").exists()

    resumed = train(folder, tmp_path)
    assert resumed["timing"]["resumed_from_step"] == 4
    assert digests(tmp_path / "adapter") == digests(adapter)
    assert without_timing(resumed) == without_timing(report)


def test_the_report_says_what_was_trained(trained):
    _, report = trained
    assert (report["rows"], report["heldout_rows"], report["steps"]) == (12, 3, 6)
    assert (report["cut_rows"], report["unanswered_rows"]) == (0, 0)
    assert [log["step"] for log in report["loss"]] == [1, 2, 3, 4, 5, 6]
    assert report["loss"][-1]["loss"] < report["loss"][0]["loss"]
    assert report["heldout"]["after"] < report["heldout"]["before"]
    answer_tokens = sum(len(row["output"].encode()) + 1 for row in split_heldout(ROWS, 0.2, SEED)[0])
    assert report["answer_tokens_per_epoch"] == answer_tokens
    assert report["tokens"] > 2 * answer_tokens
    assert json.loads(json.dumps(report)) == report


def test_the_fake_trainer_reports_the_same_things(trained, tmp_path):
    report = fake.train(TRAIN, MODEL, None, ROWS, tmp_path / "adapter", tmp_path / "work", SEED, 1)
    assert list(report) == list(trained[1])


def test_the_held_out_loss_is_the_mean_over_answer_tokens(folder, trained):
    import torch
    from transformers import AutoModelForCausalLM

    template = chat.ChatTemplate(chat.load_tokenizer(folder, MODEL), None)
    network = AutoModelForCausalLM.from_pretrained(folder)
    nats, tokens = 0.0, 0
    for row in lora.encode_rows(Sft(), template, split_heldout(ROWS, 0.2, SEED)[1], TRAIN.max_length):
        with torch.no_grad():
            logits = network(torch.tensor([row.input_ids])).logits[0, len(row.prompt) - 1 : -1]
        nats += float(torch.nn.functional.cross_entropy(logits, torch.tensor(row.answer), reduction="sum"))
        tokens += len(row.answer)
    assert trained[1]["heldout"]["tokens"] == tokens
    assert trained[1]["heldout"]["before"] == pytest.approx(nats / tokens, rel=1e-5)


def build(folder, **changes):
    settings = TRAIN.model_copy(update=changes)
    tokenizer = chat.load_tokenizer(folder, MODEL)
    rows = lora.encode_rows(Sft(), chat.ChatTemplate(tokenizer, None), ROWS, settings.max_length)
    arguments = Sft().arguments(settings, trainer.common_arguments(settings, folder / "unused", len(rows), SEED, 1))
    network = lora.load_model(folder, MODEL, "float32")
    return Sft().trainer(settings, arguments, network, tokenizer, rows, []), rows


def seen(built):
    """Return the token ids of the rows in the order in which a trainer gives them to the model."""
    batches = built.get_train_dataloader()
    pairs = (pair for batch in batches for pair in zip(batch["input_ids"], batch["attention_mask"], strict=True))
    return [ids[mask.bool()].tolist() for ids, mask in pairs]


def test_rows_in_file_order_are_trained_in_file_order(folder):
    built, rows = build(folder, order="file")
    assert seen(built) == [row.input_ids for row in rows]


def test_shuffled_rows_are_all_trained_in_an_order_of_the_seed(folder):
    built, rows = build(folder, order="shuffled")
    order = seen(built)
    assert order == seen(build(folder, order="shuffled")[0])
    assert order != [row.input_ids for row in rows]
    assert sorted(order) == sorted(row.input_ids for row in rows)


def layers(built):
    """Return the names of the layers that are trained."""
    return {name.split(".")[-4] for name, parameter in built.model.named_parameters() if parameter.requires_grad}


def test_all_linear_layers_are_trained_but_neither_embeddings_nor_output_layer(folder):
    built, _ = build(folder)
    assert layers(built) == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_named_layers_alone_are_trained(folder):
    built, _ = build(folder, lora=Lora(target_modules=("q_proj", "v_proj")))
    assert layers(built) == {"q_proj", "v_proj"}


def test_the_trainer_takes_as_many_steps_as_were_counted(folder, tmp_path):
    report = train(folder, tmp_path, epochs=1.5, heldout_share=0.0)
    assert report["steps"] == trainer.total_steps(15, TRAIN.model_copy(update={"epochs": 1.5})) == 6
    assert report["heldout"] is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lora": Lora(target_modules=("nothing_proj",))}, "train.lora.target_modules: .*nothing_proj"),
        ({"max_length": 300}, "train.max_length: 300 tokens, but .* was made for 256"),
        ({"dtype": "float16"}, "train.dtype: float16 trains on GPUs only"),
        ({"quantize": "nf4"}, "train.quantize: nf4 needs an NVIDIA GPU and the package bitsandbytes"),
        ({"liger": True}, "train.liger: needs an NVIDIA GPU and the package liger-kernel"),
        ({"attention": "flash_attention_2"}, "no usable model .*"),
        ({"max_length": 16}, "no row is left to train on .*train.max_length"),
        ({"batch_size": 3}, "batch_size"),
        ({"max_loss": 0.5}, "training diverged at step 1 of 6: loss .*lower train.learning_rate"),
    ],
)
def test_settings_that_cannot_work_end_in_one_message(folder, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train(folder, tmp_path, **changes)
    assert not (tmp_path / "adapter").exists()


def test_a_folder_without_weights_is_named(folder, tmp_path):
    empty = tmp_path / "empty"
    shutil.copytree(folder, empty, ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(UserError, match=f"{empty}: no usable model"):
        train(empty, tmp_path)


def test_attention_and_recomputed_activations_change_no_more_than_last_digits(folder, trained, tmp_path):
    expected = [log["loss"] for log in trained[1]["loss"]]
    for name, changes in (("eager", {"attention": "eager"}), ("recomputed", {"gradient_checkpointing": True})):
        report = train(folder, tmp_path / name, **changes)
        assert [log["loss"] for log in report["loss"]] == pytest.approx(expected, rel=1e-4)


def test_a_base_of_four_bits_is_asked_for_and_warned_of(folder, monkeypatch, caplog):
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(lora, "find_spec", lambda name: name == "bitsandbytes")
    monkeypatch.setattr(BitsAndBytesConfig, "post_init", lambda self: None)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda folder, **how: how)
    settings = TRAIN.model_copy(update={"quantize": "nf4", "dtype": "bfloat16"})
    how = lora.load_model(folder, MODEL, "bfloat16", **lora.how_loaded(settings))["quantization_config"]
    assert (how.load_in_4bit, how.bnb_4bit_quant_type, how.bnb_4bit_compute_dtype) == (True, "nf4", torch.bfloat16)
    assert "trained on weights of 4 bits and merged into the full ones" in caplog.text


# Merging


def fold(folder, adapter, out, rows=ROWS, **changes):
    return merge.merge(Merge(probe_prompts=4, probe_tokens=12, **changes), MODEL, folder, adapter, out, rows, 1)


@pytest.fixture(scope="module")
def merged(folder, trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("merged") / "model"
    return out, fold(folder, trained[0], out)


def test_the_merged_model_loads_by_itself_and_says_what_base_plus_adapter_says(folder, trained, merged):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    ids = torch.arange(20)[None]
    with torch.no_grad():
        one = AutoModelForCausalLM.from_pretrained(merged[0])(ids).logits
        base = AutoModelForCausalLM.from_pretrained(folder)
        untouched = base(ids).logits
        two = PeftModel.from_pretrained(base, trained[0])(ids).logits
    assert float((one - two).abs().max()) < 1e-4 < float((one - untouched).abs().max())
    report = merged[1]
    assert report["logits_difference"] < 1e-4
    assert report["greedy_tokens_same"] == report["probe_tokens"] >= report["probes"] == 4
    assert report["greedy_ties"] == 0


def test_equal_merges_give_equal_bytes_and_no_path_of_this_machine(folder, trained, merged, tmp_path):
    report = fold(folder, trained[0], tmp_path / "model")
    assert digests(tmp_path / "model") == digests(merged[0])
    assert without_timing(report) == without_timing(merged[1])
    assert set(digests(merged[0])) >= {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    for file in merged[0].glob("*.json"):
        assert str(folder) not in file.read_text() and "_name_or_path" not in file.read_text()


def test_the_merged_model_ends_turns_as_it_was_trained_to(merged):
    config = json.loads((merged[0] / "generation_config.json").read_text())
    assert config["eos_token_id"] == 257
    assert (merged[0] / "chat_template.jinja").read_text() == tiny_llama.TEMPLATE.read_text()


def test_an_end_of_turn_of_ones_own_is_added_to_those_the_model_had(folder, trained, tmp_path):
    model = MODEL.model_copy(update={"end_of_turn": tiny_llama.SEPARATOR})
    settings = Merge(probe_prompts=1, probe_tokens=4)
    merge.merge(settings, model, folder, trained[0], tmp_path / "model", ROWS, 1)
    config = json.loads((tmp_path / "model" / "generation_config.json").read_text())
    assert config["eos_token_id"] == [256, 257]


def test_a_base_that_asks_for_a_temperature_but_not_for_sampling_is_merged(folder, trained, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(folder, base)
    asked = {"temperature": 0.6, "top_p": 0.9, "eos_token_id": 257}
    (base / "generation_config.json").write_text(json.dumps(asked))
    report = fold(base, trained[0], tmp_path / "model")
    config = json.loads((tmp_path / "model" / "generation_config.json").read_text())
    assert config["do_sample"] is True and config["temperature"] == 0.6 and report["probes"] == 4


@pytest.mark.parametrize(("spare", "tokens"), [(3, 3), (0, 0)])
def test_a_probe_stays_within_the_positions_that_a_model_has(tmp_path, spare, tokens):
    whole = chat.load_template(tiny_llama.save(tmp_path / "any"), MODEL)
    width = max(len(encode_row(whole, row, 500).prompt) for row in ROWS)
    folder = tiny_llama.save(tmp_path / "model", max_position_embeddings=width + spare)
    template = chat.load_template(folder, MODEL)
    network = lora.load_model(folder, MODEL, "float32").eval()
    made = probes.probe(network, template, 10_000, ROWS, new_tokens=12)
    assert {len(probe.answer) for probe in made} == ({tokens} if tokens else set())


def test_rounding_is_allowed_for_in_lower_formats_and_reported(folder, trained, tmp_path):
    report = fold(folder, trained[0], tmp_path / "model", dtype="bfloat16")
    assert 1e-4 < report["logits_difference"] < report["tolerance"] == 2.0
    assert json.loads((tmp_path / "model" / "config.json").read_text())["dtype"] == "bfloat16"


def test_large_models_are_written_in_shards(folder, trained, tmp_path):
    from transformers import AutoModelForCausalLM

    fold(folder, trained[0], tmp_path / "model", max_shard_gib=5e-5)
    assert len(list((tmp_path / "model").glob("model-*-of-*.safetensors"))) > 1
    AutoModelForCausalLM.from_pretrained(tmp_path / "model")


def test_tied_embeddings_stay_tied(tmp_path):
    tied = tiny_llama.save(tmp_path / "tied", tie_word_embeddings=True)
    train(tied, tmp_path)
    assert fold(tied, tmp_path / "adapter", tmp_path / "model")["tied_embeddings"] is True
    assert json.loads((tmp_path / "model" / "config.json").read_text())["tie_word_embeddings"] is True


def test_an_adapter_of_another_model_is_named(trained, tmp_path):
    other = tiny_llama.save(tmp_path / "other", hidden_size=16)
    with pytest.raises(UserError, match="does not fit"):
        fold(other, trained[0], tmp_path / "model")


def test_a_model_that_never_stops_is_warned_of(folder, trained, tmp_path, caplog):
    report = merge.merge(Merge(probe_prompts=2, probe_tokens=1), MODEL, folder, trained[0], tmp_path / "model", ROWS, 1)
    assert report["stopped_by_itself"] == 0
    assert "none of 2 greedy answers stopped by itself within 1 tokens" in caplog.text


# The end of turn


def vocabulary():
    import torch

    return torch.nn.init.normal_(torch.empty(400, 32), generator=torch.Generator().manual_seed(0))


def test_a_row_like_the_others_counts_as_trained():
    assert judge_row(vocabulary(), 7)[0] is True


@pytest.mark.parametrize(
    ("spoil", "how"),
    [
        (lambda weight: weight[7].zero_(), "all values of its output row are equal"),
        (lambda weight: weight[7].fill_(0.3), "all values of its output row are equal"),
        (lambda weight: weight[7].copy_(weight[9]), "is that of token 9"),
        (lambda weight: weight[7].copy_(weight[9] * 1.001), "is that of token 9"),
        (lambda weight: weight[7].mul_(0.05), "99 % of the vocabulary exceed"),
    ],
    ids=["zero", "constant", "equal", "nearly equal", "decayed"],
)
def test_a_row_that_no_text_ever_moved_is_found(spoil, how):
    weight = vocabulary()
    spoil(weight)
    trained, why = judge_row(weight, 7)
    assert trained is False
    assert how in why


def test_an_untrained_end_of_turn_is_warned_of_with_what_to_set(tmp_path, caplog):
    import torch
    from transformers import AutoModelForCausalLM

    folder = tiny_llama.save(tmp_path / "base")
    network = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        network.lm_head.weight[257] = network.lm_head.weight[258]
    network.save_pretrained(folder)
    report = train(folder, tmp_path)
    assert report["end_of_turn"] | {"how": ""} == {"token": "<|im_end|>", "id": 257, "trained": False, "how": ""}
    assert "set model.end_of_turn" in caplog.text and "'<|endoftext|>'" in caplog.text
