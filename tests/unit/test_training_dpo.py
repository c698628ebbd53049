"""Trainings on preference pairs: a two-layer Llama with random weights, held against the formula in plain torch."""

from __future__ import annotations

import itertools
import json
import math

import pytest
import tiny_llama
from tiny_llama import digests, without_timing

from isheep.config.train import Dpo
from isheep.data.rows import write_rows
from isheep.errors import UserError
from isheep.serving import chat
from isheep.training import checkpoint, fake, launch, lora, trainer
from isheep.training.dpo import DpoObjective, figures
from isheep.training.encode import encode_pair, split_heldout

MODEL, SEED, BETA = tiny_llama.MODEL, 5, 0.3
TRAIN = tiny_llama.TRAIN.model_copy(update={"objective": "dpo", "dpo": Dpo(beta=BETA)})
WORSE = ("Green and blue and red.", "Five", "I do not know the answer.")
ROWS = [
    {**row, "chosen": row["output"], "rejected": WORSE[number % 3]} for number, row in enumerate(tiny_llama.rows(15))
]


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


def build(folder, **changes):
    settings = TRAIN.model_copy(update=changes)
    template = chat.load_template(folder, MODEL)
    pairs = lora.encode_rows(DpoObjective(), template, ROWS, settings.max_length)
    common = trainer.common_arguments(settings, folder / "unused", len(pairs), SEED, 1)
    network = lora.load_model(folder, MODEL, "float32")
    arguments = DpoObjective().arguments(settings, common)
    return DpoObjective().trainer(settings, arguments, network, template.tokenizer, pairs, []), pairs


def log_likelihood(network, prompt, answer):
    """Return log p(answer | prompt) in plain torch."""
    import torch

    with torch.no_grad():
        logits = network(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    return float(torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(answer)[:, None]).sum())


def by_hand(policy, reference, pairs):
    """Return (chosen, rejected, reference chosen, reference rejected) of each pair."""
    return [
        [
            log_likelihood(network, answer.prompt, answer.answer)
            for network in (policy, reference)
            for answer in (pair.chosen, pair.rejected)
        ]
        for pair in pairs
    ]


def test_a_pair_is_one_prompt_with_two_answers_that_end_their_turns(folder):
    template = chat.load_template(folder, MODEL)
    row = {"instruction": "Name a sea.", "input": "", "output": "unused", "chosen": "The North Sea.", "rejected": "Me"}
    pair = encode_pair(template, row, 100)
    say = template.tokenizer.decode
    assert say(pair.chosen.input_ids) == "<|endoftext|>### User\nName a sea.\n\n### Assistant\nThe North Sea.<|im_end|>"
    assert pair.rejected.prompt == pair.chosen.prompt and say(pair.rejected.answer) == "Me<|im_end|>"
    assert not encode_pair(template, row, len(pair.chosen.prompt)).teaches
    cut = {**row, "chosen": "Me too", "rejected": "Me and"}
    assert not encode_pair(template, cut, len(pair.chosen.prompt) + 3).teaches, "they begin alike"


def test_the_trainer_sees_chosen_and_rejected_in_file_order(folder):
    built, pairs = build(folder, order="file")
    seen = []
    for batch in built.get_train_dataloader():
        rows = [
            ids[mask.bool()].tolist() for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
        ]
        answers = [
            ids[mask.bool()].tolist() for ids, mask in zip(batch["input_ids"], batch["completion_mask"], strict=True)
        ]
        half = len(rows) // 2
        assert answers == [
            *(pair.chosen.answer for pair in pairs[len(seen) : len(seen) + half]),
            *(pair.rejected.answer for pair in pairs[len(seen) : len(seen) + half]),
        ]
        seen += zip(rows[:half], rows[half:], strict=True)
    assert seen == [(pair.chosen.input_ids, pair.rejected.input_ids) for pair in pairs]


def test_the_loss_is_the_formula_s_and_the_reference_is_the_model_without_its_adapter(folder):
    import torch
    from transformers import AutoModelForCausalLM

    built, pairs = build(folder, order="file", batch_size=4, micro_batch_size=4)
    torch.manual_seed(1)
    for name, weight in built.model.named_parameters():
        if "lora_B" in name:
            weight.data = 0.2 * torch.randn_like(weight)
    batch = next(iter(built.get_train_dataloader()))
    loss = float(built.compute_loss(built.model, built._prepare_inputs(batch)).detach())
    reference = AutoModelForCausalLM.from_pretrained(folder).eval()
    built.model.eval()
    four = by_hand(built.model, reference, pairs[:4])
    margins = [BETA * ((chosen - ref_chosen) - (rejected - ref_rejected))
               for chosen, rejected, ref_chosen, ref_rejected in four]  # fmt: skip
    assert max(map(abs, margins)) > 0.05, "an adapter that changes nothing would prove nothing"
    assert loss == pytest.approx(sum(math.log1p(math.exp(-margin)) for margin in margins) / 4, rel=1e-4)
    assert loss != pytest.approx(math.log(2), rel=1e-2)


