"""A LoRA adapter trained on one set of rows, in this process or as one rank under torchrun."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from isheep.config.model import Model
from isheep.config.train import Train
from isheep.data.files import publish, read_json, write_json
from isheep.data.rows import Row, read_rows
from isheep.documents.models import KeptStep, TimedTraining
from isheep.errors import UserError
from isheep.runner.progress import no_live_line
from isheep.serving import chat
from isheep.serving.layouts import write_both_layouts
from isheep.serving.models import longest_context
from isheep.serving.repeatable import make_repeatable
from isheep.training import early_stop
from isheep.training.checkpoint import exclusive, find_complete
from isheep.training.checks import ADAPTER_CONFIG, ADAPTER_WEIGHTS, check_adapter, full_disk_named
from isheep.training.encode import split_heldout
from isheep.training.end_of_turn import check_end_of_turn
from isheep.training.objective import Example, Objective, objective_of
from isheep.training.trainer import common_arguments

logger = logging.getLogger(__name__)
REPORT, ERROR = "report.json", "error.json"


def train(
    settings: Train,
    model: Model,
    model_folder: Path,
    rows: list[Row],
    out: Path,
    work: Path,
    seed: int,
    threads: int,
) -> TimedTraining:
    """Train an adapter, publish it as the folder `out`, and return the report.

    Under torchrun every rank calls this; rank 0 writes. `work` holds the checkpoints and must belong to these rows and
    settings alone: whatever complete checkpoint lies there is resumed from. Two equal trainings, interrupted or not,
    give equal bytes in `out` and equal reports but for `timing`.

    Parameters
    ----------
    settings, model
        Sections `train` and `model` of the run.
    model_folder
        The model to train: safetensors, config and tokenizer.
    rows
        Rows in file order, with what the objective reads: `instruction`, `input`, and `output`, or `chosen` and
        `rejected`.
    out, work
        Folder of the adapter; work folder.
    seed
        Decides the held-out rows, the adapter's start, dropout and the order of rows.
    threads
        CPU threads of this process.

    Raises
    ------
    UserError
        No row is left to train on, the batch size does not divide, the loss diverges, or the adapter is no good.
    """
    from transformers import set_seed

    started = time.monotonic()
    seed %= 2**32
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    first = int(os.environ.get("RANK", "0")) == 0
    check_batch(settings, processes)
    check_length(settings, model_folder)
    make_repeatable(threads)
    template = chat.load_template(model_folder, model)
    tokenizer = template.tokenizer
    objective = objective_of(settings)
    encoded = encode_rows(objective, template, rows, settings.max_length)
    train_rows, heldout = split_heldout([row for row in encoded if row.teaches], settings.heldout_share, seed)
    if not train_rows:
        raise UserError(
            f"no row is left to train on ({len(rows)} selected, {len(heldout)} held out): select more rows, or raise "
            f"train.max_length ({settings.max_length} tokens)"
        )
    early_stop.check(settings, len(train_rows), len(heldout))
    arguments = objective.arguments(
        settings, common_arguments(settings, work / "checkpoints", len(train_rows), seed, processes)
    )
    if settings.dtype == "float16" and arguments.use_cpu:
        raise UserError("train.dtype: float16 trains on GPUs only; set float32 or bfloat16")

    with full_disk_named(work), exclusive(work) if first else nullcontext():
        with arguments.main_process_first(desc="looking for a checkpoint"):
            checkpoint = find_complete(work / "checkpoints")
        set_seed(seed)
        network = load_model(model_folder, model, settings.dtype, **how_loaded(settings))
        end_of_turn = check_end_of_turn(network, tokenizer, template.end_of_turn)
        trainer = objective.trainer(settings, arguments, network, tokenizer, train_rows, heldout)
        if settings.early_stop:
            early_stop.keep_best(trainer, settings.early_stop, objective.metrics[settings.early_stop.metric], work)
        arguments.eval_on_start = bool(heldout) and checkpoint is None
        if checkpoint and first:
            logger.info("resuming from %s", checkpoint)
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if heldout:
            trainer.evaluate()
        saved = work / (early_stop.KEPT if settings.early_stop else "adapter")
        if not settings.early_stop:
            trainer.save_model(str(saved))
        if first:
            save_adapter(saved, out, tokenizer, model.hub or settings.start_from)
            if not settings.early_stop:  # the step that is kept is not made again by who resumes from a later one
                shutil.rmtree(saved)
    trainer.accelerator.wait_for_everyone()
    history = trainer.state.log_history
    kept = _kept(settings, objective, history)

    report = {
        "rows": len(train_rows),
        "heldout_rows": len(heldout),
        "cut_rows": sum(row.cut for row in encoded),
        "unanswered_rows": sum(not row.teaches for row in encoded),
        "steps": trainer.state.global_step,
        "tokens": int(trainer.state.num_input_tokens_seen),
        "answer_tokens_per_epoch": sum(row.answer_tokens for row in train_rows),
        "loss": [{"step": log["step"], "loss": log["loss"]} for log in history if "loss" in log],
        **objective.measured(_heldout(history, kept) if heldout else None),
        **({"early_stop": kept} if kept else {}),
        "end_of_turn": end_of_turn,
        "timing": {
            "seconds": round(time.monotonic() - started, 1),
            "resumed_from_step": int(checkpoint.name.rpartition("-")[2]) if checkpoint else None,
        },
    }
    return cast(TimedTraining, report)


def check_batch(settings: Train, processes: int) -> None:
    """Raise UserError when a step's rows cannot be shared evenly by the processes."""
    at_once = settings.micro_batch_size * processes
    if settings.batch_size % at_once:
        raise UserError(
            f"train.batch_size ({settings.batch_size}) must be a multiple of train.micro_batch_size x processes "
            f"({settings.micro_batch_size} x {processes})"
        )


