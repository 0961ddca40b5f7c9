"""Weights, average, gradients and moments divided over the ranks, for what does not fit one device.

torch's `fully_shard` does it: every rank holds some rows of each weight, its shard. A block's weights are whole only
while it computes, forward or backward, and of its gradient each rank is left with the rows that are its own. What is
done number by number, as by AdamW, is done to the shards, which are tensors like any others.
"""

import warnings
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from diffcli.core.models.vae import Residual
from diffcli.ranks.group import Group
from diffcli.training.compiling import networks


def divide(model: nn.Module, device: torch.device, ranks: int) -> None:
    """Leave each rank its shards of the networks of a model, on its device; all ranks must call this with the same.

    Gradients become sums over the ranks, not means.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    if device.type == "cuda":
        torch.cuda.set_device(device)
    warnings.filterwarnings("ignore", "FSDP2-wrapped module")  # nothing is changed in place of what networks return
    mesh = init_device_mesh(device.type, (ranks,))
    model.to(device)
    for network in networks(model):
        network.to(memory_format=torch.contiguous_format)  # fully_shard takes no other
        for part in (*blocks(network), network):
            divided = fully_shard(part, mesh=mesh)
            divided.set_gradient_divide_factor(1.0)
            divided.set_force_sum_reduction_for_comms(True)  # gloo knows no scaled sums
    assert all(hasattr(weight, "to_local") for weight in model.parameters()), "a weight outside the networks"


def blocks(network: nn.Module) -> list[nn.Module]:
    """The parts whose weights come together, inner ones first: members of lists of modules, and residual blocks."""

    def found() -> Iterator[nn.Module]:
        for module in network.modules():
            if isinstance(module, nn.ModuleList):
                yield from (m for m in module if not isinstance(m, nn.ModuleList | nn.ModuleDict))
            elif isinstance(module, Residual):
                yield module

    return [block for block in reversed(dict.fromkeys(found())) if any(True for _ in block.parameters())]


@torch.no_grad()
def shards(model: nn.Module) -> dict[str, Tensor]:
    """By name what this rank holds of the weights, in the memory where they lie: the weights themselves, or shards."""
    return {name: _shard(weight) for name, weight in model.named_parameters()}


def _shard(weight: Tensor) -> Tensor:
    local = getattr(weight, "to_local", None)
    return weight if local is None else local().detach()


def rows(whole: int, ranks: int) -> list[int]:
    """Of so many rows those that each rank has: as many as the first one, to the last that are left."""
    each = -(-whole // ranks)
    return [max(0, min(each, whole - each * rank)) for rank in range(ranks)]


def shard_of(tensor: Tensor, group: Group) -> Tensor:
    """The rows of a whole tensor that are this rank's; a number is everybody's."""
    return tensor.split(rows(len(tensor), group.count))[group.rank] if tensor.dim() else tensor


def whole(parts: Mapping[str, Tensor], group: Group) -> dict[str, Tensor]:
    """Shards put together, in the processor's memory of rank 0; nothing on the others. All ranks must call this."""
    found = {}
    for name, part in sorted(parts.items()):  # one order on all ranks, whatever files their state came from
        tensor = group.gathered(part)
        if group.leads:
            found[name] = tensor.cpu()
    return found


class Divided:
    """What `Averaging` is where nothing is divided. torch has summed the gradients when the backward pass is over.

    Micro-batches are summed one by one: until the last one, whole gradients would have to be kept.

    held:  shards by name, those that the optimiser moves
    """

    def __init__(self, model: nn.Module, held: Mapping[str, Tensor]) -> None:
        self.pairs = [(weight, held[name]) for name, weight in model.named_parameters()]

    def arm(self) -> None:
        """The backward pass that comes now is the last one of the step."""

    @torch.no_grad()
    def finish(self) -> None:
        """Hand the gradients over to the shards."""
        for weight, shard in self.pairs:
            shard.grad = None if weight.grad is None else _shard(weight.grad)
            weight.grad = None
