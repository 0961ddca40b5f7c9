"""The loss of the trained network on fixed points and noises, beside those of the linear and of the exact denoiser."""

import math
from collections.abc import Iterator
from functools import cache

import torch
from torch import Generator, Tensor, nn

from diffcli.core.diffusion.exact import Mixture, covariance_spectrum, linear_loss
from diffcli.core.levels import Level
from diffcli.learn.answers import Seed
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, right, wrong
from diffcli.learn.props import Mlp
from diffcli.learn.tasks.core_5.learning_rate import learning_rate
from diffcli.learn.tasks.core_5.steps_taken import steps_taken
from diffcli.learn.tasks.core_5.stratified_times import stratified_times

SECONDS = 60.0
REPEATS = False
POINTS, WIDTH = 2000, 24
WAY = 2 / 5  # of the way from the linear denoiser's error to the exact one's
PLACES = ("far enough", "below the linear denoiser, not far enough", "above the linear denoiser", "above 1")


def trained(network: nn.Module, data: Tensor, generator: Generator) -> None:
    """Train a network to tell the noise in points of the plane. It is changed in place; nothing has to be returned.

    network:    (x [B, 2], t [B]) -> [B, 2], float32, about 750 weights, untrained. It should give the noise ε in
                x = α x0 + σ ε, for all t between 0 and 1, where α = cos(π t / 2) and σ = sin(π t / 2)
    data:       [N, 2], points x0
    generator:  for all random numbers

    Optimizer, learning rate, batch and number of steps are up to you. 200 steps of Adam with 256 points each and a rate
    that falls from 0.05 to 0 are enough, and take a second. What is looked at: the mean squared error of ε on new
    points, with t evenly spread. From the best linear denoiser's error to the exact one's it has to go at least two
    fifths of the way, for t below 1/3 and again for t between 1/3 and 2/3.
    """
    steps, size = 200, 256
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    for step, t in enumerate(stratified_times(steps, size, generator)):
        x0 = data[torch.randint(len(data), (size,), generator=generator)]
        eps = torch.randn(x0.shape, generator=generator)
        alpha, sigma = torch.cos(math.pi * t / 2), torch.sin(math.pi * t / 2)
        optimizer.param_groups[0]["lr"] = 0.05 * learning_rate(step, steps, 1)
        steps_taken(network, optimizer, [(x0, alpha, sigma, t, eps)], 1.0)


def law() -> Mixture:
    """Two narrow Gaussians, far apart; each coordinate has mean 0 and variance 1."""
    place = math.sqrt(1 - 0.1**2)
    return Mixture(torch.ones(2), torch.tensor([[-place, -place], [place, place]]), torch.tensor([0.1, 0.1]))


class Held(tuple[Tensor, Tensor, Tensor, Tensor, Tensor]):
    """Noisy points, their times and noises, and the expected errors of the linear and of the exact denoiser."""


@cache
def held() -> Held:
    generator, exact = Generator().manual_seed(0), law()
    x0 = exact.draw(POINTS, generator)
    t = (torch.arange(POINTS) + 0.5) / POINTS
    eps = torch.randn(POINTS, 2, generator=generator, dtype=torch.float64)
    angle = (math.pi / 2 * t.double()).unsqueeze(1)
    level = Level(angle.cos(), angle.sin())
    x = level.noised(x0, eps)
    best = (exact(x, level).eps - eps).square().mean(1)
    spectrum = covariance_spectrum(x0)
    return Held((x.float(), t, eps.float(), linear_loss(spectrum, 2, level, "eps").flatten(), best))


def questions(ask: Ask) -> Iterator[Seen]:
    data = law().draw(POINTS, Generator().manual_seed(1)).float()
    network = Mlp(2, width=WIDTH, seed=1)
    state = ask(network, data, Seed(3), want="state")
    network.load_state_dict(state[0])
    x, t, eps, linear, best = held()
    with torch.no_grad():
        error = (network(x, t) - eps).square().mean(1).double()
    rest = []
    for name, part in (("t below 1/3", t < 1 / 3), ("t from 1/3 to 2/3", (t > 1 / 3) & (t < 2 / 3))):
        yours, upper, lower = (float(loss[part].mean()) for loss in (error, linear, best))
        wanted = upper - WAY * (upper - lower)
        case = (
            f"{name}: your error is {yours:.3f}; the best linear denoiser's is {upper:.3f}, "
            f"the exact one's {lower:.3f}. "
            f"Two fifths of the way from {upper:.3f} down to {lower:.3f} are wanted, that is {wanted:.3f} or less"
        )
        reached = zip(PLACES, (wanted, upper, 1.0, math.inf), strict=True)
        yield Seen(case, next((said for said, most in reached if yours <= most), "no number"))
        rest.append(Seen(f"{name}: your error, or {wanted:.3f} where it is less", max(yours, wanted), within=0.15))
    yield from rest


