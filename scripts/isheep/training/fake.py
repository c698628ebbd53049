"""The fake trainer: adapters and models made from hashes, small and quick, for dry runs of the whole graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from isheep.config.model import Model
from isheep.config.train import Merge, Train
from isheep.records import Row, digest, digest_file, publish, read_rows, write_json
from isheep.training.checks import ADAPTER_CONFIG, ADAPTER_WEIGHTS, check_adapter

SHAPE = (16, 8)


def train(
    settings: Train,
    model: Model,
    model_folder: Path | None,
    rows_file: Path,
    out: Path,
    work: Path,
    seed: int,
    threads: int,
    gpus: int,
) -> dict[str, Any]:
    """Publish an adapter drawn from the rows' hash, and return a report like a real one; parameters as in `launch`."""
    rows = list(read_rows(rows_file))
    drawn = digest([settings.model_dump(mode="json"), seed, rows])
    with publish(out) as temporary:
        temporary.mkdir()
        _save(temporary / ADAPTER_WEIGHTS, drawn, ("base_model.model.layer.lora_A", "base_model.model.layer.lora_B"))
        write_json(temporary / ADAPTER_CONFIG, {"peft_type": "LORA", "r": settings.lora.rank, "target_modules": "layer"})
    heldout = int(len(rows) * settings.heldout_share)
    steps = max(1, round((len(rows) - heldout) * settings.epochs / settings.batch_size))
    first = 2 + int(drawn[:2], 16) / 256
    return {
        "rows": len(rows) - heldout,
        "heldout_rows": heldout,
        "cut_rows": 0,
        "unanswered_rows": 0,
        "steps": steps,
        "tokens": sum(row["output_tokens"] for row in rows),
        "loss": [{"step": step, "loss": round(first * 0.9**step, 4)} for step in range(1, steps + 1)],
        "heldout": {"before": first, "after": round(first * 0.9**steps, 4), "tokens": 1} if heldout else None,
        "timing": {"seconds": 0.0, "resumed_from_step": None},
    }


def merge(
    settings: Merge,
    model: Model,
    model_folder: Path | None,
    adapter: Path,
    out: Path,
    rows: list[Row],
    seed: int,
    threads: int,
) -> dict[str, Any]:
    """Publish a model drawn from the adapter's and the start model's hashes; parameters as in `merge.merge`."""
    check_adapter(adapter)
    start = digest_file(model_folder / "model.safetensors") if model_folder else "base"
    drawn = digest([start, digest_file(adapter / ADAPTER_WEIGHTS)])
    with publish(out) as temporary:
        temporary.mkdir()
        _save(temporary / "model.safetensors", drawn, ("model.layer.weight",))
        write_json(temporary / "config.json", {"architectures": ["Fake"], "model_type": "fake"})
    return {"probes": min(settings.probe_prompts, len(rows)), "stopped_by_itself": min(settings.probe_prompts, len(rows))}


def _save(path: Path, drawn: str, names: tuple[str, ...]) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(int(drawn, 16))
    save_file({name: generator.standard_normal(SHAPE, dtype=np.float32) for name in names}, path)
