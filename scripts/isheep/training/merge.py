"""Fold an adapter into the weights, and prove that the saved model is base plus adapter."""

from __future__ import annotations

import gc
import logging
import time
from pathlib import Path
from typing import Any, cast

from isheep.config.model import Model
from isheep.config.train import Merge
from isheep.data.files import publish, read_json, write_json
from isheep.data.rows import Row
from isheep.documents.models import TimedMerge
from isheep.errors import UserError
from isheep.serving import chat
from isheep.serving.agreement import check_same
from isheep.serving.layouts import write_both_layouts
from isheep.serving.repeatable import make_repeatable
from isheep.training.checks import check_adapter, check_free_space, fits_memory, full_disk_named
from isheep.training.fold import Fold
from isheep.training.lora import load_model
from isheep.training.probes import NONE, TOLERANCE, Probe, compare, probe

logger = logging.getLogger(__name__)


def merge(
    settings: Merge,
    model: Model,
    model_folder: Path,
    adapter: Path,
    out: Path,
    rows: list[Row],
    threads: int,
    gpus: int = 0,
) -> TimedMerge:
    """Publish base plus adapter as a model folder of its own, after checking it, and return the report.

    The sum is made in float32 and rounded once to `settings.dtype`, tensor by tensor: memory holds the parts of one
    layer, however large the model. Every tensor is then read back and held against base and adapter. Where the model
    fits the memory (of the GPUs, when the job has some), greedy answers of base plus adapter are compared with the
    merged model too: the largest difference of their logits must be within the tolerance, and in float32 every greedy
    token must be the same (where the two best tokens are nearer to each other than the tolerance, either may win: a
    tie).

    Parameters
    ----------
    settings, model
        Sections `merge` and `model` of the run.
    model_folder, adapter
        The model that the adapter was trained on; the adapter's folder with its tokenizer and chat template.
    out
        Folder of the merged model.
    rows
        Selected rows; the first `settings.probe_prompts` are the probes.
    threads
        CPU threads.
    gpus
        GPUs of the job, on which answers are compared.

    Raises
    ------
    UserError
        The adapter is no good, the disk is too small, or the merged model differs from base plus adapter.
    """
    started = time.monotonic()
    check_adapter(adapter)
    check_free_space(model_folder, out, settings.dtype)
    make_repeatable(threads)
    template = chat.load_template(adapter, model)
    end = template.tokenizer.convert_tokens_to_ids(template.end_of_turn)
    logger.info("1 of 4: find the tensors that the adapter changes")
    fold = Fold(model_folder, adapter, model, settings.dtype)
    probes = None
    if _compares_answers(settings, fold, gpus):
        logger.info("2 of 4: have base plus adapter answer %d prompts", len(rows[: settings.probe_prompts]))
        network = _adapted(model_folder, adapter, model, gpus)
        probes = probe(network, template, end, rows[: settings.probe_prompts], settings.probe_tokens)
        del network
        gc.collect()
    with full_disk_named(out), publish(out) as temporary:
        temporary.mkdir()
        logger.info("3 of 4: fold the adapter in, tensor by tensor, and write the model as %s", settings.dtype)
        fold.write(temporary, int(settings.max_shard_gib * 2**30))
        save_settings(fold.network, template.tokenizer, end, temporary, settings)
        names = (str(model_folder), str(adapter), str(out))
        folders = (model_folder, adapter, temporary)
        check_same({name: chat.load_tokenizer(each, model) for name, each in zip(names, folders, strict=True)})
        logger.info("4 of 4: read it back and compare")
        difference = fold.check(temporary)
        answers = NONE if probes is None else _compared(temporary, model, probes, end, fold.tied, settings, gpus)
    report = {
        "dtype": settings.dtype,
        "parameters": fold.parameters,
        "tied_embeddings": fold.tied,
        "tensors": len(fold.layout),
        "tensors_adapted": fold.adapted,
        "tensors_difference": difference,
        "compared": "tensors" if probes is None else "answers",
        "tolerance": settings.tolerance or TOLERANCE[settings.dtype],
        **answers,
    }
    logger.info("merged model against base plus adapter: %s", report)
    return cast(TimedMerge, {**report, "timing": {"seconds": round(time.monotonic() - started, 1)}})


def _compares_answers(settings: Merge, fold: Fold, gpus: int) -> bool:
    """Return whether answers are compared: what the settings say, else whether the model fits in float32."""
    if settings.compare != "auto":
        return settings.compare == "answers"
    fits, said = fits_memory(4 * fold.parameters, gpus)
    if not fits:
        logger.warning("answers are not compared, every tensor is: %s; merge.compare: answers insists", said)
    return fits


def _adapted(folder: Path, adapter: Path, model: Model, gpus: int) -> Any:
    from peft import PeftModel

    return PeftModel.from_pretrained(load_model(folder, model, "float32", gpus), str(adapter)).eval()


def _compared(
    folder: Path, model: Model, probes: list[Probe], end: int, tied: bool, settings: Merge, gpus: int
) -> dict[str, Any]:
    network = load_model(folder, model, "float32", gpus).eval()
    if tied and network.get_output_embeddings().weight is not network.get_input_embeddings().weight:
        raise UserError(f"{folder}: input and output embeddings were one and are now two; merge again")
    return compare(network, probes, end, settings)


def save_settings(network: Any, tokenizer: Any, end: int, folder: Path, settings: Merge) -> None:
    """Write config, generation settings, tokenizer and chat template for any library; no path of this machine."""
    network.config.eos_token_id = network.generation_config.eos_token_id = _ends(network, end)
    network.generation_config._from_model_config = False
    _make_savable(network.generation_config)
    network.config.pad_token_id = network.generation_config.pad_token_id = tokenizer.pad_token_id
    network.config.dtype, network.config.architectures = settings.dtype, [type(network).__name__]
    if network.is_remote_code():
        from transformers.dynamic_module_utils import custom_object_save

        custom_object_save(network, folder, config=network.config)
    network.config.save_pretrained(folder)
    network.generation_config.save_pretrained(folder)
    tokenizer.padding_side = "right"
    tokenizer.save_pretrained(folder)
    config = read_json(folder / "config.json")
    config = {key: value for key, value in config.items() if not key.endswith("name_or_path")}
    write_json(folder / "config.json", config)
    write_both_layouts(folder)


def _make_savable(generation: Any) -> None:
    """Say that one samples where a temperature or its like is given: transformers saves no config without that."""
    asked = {"temperature": 1.0, "top_p": 1.0, "top_k": 50, "min_p": None, "typical_p": 1.0}
    if any(getattr(generation, key, None) not in (None, usual) for key, usual in asked.items()):
        generation.do_sample = True


def _ends(network: Any, end: int) -> int | list[int]:
    """Return the ids that end an answer: those the model had, and the end of turn it was trained on, first."""
    had = network.generation_config.eos_token_id
    others = [had] if isinstance(had, int) else had or []
    ends = [end, *(token for token in others if token != end)]
    return ends if len(ends) > 1 else ends[0]
