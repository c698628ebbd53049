"""The sum of a base model and an adapter, tensor by tensor: no more than one of its layers is ever in memory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from isheep.config.model import Model
from isheep.errors import UserError
from isheep.training.shards import Weights, write_shards

SLACK = 1e-5  # of float32 sums of a layer's products
ROWS = 4096  # of a weight multiplied at once


class Fold:
    """Base plus adapter under the names that the merged model's files have.

    The network is built without weights: its parameters are one zero, seen in their shapes. PEFT puts the adapter on
    it, so that names, scales and layouts (experts that are one tensor in the network and many in the files) are those
    of the libraries that trained it.

    Parameters
    ----------
    folder, adapter
        The model that the adapter was trained on; the adapter.
    model
        Section `model` of the run.
    dtype
        Number format of the sum: it is made in float32 and rounded once.

    Raises
    ------
    UserError
        The base is quantised, or the adapter does not fit it.
    """

    def __init__(self, folder: Path, adapter: Path, model: Model, dtype: str) -> None:
        import torch

        self.dtype = getattr(torch, dtype)
        self.network = _empty(folder, model)
        self.tied = bool(self.network.config.tie_word_embeddings)
        self.parameters = sum(parameter.numel() for parameter in self.network.parameters())
        self._counted = self.network.num_parameters()
        self._base = Weights(folder)
        self._aliases = _aliases(self.network)
        self.layout = {
            name: meta.to(self.dtype) if meta.is_floating_point() else meta
            for name, meta in _in_files(self.network, _without_tied(self.network)).items()
        }
        self._layers = self._put_on(folder, adapter)
        self._deltas = lru_cache(maxsize=2)(self._layer_deltas)  # two: experts' files take turns

    def _put_on(self, folder: Path, adapter: Path) -> dict[str, tuple[str, Any]]:
        """Return the adapted layers: by a tensor's name in the files, its name in the network and PEFT's module."""
        from peft import PeftModel
        from peft.tuners.tuners_utils import BaseTunerLayer

        _fill(self.network)
        try:
            adapted = PeftModel.from_pretrained(self.network, str(adapter)).eval()
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"{adapter}: does not fit {folder} ({reason}); merge it with the model it was trained on"
            ) from None
        layers: dict[str, tuple[str, Any]] = {}
        for path, module in adapted.named_modules():
            if isinstance(module, BaseTunerLayer):
                parts = [part for part in path.removeprefix("base_model.model.").split(".") if part != "base_layer"]
                name = ".".join([*parts, getattr(module, "parameter_name", "weight")])
                shape = {name: _shape_of(module)}
                layers |= dict.fromkeys(_in_files(self.network, shape), (name, module))
        if lost := sorted(set(layers) - set(self.layout)):
            raise UserError(f"{adapter}: changes {lost[0]}, which the files of {folder} do not have")
        return layers

    def write(self, folder: Path, largest: int) -> None:
        """Write the sum into a folder as safetensors files of at most `largest` bytes."""
        write_shards(folder, self.layout, self.tensor, largest, self._counted)

    def tensor(self, name: str) -> Any:
        """Return a tensor of the sum, by its name in the files."""
        base = self._of_base(name)
        if name not in self._layers:
            return base.to(self.layout[name].dtype)
        return (self._delta(name) + base).to(self.dtype)

    def _of_base(self, name: str) -> Any:
        """Return a base tensor; its file may leave out the prefix of the network, or hold it under a tied name."""
        prefix = f"{self.network.base_model_prefix}."
        bare = name.removeprefix(prefix)
        for candidate in (name, bare, prefix + name, *self._aliases.get(name, ())):
            if candidate in self._base:
                return self._base[candidate]
        raise UserError(
            f"{self._base.folder}: holds no tensor {name}; load the model with transformers and save it, for the names "
            "of this release"
        )

    def _delta(self, name: str) -> Any:
        return self._deltas(self._layers[name][0])[name]

    def _layer_deltas(self, parameter: str) -> Mapping[str, Any]:
        """Return what the adapter adds to a layer, float32, by the names in the files."""
        import torch

        module = next(module for name, module in self._layers.values() if name == parameter)
        with torch.no_grad():
            delta = module.get_delta_weight("default").float()
            return _in_files(self.network, {parameter: delta})

    def check(self, folder: Path) -> float:
        """Hold every tensor of a merged folder, read back, against base and adapter; return the largest difference.

        An adapted weight W' of a linear layer is compared by what it makes of a random vector x: W' x against
        W x + s B (A x), the adapter in its factors, as |difference| / (|row| |x|) of each row; by Cauchy-Schwarz,
        rounding of W' explains no more than the number format's epsilon. All other tensors must be equal.

        Raises
        ------
        UserError
            Names the first tensor that differs by more than rounding.
        """
        import torch

        written, largest = Weights(folder), 0.0
        if names := set(written) ^ set(self.layout):
            raise UserError(f"{folder}: {min(names)} is written or wanted, not both; merge again")
        for name in self.layout:
            if name in self._layers and not hasattr(self._layers[name][1], "parameter_name"):
                difference = self._differs(name, written[name])
            else:
                difference = 0.0 if torch.equal(written[name], self.tensor(name)) else float("inf")
            if not difference <= torch.finfo(self.dtype).eps + SLACK:
                raise UserError(
                    f"the merged model differs from base plus adapter: {name} by {difference:.3g} of its size, as read "
                    "back from disk; the disk or a file of the base is damaged: merge again"
                )
            largest = max(largest, difference)
        return largest

    def _differs(self, name: str, written: Any) -> float:
        import torch

        module, base = self._layers[name][1], self._of_base(name)
        if module.fan_in_fan_out:
            written, base = written.T, base.T
        vector = torch.randn(base.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        with torch.no_grad():
            added = module(vector.float()[None])[0].double()  # of a base of zeros: the adapter alone
        largest = 0.0
        for rows in range(0, base.shape[0], ROWS):
            part = slice(rows, rows + ROWS)
            block = written[part].double()
            difference = (block @ vector - base[part].double() @ vector - added[part]).abs()
            size = block.norm(dim=1) * vector.norm() + added[part].abs()
            largest = max(largest, float((difference / size.clamp(min=1e-30)).max()))
        return largest

    @cached_property
    def adapted(self) -> int:
        """Number of tensors of the files that the adapter changes."""
        return len(self._layers)


def _empty(folder: Path, model: Model) -> Any:
    """Return a model's network on the device `meta`, with its generation settings."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    trusted = model.trust_remote_code
    config = AutoConfig.from_pretrained(folder, trust_remote_code=trusted)
    if getattr(config, "quantization_config", None):
        raise UserError(f"{folder}: is quantised, and no adapter can be added to rounded weights; take its full form")
    with torch.device("meta"):
        network = AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=trusted)
    network.tie_weights()
    has_own = (folder / "generation_config.json").is_file()
    named = {} if has_own else {"config_file_name": "config.json", "_from_model_config": True}
    network.generation_config = GenerationConfig.from_pretrained(folder, **named)
    return network.eval()


