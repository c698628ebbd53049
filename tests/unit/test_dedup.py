"""Near-duplicates: the definition is the oracle, rouge_score that of its own tokens; integers decide the ties."""

import json
import random
from fractions import Fraction
from itertools import accumulate, combinations
from pathlib import Path

import pytest
from rapidfuzz.distance import LCSseq
from rouge_score import rouge_scorer

from isheep.data import dedup
from isheep.data.dedup import NearDuplicates
from isheep.data.text import TOKENS, rouge_tokens, word_tokens

WORDS = "write list explain the a of city river poem about three facts python short".split()
ROOT = Path(__file__).parents[2]
SEEDS = ROOT / "config/seeds/isheep.jsonl"
SELF_INSTRUCT = ROOT.parent / "shared/data/self_instruct_seed_tasks.jsonl"


def texts(count: int, longest: int) -> list[str]:
    draw = random.Random(count)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, longest))) for _ in range(count)]


def zipf(count: int) -> list[str]:
    """Return texts of 1 to 40 words of a vocabulary like a language's, and shaken copies of some of them."""
    draw, weights = random.Random(5), list(accumulate(1 / (i + 3) for i in range(3000)))
    made: list[str] = []
    for _ in range(count):
        words = [str(i) for i in draw.choices(range(3000), cum_weights=weights, k=draw.randint(1, 40))]
        if made and draw.random() < 0.5:
            words = draw.choice(made).split()
            for _ in range(draw.randint(0, 1 + len(words) // 3)):
                at = draw.randrange(len(words))
                words[at : at + draw.randint(0, 2)] = draw.choices(words, k=draw.randint(0, 2)) or ["0"]
        made.append(" ".join(words))
    return made


def instructions() -> list[str]:
    files = [SEEDS, SELF_INSTRUCT] if SELF_INSTRUCT.exists() else [SEEDS]
    found = [json.loads(line)["instruction"] for file in files for line in file.read_text("utf-8").splitlines()]
    draw = random.Random(1)
    return found + [" ".join(word for word in text.split() if draw.random() > 0.25) for text in found]


def earliest(threshold: Fraction, pool: list[list[str]], tokens: list[str]) -> int | None:
    """Return the first text of the pool with 2 LCS / (m + n) above the threshold, by comparing with all."""
    for number, other in enumerate(pool):
        if 2 * LCSseq.similarity(other, tokens) > threshold * (len(other) + len(tokens)):
            return number
    return None


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7, 0.95, 1])
@pytest.mark.parametrize("tokens", ["words", "rouge"])
@pytest.mark.parametrize("data", [texts(250, 6), texts(200, 20), zipf(350), instructions()[::2]])
def test_the_earliest_near_duplicate_is_found_and_no_other(data, tokens, threshold, monkeypatch):
    monkeypatch.setattr(dedup, "LONG_LIST", 8)  # so that lists are parted, and candidates come in several chunks
    monkeypatch.setattr(dedup, "CHUNK", 5)
    pool, kept, near = NearDuplicates(threshold, tokens), [], 0
    for text in data:
        split = TOKENS[tokens](text)
        expected = earliest(Fraction(str(threshold)), kept, split)
        assert pool.find(text) == (None if expected is None else str(expected)), text
        near += expected is not None
        if expected is None or near % 3 == 0:  # a pool of health measurements holds near-duplicates too
            pool.add(str(len(kept)), text)
            kept.append(split)
    assert near > 0 if threshold <= 0.7 else near < len(data)
    assert threshold < 1 or near == 0  # nothing is above 1


@pytest.mark.parametrize(("count", "longest"), [(400, 6), (300, 20)])
def test_decisions_are_those_of_rouge_score(count, longest):
    scorer = rouge_scorer.RougeScorer(["rougeL"])
    pool, kept, compared = NearDuplicates(0.7, "rouge"), [], 0
    for text in texts(count, longest):
        # Rounding takes the float noise out of exact ties, which the integer rule keeps.
        expected = any(round(scorer.score(old, text)["rougeL"].fmeasure, 9) > 0.7 for old in kept)
        assert (pool.find(text) is not None) == expected, text
        compared += expected
        if not expected:
            pool.add(text, text)
            kept.append(text)
    assert 10 < compared < count - 10


def test_rouge_tokens_are_those_of_rouge_score():
    from rouge_score.tokenize import tokenize

    for text in ["It's 3.5 o'clock!", "naïve café – déjà-vu", "日本語", "", "A_B-C  d\te\nf"]:
        assert rouge_tokens(text) == tokenize(text, None)


