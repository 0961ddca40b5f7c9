"""The peers as they race: network, loss, optimiser, average of the weights and samplers, each the library's own.

Images are float32 [B, 1, 28, 28] in [-1, 1], classes int64 [B]. Random numbers are torch's global ones.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import Optimizer

SIZE, CLASSES, LENGTH = 28, 10, 1000  # of MNIST; steps of the chain
DROP = 0.1  # share of images trained without their class


class Walk(NamedTuple):
    """How images are drawn: `sampler` is one of the peer's, guidance 1 is none."""

    sampler: str
    steps: int
    guidance: float = 1.0

    def __str__(self) -> str:
        return f"{self.sampler} {self.steps}" + (f", guidance {self.guidance:g}" if self.guidance != 1 else "")


@dataclass(frozen=True)
class Documented:
    """What a library's own documentation trains with.

    falls:  whether the learning rate falls along a half cosine; else it stays
    """

    batch: int
    rate: float
    warmup: int
    falls: bool


@dataclass(frozen=True)
class Peer:
    """One library's model, with or without classes.

    network:    what is trained, and whose weights are saved
    loss:       (images, classes or None) -> mean loss
    optimizer:  learning rate -> the library's, with its other settings
    average:    makes what averages the weights: a function to call after each step, and one that gives their state
    draw:       (walk, how many images, their classes or None) -> images
    """

    network: nn.Module
    loss: Callable[[Tensor, Tensor | None], Tensor]
    optimizer: Callable[[float], Optimizer]
    average: Callable[[], tuple[Callable[[], None], Callable[[], dict[str, Tensor]]]]
    draw: Callable[[Walk, int, Tensor | None], Tensor]

    def parameters(self) -> int:
        return sum(p.numel() for p in self.network.parameters())


# diffusers


def diffusers_network(classes: int = 0) -> nn.Module:
    """UNet2DModel in the size of these images; with classes it has one more, which means that none is given."""
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=SIZE,
        in_channels=1,
        out_channels=1,
        layers_per_block=2,
        block_out_channels=(32, 64, 128),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        num_class_embeds=classes + 1 if classes else None,
    )


def diffusers_optimizer(network: nn.Module, rate: float) -> Optimizer:
    """That of the example of unconditional training."""
    return torch.optim.AdamW(network.parameters(), lr=rate, betas=(0.95, 0.999), weight_decay=1e-6, eps=1e-8)


def diffusers_peer(classed: bool) -> Peer:
    """The library's example of unconditional training; classes by its network's embedding, dropped for guidance."""
    from diffusers import DDPMScheduler
    from diffusers.training_utils import EMAModel

    network = diffusers_network(CLASSES if classed else 0)
    chain = DDPMScheduler(num_train_timesteps=LENGTH)

    def loss(x0: Tensor, labels: Tensor | None) -> Tensor:
        noise, t = torch.randn(x0.shape), torch.randint(0, LENGTH, (len(x0),))
        told = {} if labels is None else {"class_labels": labels.where(torch.rand(len(x0)) >= DROP, CLASSES)}
        return F.mse_loss(network(chain.add_noise(x0, noise, t), t, **told).sample, noise)

    def average() -> tuple[Callable[[], None], Callable[[], dict[str, Tensor]]]:
        ema = EMAModel(network.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=3 / 4)

        def state() -> dict[str, Tensor]:
            names = [name for name, _ in network.named_parameters()]
            return network.state_dict() | dict(zip(names, ema.shadow_params, strict=True))

        return lambda: ema.step(network.parameters()), state

    return Peer(network, loss, partial(diffusers_optimizer, network), average, partial(_diffusers_draw, network))


@torch.no_grad()
def _diffusers_draw(network: nn.Module, walk: Walk, count: int, labels: Tensor | None) -> Tensor:
    """One of the library's schedulers, as it is, but that its DPM-Solver clips as well: without it most are no digits.

    Guidance evaluates both halves of a batch at once.
    """
    from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

    clipping = partial(DPMSolverMultistepScheduler, thresholding=True, sample_max_value=1.0)
    known = {"dpm-solver": clipping, "ddim": DDIMScheduler, "ddpm": DDPMScheduler}
    scheduler = known[walk.sampler](num_train_timesteps=LENGTH)
    scheduler.set_timesteps(walk.steps)
    network.eval()
    x = torch.randn(count, 1, SIZE, SIZE)
    for t in scheduler.timesteps:
        if labels is None:
            eps = network(x, t).sample
        else:
            both = torch.cat([labels, torch.full_like(labels, CLASSES)])
            told, free = network(x.repeat(2, 1, 1, 1), t, class_labels=both).sample.chunk(2)
            eps = free + walk.guidance * (told - free)
        x = scheduler.step(eps, t, x).prev_sample
    return x


