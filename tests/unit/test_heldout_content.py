"""The project's own evaluation sets: well formed, satisfiable, and apart from the seeds and from public sets."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path

import pytest
from rouge_score import rouge_scorer
from rouge_score.tokenize import tokenize

from isheep.data.files import read_json
from isheep.data.rows import read_rows

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared/data"
CONFIG = ROOT / "config"

SEEDS = list(read_rows(CONFIG / "seeds/isheep.jsonl"))
HELDOUT = list(read_rows(CONFIG / "evaluation/heldout.jsonl"))
CONSTRAINTS = list(read_rows(CONFIG / "evaluation/constraints.jsonl"))

# Their checkers load nltk's punkt_tab, which comes from outside.
NEED_PUNKT = {"length_constraints:number_sentences", "change_case:capital_word_frequency"}


def text_of(row: dict) -> str:
    return "\n".join(row[key] for key in ("instruction", "input", "output", "prompt", "reference") if key in row)


def eight_grams(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[start : start + 8]) for start in range(len(words) - 7)}


# --- held-out pairs ---


def test_heldout_pairs_are_many_varied_and_of_one_format():
    assert len(HELDOUT) >= 64
    categories = Counter(row["category"] for row in HELDOUT)
    assert set(categories) == {row["category"] for row in SEEDS}
    assert min(categories.values()) >= 5
    for row in HELDOUT:
        assert list(row)[:5] == ["id", "category", "instruction", "input", "output"]
        assert re.fullmatch(rf"heldout-{row['category']}-\d{{3}}", row["id"])
        assert all(row[key] == row[key].strip() for key in ("instruction", "input", "output")), row["id"]
        assert row["instruction"] and row["output"]
    assert 0.45 <= sum(row["input"] != "" for row in HELDOUT) / len(HELDOUT) <= 0.55


def test_heldout_ids_tasks_and_answers_are_unique_so_that_a_mismatched_answer_is_a_wrong_one():
    for key in ("id", "instruction", "output"):
        assert len({row[key] for row in HELDOUT}) == len(HELDOUT), key
    assert not {row["id"] for row in HELDOUT} & {row["id"] for row in SEEDS}


def test_heldout_labels_hold_the_answer():
    labelled = [row for row in HELDOUT if "labels" in row]
    assert len(labelled) == sum(row["category"] == "classification" for row in HELDOUT)
    assert all(row["output"] in row["labels"] for row in labelled)


def test_python_in_heldout_answers_does_what_the_tasks_ask():
    names: dict = {}
    for row in HELDOUT:
        for code in re.findall(r"```python\n(.*?)```", row["output"], re.DOTALL):
            exec(code, names)
    assert names["are_anagrams"]("Listen", "Silent")
    assert not names["are_anagrams"]("lists", "slit")
    assert names["duration"](3665) == "1 h 01 min 05 s"
    assert names["total"]([]) == 0
    assert names["total"]([4, 5, 6]) == 15


def test_sums_in_written_answers_are_right():
    # "24 x 15 = 360", "20² + 21² = 400 + 441 = 841", but not "3x + 11 = 38" nor "2(a + b) = 6".
    number = r"\d+(?:\.\d+)?²?"
    side = rf"{number}(?: [-+x/] {number})*"
    chain = rf"(?<![-+x/=(] )(?<![\w./²])({side}(?: = {side})+)(?![\w(]| [-+x/(])"
    checked = 0
    for row in SEEDS + HELDOUT:
        for sides in re.findall(chain, row["output"]):
            first, *others = [eval(text.replace("x", "*").replace("²", "**2")) for text in sides.split(" = ")]
            assert others == pytest.approx([first] * len(others)), f"{row['id']}: {sides}"
            checked += 1
    assert checked >= 25


# --- constraints ---


@pytest.fixture(scope="module")
def ifeval():
    """Return lm-eval's IFEval modules (checkers, scorer), imported without its attempt to download, seeded."""
    import langdetect
    import nltk

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nltk, "download", lambda *args, **kwargs: False)
        from lm_eval.tasks.ifeval import instructions_registry, utils
    langdetect.DetectorFactory.seed = 0
    return instructions_registry.INSTRUCTION_DICT, utils


def strict(ifeval, row: dict, response: str) -> list[bool]:
    _, utils = ifeval
    example = utils.InputExample(row["key"], row["instruction_id_list"], row["prompt"], row["kwargs"])
    return utils.test_instruction_following_strict(example, response).follow_instruction_list


def test_constraint_rows_have_ifevals_format():
    assert len(CONSTRAINTS) >= 64
    assert [row["key"] for row in CONSTRAINTS] == list(range(1, len(CONSTRAINTS) + 1))
    assert len({row["prompt"] for row in CONSTRAINTS}) == len(CONSTRAINTS)
    for row in CONSTRAINTS:
        assert list(row) == ["key", "prompt", "instruction_id_list", "kwargs", "reference"]
        assert 1 <= len(row["instruction_id_list"]) == len(row["kwargs"]) <= 3
        assert len(set(row["instruction_id_list"])) == len(row["instruction_id_list"])