def check_length(settings: Train, model_folder: Path) -> None:
    """Raise UserError when rows may be longer than the model's context."""
    longest = longest_context(read_json(model_folder / "config.json"))
    if longest is not None and settings.max_length > longest:
        raise UserError(f"train.max_length: {settings.max_length} tokens, but {model_folder} was made for {longest}")


def encode_rows(objective: Objective, template: chat.ChatTemplate, rows: list[Row], max_length: int) -> list[Example]:
    """Encode every row; log how many were cut and how many have a prompt that leaves no room for an answer."""
    encoded = [objective.encode(template, row, max_length) for row in rows]
    for count, what in (
        (sum(row.cut for row in encoded), "cut at train.max_length and have no end of turn"),
        (sum(not row.teaches for row in encoded), "left out: the prompt alone fills train.max_length"),
    ):
        if count:
            logger.warning("%d of %d rows are %s (%d tokens)", count, len(encoded), what, max_length)
    return encoded


def how_loaded(settings: Train) -> dict[str, Any]:
    """Return how a model is loaded to be trained, besides its number format.

    Raises
    ------
    UserError
        4 bits are asked for where they cannot be had.
    """
    more: dict[str, Any] = {}
    if settings.attention != "auto":
        more["attn_implementation"] = settings.attention
    if settings.quantize == "nf4":
        import torch
        from transformers import BitsAndBytesConfig

        if not torch.cuda.is_available() or not find_spec("bitsandbytes"):
            raise UserError("train.quantize: nf4 needs an NVIDIA GPU and the package bitsandbytes; write none without")
        logger.warning(
            "train.quantize: the adapter is trained on weights of 4 bits and merged into the full ones: losses of the "
            "merged model differ from those in the report; docs/training.md"
        )
        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, settings.dtype),
        )
    return more


def load_model(folder: Path, model: Model, dtype: str, gpus: int = 0, **more: Any) -> Any:
    """Load a causal language model in the number format asked for: on the CPU, or spread over so many GPUs.

    Raises
    ------
    UserError
        The folder holds no usable weights.
    """
    import torch
    from transformers import AutoModelForCausalLM

    try:
        return AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            use_safetensors=None if model.allow_pickle else True,
            trust_remote_code=model.trust_remote_code,
            device_map="auto" if gpus else None,
            **more,
        )
    except (OSError, ValueError, ImportError) as error:
        raise UserError(f"{folder}: no usable model ({str(error).splitlines()[0]})") from None


def save_adapter(saved: Path, out: Path, tokenizer: Any, base: str) -> None:
    """Publish a saved adapter without what differs between two equal trainings.

    PEFT writes the base model's folder and a set in hash order; the trainer adds a pickle of its arguments.

    Parameters
    ----------
    saved, out
        Where the trainer saved it; where it belongs.
    tokenizer
        With the chat template as trained.
    base
        What the adapter belongs to, a name that is the same on every machine.
    """
    check_adapter(saved)
    config = read_json(saved / ADAPTER_CONFIG) | {"base_model_name_or_path": base}
    for key in ("target_modules", "target_parameters", "exclude_modules", "modules_to_save"):
        if isinstance(config.get(key), list):
            config[key].sort()
    with publish(out) as temporary:
        temporary.mkdir()
        tokenizer.save_pretrained(temporary)
        write_both_layouts(temporary)
        shutil.copyfile(saved / ADAPTER_WEIGHTS, temporary / ADAPTER_WEIGHTS)
        write_json(temporary / ADAPTER_CONFIG, config)


def _kept(settings: Train, objective: Objective, history: list[dict[str, Any]]) -> KeptStep | None:
    if not settings.early_stop:
        return None
    measured = early_stop.measurements(history, objective.metrics[settings.early_stop.metric])
    return early_stop.document(measured, settings.early_stop)


def _heldout(history: list[dict[str, Any]], kept: KeptStep | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what was logged of the held-out rows before the first step, and after the one that is kept."""
    before, *later = (log for log in history if "eval_tokens" in log)
    return before, [log for log in later if kept is None or log["step"] == kept["step"]][-1]


def main(spec_file: str) -> int:
    """Run one rank of the training that a spec file describes; rank 0 leaves report or error in the work folder."""
    from torch.distributed import destroy_process_group, is_initialized

    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(no_live_line)  # the job that started this rank logs its lines
    for name in ("isheep", __name__):
        logging.getLogger(name).setLevel(logging.INFO)
    spec = read_json(spec_file)
    work, first = Path(spec["work"]), os.environ["RANK"] == "0"
    try:
        report = train(
            Train.model_validate(spec["settings"]),
            Model.model_validate(spec["model"]),
            Path(spec["model_folder"]),
            list(read_rows(spec["rows"])),
            Path(spec["out"]),
            work,
            spec["seed"],
            spec["threads"],
        )
    except UserError as error:
        if first:
            write_json(work / ERROR, str(error))
        return 1
    finally:
        if is_initialized():
            destroy_process_group()
    if first:
        write_json(work / REPORT, report)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
