"""Peak memory of a merge on a made model of many shards: python benchmarks/merge_memory.py LAYERS FOLDER.

A Llama of hidden size 4096 with random weights in bfloat16 (0.4 GB a layer) and a random adapter on all its linear
layers are written into FOLDER, merged, every tensor checked, and all of it is removed.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from isheep.config.model import Model
from isheep.training.fold import Fold
from isheep.training.shards import write_shards

GIB = 2**30
SHAPE = {"hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "vocab_size": 32000}


def memory(kind: str) -> float:
    """Return GiB of this process: VmRSS now, VmHWM at its highest since it was reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 2**20 for line in lines if line.startswith(kind))


def make(folder: Path, layers: int) -> None:
    """Write the model and its adapter."""
    config = AutoConfig.for_model("llama", num_hidden_layers=layers, dtype="bfloat16", **SHAPE)
    with torch.device("meta"):
        network = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    (folder / "base").mkdir(parents=True)
    config.save_pretrained(folder / "base")
    draw = torch.Generator().manual_seed(0)

    def tensor(name: str) -> torch.Tensor:
        return torch.empty(layout[name].shape, dtype=torch.bfloat16).normal_(0, 0.02, generator=draw)

    layout = network.state_dict()
    write_shards(folder / "base", layout, tensor, GIB // 2, network.num_parameters())
    adapted = get_peft_model(network, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"))
    for path, parameter in list(adapted.named_parameters()):
        if "lora_" in path:
            owner, name = path.rsplit(".", 1)
            values = torch.randn(parameter.shape, generator=draw) * 0.01
            setattr(adapted.get_submodule(owner), name, torch.nn.Parameter(values))
    adapted.save_pretrained(folder / "adapter")


def main(layers: int, folder: Path) -> None:
    """Print sizes, seconds and peaks."""
    make(folder, layers)
    before, started = memory("VmRSS"), time.monotonic()
    Path("/proc/self/clear_refs").write_text("5")
    fold = Fold(folder / "base", folder / "adapter", Model(), "bfloat16")
    (folder / "merged").mkdir()
    fold.write(folder / "merged", GIB)
    seconds, peak = time.monotonic() - started, memory("VmHWM") - before
    Path("/proc/self/clear_refs").write_text("5")
    difference = fold.check(folder / "merged")
    sizes = sorted(file.stat().st_size / GIB for file in (folder / "merged").glob("*.safetensors"))
    print(
        f"{fold.parameters / 1e9:.2f} G parameters, {len(sizes)} files, {sum(sizes):.2f} GiB, largest {sizes[-1]:.2f}"
    )
    print(f"written in {seconds:.0f} s, {peak:.2f} GiB above the {before:.2f} GiB before: {peak / sizes[-1]:.2f} files")
    checked = memory("VmHWM") - before
    print(
        f"{len(fold.layout)} tensors checked in {time.monotonic() - started - seconds:.0f} s, {checked:.2f} GiB above"
    )
    print(f"largest difference {difference:.2g} of a row's size")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
