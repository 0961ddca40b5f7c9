"""diffcli and its peers trained on the same MNIST for the same minutes: `python benchmarks/race.py --out FOLDER`.

Whatever is done is kept in the folder, so a race that was cut goes on by the same command. The report, Markdown, goes
to stdout and to FOLDER/race.md, the figure to FOLDER/race.png, progress to stderr. Takes hours; see README.md.
"""

import argparse
import importlib.util
import itertools
import os
import statistics
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from measuring import Goal, Spread, note, number, put
from processes import command_line, process_seconds
from racing import report, runners
from racing.judging import Verdict
from racing.peers import LIBRARIES
from racing.report import Chain, Ended
from racing.runners import Race, Runner
from racing.stages import Folder, work

from diffcli.system.device import use_bf16

DRAWN = 64  # images whose drawing is timed
PROCESS = 4.0  # seconds that a whole `diffcli sample` may take
AVX512, AVX2 = 1.0, 3.0  # seconds that drawing them may take


def quality(race: Race, everyone: list[Runner]) -> dict[Runner, dict[float, Verdict]]:
    """Everyone after every share of the minutes: first all of them, then the smallest, then what lies between."""
    shares = [race.budgets[-1], *race.budgets[:-1]]
    for share, runner in itertools.product(shares, everyone):
        found = runners.result(race, runner, share)
        note(f"{runner.name} after {number(race.minutes * share)} min: {found.text}")
    return {runner: {share: runners.result(race, runner, share) for share in race.budgets} for runner in everyone}


def ended(race: Race, everyone: list[Runner], limits: dict[str, float]) -> dict[Runner, Ended]:
    """What everyone has in the end, and what it costs."""
    found = {}
    for runner in everyone:
        made = runners.trained(race, runner, 1.0)
        needs = race.folder.stage(f"flops-{runner.name}", lambda r=runner, m=made: _needs(r, m))
        walk = runners.best_walk(race, runner)
        times = race.folder.stage(f"seconds-{runner.name}", lambda r=runner, w=walk: runners.seconds(race, r, w, DRAWN))
        limit = limits["bf16" if "bf16" in made["course"] else "fp32"]
        found[runner] = Ended(
            runners.result(race, runner, 1.0), walk, statistics.median(times), DRAWN, made["images_per_second"],
            needs["flops"] * made["images_per_second"] / limit, int(needs["parameters"]), made["course"],
        )  # fmt: skip
    return found


def _needs(runner: Runner, made: dict[str, Any]) -> dict[str, float]:
    if runner.ours:
        return work("our_flops", 1, run=made["weights"])
    return work("flops", 1, library=runner.library, classed=runner.classed)


def chains(race: Race, everyone: list[Runner]) -> dict[Runner, Chain]:
    """The cheapest samplers that are as good as the whole chain: ours, and of the tuned peers without classes."""
    found = {}
    for runner in everyone:
        if runner.ours or (runner.tuned and not runner.classed):
            walk, verdict, whole = runners.as_good_as_the_chain(race, runner)
            name = f"seconds-{runner.name}-chain-{walk.sampler}-{walk.steps}"
            times = race.folder.stage(name, lambda r=runner, w=walk: runners.seconds(race, r, w, DRAWN))
            found[runner] = Chain(walk, verdict, whole, statistics.median(times))
    return found


def whole_process(race: Race, runner: Runner, chain: Chain) -> Goal:
    """The wall time of `diffcli sample` from start to end."""
    made = runners.trained(race, runner, 1.0)
    asked = ["--sampler", chain.walk.sampler, "--steps", str(chain.walk.steps), "--count", str(DRAWN), "--class", "all"]
    folder = race.folder.path / "images" / "timed"

    def once() -> float:
        (folder / "grid.png").unlink(missing_ok=True)
        return process_seconds([*command_line(), "sample", made["weights"], *asked, "--out", str(folder / "grid.png")])

    spread = Spread.of(race.folder.stage("process", lambda: [once() for _ in range(5)]))
    median, least_to_most = spread.cells()
    name = f"`diffcli sample RUN {' '.join(asked)}`, start and all"
    return Goal(name, f"{median} s ({least_to_most})", f"under {PROCESS:g} s", spread.median < PROCESS)


