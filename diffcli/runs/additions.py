"""Low-rank additions in files of their own: written with PEFT's names, read in these and in two older dialects."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from diffcli.core.models.lora import LowRank, additions_of, layers_of, merged
from diffcli.core.randomness import keyed
from diffcli.errors import CheckpointProblem, UsageProblem
from diffcli.runs.listing import ROOT, checkpoints
from diffcli.runs.loading import Trained
from diffcli.system.files import is_dir, is_file, write_atomically

FILE = "pytorch_lora_weights.safetensors"
PREFIX = "unet."
ADAPTER = "lora_adapter_metadata"  # where diffusers keeps rank and alpha
FOREIGN = ("unet.", "base_model.model.", "transformer.", "diffusion_model.")  # before names of modules
MOST = 100.0  # that an addition is scaled by

DIALECTS = (
    re.compile(r"(?P<name>.+)\.lora_(?P<part>A|B)(\.default)?\.weight"),  # PEFT
    re.compile(r"(?P<name>.+)\.lora_(?P<part>down|up)\.weight"),  # kohya
    re.compile(r"(?P<name>.+)[._]lora\.(?P<part>down|up)\.weight"),  # diffusers, before PEFT
    re.compile(r"(?P<name>.+)\.(?P<part>alpha)"),  # beside either
)
KOHYA = "lora_unet_"  # before names with underscores for dots


class Applied(NamedTuple):
    """What additions did to a model: ‖ΔW‖ / ‖W‖ over the weights that they touch, and how much its output changed.

    output:  ‖f'(x) - f(x)‖ / ‖f(x)‖ of the network, where x is noise at a middle level
    """

    name: str
    scale: float
    layers: int
    weights: float
    output: float

    @property
    def note(self) -> str:
        return (
            f"lora: {self.name} at {self.scale:g}, {self.layers} layers, |dW|/|W| {self.weights:.3g}, "
            f"output changed by {self.output:.1%}"
        )


def write_additions(path: Path, additions: Mapping[str, LowRank]) -> None:
    """Write additions with PEFT's names; rank and alpha stand in the metadata, by layer where they differ."""
    tensors, ranks, alphas = {}, {}, {}
    for name, addition in additions.items():
        for part, value in (("A", addition.a), ("B", addition.b)):
            tensors[f"{PREFIX}{name}.lora_{part}.weight"] = value.detach().float().cpu().contiguous()
        ranks[name], alphas[name] = addition.rank, addition.alpha
    rank, alpha = next(iter(ranks.values())), next(iter(alphas.values()))
    adapter = {
        "r": rank,
        "lora_alpha": alpha,
        "target_modules": sorted(additions),
        "rank_pattern": {name: r for name, r in ranks.items() if r != rank},
        "alpha_pattern": {name: a for name, a in alphas.items() if a != alpha},
    }
    told = json.dumps({f"{PREFIX}{key}": value for key, value in adapter.items()}, sort_keys=True)
    metadata = {"format": "pt", "rank": str(rank), "alpha": str(alpha), ADAPTER: told}
    write_atomically(path, safetensors.torch.save(tensors, metadata))


def read_additions(path: Path, network: nn.Module) -> dict[str, LowRank]:
    """The additions in a file, by the layer of this network; alpha is the rank where nothing says it.

    Raises CheckpointProblem for what is no such file, and with the first key that does not fit the network.
    """
    tensors, metadata = _content(path)
    layers = layers_of(network)
    by_underscores = {name.replace(".", "_"): name for name in layers}
    parts: dict[str, dict[str, tuple[str, Tensor]]] = {}
    for key, value in sorted(tensors.items()):
        found = next((match for dialect in DIALECTS if (match := dialect.fullmatch(key))), None)
        if found is None:
            raise CheckpointProblem(f"{path} is no file of low-rank additions: {key} is none")
        name = _module(found["name"], by_underscores)
        if name not in layers:
            raise CheckpointProblem(f"{path} is for another network: {key} has no layer in this one")
        part = {"down": "A", "up": "B"}.get(found["part"], found["part"])
        parts.setdefault(name, {})[part] = key, value
    if not parts:
        raise CheckpointProblem(f"{path} holds no additions")
    return {name: _addition(path, name, parts[name], network.get_submodule(name), metadata) for name in parts}


