"""A results folder as the stages write it, with scores, health and texts that try to leave their place."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import yaml

from isheep.config import load
from isheep.config.run import Run as Settings
from isheep.data.files import digest, digest_artifact, write_json
from isheep.data.rows import Row, write_rows
from isheep.runner.record import write_record
from isheep.stages.table import table

ROOT = Path(__file__).resolve().parents[1]
# Each would show as more than text if it were ever read as HTML, JavaScript or a line of JSON.
HOSTILE = {
    "end of script": '</script><script>window.broken = 1; alert("out")</script>',
    "image": '<img src=x onerror="window.broken = 2; alert(2)">',
    "comment": "--> <!-- <script> ]]> <!--",
    "frame": '<iframe srcdoc="<script>parent.broken = 3</script>"></iframe><svg onload=alert(3)><style>*{display:none}',
    "quotes": '" onmouseover="alert(4)" \' `${alert(5)}` {{ 7 * 7 }} {% raw %} &lt;b&gt; \\u003cb\\u003e',
    "separators": "a\u2028b\u2029c\x85d",
    "right to left": "\u202egnp.exe\u202c \u0627\u0644\u0633\u0644\u0627\u0645 \u05e9\u05dc\u05d5\u05dd",
    "nul": "before\x00after\x1b[31m\x07",
    "surrogate": "half \ud83d of a pair",
    "emoji": "\U0001f469\u200d\U0001f52c \u00e9 e\u0301 \u4f60\u597d",
    "megabyte": "M" * 1_000_000,
}
HARDWARE = {"machine": "x86_64", "cpu": "a CPU", "features": [], "gpus": 1, "gpu": "a GPU", "threads": 8}
WORDS = "river engine teacher window letter garden number answer winter signal bread bridge music market paper".split()


def entry(value=0.35, low=0.26, high=0.44, base=None, better="higher", floors=None, **more) -> dict:
    """Return the entry of a benchmark in scores.json, with one metric `x`."""
    row = {"value": value, "n": 60, "low": low, "high": high, "unit": "share", "better": better}
    if base is not None:
        row["minus_base"] = dict(zip(("value", "low", "high", "n"), (*base, 60), strict=True)) if base else None
    told = {name: {"x": {"value": floor}} for name, floor in (floors or {}).items()}
    whole = {"error": None, "counts": True, "objections": [], "headline": []}
    return {**whole, "metrics": {"x": row}, "floors": told, **more}


class Made:
    """`results/RUN` in a folder, as if stages had written it.

    Parameters
    ----------
    folder
        Where `results` goes; records name paths relative to it.
    run, rounds, rows
        Its name; how many rounds; rows that a round's model writes.
    hostile
        Put the hostile texts among the rows.
    evaluation, health
        Write scores of the models and health of the data.
    settings
        Of the run, over those of a fake one.
    """

    def __init__(self, folder: Path, run: str = "study", rounds: int = 3, rows: int = 60, hostile: bool = True,
                 evaluation: bool = True, health: bool = True, **settings: Any) -> None:  # fmt: skip
        self.folder, self.run, self.rounds = folder, run, rounds
        self.draw = random.Random(run)
        fake = {"engine": {"name": "fake"}, "train": {"trainer": "fake"}, "rounds": rounds, **settings}
        self.settings = load({"runs": {run: fake}}, ROOT).runs[run].model_dump(mode="json")
        self.records: list[str] = []
        self._record("iter_0", "identify_model", {"identity.json": {"sha256": "0" * 64, "files": {}}}, {}, 0.4)
        if evaluation:
            self._evaluate(0, hostile)
        for i in range(rounds):
            self._data(i, rows, hostile and i == 0)
            if health:
                self._health(i)
            self._train(i + 1)
            if evaluation:
                self._evaluate(i + 1, hostile)
        (folder / "results" / run / "config.yaml").write_text(yaml.safe_dump(self.settings))

    def _record(self, place: str, stage: str, files: dict[str, Any], tokens: dict[str, int], seconds: float) -> None:
        """Write files and their record, as a job does."""
        home = Path("results", self.run, place)
        for name, value in files.items():
            path = self.folder / home / name
            if isinstance(value, list):
                write_rows(path, value)
            else:
                write_json(path, value)
        outputs = {str(home / name): digest_artifact(self.folder / home / name) for name in files}
        made = {
            **{
                "stage": stage,
                "run": self.run,
                "round": int(place.partition("/")[0].rpartition("_")[2]),
                "seed": 0,
                "model": None,
            },
            **{"settings": {}, "code": "0" * 64, "versions": {}, "tokens": tokens},
            **{"inputs": {"config/seeds/isheep.jsonl": "0" * 64}, "outputs": outputs, "contents": {}},
        }
        observed = {"hardware": HARDWARE, "started": "2026-01-02T03:04:05+00:00", "seconds": seconds}
        record = home / "records" / f"{stage}.json"
        write_record(self.folder / record, made, observed)
        self.records.append(str(record))

    # Data ----------------------------------------------------------------------------------------------------------

    def _row(self, i: int, number: int, text: str | None) -> dict[str, Any]:
        words = lambda n: " ".join(self.draw.choice(WORDS) for _ in range(n))
        instruction, output = f"Write about a {words(3)}.", f"{words(self.draw.randint(5, 40)).capitalize()}."
        return {
            "id": f"d{i}-{number:06d}-00",
            "round": i,
            "request": number,
            "seeds": ["writing-001", "safety-002"],
            "instruction": text or instruction,
            "input": text or "",
            "output": text or output,
            "finish_reason": "stop",
            "quality": round(self.draw.uniform(4, 10), 3),
            "following": round(self.draw.triangular(1, 10, 9), 3),
            "pmi": round(self.draw.gauss(0.6 + 0.1 * i, 0.3), 4),
        }

    def _data(self, i: int, rows: int, hostile: bool) -> None:
        texts = list(HOSTILE.values()) if hostile else []
        pool = [self._row(i, number, texts[number] if number < len(texts) else None) for number in range(rows)]
        rules = {
            "generate_prompts": ("near_duplicate", "too_short", "malformed"),
            "generate_outputs": (),
            "filter_outputs": ("truncated", "asks_back"),
            "assess_outputs": ("unscored",),
            "select_data": ("pmi_too_low",),
        }
        ran = [(stage.name, stage.word) for stage in table().row_stages(Settings())]
        for order, (stage, name) in enumerate(ran):
            lost = [] if not rules[stage] else pool[1 :: 3 if stage == "select_data" else 9 + i]
            gone = {row["id"] for row in lost}
            kept = [row for row in pool if row["id"] not in gone]
            rejected = [{**row, "rule": rules[stage][n % len(rules[stage])]} for n, row in enumerate(lost)]
            counts = {rule: sum(row["rule"] == rule for row in rejected) for rule in rules[stage]}
            funnel = {"stage": stage, "round": i, "rows_in": len(pool), "rows_out": len(kept), "rejected": counts}
            files: dict[str, Any] = {f"{name}.jsonl": kept, f"{name}.funnel.json": funnel}
            if stage != "generate_outputs":
                files[f"{name}.rejected.jsonl"] = rejected
            if stage == "assess_outputs":
                files["discrimination.json"] = {
                    **{name: _auc(0.5 + 0.02 * i, 24) for name in ("quality", "following")},
                    "pmi": _auc(0.9 + 0.03 * i, 24),
                }
            tokens = {"prompt": 900 * rows, "completion": 300 * rows} if order < 2 else {}
            self._record(f"d_{i}", stage, files, tokens, 40.0 + 31.7 * order + i)
            pool = kept

    def _health(self, i: int) -> None:
        value = lambda number, unit="share", better="": {"value": number, "n": 500, "unit": unit, "better": better}
        quantiles = lambda size, unit: {
            **{f"p{q}": int(size * (q + 5) / 30 * (1 - 0.2 * i)) for q in (5, 25, 50, 75, 95)},
            **{"n": 500, "unit": unit},
        }
        lengths = {
            text: {
                **{unit: quantiles(size, unit) for unit, size in (("words", base), ("tokens", 1.3 * base))},
                "share_empty": value(0.0),
                "share_at_limit": value(0.04 * i),
            }
            for text, base in (("instruction", 12), ("output", 60))
        }
        shared = lambda rows: {"rows": rows, "share": value(rows / 500, better="lower")}
        rang = {
            **{"name": "answers_shrank", "value": 0.4, "threshold": 0.5, "level": "warn" if i == 1 else "stop"},
            "message": "the median answer has 40 % of the words of d_0 <b>(limit 50 %)</b>",
        }
        told = {
            **{"round": i, "sample": 500, "lengths": lengths},
            "diversity": {"output": {f"distinct_{n}": value(0.3 * n - 0.03 * i, better="higher") for n in (1, 2, 3)}
                          | {"self_bleu": value(0.2 + 0.1 * i, better="lower"), "vendi": value(41.5 - 6 * i, "")}},
            "duplicates": {
                "exact": {},
                "near": {
                    "output": {
                        **{"within_round": value(0.01 + 0.11 * i), "seeds": value(0.0)},
                        "earlier_rounds": value(0.02 * i),
                    }
                },
            },
            "overlap": {"heldout": {"13": shared(0), "8": shared(i)}, "gone": {"error": "gone.jsonl: no such file"}},
            "perplexity": value(11.2 - 1.5 * i, "") | {"bits_per_byte": value(0.9, ""), "share_unread": value(0.0)},
            "change": {},
            **{"alarms": [rang] if i else [], "checked": 7},
        }  # fmt: skip
        self._record(f"d_{i}", "measure_data", {"health.json": told}, {"scored": 51_000}, 12.5)

    # Models --------------------------------------------------------------------------------------------------------

    def _train(self, i: int) -> None:
        losses = [{"step": step, "loss": 1.1 + 1.9 / (step + i)} for step in range(1, 41)]
        told = {
            **{"rows": 18 + i, "heldout_rows": 2, "cut_rows": 0, "unanswered_rows": 0, "steps": 40, "tokens": 8_450},
            **{"answer_tokens_per_epoch": 4_000, "loss": losses},
            **{"heldout": {"before": 2.4 - 0.3 * i, "after": 1.6 - 0.1 * i, "tokens": 300}},
            "end_of_turn": {"token": None, "id": None, "trained": True, "how": "no vocabulary"},
        }
        self._record(f"iter_{i}", "train_adapter", {"training.json": told}, {"trained": 8_450}, 610.0 + 20 * i)
        agreed = {
            **{"dtype": "float32", "parameters": 512, "tied_embeddings": False, "probes": 8, "probe_tokens": 90},
            **{"logits_difference": 0.0, "tolerance": 0.0, "greedy_tokens_same": 90, "greedy_ties": 0},
            "stopped_by_itself": 8,
        }
        merged = {"merging.json": agreed, "identity.json": {"sha256": digest(i), "files": {}}}
        self._record(f"iter_{i}", "merge_model", merged, {}, 66.0)

    def _evaluate(self, i: int, hostile: bool) -> None:
        def metric(value: float, half: float, n: int, better: str = "higher", unit: str = "share") -> dict[str, Any]:
            row = {
                "value": value,
                "n": n,
                "low": value - half,
                "high": min(value + half, 1.0) if unit == "share" else value + half,
                "unit": unit,
                "better": better,
            }
            step = {"value": 0.04, "low": 0.01, "high": 0.07, "n": n}
            none = {"value": 0.01, "low": -0.03, "high": 0.05, "n": n}
            return row | ({"minus_base": step if better == "higher" else none, "minus_previous": none} if i else {})

        floors = lambda **of: {name: {m: {"value": v, "n": 71, "low": v, "high": v} for m, v in told.items()}
                               for name, told in of.items()}  # fmt: skip
        benchmarks = {
            "heldout": {
                **{"kind": "heldout", "items": 71, "error": None, "counts": True, "objections": [], "groups": {}},
                "headline": ["heldout_bits_per_byte"],
                "metrics": {
                    "heldout_bits_per_byte": metric(1.1 - 0.02 * i, 0.05, 71, "lower", "bits per byte"),
                    "heldout_preference": metric(0.62 + 0.04 * i, 0.1, 71),
                    "heldout_stops": metric(0.8 + 0.05 * i, 0.06, 71),
                    "heldout_answer_tokens": metric(64 - 8 * i, 6, 71, "", "tokens"),
                },
                "floors": floors(empty={"heldout_preference": 0.5}, lol={"heldout_preference": 0.48}),
                "tokens": {"prompt": 9_000, "completion": 4_000, "scored": 22_000},
            },
            "constraints": {
                **{"kind": "ifeval", "items": 60, "error": None, "counts": True, "objections": [], "groups": {}},
                "headline": ["prompt_strict"],
                "metrics": {
                    name: metric(0.2 + 0.05 * i + 0.03 * k, 0.09, 60)
                    for k, name in enumerate(("prompt_strict", "instruction_strict", "prompt_loose", "echo"))
                },
                "floors": floors(
                    empty={"prompt_strict": 0.02}, lol={"prompt_strict": 0.115}, echo={"prompt_strict": 0.25}
                ),
                "tokens": {"prompt": 7_000, "completion": 15_000, "scored": 0},
            },
            "chat": {
                **{"kind": "mt_bench", "items": 80, "error": None, "counts": False, "groups": {}},
                "headline": ["local_judge_score"],
                "objections": ["the judge told 11 of 20 right answers from wrong ones; 15 are needed <i>"],
                "metrics": {"local_judge_score": metric(5.1 + 0.3 * i, 0.6, 80, unit="1-10")},
                "floors": {},
                "tokens": {"prompt": 7_000, "completion": 5_000, "scored": 0},
            },
            "code": {
                **{"kind": "humaneval", "items": 0, "counts": True, "objections": [], "headline": [], "groups": {}},
                **{"metrics": {}, "floors": {}, "tokens": {}},
                "error": "humaneval.jsonl: no such file <script>",
            },
        }  # fmt: skip
        benchmarks = {name: {"note": "", **entry} for name, entry in benchmarks.items()}
        answers, judgements, measures = self._answers(i, hostile)
        spent = {"prompt": 23_000, "completion": 24_000}
        place = f"iter_{i}/evaluation"
        self._record(place, "evaluate_model", {"answers.jsonl": answers}, spent, 300.0)
        self._record(place, "judge_answers", {"judgements.jsonl": judgements}, {}, 30.0)
        told = {"scores.json": {"round": i, "benchmarks": benchmarks}, "measures.jsonl": measures}
        self._record(place, "score_model", told, {}, 3.0)

    def _answers(self, i: int, hostile: bool) -> tuple[list[Row], list[Row], list[Row]]:
        """Return answers, judgements and measures of a model; the hostile texts are answers of the base."""
        answers, judgements, measures = [], [], []

        def say(benchmark: str, item: str, key: str, prompt: str, text: str) -> Row:
            place = {"id": f"{benchmark}/{item}/{key}", "benchmark": benchmark, "item": item, "key": key}
            ended = {"finish_reason": "length" if text.count(" ") > 24 else "stop", "stop_reason": None}
            return {**place, "prompt": prompt, "text": text, **ended, "prompt_tokens": 9, "completion_tokens": 9}

        def measure(benchmark: str, item: str, score: float | None, **told: Any) -> None:
            place = {"id": f"{benchmark}/{item}", "benchmark": benchmark, "item": item}
            beside = {"reference": f"The right answer to {item}."} if benchmark == "heldout" else {}
            measures.append({**place, "score": score, "beside": beside, "measures": told})

        words = lambda n: " ".join(self.draw.choice(WORDS) for _ in range(n))
        texts = list(HOSTILE.values()) if hostile and not i else []
        for number in range(71):
            item, said = f"own-{number:03d}", [-20.0 - number, -31.5]
            row = say("heldout", item, "likelihood", f"Tell of a {WORDS[number % 15]}.", "")
            scored = {key: row[key] for key in ("id", "benchmark", "item", "key", "prompt")}
            answers.append(scored | {"log_likelihoods": said, "tokens": [7, 9]})
            answers.append(say("heldout", item, "answer", row["prompt"], words(self.draw.randint(3, 30))))
            bits = (1.1 - 0.02 * i + 0.05 * self.draw.random()) * 40
            measure("heldout", item, bits / 40, category="", too_long=False, bits=bits, bytes=40, preferred=1.0,
                    stopped=True, empty=False, repetition=0.0, tokens=9)  # fmt: skip
        for number in range(60):
            item, text = f"{number}", words(12)
            text = texts[number] if number < len(texts) else text
            answers.append(say("constraints", item, "answer", text if texts else f"Write {number} words.", text))
            score = float(self.draw.random() < 0.2 + 0.05 * i)
            right = [bool(score)]
            measure(
                "constraints", item, score, instructions=["punctuation:no_comma"], strict=right, loose=right, echo=0.0
            )
        for number in range(80):
            item = f"q{number:02d}"
            for turn in (1, 2):
                answers.append(say("chat", item, f"turn-{turn}", f"Turn {turn} of {item}?", words(14)))
                judgements.append(say("chat", item, f"judge-{turn}", "Grade this.", f"{words(8)} [[{turn + 4}]]"))
            measure("chat", item, 5.5, grades=[5, 6])
        return answers, judgements, measures


def _auc(value: float, n: int) -> dict[str, Any]:
    verdict = "separates" if value > 0.7 else "chance"
    return {"n": n, "auc": value, "low": value - 0.15, "high": min(value + 0.13, 1.0), "verdict": verdict}