def test_held_out_figures_are_those_of_the_pairs_kept_out(folder, trained):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapter, report = trained
    template = chat.load_template(folder, MODEL)
    kept_out = split_heldout([encode_pair(template, row, TRAIN.max_length) for row in ROWS], 0.2, SEED)[1]
    reference = AutoModelForCausalLM.from_pretrained(folder).eval()
    policy = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), str(adapter)).eval()
    four = by_hand(policy, reference, kept_out)
    told = report["preferences"]
    assert told["pairs"] == len(kept_out) == report["heldout_rows"] == 3
    assert (told["before"]["margin"], told["before"]["accuracy"]) == (0, 0.5)
    assert report["heldout"]["before"] == pytest.approx(math.log(2))
    assert told["before"]["chosen"] == pytest.approx(sum(row[2] for row in four) / 3, rel=1e-4)
    for name, column in (("chosen", 0), ("rejected", 1)):
        assert told["after"][name] == pytest.approx(sum(row[column] for row in four) / 3, rel=1e-4)
    margins = [BETA * (row[0] - row[2] - row[1] + row[3]) for row in four]
    assert told["after"]["margin"] == pytest.approx(sum(margins) / 3, rel=1e-3)
    assert told["after"]["accuracy"] == sum(margin > 0 for margin in margins) / 3
    assert told["after"]["margin"] > 0 and report["heldout"]["after"] < math.log(2)


def test_figures_count_every_pair_alike_and_an_undecided_one_as_half():
    told = figures([[-1, -3, -2, -2], [-4, -4, -4, -4], [-5, -1, -1, -1], [-1, -2, -2, -2]], [[3], [2], [4], [1]], 0.5)
    assert told["accuracy"] == (1 + 0.5 + 0 + 1) / 4
    assert told["margin"] == 0.5 * (2 + 0 - 4 + 1) / 4
    assert (told["chosen"], told["rejected"], told["pairs"], told["tokens"]) == (-2.75, -2.5, 4, 10)


def test_an_equal_training_gives_equal_bytes_and_an_equal_report(folder, trained, tmp_path):
    adapter, report = trained
    write_rows(tmp_path / "pairs.jsonl", ROWS)
    again = launch.launch(
        TRAIN, MODEL, folder, tmp_path / "pairs.jsonl", tmp_path / "adapter", tmp_path / "work", SEED, 1, gpus=0
    )
    assert digests(tmp_path / "adapter") == digests(adapter)
    assert without_timing(again) == without_timing(report)
    assert json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"] == "base"


def test_an_interrupted_training_ends_with_the_same_bytes(folder, trained, tmp_path, monkeypatch):
    adapter, report = trained
    marked = itertools.count(1)
    mark = checkpoint.mark_complete

    def die(folder):
        mark(folder)
        if next(marked) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "mark_complete", die)
    with pytest.raises(KeyboardInterrupt):
        train(folder, tmp_path)
    monkeypatch.setattr(trainer, "mark_complete", mark)
    resumed = train(folder, tmp_path)
    assert resumed["timing"]["resumed_from_step"] == 2
    assert digests(tmp_path / "adapter") == digests(adapter)
    assert without_timing(resumed) == without_timing(report)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_loss": 0.1}, "training diverged at step 1 of .*: loss .*lower train.learning_rate"),
        ({"max_length": 16}, "no row is left to train on"),
        ({"learning_rate": 1e-60}, "every lora_B is zero"),
    ],
)
def test_trainings_that_cannot_work_end_in_one_message(folder, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train(folder, tmp_path, **changes)
    assert not (tmp_path / "adapter").exists()


def test_the_fake_trainer_reports_the_same_things(trained, tmp_path):
    report = fake.train(TRAIN, MODEL, None, ROWS, tmp_path / "adapter", tmp_path / "work", SEED, 1)
    assert list(report) == list(trained[1]) and "preferences" in report
    other = [{**ROWS[0], "rejected": "another"}, *ROWS[1:]]
    fake.train(TRAIN, MODEL, None, other, tmp_path / "other", tmp_path / "work", SEED, 1)
    assert digests(tmp_path / "other") != digests(tmp_path / "adapter")
