"""Networks by name. A network is forward(x [B, ...], log_snr [B], *, label [B] or None) -> like x.

Its `dimensions` say what it takes: 3 are images [C, H, W], 1 are points [D].
"""

from diffcli.core.models.mlp import MLP
from diffcli.core.models.unet import UNet

MODELS: dict[str, type[UNet] | type[MLP]] = {"unet": UNet, "mlp": MLP}
