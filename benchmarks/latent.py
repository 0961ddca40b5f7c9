"""Training in pixels against training in latents: images per second of the same network, side by side.

    python benchmarks/latent.py [--sides 64 128] [--rounds 5]

One thread each. A round times a step of both, one after the other; shown are the medians of the rounds, and of their
ratios. The networks are those of `diffcli train` with the same widths, blocks and folding: of images of S x S in
colour, and of their latents of S/4 x S/4 x 4 (recipe kl-f4). Encoding comes once beside it, and decoding at the end:
both are timed, too.
"""

import argparse
import statistics
import time

import torch

from diffcli.data.dataset import Dataset
from diffcli.data.kinds import IMAGES, LATENTS, Items
from diffcli.runs.fitting import seconds_per_step
from diffcli.system.device import use_bf16
from diffcli.training import recipes
from diffcli.training.recipes import codec, diffusion
from diffcli.training.setup import build, new_trainer

CPU = torch.device("cpu")
ITEMS = 256
SETTINGS = {"network.widths": (64, 128), "network.fold": 2, "batch": 16, "steps": 100, "dial": ()}


def timed(latent: bool, side: int) -> float:
    """Images per second of a step of training."""
    shape = (4, side // 4, side // 4) if latent else (3, side, side)
    items = Items(LATENTS if latent else IMAGES, shape, tuple("0123456789"))
    storage = torch.randn(ITEMS, 8, *shape[1:]).half() if latent else torch.randint(0, 256, (ITEMS, *shape)).byte()
    data = Dataset("random", items, storage, torch.arange(ITEMS) % 10, "random")
    recipe = recipes.override(diffusion.RECIPES["default"], SETTINGS)
    trainer = new_trainer(recipe, items, build(recipe, items, CPU))
    return recipe.batch / seconds_per_step(recipe, trainer, data, torch.arange(ITEMS), 2)


def coded(side: int) -> tuple[float, float]:
    """Images per second that the autoencoder encodes, and decodes."""
    recipe, items = codec.RECIPES["kl-f4"], Items(IMAGES, (3, side, side))
    model = build(recipe, items, CPU).eval()
    x, found = torch.rand(16, 3, side, side) * 2 - 1, []
    with torch.no_grad():
        z = model.encode(x).mean
        for act, given in ((model.encode, x), (model.decode, z)):
            began = time.perf_counter()
            act(given)
            found.append(len(x) / (time.perf_counter() - began))
    return found[0], found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, one thread, {'bf16' if use_bf16('auto', CPU) else 'fp32'}")
    print("side  pixels  latents  ratio  encoded  decoded   (images/s, medians)")
    for side in wanted.sides:
        rounds = [(timed(False, side), timed(True, side), *coded(side)) for _ in range(wanted.rounds)]
        pixels, latents, encoded, decoded = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(latent / pixel for pixel, latent, *_ in rounds)
        print(
            f"{side:>4}  {pixels:>6.1f}  {latents:>7.1f}  {ratio:>5.1f}  {encoded:>7.0f}  {decoded:>7.0f}", flush=True
        )


if __name__ == "__main__":
    main()
