"""Answers that drift into a script that neither the prompt's text nor its wording calls for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from isheep.filters.text import phrases

ANY_LANGUAGE = phrases("alphabet*, bilingual, language, languages, multilingual, translat*, translit*, unicode")


ASIDE = re.compile(r"[(\uff08][^()\uff08\uff09]{1,80}[)\uff09]")


@dataclass(frozen=True)
class Script:
    """A writing system, as patterns: a letter, words that name it, a run of letters, and a phrase."""

    letter: re.Pattern[str]
    named: re.Pattern[str]
    run: re.Pattern[str]
    phrase: re.Pattern[str]

    def called_for(self, prompt: str) -> bool:
        """Return True when the prompt holds the script or names a language or country that uses it."""
        return bool(self.letter.search(prompt) or self.named.search(prompt))

    def fills(self, output: str, letters: int) -> bool:
        """Return True for a phrase of the script, or when more than a tenth of all `letters` are in it.

        Lone letters, as the Greek ones of mathematics, do not count.
        """
        return bool(self.phrase.search(output)) or 10 * sum(map(len, self.run.findall(output))) > letters


def _script(letters: str, phrase: int, names: str) -> Script:
    """Build the patterns from the inside of a character class, a phrase's least length in characters, and names."""
    between = " ,.!?\u3001\u3002\uff0c\uff01\uff1f"
    return Script(
        letter=re.compile(f"[{letters}]"),
        named=phrases(names),
        run=re.compile(f"[{letters}]{{2,}}"),
        phrase=re.compile(f"[{letters}][{letters}{between}]{{{phrase - 1}}}"),
    )


SCRIPTS = (
    _script(
        "\u3005\u3040-\u312f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
        8,
        "China, Chinese, Mandarin, Cantonese, Taiwan*, hanzi, ideograph*, Japan*, kanji, kana, hiragana, katakana",
    ),
    _script("\u1100-\u11ff\u3130-\u318f\uac00-\ud7af", 12, "Korea*, hangul, hangeul"),
    _script(
        "\u0400-\u052f", 24, "Cyrillic, Russia*, Ukrain*, Bulgaria*, Serbia*, Macedonia*, Belarus*, Kazakh*, Mongolia*"
    ),
    _script(
        "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff",
        24,
        "Arab, Arabs, Arabi*, Persia*, Farsi, Iran*, Urdu, Pakistan*, Pashto, Kurd*, Quran*, Islam*",
    ),
    _script("\u0590-\u05ff", 24, "Hebrew, Israel*, Jewish, Torah, Yiddish"),
    _script("\u0370-\u03ff\u1f00-\u1fff", 24, "Greece, Greek*"),
    _script(
        "\u0900-\u0dff",
        24,
        "India*, Hindi, Marathi, Nepal*, Sanskrit, Devanagari, Bengal*, Bangla*, Punjab*, Gujarati, Odia, Tamil, "
        "Telugu, Kannada, Malayalam, Sinhal*",
    ),
    _script("\u0e00-\u0eff", 24, "Thai, Thailand, Lao, Laos, Laotian"),
    _script("\u1000-\u109f\u1780-\u17ff", 24, "Burm*, Myanmar, Khmer, Cambodia*"),
    _script("\u10a0-\u10ff", 24, "Georgia*"),
    _script("\u0530-\u058f", 24, "Armenia*"),
    _script("\u1200-\u139f", 24, "Amharic, Ethiopi*, Tigrinya"),
)


def drifts(prompt: str, output: str) -> bool:
    """Return True when the output is partly in a script that the prompt does not call for.

    Text in parentheses is left out: a name's own spelling often stands there, as in "Tokyo (東京)".
    Languages that share a script, such as English and French, cannot be told apart this way.
    """
    if output.isascii() or ANY_LANGUAGE.search(prompt):
        return False
    output = ASIDE.sub("", output)
    letters = sum(map(str.isalpha, output))
    return any(script.fills(output, letters) and not script.called_for(prompt) for script in SCRIPTS)
