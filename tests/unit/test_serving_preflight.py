import json
from pathlib import Path

import model_zoo
import pytest
import tokenizer_zoo

from isheep.config.model import Model
from isheep.config.train import Lora, Train
from isheep.errors import UserError
from isheep.serving import agreement, preflight
from isheep.serving.engines.vllm import _cause
from isheep.serving.layouts import write_both_layouts

TRAIN = Train(max_length=128)


@pytest.fixture
def folder(tmp_path):
    return model_zoo.save(model_zoo.Entry("llama"), tmp_path / "model")


def change(folder, file, **values):
    path = folder / file
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(content | values))


def complaint(check, folder, train=TRAIN, context=256, **model):
    with pytest.raises(UserError) as raised:
        check(folder, Model(**model), context, train)
    return str(raised.value)


# ---- the light part


def test_a_sound_model_passes_both_parts(folder):
    preflight.check(folder, Model(), 256, TRAIN)
    preflight.check_loaded(folder, Model(), 256, TRAIN)


def test_everything_is_told_at_once(folder):
    (folder / "chat_template.jinja").write_text("{% for m in messages %}\n{{ m.content }}\n{% endif %}")
    change(folder, "config.json", quantization_config={"quant_method": "awq"}, vision_config={"hidden_size": 4})
    lora = Lora(target_modules=("q_proj", "lm_head"))
    text = complaint(preflight.check, folder, Train(max_length=512, lora=lora), context=1024)
    for part in (
        "6 problems",
        "engine.context_length: 1024 tokens",
        "chat_template.jinja: line 3 is no Jinja",
        "the weights are quantised (awq)",
        "more than language (vision_config)",
        "train.max_length: 512 tokens, but the model was made for 256",
        "train.lora.target_modules: lm_head",
    ):
        assert part in text


def test_a_judge_may_be_quantised_and_see_images(folder):
    change(folder, "config.json", quantization_config={"quant_method": "awq"}, vision_config={"hidden_size": 4})
    preflight.check(folder, Model(), 256)


def test_a_template_that_refuses_the_system_message_is_told_before_it_is_used(folder):
    (folder / "chat_template.jinja").write_text(tokenizer_zoo.TEMPLATES["gemma"])
    preflight.check(folder, Model(), 256, TRAIN)
    text = complaint(preflight.check, folder, system="Be kind.")
    assert "chat_template.jinja: cannot render a conversation of system and user (System role not supported)" in text
    assert "delete model.system" in text


@pytest.mark.parametrize("name", tokenizer_zoo.TEMPLATES)
def test_templates_are_rendered_without_transformers_as_with_it(tmp_path, name):
    from isheep.serving import chat, template

    tokenizer = tokenizer_zoo.tokenizer("byte_level", name)
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    model = Model()
    mine = chat.ChatTemplate(tokenizer, date=model.date)._render(messages, opened=True)
    from datetime import date

    variables = {"bos_token": "<s>", "eos_token": "</s>", **template.clock(date.fromisoformat(model.date))}
    assert template.render(tokenizer.chat_template, messages, variables | {"add_generation_prompt": True}) == mine


# ---- what needs the library


