"""A new kind is one new module: settings, schema and stages find it, and nothing else is told of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MODULES = {
    "assess/kinds/yes.py": '''
from typing import ClassVar, Literal
from math import exp

from pydantic import Field

from isheep.assess.base import NAME, Assessor, Scale
from isheep.serving.engines.base import ScoreRequest


class Yes(Assessor):
    """How likely the model says yes to a question about the answer."""

    kind: Literal["yes"] = "yes"
    name: str = Field("yes", pattern=NAME, description="Name of the column that it adds.")
    question: str = Field("Is it right?", description="The question.")
    scale: ClassVar[Scale] = Scale(0, 1)

    @property
    def columns(self):
        return (self.name, f"{self.name}_asked")

    def scorings(self, row, model):
        prompt = model.ask(f"{row['output']}\\n{self.question}")
        return [ScoreRequest(f"{row['id']}/{self.name}", prompt, (" Yes", " No"))]

    def columns_of(self, row, result):
        yes, no = map(exp, result(f"{row['id']}/{self.name}").log_likelihoods)
        return {self.name: yes / (yes + no), f"{self.name}_asked": self.question}
''',
    "select/kinds/every.py": '''
from typing import Literal

from pydantic import Field

from isheep.select.base import Selection


class Every(Selection):
    """Keep every n-th row that has a column."""

    kind: Literal["every"] = "every"
    column: str = Field("yes", description="Column that the rows must have.")
    n: int = Field(2, ge=1, description="Which rows.")

    @property
    def columns(self):
        return (self.column,)

    def dropped(self, rows):
        return [None if number % self.n == 0 else "not_the_nth" for number in range(len(rows))]

    @property
    def words(self):
        return f"every {self.n}th row"
''',
    "filters/toy.py": '''
from isheep.filters.registry import output_rule


@output_rule("shouts")
def shouts(row):
    """Drop outputs written in capitals throughout."""
    return row["output"].isupper()
''',
    "prompts/kinds/variant.py": '''
from typing import Literal

from pydantic import Field

from isheep.config.sampling import Sampling
from isheep.prompts.source import PromptSource
from isheep.serving.engines.base import Prompt, Request


class Variant(PromptSource):
    """The model writes a variant of one seed a request."""

    kind: Literal["variant"] = "variant"
    ask: str = Field("ask.txt", description="What stands before the seed.")
    sampling: Sampling = Field(Sampling(), description="How variants are drawn.")

    @property
    def files(self):
        return (self.ask,)

    @property
    def most_per_request(self):
        return 1

    def request(self, number, material):
        prompt = Prompt(material.texts[0] + self._seed(number, material).instruction, add_special_tokens=True)
        return Request(material.request_id(number), prompt, self.sampling.until("\\n"), material.seed_for(number))

    def candidates(self, number, completion, material):
        task = f"Variant {number} of {self._seed(number, material).instruction} {completion.text[:40]}"
        yield {"seeds": [self._seed(number, material).id], "instruction": task, "input": ""}, None

    def _seed(self, number, material):
        return material.seeds[number % len(material.seeds)]
''',
    "outputs/kinds/marked.py": '''
from typing import Literal

from pydantic import Field

from isheep.outputs.style import OutputStyle
from isheep.serving.engines.base import Prompt


class Marked(OutputStyle):
    """The answer ends in a mark."""

    kind: Literal["marked"] = "marked"
    mark: str = Field("=====", description="What ends an answer.")

    def prompt(self, row, model):
        return Prompt(f"{self.mark}\\n{row['instruction']}\\n", add_special_tokens=True)

    def stop(self, model):
        return (self.mark, *model.stop)
''',
    "health/alarms/many_rows.py": '''
from pydantic import Field

from isheep.health.alarm import Alarm


class ManyRows(Alarm):
    """More answers than anybody can read."""

    at: float = Field(50, gt=0, description="Answers of a round.")

    measure = "lengths"
    meaning = "{value} answers"
    in_percent = False

    def read(self, document):
        yield document["generated"]["output"]["words"]["n"], ""
''',
}
RUN = {
    "engine": {"name": "fake"},
    "train": {"trainer": "fake"},
    "prompts": {"kind": "variant", "rows": 4, "rules": ["none"], "similarity": 1},
    "outputs": {"kind": "marked", "mark": "#####", "rules": ["shouts"]},
    "assess": {"assessors": [{"kind": "yes", "question": "Is it?"}]},
    "select": {"kind": "every", "n": 2, "floor": 1},
    "health": {"alarms": {"many_rows": {"at": 3, "action": "stop"}}},
}
OLD = {
    "engine": {"name": "fake"},
    "train": {"trainer": "fake"},
    "prompts": {"rows": 7, "shots": 2},
    "outputs": {"sampling": {"max_tokens": 9}},
}
SCRIPT = """
import json, sys
from pathlib import Path
from isheep.serving.engines.fake import FakeEngine, FakeTemplate
from isheep.config import load
from isheep.config.generate import defaults, reference, schema
from isheep.assess.plan import plan
from isheep.assess import stage
from isheep.errors import UserError
from isheep.filters import resolve
from isheep.health.alarms import lines, ring
from isheep.outputs import answers
from isheep.prompts.maker import PromptMaker, gather
from isheep.select.rows import select