# denoising-diffusion-pytorch


def lucidrains_network() -> nn.Module:
    from denoising_diffusion_pytorch import denoising_diffusion_pytorch as library

    return library.Unet(dim=32, dim_mults=(1, 2, 4), channels=1)


def lucidrains_optimizer(network: nn.Module, rate: float) -> Optimizer:
    """That of the library's Trainer."""
    return torch.optim.Adam(network.parameters(), lr=rate, betas=(0.9, 0.99))


def lucidrains_peer(classed: bool) -> Peer:
    """The library's Trainer; classes by its module of classifier-free guidance, in the size of the other network."""
    from ema_pytorch import EMA

    diffusion = _guided_diffusion() if classed else _plain_diffusion()
    network = diffusion.model

    def loss(x0: Tensor, labels: Tensor | None) -> Tensor:
        unit = (x0 + 1) / 2  # it takes [0, 1]
        return diffusion(unit) if labels is None else diffusion(unit, classes=labels)

    def average() -> tuple[Callable[[], None], Callable[[], dict[str, Tensor]]]:
        ema = EMA(diffusion, beta=0.995, update_every=10)
        return ema.update, lambda: ema.ema_model.model.state_dict()

    return Peer(network, loss, partial(lucidrains_optimizer, network), average, partial(_lucidrains_draw, diffusion))


def _plain_diffusion() -> Any:
    from denoising_diffusion_pytorch import denoising_diffusion_pytorch as library

    library.tqdm = _silent
    return library.GaussianDiffusion(lucidrains_network(), image_size=SIZE, timesteps=LENGTH)


def _guided_diffusion() -> Any:
    from denoising_diffusion_pytorch import classifier_free_guidance as library

    library.tqdm = _silent
    network = library.Unet(dim=32, num_classes=CLASSES, cond_drop_prob=DROP, dim_mults=(1, 2, 4), channels=1)
    return library.GaussianDiffusion(network, image_size=SIZE, timesteps=LENGTH)


def _silent(walk: Any, **_: Any) -> Any:
    """The samplers draw a progress bar otherwise."""
    return walk


@torch.no_grad()
def _lucidrains_draw(diffusion: Any, walk: Walk, count: int, labels: Tensor | None) -> Tensor:
    """The library's `sample`: ddim with eta 0, ddim-eta with eta 1, ddpm."""
    diffusion.eval()
    diffusion.sampling_timesteps = walk.steps
    diffusion.is_ddim_sampling = walk.sampler != "ddpm"
    diffusion.ddim_sampling_eta = 1.0 if walk.sampler == "ddim-eta" else 0.0
    unit = diffusion.sample(batch_size=count) if labels is None else diffusion.sample(labels, cond_scale=walk.guidance)
    return 2 * unit - 1


class Library(NamedTuple):
    """What is known of a peer beside its model.

    package:   that must be there
    walks:     few-step samplers to choose from, and `guided` those with classes
    ladder:    samplers without classes by cost; the last one is the whole chain
    """

    package: str
    build: Callable[[bool], Peer]
    documented: Documented
    walks: tuple[Walk, ...]
    guided: tuple[Walk, ...]
    ladder: tuple[Walk, ...]


FEW = Walk("dpm-solver", 20), Walk("ddim", 50), Walk("ddpm", 50)  # of diffusers

LIBRARIES: dict[str, Library] = {
    "diffusers": Library(
        "diffusers",
        diffusers_peer,
        Documented(batch=16, rate=1e-4, warmup=500, falls=True),
        FEW,
        tuple(walk._replace(guidance=guidance) for walk in FEW for guidance in (1.5, 3.0)),
        (Walk("dpm-solver", 5), Walk("dpm-solver", 10), *FEW, Walk("ddim", 100), Walk("ddpm", LENGTH)),
    ),
    "lucidrains": Library(
        "denoising_diffusion_pytorch",
        lucidrains_peer,
        Documented(batch=32, rate=8e-5, warmup=0, falls=False),
        (Walk("ddim", 50), Walk("ddim-eta", 50)),
        (*(Walk("ddim", 50, guidance) for guidance in (1.5, 3.0, 6.0)), Walk("ddim-eta", 50, 6.0)),
        (*(Walk("ddim", steps) for steps in (5, 10, 20, 50, 100, 250)), Walk("ddpm", LENGTH)),
    ),
}


def precision(bf16: bool) -> Any:
    """What a loss is computed in: bf16 as the libraries' mixed precision has it, or float32."""
    return torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext()
