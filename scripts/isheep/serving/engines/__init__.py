"""Engines: what runs a model. `load` opens the one that the settings name."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from isheep.config.engine import Engine as Settings
from isheep.config.model import Model
from isheep.data.files import module_file
from isheep.errors import UserError
from isheep.serving.engines.base import Engine, Template

logger = logging.getLogger(__name__)
# By name, imported when asked for: the code of an engine counts in the digest of what it made, and in no other.
ENGINES = {
    "vllm": "isheep.serving.engines.vllm:VllmEngine",
    "transformers": "isheep.serving.engines.transformers:TransformersEngine",
    "endpoint": "isheep.serving.engines.endpoint:EndpointEngine",
    "fake": "isheep.serving.engines.fake:FakeEngine",
}
FAKE_TEMPLATE = "isheep.serving.engines.fake:FakeTemplate"


def load(settings: Settings, model: Model, folder: Path | None, identity: str, threads: int, gpus: int) -> Engine:
    """Return the engine that the settings name, with the model of `folder` loaded; it is a context manager too.

    Parameters
    ----------
    settings, model
        The sections `engine` and `model` of the run.
    folder
        The model: config.json, tokenizer and safetensors. The fake engine needs none.
    identity
        sha256 of the model's weights; the fake engine draws its texts from it, so that rounds differ.
    threads
        CPU threads that the engine may use.
    gpus
        GPUs that the job asked for; 0 runs on the CPU.

    Raises
    ------
    UserError
        The job sees another number of GPUs than asked for, or the settings and the model do not go together.
    """
    engine: Any = resolve_name(ENGINES[settings.name])
    if settings.name == "fake":
        # It needs none, but shows on a cluster whether jobs get the GPUs that they ask for.
        if "SLURM_JOB_ID" in os.environ:
            _check_gpus(gpus, len(list(filter(None, os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")))))
        return engine(settings, model, identity)
    if folder is None:
        raise UserError(f"engine.name: {settings.name} needs the folder of a model")
    if settings.name != "endpoint":
        _check_gpus(gpus, _count_gpus())
    return engine(settings, model, Path(folder), threads, gpus)


def load_template(settings: Settings, model: Model, folder: Path | None) -> Template:
    """Return the template that the engine would have, without loading the model; the parameters are those of `load`."""
    if settings.name == "fake" or folder is None:
        return resolve_name(FAKE_TEMPLATE)(model.system)
    from isheep.serving.chat import load_template as load_chat_template

    return load_chat_template(folder, model)


def _count_gpus() -> int:
    import torch

    # Counted through the driver's library, not by opening the devices: vLLM may still fork its workers.
    return torch.cuda.device_count()


def _check_gpus(asked: int, seen: int) -> None:
    """Raise UserError unless the job sees exactly the GPUs that it asked for."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    shown = f"CUDA_VISIBLE_DEVICES is {'not set' if visible is None else repr(visible)}"
    if seen != asked:
        raise UserError(
            f"asked for {asked} GPU{'' if asked == 1 else 's'}, the job sees {seen} ({shown}); change `resources` of "
            "the run, or set CUDA_VISIBLE_DEVICES to the GPUs that the job may use; on a cluster, keep off that node"
        )
    logger.info("GPUs asked for: %d, seen: %d (%s)", asked, seen, shown)


def module_of(name: str) -> str:
    """Return the module of an engine, relative to the folder of scripts: the code behind its results."""
    return module_file(ENGINES[name])