def _content(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safetensors.safe_open(str(path), "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointProblem(f"{path} is no whole safetensors file: {error}") from None


def _module(name: str, by_underscores: Mapping[str, str]) -> str:
    """The layer that a key speaks of."""
    if name.startswith(KOHYA):
        return by_underscores.get(name.removeprefix(KOHYA), name)
    for prefix in FOREIGN:
        name = name.removeprefix(prefix)
    return name


def _addition(
    path: Path, name: str, parts: Mapping[str, tuple[str, Tensor]], layer: nn.Module, metadata: Mapping[str, str]
) -> LowRank:
    """The addition to one layer, its shapes checked."""
    if "A" not in parts or "B" not in parts:
        key = next(iter(parts.values()))[0]
        raise CheckpointProblem(f"{path} is not whole: beside {key} the other factor is missing")
    (key_a, a), (key_b, b), weight = parts["A"], parts["B"], layer.get_parameter("weight")
    wanted = {key_a: (len(a), *weight.shape[1:]), key_b: (len(weight), len(a), *[1] * (weight.dim() - 2))}
    for key, value in ((key_a, a), (key_b, b)):
        if tuple(value.shape) != wanted[key]:
            sizes = ["x".join(map(str, shape)) for shape in (value.shape, wanted[key])]
            raise CheckpointProblem(f"{path} is for another network: {key} is {sizes[0]}, and would be {sizes[1]} here")
        if not value.isfinite().all():
            raise CheckpointProblem(f"{key} in {path} has values that are not finite")
    alpha = float(parts["alpha"][1]) if "alpha" in parts else _alpha(path, name, metadata, len(a))
    return LowRank(a.float(), b.float(), alpha)


def _alpha(path: Path, name: str, metadata: Mapping[str, str], rank: int) -> float:
    """As the metadata say; else the rank, so that B A is added as it is."""
    try:
        told: dict[str, Any] = json.loads(metadata.get(ADAPTER, "{}"))
        bare = {key.rpartition(".")[2]: value for key, value in told.items()}
        return float(bare.get("alpha_pattern", {}).get(name, bare.get("lora_alpha", metadata.get("alpha", rank))))
    except (ValueError, TypeError, AttributeError):
        raise CheckpointProblem(f"{path} has an alpha that is no number") from None


def name_and_scale(text: str, option: str = "--lora", what: str = "scale") -> tuple[str, float]:
    """FILE or RUN, and the scale behind a colon, 1 where there is none. Raises UsageProblem."""
    name, colon, number = text.rpartition(":")
    try:
        scale = float(number) if colon else 1.0
    except ValueError:  # a colon of the path
        return text, 1.0
    if not abs(scale) <= MOST:
        raise UsageProblem(f"{option} {text}: the {what} must be from -{MOST:g} to {MOST:g}", "as in FILE:0.5")
    return (name, scale) if colon else (text, 1.0)


def found_lora(name: str) -> Path:
    """The file of a name: itself, or the one in a run of that name. Raises CheckpointProblem."""
    for path in (Path(name), ROOT / name):
        if is_file(path):
            return path
        if is_dir(path) and is_file(path / FILE):
            return path / FILE
        if is_dir(path) and checkpoints(path):
            raise CheckpointProblem(f"{path} is no run of finetune --mode lora", f"it has no {FILE}")
    raise CheckpointProblem(f"there is no file or run {name} for --lora", f"diffcli finetune --mode lora writes {FILE}")


@torch.no_grad()
def with_additions(trained: Trained, wanted: Sequence[str]) -> list[Applied]:
    """Sum additions into the weights of a model that is loaded, each by FILE[:scale]; several add up.

    Raises as `found_lora` and `read_additions` do, and UsageProblem for what the model has in it already.
    """
    done, network = [], trained.model.network
    for text in wanted:
        name, scale = name_and_scale(text)
        path = found_lora(name)
        if additions_of(network) and trained.run is not None and path.resolve().parent == trained.run.resolve():
            base = trained.stored.about.get("base", {}).get("from", "the base")
            raise UsageProblem(f"{trained.target} has these additions in it already", f"add them to {base}")
        additions = read_additions(path, network)
        before = _output(trained)
        state = network.state_dict()
        changed = merged({f"{layer}.weight": state[f"{layer}.weight"] for layer in additions}, additions, scale)
        moved = sum((value - state[layer]).square().sum().item() for layer, value in changed.items())
        size = sum(state[layer].square().sum().item() for layer in changed)
        network.load_state_dict(changed, strict=False)
        change = (_output(trained) - before).norm() / before.norm().clamp(min=1e-12)
        done.append(Applied(name, scale, len(additions), (moved / max(size, 1e-24)) ** 0.5, change.item()))
    return done


def _output(trained: Trained) -> Tensor:
    """Of the network, on noise where signal and noise have one size."""
    channels, *sides = trained.items.shape
    device = next(trained.model.parameters()).device
    inputs = 3 if hasattr(trained.model, "prior") else 1
    noise = torch.randn(8, inputs * channels, *sides, generator=keyed(0, "lora"))
    found: Tensor = trained.model.network(noise.to(device), torch.zeros(8, device=device))
    return found
