"""A step that is refused on an accelerator, where nobody waits to see whether it is.

torch's fused AdamW has a flag for it, `found_inf`, but the kernel for Apple's GPUs does not look at it (torch 2.14).
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, optim

LEAST = 1e-12  # of what a moment is divided by: 0 before the first step, which may be refused


def clear(gradients: Sequence[Tensor], refuse: Tensor) -> None:
    """Make float32 gradients 0 where the step is refused: as whole numbers, since 0 times nan is nan."""
    torch._foreach_mul_([gradient.view(torch.int32) for gradient in gradients], (~refuse).to(torch.int32))


class RefusableAdamW(optim.Optimizer):
    """`torch.optim.AdamW` (Loshchilov & Hutter 2019, algorithm 2) that leaves everything as it is if told to refuse.

    refuse:  of the step that comes: bool [] where the weights are; gradients are `clear` of nan and inf then
    """

    def __init__(
        self, weights: Iterable[Tensor], *, lr: float, betas: tuple[float, float], weight_decay: float
    ) -> None:
        super().__init__(weights, {"lr": lr, "betas": betas, "eps": 1e-8, "weight_decay": weight_decay})
        self.refuse: Tensor | None = None

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        assert self.refuse is not None
        keep = (~self.refuse).to(torch.float32)
        for keys in self.param_groups:
            weights = [weight for weight in keys["params"] if weight.grad is not None]
            if weights:
                self._move(weights, [weight.grad for weight in weights], keep, **keys)

    def _move(
        self, weights: list[Tensor], gradients: list[Tensor], keep: Tensor, *,
        lr: float, betas: tuple[float, float], eps: float, weight_decay: float, **_: object,
    ) -> None:  # fmt: skip
        for weight in weights:
            if not self.state[weight]:
                self.state[weight] = {
                    "step": torch.zeros((), device=weight.device),
                    "exp_avg": torch.zeros_like(weight),
                    "exp_avg_sq": torch.zeros_like(weight),
                }
        steps, means, squares = (
            [self.state[weight][name] for weight in weights] for name in ("step", "exp_avg", "exp_avg_sq")
        )
        torch._foreach_add_(steps, [keep] * len(steps))
        torch._foreach_mul_(weights, 1 - lr * weight_decay * keep)
        for moments, beta in ((means, betas[0]), (squares, betas[1])):
            torch._foreach_mul_(moments, 1 - (1 - beta) * keep)
        torch._foreach_add_(means, gradients, alpha=1 - betas[0])
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - betas[1])

        first, second = (torch._foreach_pow(beta, steps) for beta in betas)
        sizes = torch._foreach_sqrt(squares)
        torch._foreach_div_(sizes, [(1 - power).clamp(min=LEAST).sqrt() for power in second])
        torch._foreach_add_(sizes, eps)
        torch._foreach_mul_(sizes, [(1 - power).clamp(min=LEAST) for power in first])
        moved = torch._foreach_div(means, sizes)
        torch._foreach_mul_(moved, -lr * keep)
        torch._foreach_add_(weights, moved)
