"""The judge's network, and what it learns to tell apart: classes, or in images without any how they were turned."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (32, 64, 128)
FEATURES = 64
LARGEST_SIDE = 64  # larger images are resized first
SMALLEST_SIDE = 8  # pooling stops once no side is longer
TURNS = 4  # ways to turn an image


class JudgeNetwork(nn.Module):
    """forward(x [B, C, H, W] in [-1, 1]) -> logits [B, K]; `features` are the 64 numbers before them.

    The sides are halved by the first convolution, and then once after each until neither is longer than 8: the
    weights do not depend on the size of the images otherwise.
    """

    def __init__(self, channels: int, sides: tuple[int, int], classes: int) -> None:
        super().__init__()
        side, width = -(-max(sides) // 2), WIDTHS[0]
        layers = block(channels, width, kernel=5, stride=2)
        for wider in (*WIDTHS[1:-1], WIDTHS[-1]):
            layers += block(width, wider)
            width = wider
            if side > SMALLEST_SIDE:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
                side = -(-side // 2)
        self.look = nn.Sequential(
            *layers,
            nn.AdaptiveMaxPool2d(3),
            nn.Flatten(),
            nn.Dropout(0.1),
            nn.Linear(width * 3 * 3, FEATURES),
            nn.ReLU(),
        )
        self.decide = nn.Linear(FEATURES, classes)

    def features(self, x: Tensor) -> Tensor:
        """[B, 64]"""
        return self.look(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.decide(self.features(x))


def block(channels_in: int, channels: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    """A convolution, batch normalisation and a rectifier."""
    convolution = nn.Conv2d(channels_in, channels, kernel, stride, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(channels), nn.ReLU()]


def judged_sides(height: int, width: int) -> tuple[int, int]:
    """The sides that the network sees images of this size at: no longer than 64, the proportions kept."""
    factor = min(1.0, LARGEST_SIDE / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def resized(x: Tensor, sides: tuple[int, int]) -> Tensor:
    """Images [B, C, H, W] brought to these sides, bilinear with antialiasing; as they are where they have them."""
    if tuple(x.shape[-2:]) == sides:
        return x
    return F.interpolate(x, sides, mode="bilinear", antialias=True, align_corners=False)


def turned(x: Tensor, ways: Tensor) -> Tensor:
    """Each image of [B, C, H, W] in the way that `ways` [B] says: a quarter turn as often, if it is square.

    Others are mirrored: 1 left to right, 2 upside down, 3 both. A network that tells the ways apart has learned what
    images look like without any class (Gidaris et al. 2018).
    """
    if x.shape[-2] == x.shape[-1]:
        all_ways = [x.rot90(k, (-2, -1)) for k in range(TURNS)]
    else:
        all_ways = [x, x.flip(-1), x.flip(-2), x.flip(-1, -2)]
    return torch.stack(all_ways)[ways, torch.arange(len(x))]