def _aliases(network: Any) -> dict[str, tuple[str, ...]]:
    """Return the other names of every parameter that has several."""
    names: dict[int, list[str]] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return {name: tuple(others) for others in names.values() if len(others) > 1 for name in others}


def _without_tied(network: Any) -> dict[str, Any]:
    """Return the network's tensors by name, of tied ones that which transformers writes."""
    from transformers.modeling_utils import remove_tied_weights_from_state_dict

    state = network.state_dict()
    for name in network._keys_to_ignore_on_save or ():
        state.pop(name, None)
    kept: dict[str, Any] = remove_tied_weights_from_state_dict(state, network)
    return kept


def _in_files(network: Any, tensors: dict[str, Any]) -> dict[str, Any]:
    """Return tensors of the network in the names, pieces and order that transformers gives them in files."""
    from transformers.core_model_loading import dot_natural_key, revert_weight_conversion

    ordered = {name: tensors[name] for name in sorted(tensors, key=dot_natural_key)}
    reverted: dict[str, Any] = revert_weight_conversion(network, ordered)
    return reverted


def _fill(network: Any) -> None:
    """Give every parameter and buffer one zero in its shape, which takes no memory and lies where one can compute."""
    import torch

    seen: dict[int, Any] = {}
    for module in network.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                zero = torch.zeros(()).expand(parameter.shape)
                module._parameters[name] = seen.setdefault(id(parameter), torch.nn.Parameter(zero, requires_grad=False))
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.zeros((), dtype=buffer.dtype).expand(buffer.shape)


def _shape_of(module: Any) -> Any:
    """Return an adapted parameter's shape, as a tensor on the device `meta`."""
    import torch

    parameter = module.get_param() if hasattr(module, "parameter_name") else module.get_base_layer().weight
    return torch.empty(parameter.shape, device="meta")
