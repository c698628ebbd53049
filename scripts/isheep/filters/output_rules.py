"""The `default` rules for outputs: answers that are cut off, empty or astray, or that are no answers at all."""

from __future__ import annotations

import re

from isheep.data.conversations import history, said
from isheep.filters import drift, text
from isheep.filters.registry import Row, output_rule
from isheep.serving.reasoning import MARKERS, left_over

ONLY_NO_INPUT = re.compile(
    r"\W*no[ -]input(?: (?:is |was )?(?:needed|required|necessary|provided|given))?\W*", re.IGNORECASE
)

MARKER = re.compile(
    r"^[ \t]*(?:#{2,}[ \t]*(?:instruction|response)[ \t]*(?::|$)|(?:\d+\.[ \t]*)?instruction[ \t]*:)"
    r"|\A\s*response[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)

HEADER = re.compile(
    r"^[ \t]*(?:[#*\[<]+[ \t]*)?(user|human|assistant)[\]*>]*[ \t]*(:?)(.*)$", re.IGNORECASE | re.MULTILINE
)
SYSTEM = re.compile(r"^[ \t]*system:?\s{1,3}you are\b", re.IGNORECASE | re.MULTILINE)
QUESTION = re.compile(r"^[ \t]*\**question[ \t]*\d*\**[ \t]*:", re.IGNORECASE | re.MULTILINE)
DIALOGUE = text.phrases(
    "chat*, conversation*, customer, debate, dialog*, exchange, interview*, messages, play, role*, scene, screenplay",
    "script, scripts, skit, transcript*",
)
TURN = re.compile(r"^[^\w\n]*(?:user|human|assistant|bot)[ \t]*:", re.IGNORECASE | re.MULTILINE)
QUESTIONS = text.phrases(
    "ask*, exam*, exercise*, faq*, flash card*, flashcard*, icebreaker*, ice breaker*, interrogative, interview*",
    "joke*, poll, puzzle*, q&a, quiz*, questions, questionnaire, question and answer, question-answer, riddle*",
    "survey*, test, tests, trivia",
)
ONE_QUESTION = re.compile(
    r"\b(?:compose|create|design|form|formulate|generate|make|pose|suggest|turn|up with|write)\b.{0,80}\bquestion\b"
    r"|\?[\"'\u201d\u00bb]",
    re.IGNORECASE,
)

CHUNKS = re.compile(r"(?<=[.!?])[\"'\u201d]?\s+|\n+")
REQUEST = re.compile(
    r"\b(?:please|kindly|(?:can|could|would|will) you(?: please| kindly)?)(?: also)? (?:be more specific|clarify"
    r"|elaborate|enter|include|paste|provide|rephrase|send|share|specify|tell me|upload)\b"
    r"|\bI(?:'d|'ll| will| would)?(?: also)? need (?:a (?:bit|little) )?(?:additional|further|more|some|the|to know)\b"
    r"|\bwhat (?:can I|would you like|do you (?:need|want)|is your question)\b|\bhow (?:can|may) I (?:assist|help)\b",
    re.IGNORECASE,
)
FILLER = re.compile(
    r"\W{0,5}(?:(?:absolutely|certainly|great|hello|hi|of course|ok|okay|sure|thank you|thanks|yes)\b.{0,40}"
    r"|(?:I(?:'m| am|'d be| would be) )?(?:afraid|glad|happy|ready|sorry)\b.*"
    r"|.{0,80}\b(?:didn't|doesn't|don't|did not|does not|do not) (?:appear|have|include|see|seem|specify)\b.*)",
    re.IGNORECASE,
)
MESSAGE = text.phrases(
    "ask*, chat*, compose, conversation, correct, customer, dialog*, draft, email, greet*, letter, message, note",
    "paraphrase, polite*, rephrase, reply, request*, respon*, rewrite, role*, say, translat*",
)
ANSWERABLE = re.compile(
    r"\?\W{0,3}$|^\W*(?:answer|calculate|classify|compare|compute|convert|count|define|describe|discuss|explain|find|how"
    r"|list|name|outline|solve|summari[sz]e|tell me|what|when|where|which|who|why)\b",
    re.IGNORECASE,
)

_OPTION = r"[ \t]*\(?{}[.)][ \t]+\S[^\n]*"
OPTIONS = re.compile(
    r"\n+".join(_OPTION.format(letter) for letter in "ABC") + rf"(?:\n+{_OPTION.format('[D-F]')}){{0,3}}"
)
OPTIONS_AFTER_QUESTION = re.compile(
    r"\?\s{1,4}\(?A[.)]\s{0,2}[^\s?][^?]{0,200}?[\s(]B[.)]\s{0,2}[^\s?][^?]{0,200}?[\s(]C[.)]\s{0,2}[^\s?]"
)
CHOICES_HEADER = re.compile(
    r"^[ \t]*\**(?:answer (?:choices|options)\b|(?:choices|options)\**[ \t]*:\**\s{0,3}\(?A[.)])",
    re.IGNORECASE | re.MULTILINE,
)
CHOICES = text.phrases(
    "alternatives, choice*, choose, exam*, multiple choice, multiple-choice, option*, outline, poll, questions, quiz*",
    "select, test, tests, trivia",
)
OPTION_GIVEN = re.compile(r"(?:^|[\s(])A[.)]\s")
LIST = re.compile(r"\b(?:(?:what|which) .{0,40}\bare|four|five|list|name|outline|steps)\b", re.IGNORECASE)

KEEPS_TEXT = text.phrases(
    "capital*, case, check, clean, complete, copy, correct, edit, error*, extract, fix, format, grammar, grammatical",
    "if, improve, lowercase, mistake*, normalis*, normaliz*, proofread, punctuat*, quote, remove, repeat",
    "replace, reverse, rewrite, say, sort, spell*, strip, translate, typo*, uppercase, verbatim",
)
ANNOUNCES = re.compile(r"\w[\"')*]{0,3}:\**\Z")


@output_rule("over_context", sets=("default",))
def over_context(row: Row) -> bool:
    """Drop rows whose prompt alone filled the model's context, so that nothing was generated."""
    return row["finish_reason"] == "context"


@output_rule("truncated", sets=("default",))
def truncated(row: Row) -> bool:
    """Drop outputs that ended at the token limit: they stop in mid-sentence and teach no end of turn.

    Dromedary keeps these; Self-Instruct drops a response that ended by length.
    """
    return row["finish_reason"] == "length"


@output_rule("empty", sets=("default",))
def empty(row: Row) -> bool:
    """Drop outputs that are empty or blank; I-SHEEP lets blanks pass."""
    return not row["output"].strip()


@output_rule("broken_characters", sets=("default",))
def broken_characters(row: Row) -> bool:
    """Drop outputs with NUL, other control characters, lone surrogates or U+FFFD: bytes that were no text."""
    return text.has_broken_characters(row["output"])


@output_rule("control_token", sets=("default",))
def control_token(row: Row) -> bool:
    """Drop outputs that hold text like "<|im_end|>" or "[INST]": the model wrote its own turn markers."""
    return text.has_control_token(row["output"])


@output_rule("reasoning", sets=("default",))
def reasoning(row: Row) -> bool:
    """Drop outputs with what is left of reasoning: a lone "</think>" or its like, "analysis...assistantfinal".

    What `model.reasoning` strips or keeps whole is not dropped, what it refuses is. A mark that the prompt holds, too,
    is a word.
    """
    if row["finish_reason"] == "reasoning":
        return True
    return left_over(row["output"]) and not any(marker in said(row) for marker in MARKERS)


@output_rule("leftover_marker", sets=("default",))
def leftover_marker(row: Row) -> bool:
    """Drop outputs with a line "Instruction:" or "### Response", or that begin with "Response:".

    These are marks of the formats in which models are shown tasks. A word that the prompt itself uses is not one.
    """
    prompt = said(row).lower()
    marks = (match[0].lower() for match in MARKER.finditer(row["output"]))
    return any("instruction" not in prompt if "instruction" in mark else "response" not in prompt for mark in marks)


@output_rule("leftover_noinput", sets=("default",))
def leftover_noinput(row: Row) -> bool:
    """Drop outputs with the task list's word "noinput", or that say "no input" and nothing else."""
    return bool(text.NO_INPUT.search(row["output"]) or ONLY_NO_INPUT.fullmatch(row["output"]))


@output_rule("continues_dialogue", sets=("default",))
def continues_dialogue(row: Row) -> bool:
    """Drop outputs in which the model goes on with the next turn or the next question by itself.

    A later line that is only "User", "Human" or "Assistant", one that begins with it and a colon after a blank line or
    beside the other role, "System: You are", or a later "Question:". Prompts that ask for a dialogue or for questions
    are exempt, and so is an output that begins with "Question:"; I-SHEEP drops these as well.
    """
    output = row["output"].strip()
    prompt = said(row)
    if not (DIALOGUE.search(prompt) or TURN.search(prompt)) and (_next_turn(output) or SYSTEM.search(output)):
        return True
    question = QUESTION.search(output)
    return question is not None and question.start() > 0 and not _wants_questions(prompt)


def _wants_questions(prompt: str) -> bool:
    return bool(QUESTIONS.search(prompt) or ONE_QUESTION.search(prompt))


def _next_turn(output: str) -> bool:
    headers = [match for match in HEADER.finditer(output) if match[2] or not match[3].strip()]
    roles = {"assistant" if match[1].lower() == "assistant" else "user" for match in headers if match[2]}
    return any(
        match.start() > 0
        and (not match[3].strip(" \t*") or len(roles) == 2 or output.endswith("\n\n", 0, match.start()))
        for match in headers
    )


@output_rule("asks_back", sets=("default",))
def asks_back(row: Row) -> bool:
    """Drop outputs that only ask: for the text to work on, for details, or another question in place of an answer.

    Every sentence must be a request to the user, a question or small talk around it; one sentence of substance saves
    the answer. Exempt are prompts that want a message or a translation, and questions where the prompt wants questions
    or its answer may well be one. I-SHEEP drops "do you" anywhere and a paragraph that begins with a question.
    """
    output = text.LIST_MARK.sub("", row["output"]).replace("\u2019", "'")
    kinds = {_kind(chunk.strip()) for chunk in CHUNKS.split(output) if chunk.strip()}
    if "answer" in kinds or MESSAGE.search(said(row)):
        return False
    asked = "question" in kinds and ANSWERABLE.search(row["instruction"]) and not _wants_questions(said(row))
    return "request" in kinds or bool(asked)


def _kind(sentence: str) -> str:
    if REQUEST.search(sentence):
        return "request"
    if sentence.rstrip("\"'\u201d)*").endswith("?"):
        return "question"
    return "filler" if FILLER.fullmatch(sentence) else "answer"


@output_rule("multiple_choice_continuation", sets=("default",))
def multiple_choice_continuation(row: Row) -> bool:
    """Drop outputs that turn into a multiple-choice question: "Answer choices", or "...? A. ... B. ... C. ...".

    Also an output that is nothing but options A, B, C after an instruction that ends with a question. Prompts that want
    or hold options are exempt. I-SHEEP drops every lone letter A to E before a full stop or in parentheses.
    """
    if CHOICES.search(said(row)) or OPTION_GIVEN.search(said(row)):
        return False
    if CHOICES_HEADER.search(row["output"]) or OPTIONS_AFTER_QUESTION.search(row["output"]):
        return True
    asked = row["instruction"].rstrip().endswith("?") and not LIST.search(row["instruction"])
    return asked and bool(OPTIONS.fullmatch(row["output"].strip()))


@output_rule("language_drift", sets=("default",))
def language_drift(row: Row) -> bool:
    """Drop outputs with a phrase, or over a tenth of the letters, in a script that the prompt does not call for.

    A prompt calls for a script by holding it, by naming a language or country that uses it, or by speaking of
    translation or languages. I-SHEEP drops every Chinese character.
    """
    return drift.drifts(said(row), row["output"])


@output_rule("echoes_prompt", sets=("default",))
def echoes_prompt(row: Row) -> bool:
    """Drop outputs equal to the instruction, the input, both joined, or a turn before them.

    Blanks, case and end marks make no difference. An input or a turn handed back is an answer where it is at most 3
    words or the task may leave its text as it is (to correct, to sort, to extract). Self-Instruct drops every output
    equal to its input.
    """
    output = text.fold(row["output"])
    if not output:
        return False
    if output in (text.fold(row["instruction"]), text.fold(f"{row['instruction']}\n\n{row['input']}")):
        return True
    handed_back = output in map(text.fold, (row["input"], *(turn["content"] for turn in history(row))))
    return handed_back and len(output.split()) > 3 and not KEEPS_TEXT.search(row["instruction"])


@output_rule("repeats_itself", sets=("default",))
def repeats_itself(row: Row) -> bool:
    """Drop outputs that go round in circles, unless the prompt asks for repetition or lyrics.

    Dromedary cuts an answer at its first repeated segment; here the whole row goes, and only for a real loop.
    """
    return text.loops(row["output"]) and not text.REPETITION.search(said(row))


@output_rule("unfinished", sets=("default",))
def unfinished(row: Row) -> bool:
    """Drop outputs that end with a colon after a word: they announce something and stop.

    Self-Instruct drops an input or output that ends with ":".
    """
    return bool(ANNOUNCES.search(row["output"].rstrip()))
