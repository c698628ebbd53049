"""Training and merging for the fake engine: small arrays drawn from the rows' hash, in a fraction of a second.

Nothing is learned. Folders, checks, errors and reports are those of the real stages, so that the whole graph can be
driven without a model; every model that a different row went into has other bytes.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, cast

from isheep.config.model import Model
from isheep.config.section import deciding
from isheep.config.train import Merge, Train
from isheep.data.files import digest, publish, write_json
from isheep.data.rows import Row, read_rows
from isheep.documents.models import KeptStep, PairFigures, StepLoss, TimedMerge, TimedTraining
from isheep.errors import UserError
from isheep.training import early_stop
from isheep.training.checks import ADAPTER_CONFIG, ADAPTER_WEIGHTS, check_adapter
from isheep.training.encode import split_heldout
from isheep.training.trainer import total_steps

WIDTH = 16
LAYERS = ("layers.0", "layers.1")
WEIGHTS = "model.safetensors"


def launch(
    settings: Train,
    model: Model,
    model_folder: Path | None,
    rows_file: Path,
    out: Path,
    work: Path,
    seed: int,
    threads: int,
    gpus: int,
) -> TimedTraining:
    """Train in this process; parameters and result are those of `training.launch.launch`."""
    return train(settings, model, model_folder, list(read_rows(rows_file)), out, work, seed, threads)


def train(
    settings: Train,
    model: Model,
    model_folder: Path | None,
    rows: list[Row],
    out: Path,
    work: Path,
    seed: int,
    threads: int,
) -> TimedTraining:
    """Publish an adapter made from the hash of rows, settings and seed; return a report like that of `lora.train`.

    Parameters are those of `lora.train`; `model_folder` may be None and `work` stays as it is. The losses are made up.

    Raises
    ------
    UserError
        No row is left to train on.
    """
    import numpy as np
    from safetensors.numpy import save_file

    train_rows, heldout = split_heldout(rows, settings.heldout_share, seed)
    if not train_rows:
        raise UserError(f"no row is left to train on ({len(rows)} selected, {len(heldout)} held out): select more rows")
    early_stop.check(settings, len(train_rows), len(heldout))
    draw = np.random.default_rng(int(digest([rows, deciding(settings), seed]), 16))
    shapes = {"lora_A": (settings.lora.rank, WIDTH), "lora_B": (WIDTH, settings.lora.rank)}
    weights = {
        f"base_model.model.{layer}.{name}.weight": draw.standard_normal(shape, dtype=np.float32)
        for layer in LAYERS
        for name, shape in shapes.items()
    }
    with publish(out) as temporary:
        temporary.mkdir()
        save_file(weights, temporary / ADAPTER_WEIGHTS)
        config = {"peft_type": "LORA", "base_model_name_or_path": settings.start_from, "r": settings.lora.rank}
        write_json(temporary / ADAPTER_CONFIG, config | {"lora_alpha": settings.lora.alpha})
    check_adapter(out)

    words = [len(row["output"].split()) + 1 for row in train_rows]
    steps = total_steps(len(train_rows), settings)
    loss: list[StepLoss] = [
        {"step": step, "loss": 1 + 2 / step + float(draw.random()) / 10} for step in range(1, steps + 1)
    ]
    before = 3 + float(draw.random())
    kept = _kept(settings, steps, draw)
    report = {
        "rows": len(train_rows),
        "heldout_rows": len(heldout),
        "cut_rows": 0,
        "unanswered_rows": 0,
        "steps": steps,
        "tokens": sum(words),
        "answer_tokens_per_epoch": sum(words),
        "loss": loss,
        "heldout": {"before": before, "after": before / 2, "tokens": len(heldout)} if heldout else None,
        **_preferences(settings, heldout, draw),
        **({"early_stop": kept} if kept else {}),
        "end_of_turn": {"token": None, "id": None, "trained": True, "how": "the fake engine has no vocabulary"},
        "timing": {"seconds": 0.0, "resumed_from_step": None},
    }
    return cast(TimedTraining, report)


def _kept(settings: Train, steps: int, draw: Any) -> KeptStep | None:
    """Return made-up measurements, up to where patience is spent."""
    if settings.early_stop is None:
        return None
    measured: list[early_stop.Measured] = []
    for step in sorted({*range(settings.early_stop.every, steps + 1, settings.early_stop.every), steps}):
        measured.append(early_stop.Measured(step, 1 + float(draw.random())))
        if early_stop.is_spent(measured, settings.early_stop):
            break
    return early_stop.document(measured, settings.early_stop)


def _preferences(settings: Train, heldout: list[Row], draw: Any) -> dict[str, Any]:
    """Return made-up figures of held-out pairs where pairs train, nothing else: the start prefers none."""
    if settings.objective != "dpo":
        return {}
    if not heldout:
        return {"preferences": None}
    chosen, rejected, moved = (float(number) for number in draw.random(3))
    before: PairFigures = {"margin": 0.0, "accuracy": 0.5, "chosen": -20 - chosen, "rejected": -20 - rejected}
    after: PairFigures = {**before, "margin": moved, "accuracy": 1.0, "chosen": before["chosen"] + moved}
    return {"preferences": {"pairs": len(heldout), "before": before, "after": after}}


def merge(
    settings: Merge,
    model: Model,
    model_folder: Path | None,
    adapter: Path,
    out: Path,
    rows: list[Row],
    threads: int,
    gpus: int = 0,
) -> TimedMerge:
    """Publish a fake model folder: the base's arrays (zeros when it has none) plus the adapter's products.

    Parameters are those of `merge.merge`; `model_folder` may be None. The sum is checked as read back from disk.

    Raises
    ------
    UserError
        The adapter is no good, or the sum is not what was written.
    """
    import numpy as np
    from safetensors.numpy import load_file, save_file

    check_adapter(adapter)
    lora = load_file(adapter / ADAPTER_WEIGHTS)
    base_file = model_folder / WEIGHTS if model_folder else None
    base = load_file(base_file) if base_file and base_file.is_file() else {}
    merged = {}
    for layer in LAYERS:
        name = f"{layer}.weight"
        product = lora[f"base_model.model.{layer}.lora_B.weight"] @ lora[f"base_model.model.{layer}.lora_A.weight"]
        merged[name] = base.get(name, np.zeros((WIDTH, WIDTH), dtype=np.float32)) + product
    with publish(out) as temporary:
        temporary.mkdir()
        save_file(merged, temporary / WEIGHTS)
        write_json(temporary / "config.json", {"architectures": ["FakeForCausalLM"], "model_type": "fake"})
        for file in sorted(model_folder.glob("*token*") if model_folder else ()):
            shutil.copyfile(file, temporary / file.name)
        written = load_file(temporary / WEIGHTS)
        difference = max(float(np.abs(written[name] - merged[name]).max()) for name in merged)
        if difference:
            raise UserError(f"{out}: the merged weights differ from base plus adapter by {difference:.3g}; merge again")
    probes = min(settings.probe_prompts, len(rows))
    return {
        "dtype": settings.dtype,
        "parameters": sum(array.size for array in merged.values()),
        "tied_embeddings": False,
        "probes": probes,
        "probe_tokens": probes,
        "logits_difference": difference,
        "tolerance": 0.0,
        "greedy_tokens_same": probes,
        "greedy_ties": 0,
        "stopped_by_itself": probes,
        "timing": {"seconds": 0.0},
    }
