"""The code digest sees what decides a stage, however deep it is imported, and nothing else."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from isheep.config.run import Run
from isheep.data.files import digest_file
from isheep.runner import code
from isheep.runner.portable import without_place
from isheep.stages.table import table

FAKE = {"engine": {"name": "fake"}, "train": {"trainer": "fake"}}


@pytest.fixture
def digest_after(monkeypatch):
    """Return the digest of modules after an edit of one file; nothing is written."""
    real = code.read

    def digest(edited: str | None, edit: Callable[[str], str], *modules: str) -> str:
        file = code.PACKAGE.parent / (edited or "")

        def read(path: Path) -> str:
            if path != file:
                return real(path)
            assert edit(real(path)) != real(path)
            return edit(real(path))

        monkeypatch.setattr(code, "read", read)
        return code.code_digest(*modules)

    return digest


def add_code(text: str) -> str:
    return text + "\nEDITED = 1\n"


def behind(stage: str, **settings: object) -> list[str]:
    return table()[stage].modules(Run.model_validate(settings))


TRL: dict = {}
CASES = [
    ("isheep/data/dedup.py", "generate_prompts", TRL, True),
    ("isheep/data/dedup.py", "filter_outputs", TRL, False),
    ("isheep/filters/output_rules.py", "filter_outputs", TRL, True),
    ("isheep/select/rows.py", "select_data", TRL, True),
    ("isheep/stages/generate_outputs.py", "generate_outputs", TRL, True),
    ("isheep/stages/generate_prompts.py", "generate_outputs", TRL, False),
    ("isheep/serving/chat.py", "generate_outputs", TRL, True),
    ("isheep/serving/engines/fake.py", "generate_outputs", FAKE, True),
    ("isheep/serving/engines/fake_text.py", "generate_outputs", FAKE, True),
    ("isheep/serving/engines/transformers.py", "generate_outputs", TRL, False),
    ("isheep/serving/engines/vllm.py", "generate_outputs", TRL, True),
    ("isheep/serving/engines/transformers.py", "probe_data", TRL, True),
    ("isheep/training/fake.py", "train_adapter", TRL, False),
    ("isheep/training/fake.py", "train_adapter", FAKE, True),
    ("isheep/training/trainer.py", "train_adapter", TRL, True),
    ("isheep/training/sft.py", "train_adapter", TRL, True),
    ("isheep/training/dpo.py", "train_adapter", TRL, False),
    ("isheep/training/merge.py", "merge_model", TRL, True),
    ("isheep/training/merge.py", "train_adapter", TRL, False),
    ("isheep/config/train.py", "train_adapter", TRL, False),
    ("isheep/runner/job.py", "train_adapter", TRL, False),
    ("isheep/runner/stage.py", "generate_outputs", TRL, False),
    ("isheep/runner/dispatch.py", "generate_outputs", TRL, False),
    ("isheep/data/files.py", "generate_outputs", TRL, False),
]


@pytest.mark.parametrize(("edited", "stage", "settings", "changes"), CASES)
def test_an_edit_changes_the_digest_of_the_stages_it_decides(digest_after, edited, stage, settings, changes):
    modules = behind(stage, **settings)
    before = digest_after(None, add_code, *modules)
    assert (digest_after(edited, add_code, *modules) != before) is changes


@pytest.mark.parametrize(
    ("asset", "script", "is_part"),
    [
        ("isheep/report/page.css", "write_report.py", True),
        ("isheep/report/parts.html.jinja", "write_comparison.py", True),
        ("isheep/report/page.css", "summarise_run.py", False),
    ],
)
def test_a_page_is_made_of_its_templates_and_styles_too(asset, script, is_part):
    assert (asset in code.code_files(script)) is is_part
    if is_part:
        assert code.code_files(script)[asset] == digest_file(code.PACKAGE.parent / asset)


EDITS = {
    "a comment": lambda text: text + "\n# edited\n",
    "blank lines": lambda text: text.replace("\n\n\n", "\n\n\n\n"),
    "a word of the module's docstring": lambda text: text.replace('"""', '"""Edited. ', 1),
    "every docstring": lambda text: re.sub(r'"""(.*?)"""', r'"""\1 edited."""', text, flags=re.DOTALL),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=list(EDITS))
@pytest.mark.parametrize(
    ("edited", "stage"),
    [
        ("isheep/serving/engines/vllm.py", "generate_outputs"),
        ("isheep/training/lora.py", "train_adapter"),
        ("isheep/assess/rubric.py", "assess_outputs"),
    ],
)
def test_what_only_people_read_decides_nothing(digest_after, edit, edited, stage):
    modules = behind(stage)
    before = digest_after(None, edit, *modules)
    assert digest_after(edited, edit, *modules) == before


def test_every_module_survives_the_cut_and_keeps_its_code():
    for file in sorted(code.PACKAGE.rglob("*.py")):
        source = file.read_text()
        kept = code.code_of(source)
        assert code.code_of(source + "\n# the end\n") == kept
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Return) and node.value is not None:
                assert ast.get_source_segment(source, node).split("\n")[0].split("#")[0].rstrip() in kept


def test_a_setting_s_description_decides_nothing_but_its_default_does():
    setting = 'rows: int = Field(10, description="Rows (N) # of a round.", ge=1)\n'
    assert code.code_of(setting) == code.code_of(setting.replace("Rows (N)", "Prompts"))
    assert code.code_of(setting) != code.code_of(setting.replace("10", "11"))


def test_strings_that_look_like_comments_stay():
    assert code.code_of("a = '# not a comment'  # one\n") == "a = '# not a comment'"
    source = "def f():\n    'a docstring'\n    return 'é', 'ü'  # ö\n"
    assert code.code_of(source) == "def f():\n    return 'é', 'ü'"


def test_every_template_style_and_script_of_the_pages_is_code_of_the_pages():
    beside = {file.name for file in (code.PACKAGE / "report").iterdir() if file.is_file()}
    files = code.code_files("write_report.py")
    assert {f"isheep/report/{name}" for name in beside if not name.endswith(".py")} <= set(files)


def test_a_message_in_results_names_no_place_of_this_machine():
    said = "/home/someone/data/x.jsonl:3: no 'id'"
    assert without_place(said, "/home/someone/data/x.jsonl") == "outside/x.jsonl:3: no 'id'"
    assert without_place("../data/x.jsonl:3: no 'id'", "../data/x.jsonl") == "outside/x.jsonl:3: no 'id'"
    assert without_place("config/x.jsonl:3: no 'id'", "config/x.jsonl") == "config/x.jsonl:3: no 'id'"
