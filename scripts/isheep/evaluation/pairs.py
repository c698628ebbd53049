"""Pairs of instruction and human answer: read, and each beside an answer to something else."""

from __future__ import annotations

from collections.abc import Sequence

from isheep.data.rows import Row
from isheep.errors import UserError
from isheep.evaluation.base import Item
from isheep.evaluation.files import take
from isheep.serving.chat import join


def pair(place: str, row: Row) -> Item:
    """Return the pair in a row, in this project's format or in Self-Instruct's."""
    instruction = take(place, row, "instruction", str)
    id, instances = row.get("id"), row.get("instances")
    if instances is not None:
        if not isinstance(instances, list) or len(instances) < 1 or not isinstance(instances[0], dict):
            raise UserError(f"{place}: 'instances' must be a list of objects with input and output")
        row = instances[0]
    output = take(place, row, "output", str)
    if not output.strip():
        raise UserError(f"{place}: the output is blank")
    prompt = join(instruction, take(place, row, "input", str, ""))
    fields = {"prompt": prompt, "output": output, "category": take(place, row, "category", str, "")}
    return Item(str(take(place, {"id": id}, "id", (str, int))), fields)


def mismatched(items: Sequence[Item], item: Item) -> str:
    """Return the answer of another item that is nearest in length, the earlier one when two are."""
    size = len(item.fields["output"].encode())
    others = (other.fields["output"] for other in items if other.fields["output"] != item.fields["output"])
    return min(others, key=lambda text: abs(len(text.encode()) - size))
