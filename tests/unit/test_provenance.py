"""The code digest sees what a stage imports, however deep, and nothing else."""

import shutil

import pytest

from isheep import provenance


@pytest.fixture
def copy(tmp_path, monkeypatch):
    shutil.copytree(provenance.PACKAGE.parent, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "scripts" / "isheep")

    def digest_after(edited: str | None, stage: str) -> str:
        if edited:
            file = tmp_path / "scripts" / edited
            file.write_text(file.read_text() + "\n# edited\n")
        provenance._digest_source.cache_clear()
        provenance._uses.cache_clear()
        return provenance.code_digest(stage)

    yield digest_after
    provenance._digest_source.cache_clear()
    provenance._uses.cache_clear()


@pytest.mark.parametrize(
    ("edited", "stage", "changes"),
    [
        ("isheep/dedup.py", "generate_prompts.py", True),
        ("isheep/dedup.py", "filter_outputs.py", False),
        ("isheep/select.py", "select_data.py", True),
        ("isheep/engines/fake.py", "generate_outputs.py", True),
        ("isheep/config/train.py", "train_adapter.py", False),
        ("generate_prompts.py", "generate_prompts.py", True),
        ("isheep/report/page.css", "write_report.py", True),
        ("isheep/report/parts.html.jinja", "write_comparison.py", True),
        ("isheep/report/page.css", "summarise_run.py", False),
    ],
)
def test_an_edit_changes_the_digest_of_the_stages_it_affects(copy, edited, stage, changes):
    before = copy(None, stage)
    assert (copy(edited, stage) != before) is changes


def test_every_template_style_and_script_of_the_pages_is_code_of_the_pages():
    beside = {file.name for file in (provenance.PACKAGE / "report").iterdir() if file.is_file()}
    files = provenance.code_files("write_report.py")
    assert {f"isheep/report/{name}" for name in beside if not name.endswith(".py")} <= set(files)


def test_a_message_in_results_names_no_place_of_this_machine():
    said = "/home/someone/data/x.jsonl:3: no 'id'"
    assert provenance.without_place(said, "/home/someone/data/x.jsonl") == "outside/x.jsonl:3: no 'id'"
    assert provenance.without_place("../data/x.jsonl:3: no 'id'", "../data/x.jsonl") == "outside/x.jsonl:3: no 'id'"
    assert provenance.without_place("config/x.jsonl:3: no 'id'", "config/x.jsonl") == "config/x.jsonl:3: no 'id'"
