"""A learner's loss trains a denoiser of MNIST; their matrix, their memory and it are held beside the package's."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli.core.diffusion.denoising_autoencoder import Autoencoder
from diffcli.core.processes.corruption import GaussianNoise, moments, per_image
from diffcli.core.randomness import image_noise, keyed
from diffcli.data.loading import load_dataset
from diffcli.evaluation.denoisers import Baselines
from diffcli.learn.running import Outcome
from diffcli.metrics import quality
from diffcli.pictures.grid import grid

Functions = Mapping[str, Callable[..., Tensor]]

NEEDS = ("add_noise", "psnr", "linear_denoiser", "memorising_denoiser", "denoising_loss")
SIGMA, LOW, HIGH = 0.5, 0.25, 1.0  # of the test; of training, evenly in its logarithm
STEPS, BATCH, TEST, KNOWN, CHANNELS = 500, 64, 200, 20_000, 32
REMEMBERED, AT_ONCE = 5000, 10  # images: whoever subtracts them all from all needs 160 MB for it
CLOSE = 0.02  # dB
PICTURE = "denoised.png: ten test images; with noise; by your matrix; by your memory; by your network"
TITLES = {"noisy": "as they are", "linear": "your matrix", "memorising": "your memory", "network": "your network"}


class Block(nn.Module):
    """h + two convolutions of it, the second of which begins as nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(2))
        nn.init.zeros_(self.second.weight)

    def forward(self, h: Tensor) -> Tensor:
        found: Tensor = h + self.second(F.silu(self.first(h)))
        return found


class Network(nn.Module):
    """(y [B, 1, H, W], log_snr [B]) -> like y: a few convolutions over squares of four pixels."""

    def __init__(self) -> None:
        super().__init__()
        enter, leave = nn.Conv2d(8, CHANNELS, 3, padding=1), nn.Conv2d(CHANNELS, 4, 3, padding=1)
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2), enter, nn.SiLU(), Block(), Block(), nn.SiLU(), leave, nn.PixelShuffle(2)
        )

    def forward(self, y: Tensor, log_snr: Tensor) -> Tensor:
        found: Tensor = self.layers(torch.cat([y, log_snr.reshape(-1, 1, 1, 1).expand_as(y) / 2], dim=1))
        return found


def compute(functions: Functions, out: Path) -> Iterator[str]:
    """Train, denoise, measure; the numbers go to numbers.json."""
    torch.manual_seed(0)
    network, train = Autoencoder(Network(), GaussianNoise()), load_dataset("mnist")
    optimizer = torch.optim.Adam(network.parameters(), lr=4e-3)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, STEPS)
    for step in range(1, STEPS + 1):
        generator = keyed(0, "batch", step)
        x, _ = train.take(torch.randint(len(train), (BATCH,), generator=generator))
        sigma = LOW * (HIGH / LOW) ** torch.rand(BATCH, generator=generator)
        loss = functions["denoising_loss"](network, x, sigma, torch.randn(x.shape, generator=generator)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        falling.step()
        if step % (STEPS // 5) == 0:
            yield f"step {step} of {STEPS}: your loss of this batch is {loss.item():.3f}"
    clean, known = load_dataset("mnist", "test").take(torch.arange(TEST))[0], train.take(torch.arange(KNOWN))[0]
    noise = image_noise(0, "noise", range(TEST), clean.shape[1:])
    noisy = functions["add_noise"](clean, torch.full((TEST,), SIGMA), noise)
    yield f"{TEST} test images with noise of σ = {SIGMA}: four denoisers, and the package's beside yours"
    amounts = torch.linspace(LOW, HIGH, TEST)
    with torch.no_grad():
        yours = {"noisy": noisy, "network": network(noisy, torch.full((TEST,), SIGMA))}
        loss = functions["denoising_loss"](network, clean, amounts, noise)
        known_loss = network.loss(clean, clean + per_image(amounts, clean) * noise, amounts)
    mean, covariance = (moment.float() for moment in moments(known))
    yours["linear"] = functions["linear_denoiser"](noisy.flatten(1), mean, covariance, SIGMA)
    remembered = known[:REMEMBERED].flatten(1)
    parts = [functions["memorising_denoiser"](y, remembered, SIGMA) for y in noisy.flatten(1).split(AT_ONCE)]
    yours["memorising"] = torch.cat([torch.as_tensor(part) for part in parts])
    ours = Baselines(GaussianNoise(), known).at(SIGMA, network)
    ours["memorising"] = Baselines(GaussianNoise(), known[:REMEMBERED]).at(SIGMA, network)["memorising"]
    found = {name: torch.as_tensor(yours[name]).reshape(clean.shape).float().clamp(-1, 1) for name in TITLES}
    found["noisy"] = noisy  # as it is: noise is not clipped
    numbers = {"loss": {"yours": loss.mean().item(), "package": known_loss.mean().item()}}
    for name, images in found.items():
        beside = clean + SIGMA * noise if name == "noisy" else images if name == "network" else ours[name](noisy)
        mine = torch.as_tensor(functions["psnr"](images, clean)).mean().item()
        numbers[name] = {"yours": mine, "package": quality.psnr(beside, clean).mean().item()}
    (out / "numbers.json").write_text(json.dumps(numbers, indent=1), "utf-8")
    grid(torch.cat([clean[:10], *(images[:10].clamp(-1, 1) for images in found.values())]), columns=10).save(
        out / "denoised.png"
    )


def judged(out: Path) -> Outcome:
    """Yours and the package's agree, and the network beats the matrix, which beats the memory."""
    found = json.loads((out / "numbers.json").read_text("utf-8"))
    loss = found.pop("loss")
    rows = [f"{TITLES[name]:15} {row['yours']:8.2f} {row['package']:14.2f}" for name, row in found.items()]
    agree = all(abs(row["yours"] - row["package"]) < CLOSE for row in found.values())
    agree = agree and abs(loss["yours"] / loss["package"] - 1) < 1e-3
    order = [found[name]["package"] for name in ("noisy", "memorising", "linear", "network")]
    last = f"your network    {loss['yours']:8.4f} {loss['package']:14.4f}"
    lines = ("PSNR in dB         yours  the package's", *rows, "loss               yours  the package's", last, PICTURE)
    return Outcome(agree and order == sorted(order), lines, ("denoised.png",))
