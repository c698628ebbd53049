"""All that can be known of a model before hours are spent on it: rendered, encoded, built without weights, adapted."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from isheep.config.model import Model
from isheep.config.train import Train
from isheep.data.files import read_json
from isheep.errors import Problems, UserError
from isheep.serving import template as templates
from isheep.serving.models import find_problems, longest_context

# What a config names that makes a model more than one of language.
SENSES = ("vision_config", "audio_config", "vision_tower", "speech_config", "image_token_id")
SAMPLE = {"instruction": "Name a river.", "input": "In Europe.", "output": "The Rhine is one."}


def check(folder: Path, model: Model, context_length: int, train: Train | None = None) -> None:
    """Check what needs no library of models: files, template, config. `snakemake -n` does it.

    Parameters
    ----------
    folder
        The model.
    model, train
        Sections of the settings; without `train` the model is only run, as a judge is.
    context_length
        Tokens that the engine is to hold.

    Raises
    ------
    UserError
        Lists everything that is wrong.
    """
    _light(Path(folder), model, context_length, train).raise_if_any()


def check_loaded(folder: Path, model: Model, context_length: int, train: Train | None = None) -> None:
    """Check all that `check` does and what needs transformers, on the CPU and without the weights.

    The tokenizer is held against its file, a conversation rendered and encoded, the model built on torch's meta device
    and given its adapter. The parameters are those of `check`.

    Raises
    ------
    UserError
        Lists everything that is wrong.
    """
    folder = Path(folder)
    problems = _light(folder, model, context_length, train)
    if not problems.found:  # more would be said of the same cause
        from isheep.serving.agreement import check_tokenizer

        problems.found += check_tokenizer(folder, model)
    if not problems.found:
        ids = _addressed(folder, model, problems)
        _built(folder, model, train, ids, problems)
    problems.raise_if_any()


def _light(folder: Path, model: Model, context_length: int, train: Train | None) -> Problems:
    problems = find_problems(folder, model, context_length)
    config = _object(folder / "config.json")
    _check_template(folder, model, problems)
    if train is not None and train.trainer == "trl":
        _check_trainable(config, train, problems)
    return problems


def _object(path: Path) -> dict[str, Any]:
    """Return a file's JSON object; {} where there is none (which `find_problems` has told)."""
    try:
        value = read_json(path)
    except (OSError, UserError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}


def _check_template(folder: Path, model: Model, problems: Problems) -> None:
    """Render a conversation with the run's system message, and one without an answer."""
    from jinja2 import TemplateError, TemplateSyntaxError

    place, text = _template(folder, model)
    if not text:
        return
    named = _object(folder / "tokenizer_config.json")
    keys = ("bos_token", "eos_token", "unk_token", "pad_token")
    tokens = {key: _content(named[key]) for key in keys if named.get(key)}
    system = [{"role": "system", "content": model.system}] if model.system else []
    messages = [*system, {"role": "user", "content": "Hi."}]
    variables = {**tokens, **templates.clock(date.fromisoformat(model.date)), **model.template_arguments}
    try:
        templates.render(text, messages, variables | {"add_generation_prompt": True})
    except TemplateSyntaxError as error:
        problems.add(place, f"line {error.lineno} is no Jinja ({error.message}); {templates.remedy(error, False)}")
    except (TemplateError, TypeError, ValueError) as error:
        roles = " and ".join(turn["role"] for turn in messages)
        remedy = templates.remedy(error, bool(model.system))
        problems.add(place, f"cannot render a conversation of {roles} ({str(error).splitlines()[0]}); {remedy}")


def _template(folder: Path, model: Model) -> tuple[str, str]:
    """Return where the chat template stands, and its text; "" where there is none (which `find_problems` has told)."""
    if model.chat_template:
        path = Path(model.chat_template)
        return "model.chat_template", path.read_text(encoding="utf-8") if path.is_file() else ""
    if (folder / "chat_template.jinja").is_file():
        return "chat_template.jinja", (folder / "chat_template.jinja").read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        template = _object(folder / name).get("chat_template")
        if isinstance(template, list):  # several, with names
            template = next((named.get("template") for named in template if named.get("name") == "default"), None)
        if isinstance(template, str):
            return name, template
    return "", ""


