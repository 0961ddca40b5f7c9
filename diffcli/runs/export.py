"""A run as one small file that stands for itself: averaged weights in half precision, and how they were made.

It has a checkpoint's form, so whatever reads checkpoints reads it. Nothing in it names the machine, and no time of day
does either: the same run gives the same bytes.
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffcli.errors import CheckpointProblem, UsageProblem, one_of
from diffcli.runs.checkpoint import write_checkpoint
from diffcli.runs.codecs import PREFIX as CODEC
from diffcli.runs.listing import facts_of, run_of
from diffcli.runs.loading import fill, find, read, understood
from diffcli.runs.records import comparison
from diffcli.system.files import check_new
from diffcli.training.setup import build

PRECISIONS = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
LOST = 0.1  # of a weight's norm; rounding takes 0.0002 of it in float16 and 0.002 in bfloat16
STATE = ("plan", "randomness", "micro_batch")  # what only a training that goes on needs
MADE = ("argv", "versions", "device", "precision", "threads", "ranks")  # of run.json
WALK = ("sampler", "steps", "grid", "start", "eta", "guidance", "evaluations")  # of the best setting of a comparison


class Exported(NamedTuple):
    """A file that was written. source: the checkpoint; numbers: of the model, without what is no weight"""

    path: Path
    source: Path
    precision: str
    numbers: int
    recipe: Any
    classes: tuple[str, ...]


def export(target: str, path: Path, precision: str = "float16") -> Exported:
    """Write the newest checkpoint of a run as a file that stands for itself.

    path:       a new file, .safetensors
    precision:  float16, bfloat16 or float32

    Raises as `exported` and `diffcli.system.files.check_new` do, and CheckpointProblem where there is no such run.
    """
    one_of(precision, PRECISIONS, "precision")
    check_new(path, ".safetensors", option="FILE")
    if path.match("step-*"):
        raise UsageProblem(f"{path.name} is what a run calls its own checkpoints", "choose another FILE")
    stored = read(find(target))
    run = run_of(stored.path)
    best = (comparison(run) or {}).get("best") if run else None
    tensors, about = exported(
        stored.tensors, stored.about, precision, made=facts_of(run), walk=best, source=stored.path
    )
    write_checkpoint(path, tensors, about)
    numbers = sum(tensor.numel() for tensor in tensors.values())
    return Exported(path, stored.path, precision, numbers, stored.recipe, stored.items.classes)


def exported(
    tensors: Mapping[str, Tensor],
    about: Mapping[str, Any],
    precision: str = "float16",
    *,
    made: Mapping[str, Any] | None = None,
    walk: Mapping[str, Any] | None = None,
    source: Path = Path("checkpoint"),
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `write_checkpoint` is to write: the tensors and the description of such a file.

    tensors:  of a checkpoint; those below ema/ and codec/ are enough
    about:    its description
    made:     what run.json says of how it was trained
    walk:     the setting that a comparison has found best: a row of comparison.json
    source:   how errors call the checkpoint

    Raises CheckpointProblem for weights that the precision cannot hold, UsageProblem for an export of an export.
    """
    if "exported" in about:
        raise UsageProblem(f"{source} is an export already", "export the run, or copy the file")
    stored = understood(source, dict(tensors), dict(about))
    model = build(stored.recipe, stored.items, torch.device("cpu"))
    fill(model, stored, "ema")
    counted = {name for name, _ in model.named_buffers()}  # of pixels for instance, beyond what float16 counts
    kept = {
        f"ema/{name}": value if name in counted else rounded(name, value, precision)
        for name, value in model.state_dict().items()
    }
    scale = {f"{CODEC}{name}" for name in ("mean", "std")}
    kept |= {
        name: value if name in scale else rounded(name, value, precision)
        for name, value in tensors.items()
        if name.startswith(CODEC)
    }
    described = {name: value for name, value in about.items() if name not in STATE}
    if "codec" in about:
        described["codec"] = _without_places(about["codec"])
    described["recipe"] = _without_places(about["recipe"])
    described["exported"] = {"weights": "ema", "precision": precision}
    if made:
        described["made"] = _without_places({name: made[name] for name in MADE if name in made})
    if walk and not Path(str(walk.get("grid"))).suffix:  # one from a file would be missing
        described["walk"] = {name: walk[name] for name in WALK if name in walk}
    return kept, described


def rounded(name: str, weight: Tensor, precision: str) -> Tensor:
    """A weight in another precision.

    Raises CheckpointProblem with its name where a value is not finite, is too large, or too many are too small.
    """
    found, norm = weight.to(PRECISIONS[precision]), weight.double().norm()
    if not weight.isfinite().all():
        raise CheckpointProblem(f"{name} has values that are not finite", "export an earlier checkpoint")
    if not found.isfinite().all():
        most = weight.abs().max().item()
        raise CheckpointProblem(f"{name} does not fit {precision}: it goes to {most:.3g}", "add --precision float32")
    lost = (found.double() - weight.double()).norm()
    if lost > LOST * norm:
        raise CheckpointProblem(
            f"{name} would lose {lost / norm:.0%} in {precision}: its values are about "
            f"{norm.item() / weight.numel() ** 0.5:.3g}",
            "add --precision float32",
        )
    return found


def _without_places(value: Any) -> Any:
    """The same with ./name for whole paths, also behind a = sign: of the machine nothing is to be told."""
    if isinstance(value, dict):
        return {name: _without_places(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_places(part) for part in value]
    if not isinstance(value, str):
        return value
    before, sign, last = value.rpartition("=")
    kinds = (path for path in (PurePosixPath(last), PureWindowsPath(last)) if path.is_absolute() or "~" in last[:1])
    whole = next(kinds, None)
    return value if whole is None else f"{before}{sign}./{whole.name}"
