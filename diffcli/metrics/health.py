"""Do samples have the mean, spread and extremes of the data? The first thing to look at when they seem wrong."""

from typing import NamedTuple

from torch import Tensor


class Brightness(NamedTuple):
    """Of images: mean and spread of all values, and the share within 1 % of either end of [-1, 1]."""

    mean: float
    std: float
    saturation: float

    @classmethod
    def of(cls, images: Tensor) -> "Brightness":
        """Of images [N, ...] in [-1, 1]."""
        return cls(images.mean().item(), images.std().item(), (images.abs() >= 0.98).float().mean().item())

    def against(self, data: "Brightness") -> str:
        """One phrase on how samples compare; "healthy" if mean, spread and saturation are near the data's."""
        if self.std != self.std:
            return "nan in the samples: the network has diverged"
        if self.std < 0.5 * data.std:
            return "too flat: undertrained, or the data's range is wrong"
        if self.std > 1.3 * data.std:
            return "too much contrast: undertrained, or guidance too strong"
        if abs(self.mean - data.mean) > 0.25 * data.std:
            return f"too {'bright' if self.mean > data.mean else 'dark'}: undertrained, or a shift in colour"
        if abs(self.saturation - data.saturation) > 0.25:
            return "blacks and whites are not those of the data: undertrained"
        return "healthy"


class PointMoments(NamedTuple):
    """Of points in the plane: mean and standard deviation of each coordinate."""

    mean_x: float
    mean_y: float
    std_x: float
    std_y: float

    @classmethod
    def of(cls, points: Tensor) -> "PointMoments":
        """Of points [N, 2]."""
        return cls(*points.mean(0).tolist(), *points.std(0).tolist())

    def against(self, data: "PointMoments") -> str:
        """One phrase on how samples compare; "healthy" if mean and spread are near the data's in both coordinates."""
        if any(value != value for value in self):
            return "nan in the samples: the network has diverged"
        ratios = (self.std_x / data.std_x, self.std_y / data.std_y)
        if min(ratios) < 0.8:
            return "too narrow: undertrained, or clean estimates were clipped"
        if max(ratios) > 1.2:
            return "too wide: undertrained"
        if abs(self.mean_x - data.mean_x) > 0.15 * data.std_x or abs(self.mean_y - data.mean_y) > 0.15 * data.std_y:
            return "off centre: undertrained"
        return "healthy"


class LatentSpread(NamedTuple):
    """Of latents: mean and standard deviation of all values."""

    mean: float
    std: float

    @classmethod
    def of(cls, latents: Tensor) -> "LatentSpread":
        """Of latents [N, ...]."""
        return cls(latents.mean().item(), latents.std().item())

    def against(self, data: "LatentSpread") -> str:
        """One phrase on how samples compare; "healthy" if mean and spread are near the data's."""
        if self.std != self.std:
            return "nan in the samples: the network has diverged"
        if not 0.8 * data.std <= self.std <= 1.2 * data.std:
            return f"too {'narrow' if self.std < data.std else 'wide'}: undertrained"
        if abs(self.mean - data.mean) > 0.25 * data.std:
            return "off centre: undertrained"
        return "healthy"


Health = Brightness | PointMoments | LatentSpread

HEALTH: dict[str, type[Brightness] | type[PointMoments] | type[LatentSpread]] = {  # by the kind of data
    "images": Brightness, "points": PointMoments, "latents": LatentSpread,
}  # fmt: skip


def line(samples: Health, data: Health) -> str:
    """The health line: samples against data of the same kind, and the verdict."""
    parts = [
        f"{name.replace('_', ' ')} {value:.2f} ({known:.2f})"
        for name, value, known in zip(samples._fields, samples, data, strict=True)
    ]
    return f"samples (data): {', '.join(parts)}: {samples.against(data)}"  # type: ignore[arg-type]
