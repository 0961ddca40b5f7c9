"""Trains a judge that comes with the program: `python -m diffcli.evaluation.features.ship NAME`.

It is written into the folder `shipped` beside this file, over the one that is there. Who has the same training images
judges by it and need not train one. The data are looked for as everywhere, in DIFFCLI_DATA for instance.
"""

import sys

import torch

from diffcli.console.show import Show
from diffcli.data.reading import PLAIN
from diffcli.errors import Problem
from diffcli.evaluation.features.judge import SHIPPED, Judge, held_out, images_of, trained
from diffcli.runs.checkpoint import write_checkpoint


def ship(name: str, show: Show) -> Judge:
    """Train the judge of a named data set and write it into the package."""
    train = images_of(name, None, PLAIN)
    judge = trained(train, held_out(name, train, None, PLAIN), torch.device("cpu"), show)
    write_checkpoint(SHIPPED / f"{name}.safetensors", judge.weights, judge.about)
    return judge


def main() -> None:
    """Ship the judges of the data sets that are named on the command line."""
    for name in sys.argv[1:]:
        try:
            judge = ship(name, Show())
        except Problem as problem:
            sys.exit(f"error: {problem.message}")
        print(f"{name}: {judge.about['accuracy']:.2%} of {judge.about['tested']} test images, digest {judge.digest}")


if __name__ == "__main__":
    main()
