"""The U-Net of DDPM (Ho et al. 2020, appendix B) with pixel folding, for any number of channels and any size."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffcli.core.models.control import HINT, NOT_GIVEN, Controls, HintPlanes
from diffcli.core.models.layers import Attention, ChannelNorm, LevelEmbedding, ResBlock, zeroed


class UNet(nn.Module):
    """forward(x [B, inputs * C, H, W], log_snr [B], *, label [B] or None, **hints) -> [B, outputs * C, H, W].

    channels:   C, of the images
    inputs:     images that it sees, and `outputs` those that it gives
    classes:    number of classes; label `classes` (or None) is the null label, "no class given"
    widths:     channels at each resolution, each half the one before
    blocks:     residual blocks per resolution on the way down, one more on the way up
    attention:  resolutions (indices into widths) whose blocks are followed by self-attention; the middle always is
    fold:       side of the square of pixels folded into channels first: 2 makes [C, 28, 28] into [4 C, 14, 14]
    bf16:       compute in bfloat16 (the output is float32 all the same)
    beside:     what lays the condition `hint` beside x; None takes none
    control:    branches that look at hints, and add to the skips and the middle; see `controlled`

    Sides that the pyramid does not divide are padded inside with the border's pixels and cropped outside.
    """

    dimensions = 3  # of an item: [C, H, W]
    control: Controls | None

    def __init__(
        self,
        channels: int,
        classes: int = 0,
        *,
        inputs: int = 1,
        outputs: int = 1,
        widths: Sequence[int] = (64, 128),
        blocks: int = 2,
        attention: Sequence[int] = (),
        fold: int = 2,
        dropout: float = 0.0,
        bf16: bool = False,
        beside: HintPlanes | None = None,
    ) -> None:
        super().__init__()
        self.nulls: dict[str, float] = {"label": classes}
        self.fold, self.bf16, self.beside, self.control = fold, bf16, beside, None
        if beside is not None:
            self.nulls[HINT] = NOT_GIVEN
        self.multiple = fold * 2 ** (len(widths) - 1)
        condition = 4 * widths[0]
        self.embed_level = nn.Sequential(LevelEmbedding(condition), nn.Linear(condition, condition))
        self.embed_label = nn.Embedding(classes + 1, condition)
        self.condition = nn.Sequential(nn.SiLU(), nn.Linear(condition, condition), nn.SiLU())

        seen = inputs * channels + (beside.planes if beside is not None else 0)
        self.enter = nn.Conv2d(seen * fold**2, widths[0], 3, padding=1)
        skips, width = [widths[0]], widths[0]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, wider in enumerate(widths):
            for _ in range(blocks):
                self.down.append(Stage(width, wider, condition, dropout, attend=i in attention))
                width = wider
                skips.append(width)
            if i < len(widths) - 1:
                self.down.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
                skips.append(width)

        self.skips = tuple(skips)
        self.middle = nn.ModuleList(
            [Stage(width, width, condition, dropout, attend=True), Stage(width, width, condition, dropout)]
        )
        for i, narrower in reversed(list(enumerate(widths))):
            for _ in range(blocks + 1):
                self.up.append(Stage(width + skips.pop(), narrower, condition, dropout, attend=i in attention))
                width = narrower
            if i > 0:
                self.up.append(nn.Conv2d(width, width, 3, padding=1))
        self.leave = nn.Sequential(
            ChannelNorm(width), nn.SiLU(), zeroed(nn.Conv2d(width, outputs * channels * fold**2, 3, padding=1))
        )

    def forward(self, x: Tensor, log_snr: Tensor, *, label: Tensor | None = None, **hints: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if label is None:
            label = torch.full((len(x),), int(self.nulls["label"]), device=x.device)
        if self.beside is not None:
            x = torch.cat([x, self.beside(x, hints.get(HINT))], 1)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            condition = self.condition(self.embed_level(log_snr) + self.embed_label(label))
            folded = F.pixel_unshuffle(self._padded(x), self.fold).contiguous(memory_format=torch.channels_last)
            out = F.pixel_shuffle(self._pyramid(folded, condition, hints), self.fold)
        return out[..., :height, :width].float()

    def _padded(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        return F.pad(x, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate")

    def _pyramid(self, x: Tensor, condition: Tensor, hints: Mapping[str, Tensor]) -> Tensor:
        h = self.enter(x)
        skips = [h]
        for layer in self.down:
            h = layer(h, condition) if isinstance(layer, Stage) else layer(h)
            skips.append(h)
        for layer in self.middle:
            h = layer(h, condition)
        if self.control is not None and (added := self.control(x, condition, hints)):
            skips = [skip + part for skip, part in zip(skips, added, strict=False)]
            h = h + added[-1]
        for layer in self.up:
            if isinstance(layer, Stage):
                h = layer(torch.cat([h, skips.pop()], dim=1), condition)
            else:
                h = layer(F.interpolate(h, scale_factor=2.0, mode="nearest"))
        return self.leave(h)


class Stage(nn.Module):
    """A residual block, and attention where asked."""

    def __init__(
        self, channels_in: int, channels: int, condition: int, dropout: float, *, attend: bool = False
    ) -> None:
        super().__init__()
        self.block = ResBlock(channels_in, channels, condition, dropout)
        self.attention = Attention(channels) if attend else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return self.attention(self.block(x, condition))