def plain_loop(
    network: nn.Module, data: Tensor, generator: Generator, *, steps: int = 200, clear: bool = True, power: int = 1,
    rest: bool = False, told: float = 1.0, wants: str = "eps", even: bool = False,
) -> None:  # fmt: skip
    """A loop in one piece, with what can be wrong in it."""
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    for step in range(steps):
        x0 = data[torch.randint(len(data), (256,), generator=generator)]
        t = torch.rand(256, generator=generator)
        eps = (torch.rand if even else torch.randn)(x0.shape, generator=generator)
        alpha, sigma = torch.cos(math.pi * t / 2).unsqueeze(1), torch.sin(math.pi * t / 2).unsqueeze(1)
        sigma = 1 - alpha if rest else sigma
        target = {"eps": eps, "x0": x0, "v": alpha * eps - sigma * x0}[wants]
        loss = (network(alpha * x0 + sigma**power * eps, told * t) - target).square().mean()
        if clear:
            optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = 0.025 * (1 + math.cos(math.pi * step / steps))
        optimizer.step()


@wrong("without zero_grad", "the gradients that are there when backward adds to them")
def gradients_added_up(network: nn.Module, data: Tensor, generator: Generator) -> None:
    plain_loop(network, data, generator, clear=False)


@wrong("with x0 as the target", "the target: the noise ε")
def data_for_noise(network: nn.Module, data: Tensor, generator: Generator) -> None:
    plain_loop(network, data, generator, wants="x0")


@wrong("with v as the target, or with σ = 1 − α", "the target, which is ε, and the σ of the noisy points, sin(π t / 2)")
def velocity_for_noise(network: nn.Module, data: Tensor, generator: Generator) -> None:
    plain_loop(network, data, generator, wants="v")


@wrong("with v as the target, or with σ = 1 − α", "the target, which is ε, and the σ of the noisy points, sin(π t / 2)")
def rest_for_noise(network: nn.Module, data: Tensor, generator: Generator) -> None:
    plain_loop(network, data, generator, rest=True)


@wrong("with σ² for σ, or x0 without its α", "the line that makes the noisy points: α x0 + σ ε")
def variance(network: nn.Module, data: Tensor, generator: Generator) -> None:
    plain_loop(network, data, generator, power=2)


@wrong(
    "when the network is always told time 0, or with an angle that is not π t / 2",
    "its second argument in training, and the angle",
)
def untold(network: nn.Module, data: Tensor, generator: Generator) -> None:
    plain_loop(network, data, generator, told=0.0)


@wrong(
    "with too few steps, or too small a learning rate", "the number of steps, the rate, and the noise, which is randn"
)
def too_little(network: nn.Module, data: Tensor, generator: Generator) -> None:
    plain_loop(network, data, generator, steps=20)


@wrong("with uniform noise", "the noise: torch.randn is normal, torch.rand is not")
def uniform_noise(network: nn.Module, data: Tensor, generator: Generator) -> None:
    plain_loop(network, data, generator, even=True)


@right
def in_one_piece(network: nn.Module, data: Tensor, generator: Generator) -> None:
    plain_loop(network, data, generator)


@right
def with_momentum(network: nn.Module, data: Tensor, generator: Generator) -> None:
    steps = 200
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5, momentum=0.9)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        x0 = data[torch.randperm(len(data), generator=generator)[:256]]
        angle = math.pi / 2 * (torch.rand(1, generator=generator) + torch.arange(256)) / 256
        eps = torch.normal(0.0, 1.0, x0.shape, generator=generator)
        x = angle.cos()[:, None] * x0 + angle.sin()[:, None] * eps
        optimizer.zero_grad()
        nn.functional.mse_loss(network(x, angle / (math.pi / 2)), eps).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        falling.step()


@right
def point_by_point_in_turn(network: nn.Module, data: Tensor, generator: Generator) -> nn.Module:
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.05, weight_decay=0)
    for step in range(200):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - step / 200)
        some = data[step % 8 :: 8]
        t = torch.rand(len(some), 1, generator=generator)
        eps = torch.randn(len(some), 2, generator=generator)
        x = torch.cos(math.pi / 2 * t) * some + torch.sin(math.pi / 2 * t) * eps
        loss = torch.sum((eps - network(x, t.squeeze(1))) ** 2) / eps.numel()
        network.zero_grad()
        loss.backward()
        optimizer.step()
    return network


@right
def as_velocity(network: nn.Module, data: Tensor, generator: Generator) -> None:
    """The same minimum with the levels weighted: the error of v is that of ε over α."""
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    for step in range(250):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 250)
        x0 = data[torch.randint(len(data), (256,), generator=generator)]
        t = torch.rand(256, generator=generator)
        eps = torch.randn(256, 2, generator=generator)
        alpha, sigma = torch.cos(math.pi * t / 2)[:, None], torch.sin(math.pi * t / 2)[:, None]
        error = network(alpha * x0 + sigma * eps, t) - eps
        optimizer.zero_grad()
        (error.square() / alpha.square().clamp(min=0.4)).mean().backward()
        optimizer.step()
