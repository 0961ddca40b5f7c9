"""diffcli noise"""

from diffcli import options
from diffcli.commands.visualize.forward import forward


def noise(
    seed: options.Seed = 0,
    out: options.Picture = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Watch eight MNIST digits become noise (visualize forward has more options)."""
    forward(count=8, seed=seed, out=out, as_json=as_json, quiet=quiet)
