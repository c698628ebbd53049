"""Model folders are checked from small files and headers, known by hash, and downloaded whole or not at all."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tokenizer_zoo
import yaml
from safetensors.numpy import save_file

from isheep.config.model import Model
from isheep.config.run import Run
from isheep.errors import UserError
from isheep.serving import models
from isheep.serving.gguf import convert

ROOT = Path(__file__).parents[2]
CONFIG = {"model_type": "llama", "max_position_embeddings": 2048}


def write(folder: Path, name: str, value: object) -> None:
    (folder / name).write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    """A complete model folder of two small tensors."""
    made = tmp_path / "model"
    made.mkdir()
    write(made, "config.json", CONFIG)
    write(made, "tokenizer.json", {"version": "1.0", "model": {}})
    write(made, "tokenizer_config.json", {"eos_token": "</s>", "chat_template": "{{ messages }}"})
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(4, dtype=np.float16)}
    save_file(tensors, made / "model.safetensors", metadata={"format": "pt"})
    return made


def shard(folder: Path) -> None:
    """Turn the folder's weights into two shards with an index."""
    (folder / "model.safetensors").unlink()
    placed = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    for tensor, name in placed.items():
        save_file({tensor: np.ones(3, dtype=np.float32)}, folder / name)
    write(folder, "model.safetensors.index.json", {"weight_map": placed})


def complaint(folder: Path, model: Model | None = None, context_length: int = 1024) -> str:
    with pytest.raises(UserError) as caught:
        models.check_folder(folder, model or Model(), context_length)
    return str(caught.value)


def test_complete_folder_passes_whole_and_in_shards(folder):
    models.check_folder(folder, Model(), 2048)
    shard(folder)
    models.check_folder(folder, Model(), 2048)


def test_missing_folder_that_looks_like_a_hub_id_is_told_about_model_hub():
    assert "model.hub: org/name" in complaint(Path("org/name"))


def test_everything_wrong_is_told_at_once(tmp_path):
    text = complaint(tmp_path)
    assert "4 problems" in text
    for word in ("config.json: is missing", "model.safetensors", "tokenizer.json", "model.chat_template"):
        assert word in text


@pytest.mark.parametrize("content", ["{", "[]", "", "\udcff"])
def test_config_that_is_no_json_object_is_named(folder, content):
    (folder / "config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert "config.json: is not a JSON object" in complaint(folder)


def test_shard_that_is_missing_is_named(folder):
    shard(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors: model.safetensors.index.json names this shard" in complaint(folder)


@pytest.mark.parametrize("keep", [0, 4, 8, 40, -1])
def test_shard_that_is_cut_off_is_named(folder, keep):
    shard(folder)
    path = folder / "model-00001-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    text = complaint(folder)
    assert "1 problem\n" in text
    assert "model-00001-of-00002.safetensors: is" in text
    assert "fetch it again" in text


@pytest.mark.parametrize(
    "header",
    [b"\0" * 32, b"[]" + b" " * 30, b'{"a": {"dtype": "F32"}}', b'{"a": {"data_offsets": [0]}}', b'{"a": 3}', b"{}"],
)
def test_weights_with_a_broken_header_are_named(folder, header):
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    assert "model.safetensors: is" in complaint(folder)


def test_header_that_claims_a_huge_length_is_refused_without_reading_it(folder):
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**63) + b"{}")
    assert "corrupt at its start" in complaint(folder)


def test_weights_with_bytes_too_many_are_named(folder):
    with open(folder / "model.safetensors", "ab") as handle:
        handle.write(b"x")
    assert "but its header tells of" in complaint(folder)


def test_tensor_that_the_index_places_elsewhere_is_named(folder):
    shard(folder)
    write(folder, "model.safetensors.index.json", {"weight_map": {"c": "model-00001-of-00002.safetensors"}})
    assert "lacks the tensor c" in complaint(folder)


@pytest.mark.parametrize("index", [{}, {"weight_map": {}}, {"weight_map": {"a": 1}}, {"weight_map": "x"}])
def test_index_without_a_weight_map_is_named(folder, index):
    shard(folder)
    write(folder, "model.safetensors.index.json", index)
    assert "model.safetensors.index.json: has no weight_map" in complaint(folder)


def test_index_cannot_point_outside_the_folder(folder):
    shard(folder)
    write(folder, "model.safetensors.index.json", {"weight_map": {"a": "../other/model.safetensors"}})
    assert "names a shard outside the folder" in complaint(folder)


