"""Log-likelihoods from vLLM: the fewest calls that show the log-probability of every token of some continuations."""

from __future__ import annotations

import math
from collections.abc import Collection, Generator, Iterable, Sequence
from typing import Any

from isheep.serving.engines import path

# vLLM's own bound on `logprob_token_ids`.
MAX_CHILDREN = 128

Call = tuple[list[int], dict[str, Any]]
"""Token ids of a prompt, and keywords of SamplingParams."""
Sums = tuple[float, ...]
Calls = Generator[list[Call], list[Any], Sums]
"""Yields calls to make side by side, is sent their outputs, returns a sum for each continuation."""
Ids = Sequence[list[int]]
Level = dict[tuple[int, ...], set[int]]


def ask(prompt: list[int], continuations: Ids, ends: Collection[int] | None) -> Calls:
    """Return the log-likelihood (natural log) of each continuation behind the prompt.

    Many short continuations are scored at the inner nodes of their trie, few long ones by reading each through.

    Parameters
    ----------
    prompt, continuations
        Token ids.
    ends
        Token ids that end a completion, where requests can be made to write given tokens (`path`); None where they
        cannot.
    """
    levels = trie_levels(continuations)
    nodes = [node for level in levels for node in level.items()]
    if len(nodes) > len(continuations) or any(len(children) > MAX_CHILDREN for _, children in nodes):
        return (yield from _read_through(prompt, continuations))
    if ends is not None and _is_path(levels, ends):
        return (yield from _follow(prompt, continuations, levels))
    return (yield from _walk(prompt, continuations, levels))


def trie_levels(continuations: Iterable[list[int]]) -> list[Level]:
    """Return the inner nodes of the continuations' trie, by depth: prefix (token ids) to the tokens that follow it."""
    levels: list[Level] = []
    for ids in continuations:
        for depth, token in enumerate(ids):
            if depth == len(levels):
                levels.append({})
            levels[depth].setdefault(tuple(ids[:depth]), set()).add(token)
    return levels


def _children(levels: Iterable[Level]) -> list[int]:
    return sorted({token for level in levels for children in level.values() for token in children})


def _is_path(levels: list[Level], ends: Collection[int]) -> bool:
    """Tell whether one completion can pass all inner nodes of the trie."""
    if not levels or any(len(level) > 1 for level in levels) or len(_children(levels)) > MAX_CHILDREN:
        return False
    (deepest,) = levels[-1]
    return not set(deepest) & set(ends)


def _follow(prompt: list[int], continuations: Ids, levels: list[Level]) -> Calls:
    """Score by one call that writes the way to the trie's deepest node, so that the prompt is read once.

    Where the prefix cache can be used `_walk` costs as much; on a CPU it cannot always (docs/engines.md).
    """
    (deepest,) = levels[-1]
    seen = _look(logprob_token_ids=_children(levels), max_tokens=len(levels), extra_args={path.KEY: list(deepest)})
    (output,) = yield [(prompt, seen)]
    rows = output.outputs[0].logprobs
    return tuple(math.fsum(row[token].logprob for row, token in zip(rows, ids, strict=False)) for ids in continuations)


def _walk(prompt: list[int], continuations: Ids, levels: list[Level]) -> Calls:
    """Score by one short call for each inner node of the trie, level by level.

    The first call puts the prompt into the prefix cache, where those of the deeper levels find it.
    """
    known: dict[tuple[int, ...], float] = {}
    for level in levels:
        outputs = yield [
            (prompt + list(node), _look(logprob_token_ids=sorted(children))) for node, children in level.items()
        ]
        for (node, children), output in zip(level.items(), outputs, strict=True):
            seen = output.outputs[0].logprobs[0]
            known.update({(*node, child): seen[child].logprob for child in children})
    return tuple(math.fsum(known[tuple(ids[: n + 1])] for n in range(len(ids))) for ids in continuations)


def _read_through(prompt: list[int], continuations: Ids) -> Calls:
    """Score by one call for each continuation that reads prompt and continuation, all but the last token.

    The last token's log-probability is that of a token to generate, so that no room is needed for one more.
    """
    read = [ids for ids in continuations if ids]
    outputs = yield [(prompt + ids[:-1], _look(prompt_logprobs=0, logprob_token_ids=ids[-1:])) for ids in read]
    sums = []
    for ids, output in zip(read, outputs, strict=True):
        rows = [*output.prompt_logprobs[len(prompt) :], output.outputs[0].logprobs[0]]
        sums.append(math.fsum(row[token].logprob for row, token in zip(rows, ids, strict=True)))
    remaining = iter(sums)
    return tuple(next(remaining) if ids else 0.0 for ids in continuations)


def _look(**wanted: Any) -> dict[str, Any]:
    """Return the settings of a call that generates only to see log-probabilities, one token unless told."""
    return {"temperature": 0.0, "max_tokens": 1, **wanted}
