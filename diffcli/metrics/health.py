"""Do samples have the brightness, contrast and blacks of the data? The first thing to look at when they seem wrong."""

from typing import NamedTuple

from torch import Tensor


class Brightness(NamedTuple):
    """Mean and spread of all values, and the share within 1 % of either end of [-1, 1]."""

    mean: float
    std: float
    saturation: float

    @classmethod
    def of(cls, images: Tensor) -> "Brightness":
        """Of images [N, ...] in [-1, 1]."""
        return cls(images.mean().item(), images.std().item(), (images.abs() >= 0.98).float().mean().item())


def verdict(samples: Brightness, data: Brightness) -> str:
    """One phrase on how the samples compare; "healthy" if mean, spread and saturation are near the data's."""
    if samples.std != samples.std:
        return "nan in the samples: the network has diverged"
    if samples.std < 0.5 * data.std:
        return "too flat: undertrained, or the data's range is wrong"
    if samples.std > 1.3 * data.std:
        return "too much contrast: undertrained, or guidance too strong"
    if abs(samples.mean - data.mean) > 0.25 * data.std:
        return f"too {'bright' if samples.mean > data.mean else 'dark'}: undertrained, or a shift in colour"
    if abs(samples.saturation - data.saturation) > 0.25:
        return "blacks and whites are not those of the data: undertrained"
    return "healthy"


def line(samples: Brightness, data: Brightness) -> str:
    """The health line: samples against data, and the verdict."""
    parts = [
        f"{name} {getattr(samples, name):.2f} ({getattr(data, name):.2f})" for name in ("mean", "std", "saturation")
    ]
    return f"samples (data): {', '.join(parts)}: {verdict(samples, data)}"
