r"""The `paper` sets: the I-SHEEP rules as its released scripts apply them, false positives included.

Sources: the instruction filters that run while prompts are made (taken over from Self-Instruct, arXiv 2212.10560, and
Dromedary, arXiv 2305.03047) and the filter that runs on outputs before they are assessed. Where the scripts' letter
case could not be told from their description, case is ignored. One step is left out: removing a Chinese "answer:"
prefix changes a text, and a rule only drops rows.
"""

from __future__ import annotations

import re
import string

from isheep.filters.registry import Row, output_rule, prompt_rule

BLACKLIST = re.compile(
    r"\b(?:images?|graphs?|pictures?|files?|maps?|draw|plot|go to|video|audio|music|flowchart|diagram)\b",
    re.IGNORECASE,
)
MARKER = re.compile(r"Instruction:|Input:|Output:")
URL = re.compile(r"https?://", re.IGNORECASE)
NO_INPUT = re.compile(r"no ?input", re.IGNORECASE)

ROLE = re.compile(r"\n(?:assistant|system|human|question|output|user)[:\n]", re.IGNORECASE)
ASKS = re.compile(
    r"Answer Choices:|no ?input|\n\n?can you|do you.|\n\n.{1,100}\?",
    re.IGNORECASE,
)
LETTER = re.compile(r"\b[A-E]\.|\([A-E]\)", re.IGNORECASE)
IDEOGRAPH = re.compile(r"[\u4e00-\u9fff]")
PROMPT_LEFTOVER = re.compile(r"no ?input|<.{1,20}>|none", re.IGNORECASE)


@prompt_rule("paper_length", sets=("paper",))
def paper_length(row: Row) -> bool:
    """Drop instructions of at most 3 or more than 150 whitespace-separated words."""
    return not 3 < len(row["instruction"].split()) <= 150


@prompt_rule("paper_blacklist", sets=("paper",))
def paper_blacklist(row: Row) -> bool:
    """Drop prompts that hold a whole word such as image, graph, file, map, draw, plot, "go to", video or music."""
    return bool(BLACKLIST.search(row["instruction"]) or BLACKLIST.search(row["input"]))


@prompt_rule("paper_punctuation", sets=("paper",))
def paper_punctuation(row: Row) -> bool:
    """Drop instructions that start with ASCII punctuation, quotation marks included."""
    return row["instruction"].lstrip()[:1] in set(string.punctuation)


@prompt_rule("paper_non_ascii", sets=("paper",))
def paper_non_ascii(row: Row) -> bool:
    """Drop instructions that start with a non-ASCII character, so most that are not in English."""
    return not row["instruction"].lstrip()[:1].isascii()


@prompt_rule("paper_no_input", sets=("paper",))
def paper_no_input(row: Row) -> bool:
    """Drop prompts with "noinput" in the instruction, or "noinput" or "no input" in the input."""
    return "noinput" in row["instruction"].lower() or bool(NO_INPUT.search(row["input"]))


@prompt_rule("paper_marker", sets=("paper",))
def paper_marker(row: Row) -> bool:
    """Drop prompts that hold "Instruction:", "Input:" or "Output:" anywhere."""
    return bool(MARKER.search(row["instruction"]) or MARKER.search(row["input"]))


@prompt_rule("paper_url", sets=("paper",))
def paper_url(row: Row) -> bool:
    """Drop prompts that hold "http://" or "https://" anywhere."""
    return bool(URL.search(row["instruction"]) or URL.search(row["input"]))


@output_rule("paper_role", sets=("paper",))
def paper_role(row: Row) -> bool:
    """Drop outputs with a line that begins with a role, "Question" or "Output", then a colon or the line's end."""
    return bool(ROLE.search(row["output"]))


@output_rule("paper_asks", sets=("paper",))
def paper_asks(row: Row) -> bool:
    """Drop outputs with "do you", a line that begins with "can you", or a paragraph that begins with a question."""
    return bool(ASKS.search(row["output"]))


@output_rule("paper_letter", sets=("paper",))
def paper_letter(row: Row) -> bool:
    """Drop outputs with a lone letter A-E before a full stop or in parentheses: "e.g.", "U.S.A.", "(a)" as well."""
    return bool(LETTER.search(row["output"]))


@output_rule("paper_ideograph", sets=("paper",))
def paper_ideograph(row: Row) -> bool:
    """Drop outputs that hold a Chinese character, translations as well."""
    return bool(IDEOGRAPH.search(row["output"]))


@output_rule("paper_prompt_leftover", sets=("paper",))
def paper_prompt_leftover(row: Row) -> bool:
    """Drop rows whose prompt holds "no input", "none" (so "nonetheless") or up to 20 characters within < and >."""
    return bool(PROMPT_LEFTOVER.search(row["instruction"]) or PROMPT_LEFTOVER.search(row["input"]))


@output_rule("paper_pair", sets=("paper",))
def paper_pair(row: Row) -> bool:
    """Drop rows whose input is a substring of the instruction."""
    return bool(row["input"].strip()) and row["input"] in row["instruction"]


@output_rule("paper_empty", sets=("paper",))
def paper_empty(row: Row) -> bool:
    """Drop outputs equal to the empty string; blanks alone pass."""
    return row["output"] == ""
