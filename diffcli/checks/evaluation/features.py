"""What is done to images before they are judged, and what is made of a judge's answers."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from diffcli.checks.check import Finding, check, near
from diffcli.evaluation.features.encoder import Encoder
from diffcli.evaluation.features.judge import Judge, encoder_of
from diffcli.evaluation.features.network import JudgeNetwork, judged_sides, resized, turned
from diffcli.evaluation.features.pixels import pixels
from diffcli.evaluation.features.training import shifted, task


def drawn(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(21)) * 2 - 1


@check(
    "an image is made smaller by a triangle as wide as two of the new pixels, which lets nothing fold over", "Pillow"
)
def resizing() -> Iterator[Finding]:
    image = drawn(1, 2, 12, 10)
    rows, columns = weights(12, 5), weights(10, 4)
    yield near("12x10 to 5x4", rows @ image @ columns.T, resized(image, (5, 4)), abs=1e-6)
    yield near("as it is", image, resized(image, (12, 10)))
    for sides, wanted in {
        (20, 10): (20, 10),
        (64, 64): (64, 64),
        (100, 50): (64, 32),
        (30, 128): (15, 64),
        (500, 2): (64, 1),
    }.items():
        yield near(f"sides of {sides}", torch.tensor(wanted), torch.tensor(judged_sides(*sides)))


def weights(side: int, smaller: int) -> Tensor:
    """What each old pixel counts for each new one [smaller, side]: a triangle over the distance of their centres."""
    scale, rows = side / smaller, []
    for j in range(smaller):
        row = [max(0.0, 1 - abs(i + 0.5 - (j + 0.5) * scale) / scale) for i in range(side)]
        rows.append([value / sum(row) for value in row])
    return torch.tensor(rows)


@check("pixels are means over squares once there are more than 3072 numbers", "the mean")
def pixel_features() -> Iterator[Finding]:
    for shape in ((3, 32, 32), (1, 55, 55), (1, 56, 56), (3, 64, 64), (3, 256, 250)):
        encoder, numbers = pixels(shape), math.prod(shape)
        yield near(f"{shape}: as told", encoder.dimensions, encoder.encode(drawn(1, *shape)).shape[1])
        square = next(k for k in range(1, 99) if shape[0] * -(-shape[1] // k) * -(-shape[2] // k) <= 3072)
        yield near(f"{shape}: the fewest that are left out", -(-shape[1] // square), _rows(encoder, shape))
        yield near(f"{shape}: the mean stays", 0.25, encoder.encode(torch.full((1, *shape), 0.25)), abs=1e-6)
        yield near(f"{shape}: none changed below 3073", numbers <= 3072, encoder.dimensions == numbers)
    small = drawn(2, 3, 32, 32)
    yield near("3072 numbers", *_alike(small.reshape(2, 3072), pixels((3, 32, 32)).encode(small)))
    large = drawn(2, 3, 64, 66)
    means = [
        [
            large[n, c, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3].mean()
            for c in range(3)
            for i in range(21)
            for j in range(22)
        ]
        for n in range(2)
    ]
    whole = pixels((3, 63, 66)).encode(large[:, :, :63])
    yield near("squares of 3x3", *_alike(torch.tensor(means), whole), abs=1e-6)


def _alike(truth: Tensor, got: Tensor) -> tuple[Tensor, Tensor]:
    """As many columns of both as each has; how many there should be is another finding."""
    columns = min(truth.shape[1], got.shape[1])
    return truth[:, :columns], got[:, :columns]


def _rows(encoder: Encoder, shape: tuple[int, int, int]) -> int:
    """How many rows of numbers an image has in the features: those that differ where its rows do."""
    ramp = torch.arange(shape[1], dtype=torch.float32).reshape(1, 1, -1, 1).expand(1, *shape)
    return len(encoder.encode(ramp).unique())


@check("an image without a class is told by its quarter turn, or by how it was mirrored", "Gidaris et al. 2018")
def turning() -> Iterator[Finding]:
    square, oblong = drawn(8, 1, 5, 5), drawn(8, 1, 4, 6)
    ways = torch.arange(4).repeat(2)
    last = torch.arange(5).flip(0)
    places = {0: lambda i, j: (i, j), 1: lambda i, j: (j, last[i]), 2: lambda i, j: (last[i], last[j]),
              3: lambda i, j: (last[j], i)}  # fmt: skip
    i, j = torch.meshgrid(torch.arange(5), torch.arange(5), indexing="ij")
    wanted = torch.stack([image[:, *places[int(k)](i, j)] for image, k in zip(square, ways, strict=True)])
    yield near("quarter turns", wanted, turned(square, ways))
    down, right = torch.arange(3, -1, -1), torch.arange(5, -1, -1)
    mirrored = {0: oblong, 1: oblong[:, :, :, right], 2: oblong[:, :, down], 3: oblong[:, :, down][:, :, :, right]}
    wanted = torch.stack([mirrored[int(k)][n] for n, k in enumerate(ways)])
    yield near("mirrorings", wanted, turned(oblong, ways))
    images, truth = task(square, None, torch.Generator().manual_seed(22))
    yield near("the answer is the way", turned(square, truth), images)
    images, truth = task(square, ways, torch.Generator())
    yield near("classes go before", torch.cat([square.flatten(), ways]), torch.cat([images.flatten(), truth]))


@check(
    "each training image is moved by up to a pixel each way, all moves alike likely, and its edge goes on",
    "counting",
)
def shifting() -> Iterator[Finding]:
    count = 2000
    image = drawn(1, 2, 16, 18)
    moved = shifted(image.expand(count, -1, -1, -1), torch.Generator().manual_seed(23))
    seen = torch.zeros(count, dtype=torch.int64)
    for down in range(-1, 2):
        for right in range(-1, 2):
            rows = torch.tensor([min(max(i + down, 0), 15) for i in range(16)])
            columns = torch.tensor([min(max(j + right, 0), 17) for j in range(18)])
            same = (moved == image[0][:, rows][:, :, columns]).flatten(1).all(1)
            share = same.double().mean()
            yield near(f"{down} down, {right} right", 1 / 9, share, abs=4.5 * math.sqrt(8 / 81 / count))
            seen += same
    yield near("one move each", 1, seen)
    small = drawn(3, 1, 7, 7)
    yield near("less than 8 pixels stay", small, shifted(small, torch.Generator().manual_seed(24)))


@check(
    "what a judge says of an image depends on nothing else, and its probabilities are those of its features", "softmax"
)
def judging() -> Iterator[Finding]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(25)
        network = JudgeNetwork(1, judged_sides(28, 20), 3)
        for _ in range(3):
            network(torch.randn(16, 1, 28, 20))  # so that the moments of its layers are not those of the start
    state = {name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()}
    about = {"shape": [1, 28, 20], "classes": ["a", "b", "c"], "accuracy": 0.8, "chance": 0.5, "data": "none"}
    judge = Judge(state, about)
    encoder, images = encoder_of("judge", judge, torch.device("cpu")), drawn(6, 1, 28, 20)
    features = encoder.encode(images)
    alone = torch.cat([encoder.encode(image[None]) for image in images])
    yield near("alone and together", alone, features, abs=1e-5)
    yield near("twice", features, encoder.encode(images))
    logits = features.double() @ state["decide.weight"].double().T + state["decide.bias"].double()
    own = judge.network(torch.device("cpu"))
    yield near("the network's own answer", own(images), logits, abs=1e-5)
    wanted = logits.exp() / logits.exp().sum(1, keepdim=True)
    assert encoder.probabilities is not None
    yield near("probabilities", wanted, encoder.probabilities(features), abs=1e-5)
    yield near("dimensions", encoder.dimensions, features.shape[1])
    large = drawn(2, 1, 56, 40)
    yield near("of other sides", encoder.encode(resized(large, (28, 20))), encoder.encode(large), abs=1e-5)
    for name, value in state.items():
        other = Judge(state | {name: value + 1}, about)
        yield near(f"the digest is of {name}", 0, float(other.digest == judge.digest))


@check("a judge that errs more than half as often as the most frequent class would is none", "the share of errors")
def judge_or_none() -> Iterator[Finding]:
    for accuracy, chance, judges in ((0.76, 0.5, 1), (0.74, 0.5, 0), (0.94, 0.9, 0), (0.96, 0.9, 1), (0.56, 0.1, 1)):
        encoder = Encoder("judge", "", 1, "", (), accuracy, lambda x: x, None, chance)
        yield near(f"{accuracy} where a guess has {chance}", judges, float(encoder.judges))
    unmeasured = Encoder("pixels", "", 1, "", (), None, lambda x: x, None)
    yield near("who reads nothing", 1, float(unmeasured.judges))