def test_two_sets_of_weights_are_refused(folder):
    shard(folder)
    save_file({"a": np.ones(3, dtype=np.float32)}, folder / "model.safetensors")
    assert "keep one of the two" in complaint(folder)


def test_pickled_weights_are_refused_unless_allowed(folder, caplog):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "model.allow_pickle: true" in complaint(folder)
    models.check_folder(folder, Model(allow_pickle=True), 1024)
    assert "pickled" in caplog.text


def test_adapter_is_not_taken_for_a_model(folder):
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    write(folder, "adapter_config.json", {})
    assert "this is an adapter" in complaint(folder)


def test_gguf_alone_is_told_the_way(folder):
    (folder / "model.safetensors").rename(folder / "model.gguf")
    assert "model.gguf: GGUF is not read from a folder" in complaint(folder)


@pytest.mark.parametrize("names", [("tokenizer.model",), ("vocab.json", "merges.txt"), ("vocab.txt",)])
def test_older_tokenizer_files_are_enough(folder, names):
    (folder / "tokenizer.json").unlink()
    for name in names:
        assert "there is no tokenizer" in complaint(folder)
        (folder / name).write_text("x")
    models.check_folder(folder, Model(), 1024)


def test_tokenizer_that_is_cut_off_is_named(folder):
    whole = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(whole[:-1])
    assert "tokenizer.json: is not a JSON object" in complaint(folder)


def test_chat_template_may_be_a_file_of_the_folder_or_of_the_settings(folder):
    write(folder, "tokenizer_config.json", {})
    assert "model.chat_template" in complaint(folder)
    models.check_folder(folder, Model(chat_template="config/prompts/chat.jinja"), 1024)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    models.check_folder(folder, Model(), 1024)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "modeling_own.py"])
def test_remote_code_is_refused_unless_trusted(folder, name, caplog):
    before = json.loads((folder / name).read_text()) if name.endswith(".json") else {}
    write(folder, name, before | {"auto_map": {"AutoModelForCausalLM": "modeling_own.Own"}})
    assert "model.trust_remote_code: true" in complaint(folder)
    models.check_folder(folder, Model(trust_remote_code=True), 1024)
    assert "Python files that came with the model" in caplog.text


def test_context_longer_than_the_model_names_the_longest(folder):
    models.check_folder(folder, Model(), 2048)
    assert "engine.context_length: 2049 tokens" in complaint(folder, context_length=2049)
    write(folder, "config.json", {"text_config": CONFIG})
    assert "write 2048 or less" in complaint(folder, context_length=2049)


