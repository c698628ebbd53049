"""The code digest sees what a stage imports, however deep, and nothing else."""

import shutil

import pytest

from isheep.runner import code
from isheep.runner.portable import without_place


@pytest.fixture
def copy(tmp_path, monkeypatch):
    shutil.copytree(code.PACKAGE.parent, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "PACKAGE", tmp_path / "scripts" / "isheep")

    def digest_after(edited: str | None, stage: str) -> str:
        if edited:
            file = tmp_path / "scripts" / edited
            file.write_text(file.read_text() + "\n# edited\n")
        code._digest_source.cache_clear()
        code._uses.cache_clear()
        return code.code_digest(stage)

    yield digest_after
    code._digest_source.cache_clear()
    code._uses.cache_clear()


@pytest.mark.parametrize(
    ("edited", "stage", "changes"),
    [
        ("isheep/data/dedup.py", "generate_prompts.py", True),
        ("isheep/data/dedup.py", "filter_outputs.py", False),
        ("isheep/select/rows.py", "select_data.py", True),
        ("isheep/serving/engines/fake.py", "generate_outputs.py", True),
        ("isheep/config/train.py", "train_adapter.py", False),
        ("generate_prompts.py", "generate_prompts.py", True),
        ("isheep/evaluation/kinds/ifeval.py", "evaluate_model.py", True),
        ("isheep/evaluation/instructions.py", "score_model.py", True),
        ("isheep/evaluation/kinds/ifeval.py", "generate_outputs.py", False),
        ("isheep/report/page.css", "write_report.py", True),
        ("isheep/report/parts.html.jinja", "write_comparison.py", True),
        ("isheep/report/page.css", "summarise_run.py", False),
    ],
)
def test_an_edit_changes_the_digest_of_the_stages_it_affects(copy, edited, stage, changes):
    before = copy(None, stage)
    assert (copy(edited, stage) != before) is changes


def test_every_template_style_and_script_of_the_pages_is_code_of_the_pages():
    beside = {file.name for file in (code.PACKAGE / "report").iterdir() if file.is_file()}
    files = code.code_files("write_report.py")
    assert {f"isheep/report/{name}" for name in beside if not name.endswith(".py")} <= set(files)


def test_a_message_in_results_names_no_place_of_this_machine():
    said = "/home/someone/data/x.jsonl:3: no 'id'"
    assert without_place(said, "/home/someone/data/x.jsonl") == "outside/x.jsonl:3: no 'id'"
    assert without_place("../data/x.jsonl:3: no 'id'", "../data/x.jsonl") == "outside/x.jsonl:3: no 'id'"
    assert without_place("config/x.jsonl:3: no 'id'", "config/x.jsonl") == "config/x.jsonl:3: no 'id'"
