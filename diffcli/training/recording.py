"""A step recorded once and played back: a GPU is then not told of each of its thousands of kernels one by one.

What is played back reads and writes the same memory each time. So whatever differs from step to step is copied into
tensors of the recording first: the items, their numbers and times, the factors of this step.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from diffcli.core.devices import sent, widest
from diffcli.core.diffusion.guidance import Conditions
from diffcli.core.draws import BatchDraws, drawn_places
from diffcli.ranks.group import Sum
from diffcli.system.device import empty_cache, out_of_memory
from diffcli.training.step import accumulated, moved, sow
from diffcli.training.trainer import BY_ITEM, Trainer

WARM = 3  # steps before the one that is recorded: state is made and kernels are chosen in them

Act = Callable[[], Tensor]


def cuda_graph(act: Act) -> Act:
    """What plays back all that `act` launches on a GPU, in the order of its dependencies; act itself does nothing."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = act()

    def play() -> Tensor:
        graph.replay()
        return result

    return play


RECORDERS: dict[str, Callable[[Act], Act]] = {"cuda": cuda_graph}
"""By type of device: function of nothing -> what plays it back, with the same tensor as result."""


class Recorder:
    """Steps of one training, played back once they have been recorded.

    batch, seed, clip:  as of `fit`
    steps:  asked for so far
    """

    def __init__(self, trainer: Trainer, *, seed: int, batch: int, clip: float) -> None:
        self.trainer, self.seed, self.batch, self.clip = trainer, seed, batch, clip
        self.device = next(trainer.model.parameters()).device
        self.record = RECORDERS.get(self.device.type)
        self.steps = 0
        self.inputs: dict[str, Tensor] = {}
        self.play: Act | None = None

    def step(self, x0: Tensor, conditions: Conditions, *, scale: float, decay: float, refused: Tensor) -> Tensor | None:
        """What `moved` gives for a step with these items; None where it is not played back, and nothing was done."""
        trainer, device = self.trainer, self.device
        self.steps += 1
        whole = trainer.group.count == 1 and not 0 < trainer.micro < self.batch and trainer.randomness == BY_ITEM
        if self.record is None or not whole or self.steps <= WARM:
            return None
        draws, first = BatchDraws(self.seed, trainer.step, 0, len(x0), self.batch, device), trainer.step * self.batch
        inputs = {f"condition {name}": sent(value, device) for name, value in conditions.items()} | {
            "x0": sent(x0, device),
            "numbers": torch.arange(first, first + len(x0), device=device),
            "places": sent(drawn_places(draws, len(x0)).to(widest(device)), device),
            "factors": sent(torch.tensor([scale, decay]), device),
            "refused": refused,
        }
        if self.play is None:
            self.inputs = {name: value.clone() for name, value in inputs.items()}
            try:
                self.play = self.record(self._act)
            except RuntimeError as error:  # of memory, or of something that waits for the device
                self.record = None
                trainer.optimizer.forget()
                trainer.seen = None
                if out_of_memory(error):
                    empty_cache(device)
                return None
        for name, value in inputs.items():
            self.inputs[name].copy_(value)
        sow(self.seed, trainer.step, 0)
        return self.play().clone()

    def _act(self) -> Tensor:
        known, trainer = self.inputs, self.trainer
        x0, (scale, decay) = known["x0"], known["factors"].unbind()
        told = {name.removeprefix("condition "): v for name, v in known.items() if name.startswith("condition ")}
        draws = BatchDraws(self.seed, 0, 0, len(x0), self.batch, self.device, at=(known["numbers"], known["places"]))
        loss = Sum(accumulated(trainer, x0, told, self.batch, len(x0), lambda _: draws))
        factors = {"scale": scale, "decay": decay, "refused": known["refused"]}
        return moved(trainer, loss, self.batch, clip=self.clip, **factors)
