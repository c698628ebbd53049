"""The ids that a GGUF's own metadata gives to a text, as llama.cpp reads it: converted tokenizers must give them too.

Two kinds. `llama` (SentencePiece): of all neighbouring pieces whose union is a token, the union with the best score is
joined first; what is left over falls back on byte tokens. `gpt2` (byte-level): the text is cut into words by patterns
that the name of the pre-tokenizer stands for, and pairs are joined in the order of `merges`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from typing import Any

from isheep.errors import UserError

CONTROL, USER_DEFINED = 3, 4  # numbers of `tokenizer.ggml.token_type`
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CASELESS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SINCE_GPT4 = _CASELESS + (
    r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{DIGITS}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2, _LLAMA3 = _SINCE_GPT4.replace("{DIGITS}", ""), _SINCE_GPT4.replace("{DIGITS}", "{1,3}")
_PATTERNS = {
    **dict.fromkeys(("gpt-2", "phi-2", "olmo", "mpt"), (_GPT2,)),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell"), (r"\p{N}", _GPT2)),
    **dict.fromkeys(("qwen2", "stablelm2", "deepseek-r1-qwen"), (_QWEN2,)),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3"), (_LLAMA3,)),
}
"""How a text is cut into words, one pattern after the other, by `tokenizer.ggml.pre`."""
WHOLE_WORDS = ("llama-bpe", "llama3", "llama-v3")
"""Pre-tokenizers under which a word that is a token is taken as it is; a start token stands before their texts."""


class Vocabulary:
    """Vocabulary and rules of a GGUF's metadata.

    Parameters
    ----------
    metadata
        All keys of the file.

    Raises
    ------
    UserError
        A kind of tokenizer, or a pre-tokenizer, that is not known here.
    """

    def __init__(self, metadata: dict[str, Any]) -> None:
        self.said = {key.removeprefix("tokenizer.ggml."): value for key, value in metadata.items()}
        self.tokens: list[str] = self.said["tokens"]
        self.ids = {token: id for id, token in enumerate(self.tokens)}
        self.kind, self.pre = self.said.get("model"), self.said.get("pre")
        if self.kind not in ("llama", "gpt2") or (self.kind == "gpt2" and self.pre not in _PATTERNS):
            raise UserError(
                f"model.gguf: its tokenizer ({self.kind}, {self.pre}) is none that its conversion can be checked for; "
                "take the model in its own form, as a folder with tokenizer.json (model.path or model.hub)"
            )

    def named(self, token: str) -> int | None:
        """Return the id of the start (`bos`) or end (`eos`) token; None when the file names none."""
        return self.said.get(f"{token}_token_id")

    @property
    def starts(self) -> bool:
        """Whether a start token stands before every text; where the file does not say, as llama.cpp takes it."""
        usual = self.kind == "llama" or self.pre in WHOLE_WORDS
        return bool(self.said.get("add_bos_token", usual)) and self.named("bos") is not None

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without start and end tokens."""
        ids: list[int] = []
        for number, (piece, whole) in enumerate(self._cut_at_added(text)):
            if whole:
                ids.append(self.ids[piece])
            elif self.kind == "llama":
                ids += self._by_scores(piece, first=number == 0)
            else:
                ids += [id for word in self._words(piece) for id in self._by_merges(word)]
        return ids

    @cached_property
    def _added(self) -> Any:
        import regex

        kinds = self.said.get("token_type") or []
        added = [token for token, kind in zip(self.tokens, kinds, strict=True) if kind in (CONTROL, USER_DEFINED)]
        added = sorted(filter(None, added), key=len, reverse=True)  # the longest first
        return regex.compile("|".join(map(regex.escape, added)) or r"(?!)")

    def _cut_at_added(self, text: str) -> list[tuple[str, bool]]:
        """Cut a text at the tokens that are matched before all else: (piece, is it such a token)."""
        pieces, at = [], 0
        for match in self._added.finditer(text):
            pieces += [(text[at : match.start()], False), (match.group(), True)]
            at = match.end()
        pieces.append((text[at:], False))
        return [(piece, whole) for piece, whole in pieces if piece]

    def _by_scores(self, text: str, first: bool) -> list[int]:
        blank = " " if first and self.said.get("add_space_prefix", True) else ""
        scores = self.said["scores"]
        pieces = list((blank + text).replace(" ", "▁"))
        pieces = _joined(pieces, lambda pair: -scores[self.ids[pair]] if pair in self.ids else None)
        return [id for piece in pieces for id in self._or_bytes(piece)]

    def _or_bytes(self, piece: str) -> list[int]:
        if piece in self.ids:
            return [self.ids[piece]]
        return [self.ids.get(f"<0x{byte:02X}>", self.named("unknown") or 0) for byte in piece.encode("utf-8")]

    def _words(self, text: str) -> list[str]:
        import regex

        pieces = [text]
        for pattern in _PATTERNS[str(self.pre)]:
            pieces = [word for piece in pieces for word in _cut(regex.compile(pattern), piece)]
        return pieces

    @cached_property
    def _ranks(self) -> dict[str, int]:
        return {merge: rank for rank, merge in enumerate(self.said["merges"])}

    def _by_merges(self, word: str) -> list[int]:
        letters = [_LETTERS[byte] for byte in word.encode("utf-8")]
        if self.pre in WHOLE_WORDS and "".join(letters) in self.ids:
            return [self.ids["".join(letters)]]
        return [self.ids[piece] for piece in _joined(letters, self._ranks.get, " ")]


def _cut(pattern: Any, text: str) -> list[str]:
    """Return matches and what stands between them, in order."""
    pieces, at = [], 0
    for match in pattern.finditer(text):
        pieces += [text[at : match.start()], match.group()]
        at = match.end()
    return [piece for piece in (*pieces, text[at:]) if piece]


def _joined(pieces: list[str], rank: Callable[[str], float | None], between: str = "") -> list[str]:
    """Join the neighbours with the lowest rank, the leftmost of equals, until none has a rank."""
    while len(pieces) > 1:
        ranks = [(rank(between.join(pair)), at) for at, pair in enumerate(pairwise(pieces))]
        known = [(value, at) for value, at in ranks if value is not None]
        if not known:
            break
        _, at = min(known)
        pieces = [*pieces[:at], pieces[at] + pieces[at + 1], *pieces[at + 2 :]]
    return pieces


def _letters() -> list[str]:
    """Return the letter that stands for each byte in byte-level vocabularies: itself where it can be seen."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = iter(range(256, 512))
    return [chr(byte) if byte in seen else chr(next(hidden)) for byte in range(256)]


_LETTERS = _letters()
