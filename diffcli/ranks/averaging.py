"""Gradients summed over the ranks while the backward pass still runs."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from diffcli.ranks.group import Group, Sum

BUCKET = 4 << 20  # bytes that travel together: little ones would be all latency, one large one would wait for the end


class Averaging:
    """Adds the gradients of all ranks, bucket by bucket, as soon as the backward pass has finished one.

    torch's DistributedDataParallel does the same, but wants to be the module that is called, and cannot go on where
    memory has run out in the middle of a backward pass. Here the step is repeated, and what was sent stays sent.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], group: Group, size: int = BUCKET) -> None:
        self.group = group
        self.buckets: list[list[nn.Parameter]] = []
        filled = size
        for parameter in reversed([p for p in parameters if p.requires_grad]):  # about the order of the backward pass
            if filled >= size or self.buckets[-1][0].device != parameter.device:
                self.buckets.append([])
                filled = 0
            self.buckets[-1].append(parameter)
            filled += parameter.numel() * parameter.element_size()
        self.sent: list[Sum] = []
        self.waiting: list[set[nn.Parameter]] = []
        self.armed = False
        if group.count > 1:
            for number, bucket in enumerate(self.buckets):
                for parameter in bucket:
                    parameter.register_post_accumulate_grad_hook(lambda p, number=number: self._ready(number, p))

    def arm(self) -> None:
        """The backward pass that comes now is the last one of the step."""
        self.armed = self.group.count > 1
        self.waiting = [set(bucket) for bucket in self.buckets]

    def finish(self) -> None:
        """Wait for all sums; the gradients are then those of the whole batch."""
        if self.group.count == 1:
            return
        while len(self.sent) < len(self.buckets):  # a parameter that had no part in the loss held it back
            self._send()
        for bucket, sum_ in zip(self.buckets, self.sent, strict=True):
            parts = sum_.wait().split([p.numel() for p in bucket])
            for parameter, part in zip(bucket, parts, strict=True):
                parameter.grad = _unflattened(part, parameter)
        self.sent, self.armed = [], False

    def _ready(self, number: int, parameter: nn.Parameter) -> None:
        if not self.armed:
            return
        self.waiting[number].discard(parameter)
        while len(self.sent) < len(self.buckets) and not self.waiting[len(self.sent)]:  # the same order on all ranks
            self._send()

    def _send(self) -> None:
        bucket = self.buckets[len(self.sent)]
        self.sent.append(self.group.summed(torch.cat([_flattened(p) for p in bucket])))


def _flattened(parameter: nn.Parameter) -> Tensor:
    """The gradient in the order in which the weight lies in memory."""
    gradient = parameter.grad
    if gradient is None:
        return torch.zeros(parameter.numel(), dtype=parameter.dtype, device=parameter.device)
    if parameter.dim() == 4:  # convolutions are channels_last
        return gradient.permute(0, 2, 3, 1).reshape(-1)
    return gradient.reshape(-1)


def _unflattened(part: Tensor, parameter: nn.Parameter) -> Tensor:
    if parameter.dim() == 4:
        count, channels, height, width = parameter.shape
        return part.view(count, height, width, channels).permute(0, 3, 1, 2)
    return part.view(parameter.shape)
