"""Rules for answers by principles, after Dromedary (arXiv 2305.03047); no set has them."""

from __future__ import annotations

import re

from isheep.data.conversations import said
from isheep.filters import text
from isheep.filters.registry import Row, output_rule

APOLOGY = re.compile(
    r"\A\W*(?:(?:I(?:['\u2019]m| am) )?(?:(?:very|so|really|truly|terribly|deeply) )?sorry\b"
    r"|(?:(?:please accept )?my |I )?(?:(?:sincerely|deeply|do|must) )?apolog(?:y|ies|i[sz]e)\b|I regret\b)",
    re.IGNORECASE,
)
APOLOGISES = text.phrases(
    "apolog*, sorry, regret*, letter, email, message, note, card, reply, dialog*, conversation, story, poem, speech",
    "translat*, rewrite, rephrase, paraphrase, correct, role*, condol*, synonym*",
)


@output_rule("no_thoughts")
def no_thoughts(row: Row) -> bool:
    """Drop answers that were to be thought over and were not."""
    return row.get("thoughts") is not None and not row["thoughts"].strip()


@output_rule("no_answer")
def no_answer(row: Row) -> bool:
    """Drop rows in which thoughts were written, but no answer after them."""
    return bool((row.get("thoughts") or "").strip()) and not row["output"].strip()


@output_rule("leaked_exemplar")
def leaked_exemplar(row: Row) -> bool:
    """Drop answers with a mark, name, number or phrase of the examples shown, unless the prompt has it, too.

    Dromedary looks for a list kept by hand; here the list follows from the file of examples.
    """
    return row.get("leaked") is not None


@output_rule("apology")
def apology(row: Row) -> bool:
    """Drop answers that begin with an apology, unless the prompt wants one or wants a message."""
    prompt = said(row)
    return bool(APOLOGY.search(row["output"])) and not APOLOGISES.search(prompt)
