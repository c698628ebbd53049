"""Does a prompt need something other than text: to look at, to make, to listen to, or to act upon."""

from __future__ import annotations

import re

from isheep.filters.text import phrases

# In "image caption" and "video game" the noun only says of what kind something is: no noun may follow.
_ALONE = (
    r"\b(?![ -](?!(?:about|above|and|as|at|attached|below|by|comparing|depicting|describing|explaining|for|from|here"
    r"|how|illustrating|in|into|is|of|on|or|provided|representing|showing|shown|so|that|then|to|using|where|which|with|you)\b)"
    r"\w)"
)
_SEEN = (
    r"(?:images?|pictures?|photo(?:graph)?s?|screenshots?|video(?: clip)?s?|audio(?: (?:clip|file|recording))?s?"
    r"|recordings?|drawings?|paintings?|illustrations?|animations?|diagrams?|flow ?charts?|infographics?|gifs?"
    r"|(?:bar|line|pie) (?:chart|graph)s?"
    r"|(?<!mind )(?<!concept )(?<!site )(?<!story )(?<!journey )(?<!empathy )maps?)"
)
_DRAWN = r"(?:charts?|graphs?)"
_FILED = r"(?:files?|attachments?|pdfs?|spreadsheets?)"

# A task that starts here, or after another one, is one that the model is told to do.
_TOLD = r"(?:^\W*|[.!?;\n][ \t\"'*-]{0,3}|\bplease |\b(?:can|could|will|would) you (?:please )?|\b(?:and|then) )"
_ANY = r"(?:(?!(?:about|and|as|at|based|by|describing|for|from|in|into|of|on|or|that|to|using|with)\b)[\w'-]+ ){0,3}"
_THIS = r"(?:this|these|(?:the )?(?:following|given|attached|accompanying|uploaded|provided))"


def _pattern(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


SHOWN = _pattern(
    rf"\b{_THIS} {_ANY}(?:{_SEEN}|{_DRAWN}|{_FILED}){_ALONE}",
    rf"\b(?:{_SEEN}|{_DRAWN}|{_FILED}) (?:above|below|attached|provided|shown)\b",
)
PERCEIVE = _pattern(
    rf"{_TOLD}(?:listen to|look at|watch|view|examine|observe|study) {_ANY}"
    rf"(?:{_SEEN}|{_DRAWN}|films?|movies?|music|songs?|tracks?|podcasts?|episodes?){_ALONE}"
)
MAKE = _pattern(
    rf"{_TOLD}(?:add|attach|create|design|draw|edit|film|find|generate|give|include|insert|make|paint|post|produce|provide"
    rf"|record|render|send|share|shoot|show|sketch|take|upload) {_ANY}(?:{_SEEN}|graphs?){_ALONE}"
)
DRAW = _pattern(
    rf"{_TOLD}(?:draw|doodle) (?:me )?(?:a|an|the|this|your|some|two|three|four|five) "
    r"(?!(?:\w+ )?(?:analog|attention|blank|boundar|breath|card|comparison|conclusion|connection|contrast|distinction"
    r"|inference|inspiration|lesson|line between|link|list|moral|outline|parallel|table|timeline))"
)
PLOT = _pattern(
    rf"{_TOLD}plot (?:the|a|an|this|these|y|f|it|them)\b"
    r"(?! (?:\w+ )?(?:assassination|coup|course|crime|escape|heist|murder|novel|path|revenge|robbery|story|twist)\b)"
)
SOUND = _pattern(
    rf"{_TOLD}(?:compose|create|produce) {_ANY}(?:piece of )?(?:music|melody|symphony|tune)\b",
    rf"{_TOLD}(?:hum|perform|play|record|sing) (?:me )?(?:a|an|the|this|your|some) {_ANY}(?:melody|music|song|tune)\b",
)
HOW_TO = _pattern(r"\b(?:how|steps|tips|ways) (?:can|could|do|does|for|should|to|would)\b", r"^why\b")
FIGURATIVE = phrases(
    "big picture, bigger picture, broad picture, broader picture, clear picture, clearer picture, complete picture",
    "full picture, overall picture, vivid picture, whole picture",
    "body image, brand image, corporate image, mental image, positive image, public image, self image, self-image",
)
AS_TEXT = _pattern(
    phrases(
        "algorithm, API, ASCII, code, CSS, data structure, emoji, ggplot, Graphviz, hash map, hashmap, HTML, Java",
        "JavaScript, LaTeX, MATLAB, matplotlib, Mermaid, Python, regex, script, SQL, SVG, TikZ, turtle, words",
    ).pattern,
    r"\b(?:build|create|define|develop|implement|write)\b.{0,40}\b(?:app|class|function|library|method|program)\b",
)

_MEDIUM = r"(?:audio|chart|diagram|file|graph|image|map|photo|picture|video)"
MEDIA_INPUT = _pattern(
    r"[\s\"'(\[<]*[\w./\\-]+\.(?:avi|bmp|docx?|gif|jpe?g|mov|mp3|mp4|pdf|png|pptx?|wav|webp|xlsx?)[\s\"')\]>]*",
    rf"\W*{_MEDIUM}(?: \d+| file| here)\W*",
    rf"\s*[\[<(](?:an? |the )?{_MEDIUM}\b[^\])>]*[\])>]\s*",
)
ABOUT_NAMES = phrases("element*, extension*, file name*, filename*, format*, path*, tag*, word*")

ACT = _pattern(
    r"^\W*(?:please )?(?:go to (?!statements?\b)|log ?in to |navigate to |click (?:on|here|the)\b"
    r"|download (?:a|an|the|this)\b|upload (?:a|an|the|this|your)\b"
    r"|(?:open|visit) (?:a|the|this|your) (?:\w+ )?(?:app|browser|file|link|page|site|url|web ?page|web ?site)\b"
    r"|search (?:google|online|the (?:internet|web)|youtube)\b)"
)

# Every pattern of what is shown or wanted holds one of these; most instructions hold none.
_STEMS = _pattern(
    "animation|attachment|audio|chart|diagram|doodle|draw|episode|file|film|gif|graph|illustration|image|infographic|map"
    "|melody|movie|music|painting|pdf|photo|picture|plot|podcast|recording|screenshot|song|spreadsheet|symphony|track"
    "|tune|video"
)


def needs_other_media(instruction: str, input_text: str) -> bool:
    """Return True when the task cannot be done in text: it shows, or wants made, an image, a sound, a file.

    Drawing by means of code or characters is text, and so is a question how something is drawn. A task about a picture
    whose input says in words what is on it can be done, too.
    """
    if MEDIA_INPUT.fullmatch(input_text) and not ABOUT_NAMES.search(instruction):
        return True
    if not _STEMS.search(instruction):
        return False
    task = FIGURATIVE.sub("", instruction)
    described = len(input_text.split()) >= 3
    if AS_TEXT.search(task):
        return False
    if SHOWN.search(task) and not described:
        return True
    if HOW_TO.search(task):
        return False
    if PERCEIVE.search(task) and not described:
        return True
    return any(pattern.search(task) for pattern in (MAKE, DRAW, PLOT, SOUND))


def needs_action(instruction: str) -> bool:
    """Return True when the instruction begins by sending the reader somewhere: to a place, a page, an app."""
    return bool(ACT.search(instruction)) and not AS_TEXT.search(instruction)