def test_on_ascii_words_are_the_tokens_of_rouge_score():
    for text in ["It's 3.5 o'clock!", "A_B-C  d\te\nf", "x**2+y", "", *filter(str.isascii, instructions())]:
        assert word_tokens(text) == rouge_tokens(text)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("हिन्दी की कविता", ["हिन्दी", "की", "कविता"]),  # vowel signs and viramas are marks
        ("Напиши стихи!", ["напиши", "стихи"]),
        ("用Python写诗", ["用", "python", "写", "诗"]),
        ("Ｐｙｔｈｏｎ ２", ["python", "2"]),
        ("cafe\u0301 CAFÉ", ["café", "café"]),
        ("می\u200cخواهم", ["میخواهم"]),
        ("l’été", ["l", "été"]),
        ("한국어 시", ["한국어", "시"]),
        ("☀\ufe0f 👩\u200d🚀!", []),
        ("snake_case", ["snake", "case"]),
    ],
)
def test_words_of_every_script(text, tokens):
    assert word_tokens(text) == tokens


# Two unrelated tasks with a Latin word, and the first with one word (a character or few where no blanks are) changed.
LANGUAGES = {
    "English": (
        "Write a short Python program that sorts a list of names.",
        "Why do cats like the Python documentary so much?",
        "Write a short Python program that sorts a list of numbers.",
    ),
    "Chinese": ("用Python写一个排序姓名的小程序", "为什么猫喜欢看Python的纪录片", "用Python写一个排序数字的小程序"),
    "Japanese": (
        "Pythonで名前を並べ替える短いプログラムを書いてください",
        "なぜ猫はPythonの映画が好きなのか説明せよ",
        "Pythonで数字を並べ替える短いプログラムを書いてください",
    ),
    "Korean": (
        "Python 언어로 이름 목록을 정렬하는 짧은 프로그램을 작성하세요",
        "고양이는 왜 Python 영화를 좋아할까요",
        "Python 언어로 숫자 목록을 정렬하는 짧은 프로그램을 작성하세요",
    ),
    "Russian": (
        "Напиши короткую программу на Python для сортировки списка имён",
        "Почему кошки любят смотреть фильм Python",
        "Напиши короткую программу на Python для сортировки списка чисел",
    ),
    "Greek": (
        "Γράψε ένα σύντομο πρόγραμμα Python που ταξινομεί ονόματα",
        "Γιατί οι γάτες αγαπούν την ταινία Python",
        "Γράψε ένα σύντομο πρόγραμμα Python που ταξινομεί αριθμούς",
    ),
    "Arabic": (
        "اكتب برنامجا قصيرا بلغة Python يرتب قائمة الأسماء",
        "لماذا تحب القطط مشاهدة فيلم Python",
        "اكتب برنامجا قصيرا بلغة Python يرتب قائمة الأرقام",
    ),
    "Hebrew": (
        "כתוב תוכנית קצרה בשפת Python שממיינת רשימת שמות",
        "מדוע חתולים אוהבים את הסרט Python",
        "כתוב תוכנית קצרה בשפת Python שממיינת רשימת מספרים",
    ),
    "Persian": (
        "یک برنامه کوتاه Python برای مرتب کردن نام‌ها بنویس",
        "چرا گربه‌ها فیلم Python را دوست دارند",
        "یک برنامه کوتاه Python برای مرتب کردن عددها بنویس",
    ),
    "Hindi": (
        "नामों की सूची को क्रम में लगाने वाला Python प्रोग्राम लिखो",
        "बिल्लियाँ Python फिल्म क्यों पसंद करती हैं",
        "संख्याओं की सूची को क्रम में लगाने वाला Python प्रोग्राम लिखो",
    ),
    "Tamil": (
        "பெயர்களை வரிசைப்படுத்தும் ஒரு சிறிய Python நிரல் எழுதுக",
        "பூனைகள் ஏன் Python படத்தை விரும்புகின்றன",
        "எண்களை வரிசைப்படுத்தும் ஒரு சிறிய Python நிரல் எழுதுக",
    ),
    "Thai": (
        "เขียนโปรแกรม Python สั้นๆ ที่เรียงลำดับรายชื่อคน",
        "ทำไมแมวถึงชอบดูหนังเรื่อง Python",
        "เขียนโปรแกรม Python สั้นๆ ที่เรียงลำดับตัวเลข",
    ),
    "Lao": ("ຂຽນໂປຣແກຣມ Python ສັ້ນໆ ທີ່ຈັດລຽງລາຍຊື່", "ເປັນຫຍັງແມວຈຶ່ງມັກເບິ່ງໜັງ Python", "ຂຽນໂປຣແກຣມ Python ສັ້ນໆ ທີ່ຈັດລຽງຕົວເລກ"),
    "Burmese": (
        "အမည်စာရင်းကို စီပေးသော Python ပရိုဂရမ်တို ရေးပါ",
        "ကြောင်များ Python ရုပ်ရှင်ကို ဘာကြောင့်ကြိုက်သလဲ",
        "ဂဏန်းစာရင်းကို စီပေးသော Python ပရိုဂရမ်တို ရေးပါ",
    ),
    "Khmer": (
        "សរសេរកម្មវិធី Python ខ្លីមួយដែលតម្រៀបបញ្ជីឈ្មោះ",
        "ហេតុអ្វីបានជាឆ្មាចូលចិត្តមើលភាពយន្ត Python",
        "សរសេរកម្មវិធី Python ខ្លីមួយដែលតម្រៀបបញ្ជីលេខ",
    ),
    "Georgian": (
        "დაწერე მოკლე პროგრამა Python ენაზე სახელების დასალაგებლად",
        "რატომ უყვართ კატებს ფილმი Python",
        "დაწერე მოკლე პროგრამა Python ენაზე რიცხვების დასალაგებლად",
    ),
    "Amharic": (
        "ስሞችን የሚደረድር አጭር የ Python ፕሮግራም ዛሬ ጻፍ",
        "ድመቶች ለምን Python ፊልም ይወዳሉ",
        "ቁጥሮችን የሚደረድር አጭር የ Python ፕሮግራም ዛሬ ጻፍ",
    ),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_in_every_script_likeness_is_that_of_the_whole_text(language):
    task, other, changed = LANGUAGES[language]
    pool = NearDuplicates(0.7)
    pool.add("x", task)
    assert pool.find(other) is None
    assert pool.find(changed) == "x"


def test_rouge_tokens_see_one_latin_word_only():
    pool = NearDuplicates(0.7, "rouge")
    pool.add("x", LANGUAGES["Chinese"][0])
    assert pool.find(LANGUAGES["Chinese"][1]) == pool.find(LANGUAGES["Russian"][0]) == "x"


def test_languages_are_not_each_other():
    for (task, *_), (other, *_) in combinations(LANGUAGES.values(), 2):
        pool = NearDuplicates(0.7)
        pool.add("x", task)
        assert pool.find(other) is None


def test_exactly_the_threshold_is_kept():
    pool = NearDuplicates(0.7)
    pool.add("x", "a b c d e f g h i j")
    assert pool.find("a b c d e f g k l m") is None  # F1 = 14/20 = 0.7
    assert pool.find("a b c d e f g h l m") == "x"  # F1 = 16/20 = 0.8


def test_repeated_words_count_as_often_as_both_have_them():
    pool = NearDuplicates(0.7)
    pool.add("x", "no no no no no no no yes")
    assert pool.find("no yes") is None
    assert pool.find("no no no no no no yes yes") == "x"


def test_texts_without_tokens_are_duplicates_of_equal_texts_only():
    pool = NearDuplicates(0.7)
    pool.add("x", "🙂 ?!")
    assert pool.find("🙂🙂") is None
    assert pool.find(" 🙂  ?! ") == "x"


@pytest.mark.slow
def test_more_words_than_there_are_characters():
    pool = NearDuplicates(0.7)
    for start in range(0, 1_200_000, 2000):
        pool.add(str(start), " ".join(map(str, range(start, start + 2000))))
    assert pool.find(" ".join(map(str, range(1_198_100, 1_200_000)))) == "1198000"
    assert pool.find(" ".join(map(str, range(1_199_000, 1_201_000)))) is None


def test_a_kept_pool_compares_only_what_is_new(monkeypatch):
    data = [(f"r{number}", text) for number, text in enumerate(texts(300, 12))]
    first, again = NearDuplicates(0.7), NearDuplicates(0.7)
    expected = [first.admit(*row) for row in data]
    for key, text in data[:200]:
        again.admit(key, text)
    searched = []
    find = again.find
    monkeypatch.setattr(again, "find", lambda text: searched.append(text) or find(text))
    assert [again.admit(*row) for row in data] == expected
    assert searched == [text for _, text in data[200:]]
    assert any(expected) and not all(expected)


def test_all_near_duplicates_are_found_and_likeness_goes_both_ways():
    kept = [*zipf(120), *instructions()[:40], "!!!", "?!", "!!!"]
    pool = NearDuplicates(0.5)
    for place, text in enumerate(kept):
        pool.add(str(place), text)
    pairs = {(place, int(near)) for place, text in enumerate(kept) for near in pool.find_all(text)}
    assert all((second, first) in pairs for first, second in pairs) and len(pairs) > len(kept)
    assert {second for first, second in pairs if first == len(kept) - 1} == {len(kept) - 3, len(kept) - 1}
    assert all(min(near for at, near in pairs if at == place) == int(pool.find(kept[place])) for place, _ in pairs)
