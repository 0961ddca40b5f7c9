"""Networks by name. A network is forward(x [B, ...], log_snr [B], **conditions) -> like x.

Its `dimensions` say what it takes: 3 are images [C, H, W], 1 are points [D]. Its `nulls` say which conditions it knows,
and which value of each stands for "not given", as an absent one does.
"""

from diffcli.core.models.mlp import MLP
from diffcli.core.models.unet import UNet

MODELS: dict[str, type[UNet] | type[MLP]] = {"unet": UNet, "mlp": MLP}
