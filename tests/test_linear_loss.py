"""The loss of the best linear denoiser: the line that a network must get below."""

import pytest
import torch

from diffcli.core.diffusion import exact
from diffcli.core.diffusion.denoiser import TARGETS, Denoiser
from diffcli.core.diffusion.schedules import SCHEDULES
from diffcli.core.levels import Level


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("schedule", ["cosine", "flow"])
def test_linear_loss_is_that_of_least_squares(target: str, schedule: str) -> None:
    """Fit the best affine map from x to the target by least squares on correlated, non-Gaussian data."""
    generator = torch.Generator().manual_seed(0)
    count, mix = 400_000, torch.tensor([[1.0, 0.0, 0.0], [0.7, 0.4, 0.0], [-0.3, 0.2, 0.05]], dtype=torch.float64)
    x0 = (torch.rand(count, 3, generator=generator, dtype=torch.float64) - 0.3) @ mix.T
    eps = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    spectrum = exact.covariance_spectrum(x0)
    level = SCHEDULES[schedule]()(torch.tensor(0.45, dtype=torch.float64))
    length = torch.hypot(*level)
    level = Level(level.alpha / length, level.sigma / length)
    a, b = TARGETS[target](*level)
    wanted = (a * x0 + b * eps) / (a**2 + b**2) ** 0.5
    x = torch.cat([level.noised(x0, eps), torch.ones(count, 1, dtype=torch.float64)], dim=1)
    residual = wanted - x @ torch.linalg.lstsq(x, wanted).solution
    found = exact.linear_loss(spectrum, 3, level, target)
    assert found.item() == pytest.approx(residual.square().mean().item(), rel=0.01)


@pytest.mark.parametrize("target", TARGETS)
def test_on_gaussian_data_nothing_beats_it_and_the_exact_denoiser_meets_it(target: str) -> None:
    class Exact(torch.nn.Module):
        """The posterior mean of N(0.3, 0.5²) as a network for this target."""

        def forward(self, x: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
            alpha2 = torch.sigmoid(log_snr.double()).reshape(-1, 1)
            here = Level(alpha2.sqrt(), (1 - alpha2).sqrt())
            x0, eps, _ = exact.Gaussian(0.3, 0.5)(x, here)
            a, b = TARGETS[target](*here)
            return (a * x0 + b * eps) / (a**2 + b**2) ** 0.5

    generator = torch.Generator().manual_seed(0)
    x0 = 0.3 + 0.5 * torch.randn(200_000, 1, generator=generator, dtype=torch.float64)
    eps = torch.randn(200_000, 1, generator=generator, dtype=torch.float64)
    level = SCHEDULES["cosine"]()(torch.tensor(0.5, dtype=torch.float64))
    level = Level(level.alpha.reshape(1, 1), level.sigma.reshape(1, 1))
    measured = Denoiser(Exact(), target).loss(x0, level, eps).mean().item()
    expected = exact.linear_loss(torch.tensor([0.25]).double(), 1, level, target).item()
    assert measured == pytest.approx(expected, rel=0.02)


def test_spectrum_from_few_images_is_the_spectrum_from_their_covariance() -> None:
    images = torch.rand(5, 1, 3, 4)
    covariance = torch.cov(images.flatten(1).double().T, correction=0)
    wanted = torch.linalg.eigvalsh(covariance)[-5:]
    torch.testing.assert_close(exact.covariance_spectrum(images), wanted, rtol=1e-6, atol=1e-9)
    assert exact.covariance_spectrum(torch.rand(50, 1, 3, 4)).shape == (12,)


def test_each_image_may_have_its_own_level() -> None:
    spectrum = torch.tensor([0.1, 0.4], dtype=torch.float64)
    t = torch.tensor([0.2, 0.7], dtype=torch.float64)
    both = SCHEDULES["cosine"]()(t.reshape(2, 1, 1, 1))
    found = exact.linear_loss(spectrum, 4, both, "v").flatten()
    singly = [exact.linear_loss(spectrum, 4, SCHEDULES["cosine"]()(each), "v").item() for each in t]
    assert found.tolist() == pytest.approx(singly)
