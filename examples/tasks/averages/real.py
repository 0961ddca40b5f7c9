"""A learner's standard error beside the spread of a thousand means."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from diffcli.learn.running import Outcome

NEEDS = ("standard_error",)
DRAWS, SAMPLES = 50, 1000


def compute(functions: Mapping[str, Callable[..., Any]], out: Path) -> Iterator[str]:
    yield f"{SAMPLES} samples of {DRAWS} draws"
    draws = torch.randn(SAMPLES, DRAWS, generator=torch.Generator().manual_seed(1))
    errors = [float(functions["standard_error"](sample)) for sample in draws]
    found = {"error": sum(errors) / SAMPLES, "spread": float(draws.mean(1).std())}
    (out / "errors.json").write_text(json.dumps(found), "utf-8")


def judged(out: Path) -> Outcome:
    found = json.loads((out / "errors.json").read_text("utf-8"))
    off = abs(found["error"] / found["spread"] - 1)
    line = f"your standard error {found['error']:.4f}, the spread of {SAMPLES} means {found['spread']:.4f}"
    return Outcome(off < 4 / (2 * SAMPLES) ** 0.5, (line,))  # four standard errors of a standard deviation
