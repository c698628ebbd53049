"""The `default` rules for prompts: fragments, leftovers of the list format, and tasks that text alone cannot do."""

from __future__ import annotations

import re

from isheep.data.conversations import history
from isheep.data.text import UNSPACED, words
from isheep.filters import media, text
from isheep.filters.registry import Row, prompt_rule

# Marks that cannot open a sentence; those of the last group can when a word follows (".NET", "*args", "=SUM(A1)").
PUNCTUATION = re.compile(
    r"\s*(?:[,;:)\]}>?\u2013\u2014\u2026\u2022\u00b7]|-+(?![\w.-])|-[^\W\d_]{2}|[.!|*=+~/\\^&%#@](?![\w*]))"
)

# A number or "#" before a marker belongs to the list that the model was to continue.
_MARK = r"^[ \t]*(?:(?:\d+[.)]|#+)[ \t]*)?\**"
INSTRUCTION = re.compile(rf"{_MARK}instruction\**[ \t]*:", re.IGNORECASE | re.MULTILINE)
INPUT = re.compile(rf"{_MARK}input\**[ \t]*:", re.IGNORECASE | re.MULTILINE)
OUTPUT = re.compile(rf"{_MARK}(?:output|response)\**[ \t]*:", re.IGNORECASE | re.MULTILINE)
CUE = re.compile(rf"{_MARK}(?:output|response)\**[ \t]*:\**\Z", re.IGNORECASE | re.MULTILINE)
SEPARATOR = re.compile(r"^[ \t]*#{3,}[ \t]*$", re.MULTILINE)

NOTHING = re.compile(
    r"\W*(?:none|n/?a|null|not applicable|no[ -]input(?: (?:is )?(?:needed|required|necessary|provided|given))?)\W*",
    re.IGNORECASE,
)

URL = re.compile(
    r"(?:https?://|\bwww\.)(?!(?:www\.)?example\.|localhost\b|127\.0\.0\.1\b|0\.0\.0\.0\b)[\w-]+(?:\.|:\d)\w",
    re.IGNORECASE,
)
ABOUT_URLS = re.compile(
    r"\b(?:count|decode|encode|extract|mask|match|parse|remove|replace|split|strip|validate)\w*\b.{0,60}"
    r"\b(?:domains?|hyperlinks?|links?|protocols?|query|urls?|web addresses)\b",
    re.IGNORECASE,
)

_FILL = r"(?:add|enter|fill in|insert|paste|place|provide|put|type|write)"
_SLOT = (
    r"(?:[\w-]+ ){0,2}(?:answer|article|code|content|data|document|email|essay|input|items?|list|name|numbers?"
    r"|paragraph|passage|poem|question|sentences?|story|text|topic|words?)(?: here)?"
)
STAND_IN = re.compile(
    rf"[\[<({{]+\s*(?:{_FILL}\b[^\])>}}\n]*|(?:(?:your|the|an?|any|some|user) )?{_SLOT}\s*)[\])>}}]+"
    rf"|(?:please )?{_FILL} (?:[\w']+ ){{1,6}}(?:here|below)|your {_SLOT}|[.\u2026]{{2,}}|_{{2,}}"
    r"\.?",
    re.IGNORECASE,
)
PLACEHOLDER = re.compile(r"[\[<({]\s*(?:insert|paste)\b[^\])>}\n]{1,60}[\])>}]", re.IGNORECASE)
ABOUT_PLACEHOLDERS = text.phrases(
    "blank*, bracket*, complete, element*, fill, HTML, letter, placeholder*, replace, tag, tags, template, XML"
)

_GIVEN = (
    r"(?:abstract|article|code|comment|conversation|data|dialogue|document|email|equation|essay|excerpt|expression"
    r"|facts|idiom|ingredients|input|items|list|lyrics|message|numbers|paragraph|passage|phrase|poem|problem|proverb"
    r"|questions?|quote|quotation|recipe|review|riddle|sentences?|snippet|statements?|story|table|text|tweet|verse"
    r"|words?)"
)
REFERS = re.compile(
    rf"\bfollowing (?!(?:the|an?|this|your)\b)(?:[\w'-]+ ){{0,2}}?{_GIVEN}\b"
    rf"|\b(?:each|the|these|this) (?:[\w'-]+ )?{_GIVEN} (?:above|below)\b",
    re.IGNORECASE,
)
# Signs that what the instruction refers to stands in the instruction itself.
STANDS_HERE = re.compile(r":\s*\S|\n\s*\S|[.?!]\s+\S|[\"\u201c\u201e\u00ab`\[{(<]|\s'\w|\s[-\u2013\u2014]\s|\d")


def _fields(row: Row) -> tuple[str, str]:
    return row["instruction"], row["input"]


@prompt_rule("empty", sets=("default",))
def empty(row: Row) -> bool:
    """Drop instructions that are blank: there is no task."""
    return not row["instruction"].strip()


@prompt_rule("broken_characters", sets=("default",))
def broken_characters(row: Row) -> bool:
    """Drop prompts with NUL, other control characters, lone surrogates or U+FFFD: bytes that were no text."""
    return any(map(text.has_broken_characters, _fields(row)))


@prompt_rule("control_token", sets=("default",))
def control_token(row: Row) -> bool:
    """Drop prompts that hold text like "<|im_end|>" or "[INST]": the model wrote its own turn markers."""
    return any(map(text.has_control_token, _fields(row)))


