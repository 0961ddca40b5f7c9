"""The optimisers: AdamW for all weights, or Muon for those that are matrices and AdamW for the rest."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn, optim

from diffcli.system.device import use_bf16


class Optimizer:
    """One step for a network at learning rates scaled by the caller; its state is a flat dict of tensors.

    name:     "adamw", or "muon": Muon for convolutions and matrices, AdamW for biases, norms and embeddings
    lr:       of AdamW
    muon_lr:  of Muon, which steps along the nearest orthogonal matrix to the momentum (Jordan et al. 2024),
              so it is a length in spectral norm
    """

    def __init__(self, network: nn.Module, *, name: str, lr: float, muon_lr: float, weight_decay: float) -> None:
        embeddings = {id(m.weight) for m in network.modules() if isinstance(m, nn.Embedding)}
        by_muon = {
            k: p for k, p in network.named_parameters() if name == "muon" and p.dim() > 1 and id(p) not in embeddings
        }
        by_adamw = {k: p for k, p in network.named_parameters() if k not in by_muon}
        # Muon takes matrices only: it works on views that share the memory of the weights.
        self._views = [(weight, nn.Parameter(_as_matrix(weight.detach()))) for weight in by_muon.values()]
        self._adamw = optim.AdamW(by_adamw.values(), lr=lr, betas=(0.9, 0.99), weight_decay=weight_decay)
        self._owners: list[tuple[str, optim.Optimizer, nn.Parameter]] = [
            (k, self._adamw, p) for k, p in by_adamw.items()
        ]
        self._parts: list[tuple[optim.Optimizer, float]] = [(self._adamw, lr)]
        if by_muon:
            muon = Muon([view for _, view in self._views], lr=muon_lr, weight_decay=weight_decay)
            self._owners += [(k, muon, view) for k, (_, view) in zip(by_muon, self._views, strict=True)]
            self._parts.append((muon, muon_lr))

    def step(self, scale: float) -> None:
        """Use the gradients up, with every learning rate times `scale`."""
        for weight, view in self._views:
            view.grad = None if weight.grad is None else _as_matrix(weight.grad)
        for part, lr in self._parts:
            for group in part.param_groups:
                group["lr"] = lr * scale
            part.step()
        self.forget()

    def forget(self) -> None:
        """Drop the gradients."""
        for part, _ in self._parts:
            part.zero_grad()
        for weight, _ in self._views:
            weight.grad = None

    def state(self) -> dict[str, Tensor]:
        """All that a resume needs: "parameter/quantity" -> tensor."""
        return {
            f"{name}/{quantity}": value for name, part, p in self._owners for quantity, value in part.state[p].items()
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state()` gave."""
        for name, part, p in self._owners:
            prefix = f"{name}/"
            part.state[p] = {k.removeprefix(prefix): v.clone() for k, v in state.items() if k.startswith(prefix)}


class Muon(optim.Optimizer):
    """`torch.optim.Muon`, which knows bfloat16 only, in float32 where the processor has no bfloat16.

    Emulated, its matrix products are 150 times slower than in float32, and a training is 20 times slower with them.

    momentum:  of the average of the gradients, taken in Nesterov's way (Jordan et al. 2024)
    """

    def __init__(self, matrices: Iterable[Tensor], *, lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                average = state["momentum_buffer"].lerp_(matrix.grad, 1 - momentum)
                update = orthogonal(matrix.grad.lerp(average, momentum))
                matrix.mul_(1 - lr * group["weight_decay"])
                matrix.add_(update, alpha=-lr * math.sqrt(max(1, matrix.shape[0] / matrix.shape[1])))


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with its singular values brought to between 0.7 and 1.2: Newton-Schulz (Jordan et al. 2024)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.to(torch.bfloat16 if use_bf16("auto", matrix.device) else torch.float32, copy=True)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x.div_(x.norm().clamp(min=1e-7))
    for _ in range(5):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


def _as_matrix(weight: Tensor) -> Tensor:
    """[out, in, height, width] -> [out, height * width * in], a view of a weight in channels_last memory."""
    return weight.permute(0, *range(2, weight.dim()), 1).flatten(1) if weight.dim() > 2 else weight