def _content(token: Any) -> str:
    return token.get("content", "") if isinstance(token, dict) else str(token)


def _check_trainable(config: dict[str, Any], train: Train, problems: Problems) -> None:
    """Say what of a config rules training out."""
    method = (config.get("quantization_config") or {}).get("quant_method")
    if method:
        problems.add(
            "config.json",
            f"the weights are quantised ({method}) and cannot be trained or merged here; take the model as it was "
            "before it was quantised",
        )
    senses = [key for key in SENSES if config.get(key) is not None]
    if senses:
        problems.add(
            "config.json",
            f"the model has more than language ({senses[0]}): training and merging here would lose those weights; take "
            "its text-only form",
        )
    longest = longest_context(config)
    if longest is not None and train.max_length > longest:
        problems.add(
            "train.max_length", f"{train.max_length} tokens, but the model was made for {longest}; write that or less"
        )
    modules = train.lora.target_modules
    if "lm_head" in ((modules,) if isinstance(modules, str) else modules):
        problems.add("train.lora.target_modules", "lm_head is the output layer, which is never trained; leave it out")


def _addressed(folder: Path, model: Model, problems: Problems) -> set[int]:
    """Render and encode a row as training does; return the ids that a run can meet."""
    import sys

    from isheep.serving import chat
    from isheep.training.encode import encode_row

    try:
        template = chat.load_template(folder, model)
        encoded = encode_row(template, SAMPLE, sys.maxsize)
    except UserError as error:
        problems.found.append(str(error))
        return set()
    tokenizer = template.tokenizer
    if encoded.answer[-1] is None or encoded.answer[-1] == tokenizer.unk_token_id:
        problems.add("model.end_of_turn", f"{template.end_of_turn!r} is not a token of the tokenizer; name one that is")
    special = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
    return {*encoded.input_ids, tokenizer.pad_token_id, *(set(tokenizer.get_vocab().values()) - special)}


def _built(folder: Path, model: Model, train: Train | None, ids: set[int], problems: Problems) -> None:
    """Build the model on the meta device, and place the adapter on it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=model.trust_remote_code)
        with torch.device("meta"):
            network = AutoModelForCausalLM.from_config(config, trust_remote_code=model.trust_remote_code)
    except Exception as error:  # whatever a model's code raises, it is told before anything was spent
        problems.add(
            "config.json",
            f"transformers cannot build this model ({_first_line(error)}); a model that only vLLM knows can be run but "
            "not trained: take one that transformers has",
        )
        return
    rows = network.get_input_embeddings().weight.shape[0]
    beyond = sorted(id for id in ids if isinstance(id, int) and id >= rows)
    if beyond:
        problems.add(
            "tokenizer",
            f"{len(beyond)} of its tokens have no embedding (id {beyond[0]} and up, the model has {rows}): resize the "
            "model's embeddings, or take the tokenizer that belongs to it",
        )
    if train is not None and train.trainer == "trl":
        _adapted(network, train, problems)


def _adapted(network: Any, train: Train, problems: Problems) -> None:
    from peft import get_peft_model

    from isheep.training.trainer import lora_config

    try:
        get_peft_model(network, lora_config(train.lora))
    except Exception as error:  # PEFT raises what it likes; training would end with it hours later
        linear = sorted({name.rpartition(".")[2] for name, layer in network.named_modules() if _is_linear(layer)})
        problems.add(
            "train.lora.target_modules",
            f"{type(network).__name__} takes no such adapter ({_first_line(error)}); write names of its linear layers: "
            f"{', '.join(linear)}",
        )


def _is_linear(layer: Any) -> bool:
    import torch

    return isinstance(layer, torch.nn.Linear)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
