"""Held to the package's own terms of the bound on the same small networks, and to their gradients."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn import functional as F

from diffcli.core.processes import variational
from diffcli.core.processes.laws.pixels import Bits
from diffcli.learn.asking import Ask
from diffcli.learn.exercise import Seen, Swap, right, wrong


def elbo(encoder: nn.Module, decoder: nn.Module, x: Tensor, noise: Tensor) -> Tensor:
    """One draw's estimate of the evidence lower bound of each item, in nats: log p(x | z) − KL(q(z | x) || N(0, I)).

    encoder: x [B, D] -> [B, 2 L]; of an item's 2 L numbers the first L are the mean of q(z | x), the last L log σ²
    decoder: z [B, L] -> [B, D], the logits of the values of x
    x:       [B, D], each value 0.0 or 1.0
    noise:   [B, L], standard normal; the z of an item is the mean of its q plus σ times its noise

    Returns [B]: the first term at this z, the KL in closed form, both of the item alone, both as sums (over its values,
    over its units). Nothing is averaged. Gradients reach the weights of both networks. `learn run` calls it
    2,000 times: no Python loop over items.
    """
    mean, log_variance = encoder(x).chunk(2, dim=1)
    z = mean + torch.exp(0.5 * log_variance) * noise
    logits = decoder(z)
    reconstruction = (x * logits - F.softplus(logits)).sum(1)
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
    return reconstruction - kl


def truth(encoder: nn.Module, decoder: nn.Module, x: Tensor, noise: Tensor) -> Tensor:
    out = encoder(x)
    units = noise.shape[1]
    posterior = variational.Posterior(out[:, :units], out[:, units:].exp().sqrt())
    return variational.terms(posterior, lambda z: Bits().log_prob(decoder(z), 2 * x - 1), noise).elbo


def questions(ask: Ask) -> Iterator[Seen]:
    for items, values, units in ((1, 3, 1), (4, 5, 2)):
        encoder, decoder, x, noise = _made(items, values, units)
        told = f"{items} item{'s' if items > 1 else ''} of {values} values, {units} unit{'s' if units > 1 else ''}"
        yield Seen(told, ask(encoder, decoder, x, noise))
    gradients, split = ask(encoder, decoder, x, noise, want="gradients"), len(list(encoder.parameters()))
    yield Seen("the gradients of the sum of the results by the encoder's weights", gradients[:split])
    yield Seen("the gradients of the sum of the results by the decoder's weights", gradients[split:])


def _made(items: int, values: int, units: int) -> tuple[nn.Module, nn.Module, Tensor, Tensor]:
    """Two small networks with weights of a size at which every term counts, bits and noise."""
    generator = torch.Generator().manual_seed(values)
    encoder = nn.Sequential(nn.Linear(values, 4), nn.Tanh(), nn.Linear(4, 2 * units))
    decoder = nn.Sequential(nn.Linear(units, 4), nn.Tanh(), nn.Linear(4, values))
    for weight in (*encoder.parameters(), *decoder.parameters()):
        weight.data = torch.randn(weight.shape, generator=generator)
    x = (torch.rand(items, values, generator=generator) < 0.5).float()
    return encoder, decoder, x, torch.randn(items, units, generator=generator)


WRONG = [
    Swap("halves-swapped", "with the two halves of the encoder's output swapped",
         "the order of the halves: the mean comes first",
         "mean, log_variance = encoder", "log_variance, mean = encoder"),
    Swap("variance-for-std", "with the variance in the place of σ when z is drawn", "what noise is multiplied by",
         "torch.exp(0.5 * log_variance)", "torch.exp(log_variance)"),
    Swap("log-variance-for-std", "with log σ² itself in the place of σ when z is drawn",
         "what the encoder says: a logarithm, and of the variance",
         "torch.exp(0.5 * log_variance)", "log_variance"),
    Swap("no-noise", "with the mean of q in the place of a draw",
         "`noise`: the bound averages over q, and is not taken at its centre",
         " + torch.exp(0.5 * log_variance) * noise", ""),
    Swap("no-kl", "without the KL", "what the code costs", "return reconstruction - kl", "return reconstruction"),
    Swap("plus-kl", "with the KL added", "the sign of what the code costs",
         "reconstruction - kl", "reconstruction + kl"),
    Swap("loss", "with the sign of a loss", "the sign of a bound: it is raised, not lowered",
         "return reconstruction - kl", "return kl - reconstruction"),
    Swap("mean-reconstruction",
         "with the mean over the values of an item for their sum, which makes the KL D times as dear",
         "the first term: a log-probability of the whole item",
         "F.softplus(logits)).sum(1)", "F.softplus(logits)).mean(1)"),
    Swap("batch-kl", "with the KL averaged over the batch, the same for every item",
         "the KL of each item: the batch mean stays right, each single bound does not",
         "log_variance).sum(1)", "log_variance).sum(1).mean()"),
    Swap("batch-mean", "with the mean over the batch", "the shape [B]", "return reconstruction - kl",
         "return (reconstruction - kl).mean()"),
    Swap("detached", "when no gradient passes from the first term through z to the encoder",
         "`detach`, `.data`, `no_grad` and `sample()`: `rsample()` lets gradients through",
         "decoder(z)", "decoder(z.detach())"),
    Swap("frozen-spread", "when no gradient passes from the first term through σ to the encoder",
         "what is detached: z depends on σ as on the mean",
         "torch.exp(0.5 * log_variance)", "torch.exp(0.5 * log_variance).detach()"),
]  # fmt: skip


@wrong("when the encoder's second half is taken for log σ", "the second half: exp of it is σ² already")
def log_std(encoder: nn.Module, decoder: nn.Module, x: Tensor, noise: Tensor) -> Tensor:
    mean, log_spread = encoder(x).chunk(2, dim=1)
    logits = decoder(mean + log_spread.exp() * noise)
    kl = 0.5 * (mean**2 + (2 * log_spread).exp() - 1 - 2 * log_spread)
    return (x * logits - F.softplus(logits)).sum(1) - kl.sum(1)


@wrong(
    "with log q(z | x) − log p(z) at this z for the KL", "the second term: its average over z is known in closed form"
)
def drawn_kl(encoder: nn.Module, decoder: nn.Module, x: Tensor, noise: Tensor) -> Tensor:
    mean, log_variance = encoder(x).chunk(2, dim=1)
    z = mean + torch.exp(0.5 * log_variance) * noise
    logits = decoder(z)
    return (x * logits - F.softplus(logits)).sum(1) - 0.5 * (z**2 - noise**2 - log_variance).sum(1)


@wrong(
    "when every other number of the encoder's output is a mean", "the order of the output: first L means, then L log σ²"
)
def interleaved(encoder: nn.Module, decoder: nn.Module, x: Tensor, noise: Tensor) -> Tensor:
    out = encoder(x)
    mean, log_variance = out[:, ::2], out[:, 1::2]
    logits = decoder(mean + torch.exp(0.5 * log_variance) * noise)
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
    return (x * logits - F.softplus(logits)).sum(1) - kl.sum(1)


@wrong("with noise of its own", "the last argument: draw nothing yourself, then a bound can be repeated")
def own_noise(encoder: nn.Module, decoder: nn.Module, x: Tensor, noise: Tensor) -> Tensor:
    return elbo(encoder, decoder, x, torch.randn_like(noise))


@wrong("with the squared error of sigmoid(logits) for the log-likelihood", "the law of x given z: coins, not Gaussians")
def squared_error(encoder: nn.Module, decoder: nn.Module, x: Tensor, noise: Tensor) -> Tensor:
    mean, log_variance = encoder(x).chunk(2, dim=1)
    found = torch.sigmoid(decoder(mean + torch.exp(0.5 * log_variance) * noise))
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
    return -(found - x).square().sum(1) - kl.sum(1)


@right
def by_torch(encoder: nn.Module, decoder: nn.Module, x: Tensor, noise: Tensor) -> Tensor:
    out, units = encoder(x), noise.shape[1]
    q = Normal(out[:, :units], out[:, units:].exp().sqrt())
    likelihood: Tensor = Bernoulli(logits=decoder(q.loc + q.scale * noise)).log_prob(x)
    divergence: Tensor = kl_divergence(q, Normal(0.0, 1.0))
    return likelihood.sum(1) - divergence.sum(1)


@right
def one_item_after_the_other(encoder: nn.Module, decoder: nn.Module, x: Tensor, noise: Tensor) -> Tensor:
    found = []
    for bits, eps in zip(x, noise, strict=True):
        out = encoder(bits)
        mean, std = out[: len(eps)], (out[len(eps) :] / 2).exp()
        logits = decoder(mean + std * eps)
        nats = F.binary_cross_entropy_with_logits(logits, bits, reduction="sum")
        found.append(-nats - (mean**2 + std**2 - 1).sum() / 2 + std.log().sum())
    return torch.stack(found)


@right
def with_helpers(encoder: nn.Module, decoder: nn.Module, x: Tensor, noise: Tensor) -> Tensor:
    def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
        return -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp(), dim=1)

    def log_likelihood(logits: Tensor) -> Tensor:
        return torch.where(x > 0.5, F.logsigmoid(logits), F.logsigmoid(-logits)).sum(-1)

    mean, log_variance = torch.split(encoder(x), noise.shape[1], dim=1)
    z = torch.addcmul(mean, (log_variance / 2).exp(), noise)
    return log_likelihood(decoder(z)).add(divergence(mean, log_variance), alpha=-1)
