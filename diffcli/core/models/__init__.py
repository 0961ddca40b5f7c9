"""Networks by name. A network is forward(x [B, C, H, W], log_snr [B], *, label [B] or None) -> like x."""

from torch import nn

from diffcli.core.models.unet import UNet

MODELS: dict[str, type[nn.Module]] = {"unet": UNet}
