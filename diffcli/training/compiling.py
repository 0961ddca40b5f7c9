"""Networks compiled by torch.compile, in place: their weights, names, copies and checkpoints know nothing of it."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from diffcli.errors import EnvironmentProblem

PARTS = ("network", "encoder", "decoder")  # what the models of all families call their networks
INDUCTOR = "inductor"


def compile_networks(model: nn.Module, *, backend: Any = INDUCTOR) -> None:
    """Let the networks of a model be compiled when they are first asked; a copy of the model is as before.

    Raises EnvironmentProblem where the compiler does not work on the model's device.
    """
    device = next(model.parameters()).device
    try:
        torch.compile(lambda x: x + 1, backend=backend)(torch.zeros(4, device=device))
    except Exception as error:  # of Python, of torch, of a compiler that is missing
        inner = getattr(error, "inner_exception", error)
        words = str(inner).strip().partition("\n")[0] or type(inner).__name__
        raise EnvironmentProblem(f"torch.compile does not work here: {words}", "train with compile = false") from error
    for network in networks(model):
        network.compile(backend=backend)


def networks(model: nn.Module) -> Iterator[nn.Module]:
    """The parts of a model whose forward takes the time of a step."""
    for name, child in model.named_children():
        if name in PARTS:
            yield child
        else:
            yield from networks(child)