@pytest.mark.parametrize(
    ("config", "length"),
    [
        ({}, None),
        ({"n_positions": 1024}, 1024),
        ({"max_position_embeddings": 4096, "rope_scaling": None}, 4096),
        ({"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4.0}}, 16384),
        ({"max_position_embeddings": 131072, "rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, 131072),
        (
            {
                "max_position_embeddings": 32768,
                "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
            },
            131072,
        ),
    ],
)
def test_longest_context_follows_the_rotary_scaling(config, length):
    assert models.longest_context(config) == length


def test_identity_changes_with_weights_tokenizer_and_template_only(folder):
    before = models.identity(folder)
    assert set(before["files"]) == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    weights = (folder / "model.safetensors").read_bytes()
    assert before["files"]["model.safetensors"] == hashlib.sha256(weights).hexdigest()
    for name in ("README.md", ".snakemake_timestamp", "consolidated.safetensors", "training_args.bin", "merging.json"):
        (folder / name).write_text("{}")
    assert models.identity(folder) == before
    seen = {before["sha256"]}
    for name in ("model.safetensors", "tokenizer.json", "config.json", "chat_template.jinja", "modeling_own.py"):
        with open(folder / name, "ab") as handle:
            handle.write(b" ")
        seen.add(models.identity(folder)["sha256"])
    assert len(seen) == 6


def test_identity_does_not_depend_on_where_the_folder_is(folder, tmp_path):
    before = models.identity(folder)
    assert models.identity(folder.rename(tmp_path / "elsewhere")) == before


@pytest.mark.parametrize("kind", ["byte_level", "replace"])
def test_a_start_token_that_a_gguf_asks_for_is_put_before_texts_and_kept(kind, tmp_path):
    from transformers import AutoTokenizer

    tokenizer = tokenizer_zoo.tokenizer(kind, add_start=False)
    plain = tokenizer("Hello there").input_ids
    convert.start_texts(tokenizer)
    convert.start_texts(tokenizer)
    tokenizer.save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)("Hello there").input_ids == [tokenizer.bos_token_id, *plain]


@pytest.mark.parametrize("path", sorted((ROOT / "config" / "models").glob("*.yaml")), ids=lambda path: path.stem)
def test_preset_is_a_valid_part_of_a_run(path):
    preset = yaml.safe_load(path.read_text(encoding="utf-8"))
    run = Run.model_validate(preset)
    assert run.model_dump(include=set(preset)) != Run().model_dump(include=set(preset))


COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB_FILES = {
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "model.safetensors": bytes(range(256)) * 64,
    "pytorch_model.bin": b"pickle",
    "modeling_own.py": b"print('hello')",
    "onnx/model.safetensors": b"copy",
    "README.md": b"text",
}


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as a download needs: one model, one revision, no more bytes of weights than allowed."""

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = self.path.partition("?")[0]
        if path in ("/api/models/org/name/revision/main", f"/api/models/org/name/revision/{COMMIT}"):
            siblings = [{"rfilename": name} for name in HUB_FILES]
            return self.send(json.dumps({"id": "org/name", "sha": COMMIT, "siblings": siblings}).encode(), body)
        if path.startswith(f"/api/models/org/name/tree/{COMMIT}"):
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in HUB_FILES.items()
            ]
            return self.send(json.dumps(tree).encode(), body)
        name = path.removeprefix(f"/org/name/resolve/{COMMIT}/")
        if name in HUB_FILES:
            self.server.served.append(name)
            if body and name in self.server.broken:
                return self.send_error(500)
            return self.send(HUB_FILES[name], body)
        self.send_response(404)
        self.send_header("X-Error-Code", "RevisionNotFound" if "org/name" in path else "RepoNotFound")
        self.end_headers()
        return None

    def send(self, data: bytes, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def hub():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.served, server.broken = [], set()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def fetch(hub, out: Path, name="org/name", revision="main", **options: bool) -> subprocess.CompletedProcess[str]:
    """Download in a process of its own, because the hub's address is read when its library is imported."""
    code = (
        "import sys; from pathlib import Path; from isheep import errors; from isheep.serving import models\n"
        f"try: models.download({name!r}, {revision!r}, Path({str(out)!r}), **{options!r})\n"
        "except errors.UserError as error: sys.exit(str(error))"
    )
    unset = {"HF_HUB_OFFLINE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HF_TOKEN"}
    environment = {key: value for key, value in os.environ.items() if key not in unset}
    environment |= {
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_address[1]}",
        "HF_HOME": str(out.parent / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": str(ROOT / "scripts"),
    }
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)


def test_download_takes_safetensors_and_small_files_only(hub, tmp_path):
    done = fetch(hub, tmp_path / "model")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "model").rglob("*")} == {
        "config.json",
        "tokenizer.json",
        "model.safetensors",
    }
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == HUB_FILES["model.safetensors"]


def test_download_takes_pickles_and_code_when_allowed(hub, tmp_path):
    assert fetch(hub, tmp_path / "model", allow_pickle=True, trust_remote_code=True).returncode == 0
    assert (tmp_path / "model" / "pytorch_model.bin").exists()
    assert (tmp_path / "model" / "modeling_own.py").exists()


def test_broken_download_publishes_nothing_and_goes_on_later(hub, tmp_path):
    hub.broken.add("model.safetensors")
    done = fetch(hub, tmp_path / "model")
    assert "model.hub: org/name cannot be fetched" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "model").exists()
    hub.broken.clear()
    assert fetch(hub, tmp_path / "model").returncode == 0
    assert (tmp_path / "model" / "model.safetensors").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["model"]


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("org/other", "main", "model.hub: the hub has no model 'org/other'"),
        ("org/name", "v9", "model.revision: org/name has no branch, tag or commit 'v9'"),
    ],
)
def test_download_names_what_the_hub_does_not_have(hub, tmp_path, name, revision, message):
    assert message in fetch(hub, tmp_path / "model", name, revision).stderr


def test_download_refuses_what_is_no_hub_id(tmp_path):
    with pytest.raises(UserError, match=r"model\.hub: the hub has no model"):
        models.download("../name", "main", tmp_path / "model")


def test_download_without_network_says_how_to_bring_the_model(tmp_path):
    # tests/conftest.py turns the network off for everything but processes of their own.
    with pytest.raises(UserError, match="hf download org/name --revision main --local-dir FOLDER"):
        models.download("org/name", "main", tmp_path / "model")
