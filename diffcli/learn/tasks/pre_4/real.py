"""A learner's bound trains a small VAE on MNIST; then it is held to the package's, on the same network and noise."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor, nn

from diffcli.core.processes import variational
from diffcli.core.processes.laws.pixels import Bits, bits
from diffcli.core.randomness import keyed
from diffcli.data.dataset import Dataset
from diffcli.data.loading import load_dataset
from diffcli.learn.running import Outcome
from diffcli.pictures.grid import grid

Functions = Mapping[str, Callable[..., Tensor]]

NEEDS = ("elbo", "importance_weighted_bound")
UNITS, WIDTH, STEPS, BATCH, TEST, SAMPLES = 16, 256, 2000, 128, 1000, 50
CLOSE = 0.01  # nats, of bounds of about 100
SLOW = 4  # times what the package takes for a step


def compute(functions: Functions, out: Path) -> Iterator[str]:
    """Train, judge, draw; the numbers go to numbers.json."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(784, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 2 * UNITS))
    decoder = nn.Sequential(nn.Linear(UNITS, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 784))
    train, test = load_dataset("mnist"), load_dataset("mnist", "test")
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
    spent, looked = 0.0, False
    for step in range(1, STEPS + 1):
        places = torch.randint(len(train), (BATCH,), generator=keyed(0, "batch", step))
        noise = torch.randn(BATCH, UNITS, generator=keyed(0, "noise", step))
        coins, start = _coins(train, places, "train", step), perf_counter()
        bound = functions["elbo"](encoder, decoder, coins, noise).mean()
        optimizer.zero_grad()
        (-bound).backward()
        spent += perf_counter() - start
        optimizer.step()
        if not looked and (step == 20 or spent > 5):
            looked, known = True, _seconds(encoder, decoder, coins, noise)
            if spent / step > SLOW * known:
                yield (
                    f"your elbo takes {1000 * spent / step:.0f} ms a step, the package's {1000 * known:.0f} ms: "
                    f"{STEPS:,} steps will take {STEPS * spent / step / 60:.1f} minutes. A loop over items or units? "
                    "Ctrl-C stops"
                )
        if step % (STEPS // 5) == 0:
            yield f"step {step:,} of {STEPS:,}: your bound of this batch is {bound.item():.1f} nats per image"
    x = _coins(test, torch.arange(TEST), "test", 0)
    yield f"{TEST:,} test images: your two bounds and the package's, from the same noise"
    with torch.no_grad():
        numbers = _bounds(functions, encoder, decoder, x) | {"no code": _without_code(train, x)}
        pictures = [x[:10], decoder(encoder(x[:10])[:, :UNITS]).sigmoid()]
        pictures.append(decoder(torch.randn(20, UNITS, generator=keyed(0, "prior"))).sigmoid())
    grid(2 * torch.cat(pictures).reshape(-1, 1, 28, 28) - 1, columns=10).save(out / "digits.png")
    (out / "numbers.json").write_text(json.dumps(numbers, indent=1), "utf-8")


def _seconds(encoder: nn.Module, decoder: nn.Module, x: Tensor, noise: Tensor) -> float:
    """What the package takes for one step, forwards and backwards; the gradients are left to be cleared."""
    start, count = perf_counter(), 5
    for _ in range(count):
        mean, log_variance = encoder(x).chunk(2, dim=1)
        posterior = variational.Posterior(mean, (log_variance / 2).exp())
        (-variational.terms(posterior, lambda z: Bits().log_prob(decoder(z), 2 * x - 1), noise).elbo.mean()).backward()
    return (perf_counter() - start) / count


def judged(out: Path) -> Outcome:
    """The bounds agree, and the code is worth having."""
    found = json.loads((out / "numbers.json").read_text("utf-8"))
    agree = found["elbo apart"] < CLOSE and found["iwae apart"] < CLOSE
    lines = (
        f"nats per image, {TEST:,} test images      yours  the package's",
        f"ELBO                            {found['elbo']:11.2f} {found['package elbo']:14.2f}",
        f"IWAE-{SAMPLES}                         {found['iwae']:11.2f} {found['package iwae']:14.2f}",
        f"the best model without a code   {'':11} {found['no code']:14.2f}",
        f"image by image they are at most {max(found['elbo apart'], found['iwae apart']):.2g} nats apart",
        "digits.png: ten test images; what your network makes of them; two rows drawn from z ~ N(0, I)",
    )
    return Outcome(agree and found["no code"] + 50 < found["elbo"] < found["iwae"] < 0, lines, ("digits.png",))


def _coins(dataset: Dataset, places: Tensor, stream: str, step: int) -> Tensor:
    """Images as bits 0 and 1, [B, 784]: grey values are the chances of white."""
    x, _ = dataset.take(places)
    return (bits(x, keyed(0, f"bits {stream}", step)).flatten(1) + 1) / 2


def _bounds(functions: Functions, encoder: nn.Module, decoder: nn.Module, x: Tensor) -> dict[str, float]:
    """Both bounds by a learner's functions and by the package, and how far apart they are for the worst image."""
    mean, log_variance = encoder(x).chunk(2, dim=1)
    posterior = variational.Posterior(mean, (log_variance / 2).exp())
    noise = torch.randn(SAMPLES, len(x), UNITS, generator=keyed(0, "bound"))

    def likelihood(z: Tensor) -> Tensor:
        return Bits().log_prob(decoder(z), 2 * x - 1)

    joint, q, weights = [], [], []
    for eps in noise:
        z = posterior.at(eps)
        joint.append(likelihood(z) + variational.log_normal(z))
        q.append(posterior.log_density(z))
        weights.append(variational.log_weight(posterior, likelihood, eps))
    yours = functions["elbo"](encoder, decoder, x, noise[0])
    ours = variational.terms(posterior, likelihood, noise[0]).elbo
    tighter = functions["importance_weighted_bound"](torch.stack(joint, 1), torch.stack(q, 1))
    known = variational.iwae(torch.stack(weights, 1), SAMPLES)
    return {
        "elbo": yours.mean().item(), "package elbo": ours.mean().item(),
        "elbo apart": (yours - ours).abs().max().item(),
        "iwae": torch.as_tensor(tighter).mean().item(), "package iwae": known.mean().item(),
        "iwae apart": (torch.as_tensor(tighter) - known).abs().max().item(),
    }  # fmt: skip


def _without_code(train: Dataset, x: Tensor) -> float:
    """log p(x) where every pixel is a coin of its own, white as often as in the training images; the mean in nats."""
    known, _ = train.take(torch.arange(10_000))
    white = ((known.flatten(1).mean(0) + 1) / 2).clamp(1e-4, 1 - 1e-4)
    return (x * white.log() + (1 - x) * (1 - white).log()).sum(1).mean().item()