root, given = Path(sys.argv[1]), json.loads(sys.argv[2])
runs = load({"runs": given["runs"]}, root).runs
run, refused = runs["new"], {}
for name, settings in given["wrong"].items():
    try:
        load({"runs": {"a": settings}}, root)
    except UserError as error:
        refused[name] = str(error)
engine, done = FakeEngine(run.engine, run.model, "model"), {}

def complete(requests):
    results = {result.id: result for result in engine.complete(requests)}
    done.update(results)
    return results

maker = PromptMaker.of(run, 0)
prompts = list(gather(maker, complete, []).rows)
asked = list(answers.requests(prompts, run.outputs, FakeTemplate(), None, run.seed, 0))
complete(asked)
answered, _, _ = answers.answer(prompts, run.outputs, done.__getitem__, 0).parted()
answered[0]["output"] = "LOUD"
kept, dropped, _ = answers.filter_rows(answered, resolve("outputs", run.outputs.rules), 0).parted()
todo = plan(run, FakeTemplate(), 0, 0, kept)
done.update((result.id, result) for result in engine.score(stage.scorings(todo.asked(), todo.assessors)))
assessed, _, _ = stage.assess_rows(todo.rows, todo.assessors, done.__getitem__, 0).parted()
selected, left, _ = select(assessed, run.select, 0).parted()
health = {"round": 0, "generated": {"output": {"words": {"n": len(answered)}}}}
alarms = {name: {"action": "off"} for name in run.health.alarms.on} | {"many_rows": {"at": 3}}
print(json.dumps({
    "runs": {name: each.model_dump(mode="json") for name, each in runs.items()},
    "refused": refused,
    "first": [maker.request(0).prompt.text, asked[0].prompt.text, list(asked[0].sampling.stop)],
    "rows": {"prompts": prompts, "dropped": dropped, "assessed": assessed, "selected": selected, "left": left},
    "alarms": lines(ring(health, run.health.alarms.model_validate(alarms))),
    "stopping": run.health.alarms.stopping,
    "alarm_names": list(run.health.alarms.on),
    "words": run.select.words,
    "schema": schema(),
    "defaults": load(__import__("yaml").safe_load(defaults()), root).runs["example"].prompts.kind,
    "reference": reference(),
}))
"""
WRONG = {
    "above": {**RUN, "select": {"kind": "threshold", "above": {"yes": 1}}},
    "key": {**RUN, "outputs": {"kind": "marked", "marc": "x"}},
    "item": {**RUN, "assess": {"assessors": [{"kind": "yes", "qestion": "x"}]}},
    "kind": {**RUN, "prompts": {"kind": "varian"}},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What a copy of the package says and does that has one more module in each family."""
    folder = tmp_path_factory.mktemp("kinds")
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "ask.txt").write_text("Write a variant of: ")
    for name, text in MODULES.items():
        (folder / "scripts/isheep" / name).write_text(f'"""A toy."""\n\nfrom __future__ import annotations\n{text}')
    given = {"runs": {"new": RUN, "old": OLD}, "wrong": WRONG}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(ROOT), json.dumps(given)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "scripts")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_settings_of_new_kinds_are_read(made):
    run = made["runs"]["new"]
    assert [run[section]["kind"] for section in ("prompts", "outputs", "select")] == ["variant", "marked", "every"]
    assert run["assess"]["assessors"] == [{"kind": "yes", "name": "yes", "question": "Is it?"}]
    assert run["outputs"]["plain"] == made["runs"]["old"]["outputs"]["plain"]
    assert made["stopping"] == {"many_rows": 3.0} and made["alarm_names"][-1] == "many_rows"