def test_constraints_cover_every_checker_that_needs_nothing_from_outside(ifeval):
    checkers, _ = ifeval
    used = Counter(name for row in CONSTRAINTS for name in row["instruction_id_list"])
    assert set(used) == set(checkers) - NEED_PUNKT
    assert min(used.values()) >= 2
    assert Counter(len(row["kwargs"]) for row in CONSTRAINTS).keys() == {1, 2, 3}


def test_every_checker_takes_exactly_the_kwargs_of_its_row(ifeval):
    checkers, _ = ifeval
    for row in CONSTRAINTS:
        for name, kwargs in zip(row["instruction_id_list"], row["kwargs"], strict=True):
            checker = checkers[name](name)
            assert checker.build_description(**kwargs)
            assert set(checker.get_instruction_args_keys()) == set(kwargs), row["key"]
            assert all(kwargs.values()), "lm-eval drops falsy arguments"
            # A checker that dislikes an argument draws another at random: what it holds must be what was given.
            for key, given in (checker.get_instruction_args() or {}).items():
                assert (sorted(given) if isinstance(given, list) else given) == (
                    sorted(kwargs[key]) if isinstance(given, list) else kwargs[key]
                ), row["key"]


def test_the_reference_answers_keep_every_constraint(ifeval):
    for row in CONSTRAINTS:
        assert all(strict(ifeval, row, row["reference"])), row["key"]
        assert len(row["reference"].split()) <= 80, row["key"]


def test_empty_answers_and_echoed_prompts_score_low(ifeval):
    assert not any(any(strict(ifeval, row, "")) for row in CONSTRAINTS)
    echoed = [followed for row in CONSTRAINTS for followed in strict(ifeval, row, row["prompt"])]
    assert sum(echoed) / len(echoed) <= 0.25


# --- no overlap ---


@pytest.mark.parametrize(
    ("pairs", "limit"),
    [
        (list(combinations(SEEDS, 2)), 0.7),
        (list(combinations(HELDOUT, 2)), 0.7),
        (list(product(SEEDS, HELDOUT)), 0.5),
    ],
    ids=["seeds", "held-out pairs", "held-out pairs and seeds"],
)
def test_no_instruction_resembles_another(pairs, limit):
    scorer = rouge_scorer.RougeScorer(["rougeL"])
    words = {row["id"]: Counter(tokenize(row["instruction"], None)) for row in SEEDS + HELDOUT}
    for one, other in pairs:
        # A common subsequence is no longer than the words in common: most pairs need no exact score.
        bag, other_bag = words[one["id"]], words[other["id"]]
        if 2 * (bag & other_bag).total() > limit * (bag.total() + other_bag.total()):
            score = scorer.score(one["instruction"], other["instruction"])["rougeL"].fmeasure
            assert score <= limit, f"{one['id']} and {other['id']}: {score:.2f}"


def test_seeds_heldout_pairs_and_constraints_share_no_eight_words():
    sets = {"seeds": SEEDS, "held-out pairs": HELDOUT, "constraints": CONSTRAINTS}
    grams = {name: set().union(*(eight_grams(text_of(row)) for row in rows)) for name, rows in sets.items()}
    for one, other in combinations(grams, 2):
        assert not grams[one] & grams[other], f"{one} and {other}"


def public_texts() -> Iterator[str]:
    """Yield every instruction, prompt, question and passage of the evaluation and seed files in ../shared/data."""
    for row in read_rows(SHARED / "self_instruct_seed_tasks.jsonl"):
        yield row["instruction"]
        yield from (instance["input"] for instance in row["instances"])
    for name, key in (("ifeval_input_data.jsonl", "prompt"), ("mbpp.jsonl", "text")):
        yield from (row[key] for row in read_rows(SHARED / name))
    for name in ("mt_bench_question.jsonl", "vicuna_bench_question.jsonl"):
        yield from (turn for row in read_rows(SHARED / name) for turn in row["turns"])
    with gzip.open(SHARED / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as lines:
        yield from (json.loads(line)["prompt"] for line in lines)
    yield from (row["question"] for row in read_json(SHARED / "triviaqa_rc_wikipedia_validation_150.json"))
    for article in read_json(SHARED / "squad_v2_dev_slice.json")["data"]:
        for paragraph in article["paragraphs"]:
            yield paragraph["context"]
            yield from (question["question"] for question in paragraph["qas"])


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data beside the repository")
@pytest.mark.parametrize("rows", [SEEDS, HELDOUT, CONSTRAINTS], ids=["seeds", "held-out pairs", "constraints"])
def test_own_rows_share_no_eight_words_with_public_sets(rows):
    public = set().union(*map(eight_grams, public_texts()))
    assert len(public) > 10_000
    for row in rows:
        shared = eight_grams(text_of(row)) & public
        assert not shared, f"{row.get('id', row.get('key'))}: {' '.join(min(shared))}"
