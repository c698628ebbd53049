"""The health of a round's data as its card tells it: a line for each measure that says something by itself."""

from __future__ import annotations

from isheep.documents.rounds import Health
from isheep.documents.tables import leaves

# Where health.json has a measure: what the card calls it.
MEASURES = {
    "lengths/output/tokens/p50": "tokens of an answer, median",
    "lengths/output/tokens/p95": "tokens of an answer, 95th percentile",
    "lengths/output/share_empty": "empty answers, share",
    "lengths/output/share_at_limit": "answers cut at the token limit, share",
    "diversity/instruction/distinct_2": "different word pairs in instructions, share",
    "diversity/output/distinct_2": "different word pairs in answers, share",
    "diversity/instruction/self_bleu": "self-BLEU of instructions (100: all alike)",
    "diversity/instruction/vendi": "Vendi score of instructions (how many unlike ones)",
    "duplicates/near/instruction/within_round": "near-duplicate instructions in the round, share",
    "duplicates/near/instruction/seeds": "instructions that nearly repeat a seed, share",
    "duplicates/near/instruction/earlier_rounds": "instructions that nearly repeat an earlier round, share",
    "perplexity": "perplexity under the base model",
}

Measured = tuple[str, float, int]  # what is measured, its number, and of how many rows


def tell_health(health: Health) -> tuple[list[Measured], list[str]]:
    """Return what is measured with its number, and the alarms that rang, in words.

    Parameters
    ----------
    health
        What stage measure_data writes; measures that a run leaves out are left out here.
    """
    measures = {path: leaf for path, leaf in leaves(health) if leaf["value"] is not None}
    names = {tuple(place.split("/")): name for place, name in MEASURES.items()}
    for path in measures:
        if path[0] == "overlap" and path[-1] == "share":
            names[path] = f"rows that share {path[-2]} words in a row with `{'/'.join(path[1:-2])}`, share"
    measured = [
        (name, measures[path]["value"], measures[path]["n"]) for path, name in names.items() if path in measures
    ]
    return measured, [alarm["message"] for alarm in health["alarms"]]
