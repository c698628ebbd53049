"""Training: ours beside plain TRL on the same settings, and rows laid end to end beside padded and single ones.

python benchmarks/training.py models/SmolLM2-135M-Instruct.Q4_1

Every way has a process of its own that has imported its libraries, asked in turn: each turn loads the model, trains
some steps and saves the adapter. The steps alone are timed as well. Plain TRL is SFTTrainer with SFTConfig and the same
rows as prompt and completion.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from alternate import Worker, in_turn, median, serve

from isheep.config.model import Model
from isheep.config.train import Lora, Train

WORDS = "rain bread river clock bee train salt map kite glass wool chess bridge letter whale market".split()
SYSTEM = "You are a helpful assistant."
WAYS: dict[str, dict[str, Any]] = {
    "ours, single rows": {"micro_batch_size": 1},
    "ours, padded": {},
    "ours, packed": {"packing": True},
    "TRL, padded": {},
    "TRL, padding-free": {"packing": True},
}


def make_rows(number: int) -> list[dict[str, Any]]:
    """Return short rows with answers of 4 to 80 words, most of them short."""
    draw = random.Random(0)
    lengths = [int(4 * 20 ** draw.random()) for _ in range(number)]
    return [
        {
            "id": str(n),
            "instruction": f"Tell me about {WORDS[n % len(WORDS)]}, number {n}.",
            "input": "",
            "output": " ".join(draw.choice(WORDS) for _ in range(length)),
        }
        for n, length in enumerate(lengths)
    ]


def settings_of(way: str, rows: int, batch: int) -> Train:
    """Return the settings of a way: one pass over the rows, nothing held out, a checkpoint at the end alone."""
    common = {"epochs": 1, "batch_size": batch, "micro_batch_size": batch, "heldout_share": 0.0}
    lora = Lora(rank=8, alpha=16, dropout=0.0)
    return Train(**{**common, "checkpoint_steps": rows, "max_length": 256, "lora": lora, **WAYS[way]})


def ours(folder: Path, settings: Train, rows: list[dict[str, Any]], threads: int) -> dict[str, Any]:
    """Train as stage train_adapter does; return tokens and losses."""
    from isheep.training import lora

    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        model = Model(system=SYSTEM)
        report = lora.train(settings, model, folder, rows, work / "adapter", work / "work", 0, threads)
    return {"tokens": report["tokens"], "losses": [each["loss"] for each in report["loss"]]}


def plain(folder: Path, settings: Train, rows: list[dict[str, Any]], threads: int) -> dict[str, Any]:
    """Train with SFTTrainer alone; return tokens and losses."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    torch.set_num_threads(threads)
    asked = [
        {
            "prompt": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": row["instruction"]}],
            "completion": [{"role": "assistant", "content": row["output"]}],
        }
        for row in rows
    ]
    place = tempfile.mkdtemp()
    lora = settings.lora
    adapter = LoraConfig(
        task_type="CAUSAL_LM", r=lora.rank, lora_alpha=lora.alpha, lora_dropout=0.0, target_modules="all-linear"
    )
    trainer = SFTTrainer(
        model=str(folder),
        args=SFTConfig(
            output_dir=place,
            seed=0,
            use_cpu=not torch.cuda.is_available(),
            per_device_train_batch_size=settings.micro_batch_size,
            gradient_accumulation_steps=settings.batch_size // settings.micro_batch_size,
            num_train_epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="cosine",
            gradient_checkpointing=settings.gradient_checkpointing,
            bf16=settings.dtype == "bfloat16",
            max_length=None,
            padding_free=settings.packing,
            include_num_input_tokens_seen="all",
            logging_steps=1,
            save_strategy="no",
            disable_tqdm=True,
            dataloader_pin_memory=False,
            report_to="none",
            model_init_kwargs={"dtype": settings.dtype},
        ),
        train_dataset=Dataset.from_list(asked),
        peft_config=adapter,
    )
    trainer.train()
    trainer.save_model(place)
    shutil.rmtree(place)
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    return {"tokens": 0, "losses": losses}  # its count holds padding; that of ours is of the same rows


def load(folder: Path, way: str, rows: int, batch: int, threads: int) -> Callable[[], dict[str, Any]]:
    """Import what a way needs; return what trains."""
    import trl  # noqa: F401
    from transformers import Trainer

    import isheep.training.lora  # noqa: F401

    train, steps = (ours if way.startswith("ours") else plain), Trainer.train
    took = [0.0, 0.0]

    def timed(*arguments: Any, **options: Any) -> Any:
        start, spent = time.perf_counter(), time.process_time()
        done = steps(*arguments, **options)
        took[:] = [time.perf_counter() - start, time.process_time() - spent]
        return done

    Trainer.train = timed

    def work() -> dict[str, Any]:
        told = train(folder, settings_of(way, rows, batch), make_rows(rows), threads)
        return told | dict(zip(("steps", "steps_processor"), took, strict=True))

    return work


def cut(folder: Path, layers: int, place: Path) -> Path:
    """Write a model of the same shape with so many layers and random weights, which train as fast as learnt ones."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(folder, num_hidden_layers=layers)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(place)
    AutoTokenizer.from_pretrained(folder).save_pretrained(place)
    return place


def main() -> None:
    """Print a line for each way: seconds, tokens a second, the first and last loss, and two ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    for name, default in (("rows", 32), ("batch", 16), ("threads", 1), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--layers", type=int, help="random weights in so many layers, where time is short")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    numbers = [f"--{name}={getattr(asked, name)}" for name in ("rows", "batch", "threads")]
    if asked.worker:
        serve(lambda: load(asked.model, asked.worker, asked.rows, asked.batch, asked.threads))
        return
    place = tempfile.TemporaryDirectory()
    folder = cut(asked.model, asked.layers, Path(place.name)) if asked.layers else asked.model
    command = [sys.executable, __file__, str(folder), *numbers, "--worker"]
    quiet = {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": str(asked.threads)}
    workers = {way: Worker([*command, way], quiet) for way in asked.ways}
    told = in_turn(workers, asked.repeats, warm=0)
    for worker in workers.values():
        worker.end()
    tokens = max(each["tokens"] for turns in told.values() for each in turns)
    loads = [each["load"] for turns in told.values() for each in turns]
    steps = -(-asked.rows // asked.batch)
    print(f"{asked.rows} rows, {tokens} tokens, {steps} steps; load {min(loads):.1f} to {max(loads):.1f}")
    for way, turns in told.items():
        each, losses = " ".join(f"{turn['steps']:.1f}" for turn in turns), turns[0]["losses"]
        wall, spent = median(turns, by="steps"), median(turns, by="steps_processor")
        print(
            f"{way}: steps {wall:.1f} s ({each}), {spent:.1f} processor seconds ({tokens / spent:.0f} tokens each), "
            f"whole {median(turns):.1f} s, loss {losses[0]:.5f} to {losses[-1]:.5f}"
        )
    for one, other in (
        *(("ours, padded", "TRL, padded"), ("ours, packed", "TRL, padding-free")),
        *(("ours, packed", "ours, single rows"), ("ours, packed", "ours, padded")),
    ):
        if one in told and other in told:
            clocks = ("steps", "steps_processor", "seconds", "processor")
            ratios = [median(told[other], by=clock) / median(told[one], by=clock) for clock in clocks]
            named = zip(("steps", "their processor time", "whole", "its processor time"), ratios, strict=True)
            print(f"{one} against {other}, times as fast: " + ", ".join(f"{name} {ratio:.2f}" for name, ratio in named))


if __name__ == "__main__":
    main()
