"""The optimisers: AdamW for all weights, or Muon for those that are matrices and AdamW for the rest."""

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn, optim

from diffcli.ranks.group import ALONE, Group
from diffcli.system.device import use_bf16
from diffcli.training.refusal import RefusableAdamW, clear
from diffcli.training.sharding import rows, shards

SMALL = 1 << 18
"""Numbers of a matrix up to which Muon does those of one shape together: 1.2 to 3.7 times as fast as one by one, on a
processor; 256 by 2304 would be half as slow again."""


class Optimizer:
    """One step for a network at learning rates scaled by the caller; its state is a flat dict of tensors.

    On an accelerator AdamW is `RefusableAdamW`, with the same state. Of a network that is divided it moves the shards,
    and its state is that of the shards.

    name:     "adamw", or "muon": Muon for convolutions and matrices, AdamW for biases, norms and embeddings
    lr:       of AdamW
    muon_lr:  of Muon, which steps along the nearest orthogonal matrix to the momentum (Jordan et al. 2024),
              so it is a length in spectral norm
    weights:  that it moves, by name: those that want a gradient
    moments:  numbers that its state will have, of all ranks: one for a weight of Muon's, two for one of AdamW's
    """

    def __init__(self, network: nn.Module, *, name: str, lr: float, muon_lr: float, weight_decay: float) -> None:
        self._settings: dict[str, Any] = {"name": name, "lr": lr, "muon_lr": muon_lr, "weight_decay": weight_decay}
        known = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
        self.weights = {name: weight for name, weight in shards(network).items() if name in known}
        embeddings = {id(m.weight) for m in network.modules() if isinstance(m, nn.Embedding)}
        matrices = {k: p for k, p in known.items() if name == "muon" and p.dim() > 1 and id(p) not in embeddings}
        self.moments = sum(p.numel() * (1 if k in matrices else 2) for k, p in known.items())
        by_muon = {k: self.weights[k] for k in matrices}
        by_adamw = {k: weight for k, weight in self.weights.items() if k not in matrices}
        self._on_cores = all(weight.device.type == "cpu" for weight in self.weights.values())
        self._device = next(iter(self.weights.values())).device
        kind = optim.AdamW if self._on_cores else RefusableAdamW
        self._parts: list[tuple[optim.Optimizer, float, dict[str, Tensor]]] = []
        if by_adamw:
            adamw: optim.Optimizer = kind(by_adamw.values(), lr=lr, betas=(0.9, 0.99), weight_decay=weight_decay)
            self._parts.append((adamw, lr, by_adamw))
        if by_muon:
            muon = Muon(by_muon.values(), lr=muon_lr, weight_decay=weight_decay)
            if any(matrix is not self.weights[k] for k, matrix in matrices.items()):
                muon.rows = {self.weights[k]: len(matrix) for k, matrix in matrices.items()}
            self._parts.append((muon, muon_lr, by_muon))

    def again(self, network: nn.Module) -> "Optimizer":
        """A fresh one of another network, or of this one in another form."""
        return Optimizer(network, **self._settings)

    @property
    def group(self) -> Group:
        """The ranks that have the same gradients, and share the work of a step."""
        return next((part.group for part, _, _ in self._parts if isinstance(part, Muon)), ALONE)

    @group.setter
    def group(self, group: Group) -> None:
        for part, _, _ in self._parts:
            if isinstance(part, Muon):
                part.group = group

    def step(self, scale: float | Tensor, refuse: Tensor | None = None) -> None:
        """Use the gradients up, with every learning rate times `scale`, which may be a number of an accelerator.

        refuse:  bool [] where the weights are: whether to change nothing instead. An accelerator is not waited for
        """
        if self._on_cores and refuse is not None and bool(refuse):
            self.forget()
            return
        if not self._on_cores:
            refuse = torch.zeros((), dtype=torch.bool, device=self._device) if refuse is None else refuse
            held = self.weights.values()
            clear([weight.grad for weight in held if weight.grad is not None], refuse)
        for part, lr, _ in self._parts:
            for group in part.param_groups:
                group["lr"] = lr * scale
            if isinstance(part, Muon | RefusableAdamW):
                part.refuse = None if self._on_cores else refuse
            part.step()
        self.forget()

    def forget(self) -> None:
        """Drop the gradients."""
        for part, _, _ in self._parts:
            part.zero_grad()

    def state(self) -> dict[str, Tensor]:
        """All that a resume needs: "parameter/quantity" -> tensor."""
        return {
            f"{name}/{quantity}": value
            for part, _, weights in self._parts
            for name, weight in weights.items()
            for quantity, value in part.state[weight].items()
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state()` gave."""
        for part, _, weights in self._parts:
            for name, weight in weights.items():
                prefix = f"{name}/"
                part.state[weight] = {
                    k.removeprefix(prefix): v.to(weight.device, copy=True)
                    for k, v in state.items()
                    if k.startswith(prefix)
                }


class Muon(optim.Optimizer):
    """`torch.optim.Muon` for weights of any shape and memory format, in float32 where there is no bfloat16.

    torch's takes matrices only and knows bfloat16 only. Emulated, its matrix products are 150 times slower than in
    float32, and a training is 20 times slower with them. A convolution is the matrix [out, height * width * in].

    momentum:  of the average of the gradients, taken in Nesterov's way (Jordan et al. 2024)
    group:     ranks with the same gradients: each makes a part of the matrices orthogonal, and all get the result
    refuse:    as of `RefusableAdamW`; None is no
    rows:      of the whole matrices, where what is moved are shards of them; empty where it is matrices
    """

    group: Group = ALONE
    refuse: Tensor | None = None
    rows: Mapping[Tensor, int] = MappingProxyType({})

    def __init__(self, weights: Iterable[Tensor], *, lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        keep = 1.0 if self.refuse is None else (~self.refuse).to(torch.float32)
        for keys in self.param_groups:
            lr, weights = keys["lr"], [weight for weight in keys["params"] if weight.grad is not None]
            directions = [self._direction(weight, keys["momentum"], keep) for weight in weights]
            heights = [self.rows.get(weight, len(weight)) for weight in weights]
            if self.rows:
                updates = _orthogonal_by_rows(directions, heights, self.group)
            else:
                updates = _orthogonal_by_ranks(directions, self.group)
            for weight, update, height in zip(weights, updates, heights, strict=True):
                weight.mul_(1 - lr * keys["weight_decay"] * keep)
                length = lr * math.sqrt(max(1, height / update.shape[1]))
                if self.refuse is not None:
                    update, length = update * (length * keep), 1.0
                weight.add_(_as_weight(update, weight), alpha=-length)

    def _direction(self, weight: Tensor, momentum: float, keep: Tensor | float) -> Tensor:
        """The gradient with its momentum, as a matrix. keep: 0 where the step is refused, else 1"""
        assert weight.grad is not None
        gradient, state = _as_matrix(weight.grad), self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        average = state["momentum_buffer"].lerp_(gradient, (1 - momentum) * keep)
        return gradient.lerp(average, momentum)


def _orthogonal_by_ranks(matrices: list[Tensor], group: Group) -> list[Tensor]:
    """`orthogonal` of every matrix: each rank makes its own, and sends them to the others."""
    if group.count == 1:
        return all_orthogonal(matrices)
    owners = shared_out([matrix.shape for matrix in matrices], group.count)
    own = [matrix for matrix, owner in zip(matrices, owners, strict=True) if owner == group.rank]
    mine = [matrix.flatten() for matrix in all_orthogonal(own)]
    dtype = _type(matrices[0].device)
    parts = group.every(torch.cat([matrices[0].new_empty(0, dtype=dtype), *mine]), _sizes(matrices, owners, group))
    taken, found = [0] * group.count, []
    for matrix, owner in zip(matrices, owners, strict=True):
        found.append(parts[owner][taken[owner] : taken[owner] + matrix.numel()].view(matrix.shape))
        taken[owner] += matrix.numel()
    return found


def _orthogonal_by_rows(parts: list[Tensor], heights: list[int], group: Group) -> list[Tensor]:
    """This rank's rows of `orthogonal` of every matrix: the rows of each meet at one rank, and go back from there.

    parts:    this rank's rows of each
    heights:  of the whole matrices
    """
    ranks, widths = range(group.count), [part.shape[1] for part in parts]
    owners = shared_out(list(zip(heights, widths, strict=True)), group.count)
    owned = [[i for i, owner in enumerate(owners) if owner == rank] for rank in ranks]
    mine, shares = owned[group.rank], [rows(height, group.count) for height in heights]

    def shapes(matrices: list[int], rank: int) -> list[tuple[int, int]]:
        """Of what a rank has of these matrices."""
        return [(shares[i][rank], widths[i]) for i in matrices]

    met = group.exchanged([[parts[i] for i in one] for one in owned], [shapes(mine, rank) for rank in ranks], parts[0])
    done = all_orthogonal([torch.cat(pieces) for pieces in zip(*met, strict=True)])
    cut = [matrix.split(shares[i]) for i, matrix in zip(mine, done, strict=True)]
    like = parts[0].new_empty(0, dtype=_type(parts[0].device))
    back = group.exchanged(
        [[pieces[rank] for pieces in cut] for rank in ranks], [shapes(owned[rank], group.rank) for rank in ranks], like
    )
    found = {i: piece for one, pieces in zip(owned, back, strict=True) for i, piece in zip(one, pieces, strict=True)}
    return [found[i] for i in range(len(parts))]


def shared_out(shapes: Sequence[Sequence[int]], ranks: int) -> list[int]:
    """The rank that makes each matrix orthogonal: the dearest one first, to whoever has least to do."""
    costs = [min(shape) * max(shape) * min(shape) for shape in shapes]
    work, owners = [0] * ranks, [0] * len(shapes)
    for place in sorted(range(len(shapes)), key=lambda i: -costs[i]):
        owners[place] = work.index(min(work))
        work[owners[place]] += costs[place]
    return owners


def _sizes(matrices: list[Tensor], owners: list[int], group: Group) -> list[int]:
    """How many numbers each rank sends."""
    return [sum(m.numel() for m, o in zip(matrices, owners, strict=True) if o == rank) for rank in range(group.count)]


def all_orthogonal(matrices: Sequence[Tensor]) -> list[Tensor]:
    """`orthogonal` of every matrix, within rounding. In bfloat16 small ones of one shape are done together.

    Most of such a product is overhead. In float32 it is not, and together they are no faster.
    """
    together = bool(matrices) and _type(matrices[0].device) == torch.bfloat16
    alike: dict[tuple[int, ...], list[int]] = {}
    for place, matrix in enumerate(matrices):
        key = tuple(matrix.shape) if together and matrix.numel() <= SMALL else (place,)
        alike.setdefault(key, []).append(place)
    found = list(matrices)
    for places in alike.values():
        some = [matrices[place] for place in places]
        done = orthogonal(torch.stack(some)) if len(some) > 1 else [orthogonal(some[0])]
        for place, matrix in zip(places, done, strict=True):
            found[place] = matrix
    return found


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix [h, w], or many [n, h, w], with singular values brought to between 0.7 and 1.2.

    Newton-Schulz iterations (Jordan et al. 2024).
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    added = torch.baddbmm if matrix.dim() == 3 else torch.addmm
    x = matrix.to(_type(matrix.device), copy=True)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x.div_(x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7))
    for _ in range(5):
        gram = x @ x.mT
        x = added(x, added(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def _type(device: torch.device) -> torch.dtype:
    """Of the numbers that `orthogonal` computes with."""
    return torch.bfloat16 if use_bf16("auto", device) else torch.float32


def _as_matrix(weight: Tensor) -> Tensor:
    """[out, in, height, width] -> [out, height * width * in]; a matrix as it is."""
    return weight.permute(0, *range(2, weight.dim()), 1).flatten(1) if weight.dim() > 2 else weight


def _as_weight(matrix: Tensor, like: Tensor) -> Tensor:
    """The inverse of `_as_matrix`, for a weight of the shape of `like`; it shares the matrix's memory."""
    if like.dim() == 2:
        return matrix
    return matrix.unflatten(1, (*like.shape[2:], like.shape[1])).movedim(-1, 1)