def test_settings_that_name_no_kind_are_read_as_before(made):
    prompts, outputs = (made["runs"]["old"][section] for section in ("prompts", "outputs"))
    assert (prompts["kind"], prompts["rows"], prompts["shots"]) == ("numbered", 7, 2)
    assert (outputs["kind"], outputs["sampling"]["max_tokens"]) == ("zero_shot", 9)
    assert made["defaults"] == "numbered"


@pytest.mark.parametrize("name", ["Yes", "Every", "Variant", "Marked", "ManyRows"])
def test_schema_has_new_kinds(made, name):
    assert made["schema"]["$defs"][name]["properties"]
    uses = json.dumps({key: value for key, value in made["schema"]["$defs"].items() if key != name})
    assert f'"#/$defs/{name}"' in uses


@pytest.mark.parametrize(
    "heading",
    [
        "### assess.assessors, kind `yes`",
        "### select, kind `every`",
        "### prompts, kind `variant`",
        "### prompts, kind `numbered` (default)",
        "### outputs, kind `marked`",
        "| `alarms.many_rows` | section |  | More answers than anybody can read. |",
    ],
)
def test_reference_page_has_new_kinds(made, heading):
    assert heading in made["reference"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("above", "select: yes above 1.0 can never be met or says nothing: scores are 0 to 1"),
        ("key", "unknown key; did you mean 'mark'?"),
        ("item", "unknown key; did you mean 'question'?"),
        ("kind", "runs.a.prompts.kind: unknown kind 'varian'; did you mean 'variant'?"),
    ],
)
def test_mistakes_in_new_kinds_are_told(made, wrong, said):
    assert said in made["refused"][wrong]


def test_a_new_source_makes_prompts_through_the_common_waves(made):
    prompts = made["rows"]["prompts"]
    assert [row["id"] for row in prompts] == [f"d0-{number:06d}-00" for number in range(4)]
    assert list(prompts[0]) == ["id", "round", "request", "seeds", "instruction", "input"]
    assert made["first"][0].startswith("Write a variant of: ")


def test_a_new_style_addresses_and_stops_the_model(made):
    assert made["first"][1:] == [f"#####\n{made['rows']['prompts'][0]['instruction']}\n", ["#####"]]


def test_a_new_rule_drops_rows(made):
    assert [(row["output"], row["rule"]) for row in made["rows"]["dropped"]] == [("LOUD", "shouts")]


def test_a_new_assessor_adds_its_columns_and_a_new_selection_goes_by_them(made):
    assessed = made["rows"]["assessed"]
    assert [list(row)[-2:] for row in assessed] == [["yes", "yes_asked"]] * 3
    assert all(0 < row["yes"] < 1 and row["yes_asked"] == "Is it?" for row in assessed)
    assert [row["id"] for row in made["rows"]["selected"]] == [assessed[0]["id"], assessed[2]["id"]]
    assert [row["rule"] for row in made["rows"]["left"]] == ["not_the_nth"]
    assert made["words"] == "every 2th row"


def test_a_new_alarm_rings(made):
    assert made["alarms"] == ["alarm many_rows: 4 answers (alarm at 3)"]


def test_two_modules_cannot_share_a_kind(tmp_path, monkeypatch):
    from isheep.config.kinds import kinds

    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "twins").mkdir()
    (tmp_path / "twins/__init__.py").write_text("")
    for name in ("first", "second"):
        (tmp_path / f"twins/{name}.py").write_text(
            "from typing import Literal\nfrom isheep.config.section import Section\n"
            f'class {name.title()}(Section):\n    kind: Literal["same"] = "same"\n'
        )
    with pytest.raises(TypeError, match=r"twins: two sections of kind 'same', First and Second"):
        kinds("twins")
