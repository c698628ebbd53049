"""Stages generate_outputs and filter_outputs: every prompt answered, broken answers dropped by rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from isheep.config.plain import PlainFormat
from isheep.data.funnel import Funnel
from isheep.data.rows import Row
from isheep.filters.registry import Rule, first_broken
from isheep.outputs.cuts import cut
from isheep.outputs.style import OutputStyle
from isheep.runner.dispatch import draw_seed
from isheep.serving.addressee import Addressee
from isheep.serving.chat import transcript
from isheep.serving.engines.base import Completion, Request, Template

STAGE = "generate_outputs"


OVER_BUDGET = "over_budget"
SAMPLE_COLUMNS = ("prompt_id", "sample")


def sampled(rows: Iterable[Row], samples: int) -> list[Row]:
    """Return a row for every answer to make: each prompt as often as it is answered, its answers together.

    The first answer has the prompt's own id, the others `{id}/s1`, `{id}/s2`, ...: what an answer draws follows from
    its id, so more samples leave the first ones as they are. Rows tell `prompt_id` and `sample` (from 0) only where
    prompts are answered more than once.

    Parameters
    ----------
    rows
        Prompts: id, instruction, input.
    samples
        Answers to each (`outputs.samples`).
    """
    if samples == 1:
        return list(rows)
    return [
        {**row, "id": f"{row['id']}/s{sample}" if sample else row["id"], "prompt_id": row["id"], "sample": sample}
        for row in rows
        for sample in range(samples)
    ]


def requests(
    rows: Iterable[Row],
    settings: OutputStyle,
    template: Template,
    plain: PlainFormat | None,
    run_seed: int,
    round_number: int,
) -> Iterator[Request]:
    """Yield the request for one answer to each row.

    Parameters
    ----------
    rows
        Answers to make: id, instruction, input.
    settings
        Section `outputs`.
    template, plain
        How the model is addressed, as in `Addressee`.
    run_seed, round_number
        What every draw follows from.
    """

    def seed_for(request: str) -> int:
        return draw_seed(run_seed, STAGE, round_number, request)

    model = Addressee(template, plain, seed_for)
    stop = settings.stop(model)
    for row in rows:
        drawn = settings.drawn(row).until(*stop)
        yield Request(row["id"], settings.prompt(row, model), drawn, seed_for(row["id"]))


def token_counts(rows: Iterable[Row]) -> dict[str, int]:
    """Return the tokens that answering took, and how many answers ended for which reason."""
    rows = list(rows)
    reasons = Counter(row["finish_reason"] for row in rows)
    return {
        "prompt_tokens": sum(row["prompt_tokens"] for row in rows),
        "completion_tokens": sum(row["output_tokens"] for row in rows),
        **{f"finished_by_{reason}": count for reason, count in sorted(reasons.items())},
    }


def answer(
    rows: Iterable[Row], style: OutputStyle, completion: Callable[[str], Completion], round_number: int
) -> tuple[list[Row], Funnel]:
    """Return the rows with what the style reads from their completions, and the funnel.

    An answer that is cut has the finish reason "cut", and the cut's name for what stopped it. A row that is answered
    several times becomes as many rows, with the ids `{id}/1`, `{id}/2`, ...; the first of them counts the tokens.
    """
    answered: list[Row] = []
    funnel = Funnel(STAGE, round_number)
    for row in rows:
        done = _cut(completion(row["id"]), row, style)
        read = style.read(row, done)
        for number, columns in enumerate(read, start=1):
            funnel.count(None)
            named = {"id": f"{row['id']}/{number}"} if len(read) > 1 else {}
            answered.append({**row, **named, **columns, **_ended(done, counted=number == 1)})
    return answered, funnel


def _cut(done: Completion, row: Row, style: OutputStyle) -> Completion:
    task = transcript(row)
    begins = style.begins(row, done.text)
    text, by = cut(done.text[begins:].strip(), task, done.finish_reason, style.cuts)
    return replace(done, text=f"{done.text[:begins]}{text}", finish_reason="cut", stop_reason=by) if by else done


def _ended(done: Completion, counted: bool) -> Row:
    return {
        "finish_reason": done.finish_reason,
        "stop_reason": done.stop_reason,
        "prompt_tokens": done.prompt_tokens if counted else 0,
        "output_tokens": done.completion_tokens if counted else 0,
    }


def affordable(rows: Sequence[Row], budget: int, prompt_tokens: int) -> int:
    """Return how many rows, from the first on, were written within a budget of tokens.

    Parameters
    ----------
    rows
        Answers with `output_tokens`, those to one prompt together.
    budget
        Tokens for prompts and answers.
    prompt_tokens
        Tokens that writing the round's prompts took, rejected ones too; shared alike by the prompts.
    """
    prompts = [row.get("prompt_id") or row["id"].partition("/")[0] for row in rows]
    share = prompt_tokens / max(len(set(prompts)), 1)
    spent, seen = 0.0, set[str]()
    for place, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
        spent += row["output_tokens"] + (0 if prompt in seen else share)
        seen.add(prompt)
        if spent > budget:
            return place
    return len(rows)


def filter_rows(
    rows: Iterable[Row], rules: Sequence[Rule], round_number: int, most: int | None = None
) -> tuple[list[Row], list[Row], Funnel]:
    """Return the rows that no rule drops, the others with the first rule that drops each, and the funnel.

    Rows after the first `most` are dropped as over the budget, whatever the rules say.
    """
    kept: list[Row] = []
    rejected: list[Row] = []
    funnel = Funnel("filter_outputs", round_number)
    for place, row in enumerate(rows):
        rule = OVER_BUDGET if most is not None and place >= most else first_broken(rules, row)
        funnel.count(rule)
        if rule is None:
            kept.append(row)
        else:
            rejected.append({**row, "rule": rule})
    return kept, rejected, funnel