@prompt_rule("leftover_marker", sets=("default",))
def leftover_marker(row: Row) -> bool:
    """Drop prompts with a line "7. Instruction:", "Instruction:", a lone "Input:", a last "Output:" or "###".

    These are the marks of the task list that the model continues; left inside a task they show that it was not parsed.
    An "Input:" with an "Output:" is a worked example and stays. I-SHEEP drops all three words wherever they stand.
    """
    return any(map(_holds_marker, _fields(row)))


def _holds_marker(field: str) -> bool:
    outputs = len(OUTPUT.findall(field))
    return bool(
        INSTRUCTION.search(field)
        or SEPARATOR.search(field)
        or (INPUT.search(field) and not outputs)
        or (outputs == 1 and CUE.search(field.rstrip()))
    )


@prompt_rule("leftover_noinput", sets=("default",))
def leftover_noinput(row: Row) -> bool:
    """Drop prompts with the list format's word "noinput", or whose whole input says "none", "N/A" or "no input".

    "No input" within a sentence and "nonetheless" stay, which I-SHEEP's patterns drop.
    """
    return any(map(text.NO_INPUT.search, _fields(row))) or bool(NOTHING.fullmatch(row["input"]))


@prompt_rule("starts_with_punctuation", sets=("default",))
def starts_with_punctuation(row: Row) -> bool:
    """Drop instructions that start with a mark no sentence starts with: the tail of something cut in two.

    Opening quotes and brackets, "¿", "-5", ".NET", "**bold**" and "___" stay, and letters of any script. Self-Instruct
    and I-SHEEP drop every ASCII mark and every first character outside ASCII.
    """
    return bool(PUNCTUATION.match(row["instruction"]))


@prompt_rule("too_short", sets=("default",))
def too_short(row: Row) -> bool:
    """Drop instructions of fewer than 3 words, or of 1 word when there is an input: fragments rather than tasks.

    Self-Instruct and I-SHEEP want more than 3 words and so lose "Finish the poem.". Four letters of a script
    without blanks between words are enough, and any word where a conversation goes on ("Why?").
    """
    if history(row):
        return not row["instruction"].strip()
    least = 2 if row["input"].strip() else 3
    return len(row["instruction"].split()) < least and len(re.findall(f"[{UNSPACED}]", row["instruction"])) < 4


@prompt_rule("too_long", sets=("default",))
def too_long(row: Row) -> bool:
    """Drop instructions of more than 150 words or 1,500 characters: several tasks in one, or rambling.

    150 words are Self-Instruct's and I-SHEEP's limit; the characters catch text without blanks.
    """
    return len(row["instruction"].split()) > 150 or len(row["instruction"]) > 1500


@prompt_rule("repeats_itself", sets=("default",))
def repeats_itself(row: Row) -> bool:
    """Drop prompts whose instruction or input goes round in circles, a common end of a small model's text."""
    return any(map(text.loops, _fields(row)))


@prompt_rule("has_url", sets=("default",))
def has_url(row: Row) -> bool:
    """Drop prompts with a web address: the model cannot open it, and those it makes up seldom exist.

    Stay: a scheme alone, example.com and localhost, and tasks about addresses, such as parsing them.
    """
    return any(map(URL.search, _fields(row))) and not ABOUT_URLS.search(row["instruction"])


@prompt_rule("placeholder", sets=("default",))
def placeholder(row: Row) -> bool:
    """Drop prompts whose input is a stand-in such as "[insert text here]", "<your text>" or "...".

    Placeholders within a longer text, as in a letter, stay, and so do tasks about filling them or about tags.
    """
    if ABOUT_PLACEHOLDERS.search(row["instruction"]):
        return False
    return bool(STAND_IN.fullmatch(row["input"].strip(" \t\n\"'"))) or any(map(PLACEHOLDER.search, _fields(row)))


@prompt_rule("input_repeats_instruction", sets=("default",))
def input_repeats_instruction(row: Row) -> bool:
    """Drop prompts whose input is the instruction, holds it, or is held by it: the same text would be shown twice.

    Held counts from 4 words on, and whole words only; I-SHEEP drops an input "4" because the instruction says "2024".
    """
    if row["instruction"].strip() and text.fold(row["instruction"]) == text.fold(row["input"]):
        return True
    inner, outer = sorted(map(words, _fields(row)), key=len)
    return len(inner) >= 4 and f" {' '.join(inner)} " in f" {' '.join(outer)} "


@prompt_rule("missing_input", sets=("default",))
def missing_input(row: Row) -> bool:
    """Drop prompts that speak of "the following text" or "the words below" and then show nothing.

    Not in the papers. Only instructions of one sentence count, in which nothing looks like the text itself, and none
    that goes on with a conversation: the text may stand there.
    """
    if history(row):
        return False
    instruction = row["instruction"].strip()
    return not row["input"].strip() and bool(REFERS.search(instruction)) and not STANDS_HERE.search(instruction)


@prompt_rule("needs_other_media", sets=("default",))
def needs_other_media(row: Row) -> bool:
    """Drop prompts that show or ask for an image, a graph, a sound or a file: a text model has none of them.

    Self-Instruct and I-SHEEP drop the words image, graph, file, map, draw, plot, music ... wherever they stand.
    """
    return media.needs_other_media(row["instruction"], row["input"])


@prompt_rule("needs_action", sets=("default",))
def needs_action(row: Row) -> bool:
    """Drop instructions that begin by sending the reader to a place or a page: "Go to ...", "Click on ...".

    Self-Instruct and I-SHEEP drop "go to" wherever it stands.
    """
    return media.needs_action(row["instruction"])