def run(race: Race, libraries: list[str], parts: list[str]) -> list[str]:
    """The report, after all that is not done yet."""
    everyone = [r for r in runners.runners(libraries) if ("classes" if r.classed else "plain") in parts]
    limits = race.folder.stage("machine", lambda: runners.machine(race))
    qualities = quality(race, everyone)
    ends = ended(race, everyone, limits)
    lines, goals = [], report.speed_goals(ends) if any(r.ours and r.classed for r in everyone) else []
    for classed in sorted({r.classed for r in everyone}):
        lines += [f"\n#### {'With' if classed else 'Without'} classes\n", *report.results(ends, classed)]
        goals = [*report.ahead(qualities, race.minutes, classed), *goals]
    lines += ["\n#### Quality against minutes\n", *report.by_minutes(qualities, race.minutes)]
    report.draw(qualities, race.minutes, race.folder.path / "race.png")
    if "chain" in parts:
        found = chains(race, everyone)
        allowed = AVX512 if "AVX512" in torch.backends.cpu.get_cpu_capability() else AVX2
        lines += ["\n#### As good as DDPM-1000\n", *report.chain_table(found, DRAWN)]
        goals += report.chain_goals(found, DRAWN, allowed)
        goals += [whole_process(race, r, chain) for r, chain in found.items() if r.ours and r.classed]
    best = ", ".join(f"{name} {number(value / 1e9)} GFLOP/s" for name, value in limits.items())
    lines += ["", f"The machine's limit, its best 3x3 convolution forward and backward, all cores: {best}."]
    return [*lines, "\n#### Goals\n", *report.goal_lines(goals)]


def surroundings(race: Race, libraries: list[str]) -> str:
    """What the figures depend on beside the code."""
    names = ["torch", *(LIBRARIES[name].package.replace("_", "-") for name in libraries)]
    load = f", load at the start {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"python {sys.version.split()[0]}, {', '.join(f'{name} {version(name)}' for name in names)}, "
        f"{race.cores} processors, {torch.backends.cpu.get_cpu_capability()}, {'with' if race.bf16 else 'without'} "
        f"bfloat16{load}; {number(race.minutes)} minutes each, {race.count} samples judged "
        f"({race.between} of peers before the end)"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train diffcli and its peers for the same minutes; judge, draw, tell.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the race; one that was cut goes on")
    parser.add_argument("--minutes", type=float, default=8.0, help="of training (default 8)")
    parser.add_argument(
        "--budgets", type=float, nargs="+", default=[0.1, 0.25, 0.5, 1.0], metavar="SHARE",
        help="of the minutes, after which everyone is judged (default 0.1 0.25 0.5 1)",
    )  # fmt: skip
    parser.add_argument("--count", type=int, default=5000, help="samples judged (default 5000)")
    parser.add_argument("--between", type=int, default=1000, help="of peers before the end (default 1000)")
    parser.add_argument("--choosing", type=int, default=300, help="samples that samplers are chosen by (default 300)")
    parser.add_argument("--chain", type=int, default=300, help="samples of DDPM-1000 (default 300)")
    parser.add_argument("--tries", type=float, default=5.0, help="seconds for each batch of a peer (default 5)")
    parser.add_argument("--search", type=float, default=0.25, help="share of the minutes per rate (default 0.25)")
    parser.add_argument("--peers", nargs="*", choices=LIBRARIES, default=list(LIBRARIES), help="who else (default all)")
    parser.add_argument(
        "--parts", nargs="+", choices=("plain", "classes", "chain"), default=["plain", "classes", "chain"],
        help="without classes, with them, and the comparison with DDPM-1000 (default all)",
    )  # fmt: skip
    parser.add_argument("--readme", action="store_true", help="put the report into README.md, between its marks")
    options = parser.parse_args()
    options.budgets = sorted(set(options.budgets))
    if not all(0 < share <= 1 for share in options.budgets) or options.budgets[-1] != 1:
        parser.error("--budgets are shares of the minutes, the last of them 1")
    if options.minutes <= 0 or not 0 < options.search <= 1 or options.tries <= 0:
        parser.error("--minutes and --tries must be above 0, --search a share")
    return options


def main() -> None:
    options = parse()
    missing = [n for n in options.peers if importlib.util.find_spec(LIBRARIES[n].package) is None]
    if missing:
        raise SystemExit(f"error: not installed: {', '.join(missing)}; pip install -e '.[benchmarks]', or --peers")
    given = {k: v for k, v in vars(options).items() if k not in ("out", "peers", "parts", "readme")}
    folder, cores = Folder(options.out, given), len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
    del given["budgets"]
    race = Race(
        folder, budgets=tuple(options.budgets), cores=cores, bf16=use_bf16("auto", torch.device("cpu")), **given
    )
    lines = [surroundings(race, options.peers), *run(race, options.peers, options.parts)]
    if options.readme:
        put(Path(__file__).with_name("README.md"), "race", lines)
    text = "\n".join(lines) + "\n"
    (folder.path / "race.md").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