def test_a_tokenizer_that_is_rebuilt_as_another_is_refused_with_what_to_write(folder):
    change(folder, "tokenizer_config.json", tokenizer_class="LlamaTokenizer")
    text = complaint(preflight.check_loaded, folder)
    assert "transformers rebuilds it as LlamaTokenizer, which gives other ids for 'How are you doing?" in text
    assert "Howareyoudoing?" in text and '"tokenizer_class": "PreTrainedTokenizerFast"' in text
    change(folder, "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    preflight.check_loaded(folder, Model(), 256, TRAIN)


def test_start_tokens_are_held_against_the_config_files(folder):
    change(folder, "config.json", bos_token_id=5)
    assert "bos_token_id is 5, but the tokenizer starts texts with '<s>' (1)" in complaint(
        preflight.check_loaded, folder
    )
    change(folder, "config.json", bos_token_id=1)
    tokenizer_zoo.tokenizer("byte_level", add_start=False).save_pretrained(folder)
    change(folder, "tokenizer_config.json", add_bos_token=True)
    found = agreement.check_tokenizer(folder, Model())
    assert found == [] or "add_bos_token is true, but the tokenizer puts no start token" in found[0]


def test_tokens_without_an_embedding_are_told_of(folder):
    tokenizer_zoo.tokenizer("byte_level", added=("<more>", "<yet>")).save_pretrained(folder)
    text = complaint(preflight.check_loaded, folder)
    assert "2 of its tokens have no embedding" in text
    tokenizer_zoo.tokenizer("byte_level", pad_token="<pad>").save_pretrained(folder)
    assert "1 of its tokens have no embedding" in complaint(preflight.check_loaded, folder)


def test_a_model_that_no_library_builds_is_refused(folder):
    change(folder, "config.json", model_type="only_vllm_knows")
    assert "config.json: transformers cannot build this model" in complaint(preflight.check_loaded, folder)


def test_an_adapter_that_the_architecture_cannot_take_is_refused_with_names_that_it_can(tmp_path):
    folder = model_zoo.save(next(entry for entry in model_zoo.ZOO if entry.name == "mamba"), tmp_path / "model")
    text = complaint(preflight.check_loaded, folder)
    assert "train.lora.target_modules: MambaForCausalLM takes no such adapter" in text and "in_proj" in text
    text = complaint(preflight.check_loaded, folder, Train(max_length=128, lora=Lora(target_modules=("q_proj",))))
    assert "q_proj" in text


def test_a_folder_with_mistrals_own_tokenizer_is_told_so(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    (folder / "tekken.json").write_text("{}")
    assert "tekken.json: is a tokenizer of mistral-common" in complaint(preflight.check, folder)


def test_an_architecture_that_always_gets_one_class_is_told_of_with_another_remedy(tmp_path):
    folder = model_zoo.save(model_zoo.Entry("qwen2", "byte_level"), tmp_path / "model")
    text = complaint(preflight.check_loaded, folder)
    assert "it does so for every model of this model_type, so take a tokenizer.json made for Qwen2Tokenizer" in text


# ---- tokenizers of three folders


def test_base_adapter_and_merged_model_must_read_alike():
    one, other = tokenizer_zoo.tokenizer("byte_level"), tokenizer_zoo.tokenizer("metaspace_first")
    agreement.check_same({"base": one, "adapter": tokenizer_zoo.tokenizer("byte_level")})
    with pytest.raises(UserError, match=r"^merged: its tokenizer differs from that of base in the ids of"):
        agreement.check_same({"base": one, "adapter": one, "merged": other})


# ---- files for older libraries


def test_rotary_positions_and_tokenizer_class_are_written_for_both_layouts(tmp_path):
    scaled = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0}
    (tmp_path / "config.json").write_text(json.dumps({"rope_parameters": scaled, "text_config": {}}))
    loaded = {"local_files_only": True, "is_local": True}  # by HF_HUB_OFFLINE and the like: no part of a tokenizer
    tokens = {"tokenizer_class": "TokenizersBackend", "extra_special_tokens": ["<a>"], **loaded}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokens))
    write_both_layouts(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["rope_theta"] == 500000.0 and config["rope_scaling"] == config["rope_parameters"] == scaled
    assert json.loads((tmp_path / "tokenizer_config.json").read_text()) == {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "additional_special_tokens": ["<a>"],
    }


def test_rotary_positions_of_two_kinds_of_attention_are_written_as_gemma_3_had_them(tmp_path):
    kinds = {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}
    (tmp_path / "config.json").write_text(json.dumps({"rope_parameters": kinds, "num_local_experts": 4}))
    write_both_layouts(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["num_experts"] == config["num_local_experts"] == 4
    assert (config["rope_theta"], config["rope_local_base_freq"]) == (1e6, 1e4)


# ---- messages


def test_vllms_start_error_shows_its_cause():
    from pydantic import BaseModel, ValidationError, field_validator

    class ModelConfig(BaseModel):
        length: int

        @field_validator("length")
        @classmethod
        def short(cls, value):
            raise ValueError("User-specified max_model_len is greater than\nthe derived one")

    with pytest.raises(ValidationError) as raised:
        ModelConfig(length=3)
    assert _cause(raised.value) == "User-specified max_model_len is greater than the derived one"
    assert _cause(RuntimeError("first\nsecond")) == "first"


def test_the_docs_show_every_architecture_of_the_zoo():
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    for entry in model_zoo.ZOO:
        assert f"| {entry.name} | {entry.kind} | {entry.template} | yes | yes | yes | yes |" in page, entry.name
