"""The options that commands share: the same name, the same meaning everywhere."""

from pathlib import Path
from typing import Annotated, Optional

import typer

Out = Annotated[Optional[Path], typer.Option("--out", help="Folder to write to.  [a fresh one, named at the end]")]
Picture = Annotated[Optional[Path], typer.Option("--out", help="Folder, or FILE.png.  [a fresh one in outputs/]")]
Seed = Annotated[int, typer.Option("--seed", help="Of all randomness.", min=0)]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.")]
Devices = Annotated[
    str, typer.Option("--devices", metavar="N|auto", help="Processes that share the work, one for a core or a GPU.")
]
Data = Annotated[Optional[Path], typer.Option("--data", help="Folder to look for data sets in first.")]
Schedule = Annotated[
    Optional[str],
    typer.Option("--schedule", metavar="NAME[,KEY=VALUE...]", help="Another noise schedule.  [the model's]"),
]
Grid = Annotated[
    Optional[str],
    typer.Option(
        "--grid",
        help="trailing, leading, linspace, quadratic, karras, log-snr, or FILE.json.  [trailing; heun, edm: karras]",
    ),
]
SkipBroken = Annotated[
    bool, typer.Option("--skip-broken", help="Go on without files that cannot be read; the run says which.")
]
Label = Annotated[Optional[str], typer.Option("--class", help="A class by number or name; all takes turns.")]
Guidance = Annotated[
    Optional[float],
    typer.Option(
        "--guidance", help="Of --class: 1 is none, 0 ignores the class; the papers' w is this minus 1.  [the recipe's]"
    ),
]
Target = Annotated[
    Optional[str],
    typer.Argument(
        metavar="[RUN|FILE|exact:...]",
        help="A run, a checkpoint or an exact model; default the newest run, else the file shipped.",
    ),
]
Run = Annotated[
    Optional[str], typer.Argument(metavar="[RUN|FILE]", help="A run or a checkpoint; default the newest of its kind.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, no notes.")]


Sampler = Annotated[
    Optional[str],
    typer.Option("--sampler", metavar="NAME[,KEY=VALUE...]", help="Of a model: as for `diffcli sample`.  [ddim]"),
]
Steps = Annotated[Optional[int], typer.Option("--steps", help="Of its walk.  [the sampler's usual]", min=1)]
Weights = Annotated[str, typer.Option("--weights", help="ema (the average) or raw.")]
Lora = Annotated[
    Optional[list[str]],
    typer.Option("--lora", metavar="FILE|RUN[:SCALE]", help="Low-rank additions; repeatable."),
]
Control = Annotated[
    Optional[list[str]],
    typer.Option("--control", metavar="RUN[:STRENGTH]", help="What obeys hints; repeatable."),
]
Hint = Annotated[
    Optional[list[Path]],
    typer.Option("--hint", metavar="IMAGE|FOLDER", help="What is to be obeyed, as edges; repeatable."),
]
HintFrom = Annotated[
    Optional[list[Path]],
    typer.Option("--hint-from", metavar="IMAGE|FOLDER", help="Find the hint in an image; repeatable."),
]
GuideBy = Annotated[
    Optional[str],
    typer.Option("--guide-by", metavar="NAME", help="Of --guidance: class, hint or both.  [class]"),
]
Batch = Annotated[Optional[int], typer.Option("--batch", help="Images at once.  [64]", min=1)]
Settings = Annotated[
    Optional[list[str]],
    typer.Option("--set", metavar="KEY=VALUE", help="Any key of the recipe; repeatable."),
]
Impl = Annotated[
    Optional[list[Path]], typer.Option("--impl", metavar="FILE.py", help="A plug-in, docs/plugins.md; repeatable.")
]
Resume = Annotated[Optional[str], typer.Option("--resume", metavar="RUN", help="Go on with a run.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print recipe, size and estimates; stop.")]
