"""Who races: each with its stages, from the settings that suit it best to samples that are judged."""

import json
import shutil
import time
from dataclasses import asdict, dataclass
from typing import Any

from processes import command_line, run

from racing import judging
from racing.judging import Verdict
from racing.peers import LIBRARIES, Walk
from racing.stages import Folder, together, work
from racing.training import WEIGHTS, Course

BATCHES, RATES = (16, 32, 64), (3e-4, 1e-3, 2e-3)
US = "diffcli"


@dataclass(frozen=True)
class Race:
    """What everyone has.

    minutes:  for training
    budgets:  shares of them, after which everyone is judged; the last is 1
    count:    samples that are judged; of peers at the end, and `between` before it
    choosing: samples by which a few-step sampler is chosen
    chain:    samples by which a sampler is compared with the whole chain
    tries:    seconds for each batch, number of threads and precision
    search:   share of the minutes for each learning rate
    cores:    of this machine
    bf16:     whether its processor computes in bfloat16
    """

    folder: Folder
    minutes: float
    budgets: tuple[float, ...]
    count: int
    between: int
    choosing: int
    chain: int
    tries: float
    search: float
    cores: int
    bf16: bool

    def seconds(self, share: float) -> float:
        return 60 * self.minutes * share

    def images(self, runner: "Runner", share: float) -> int:
        """Samples to judge. Ours after the first share are compared with a peer's in the end, and so are as many."""
        return self.count if runner.ours or share == self.budgets[-1] else self.between


@dataclass(frozen=True)
class Runner:
    """One line of the figure.

    library:  a peer's, or diffcli
    tuned:    whether a peer has settings for short runs, instead of those of its documentation
    classed:  whether it is told the classes
    """

    library: str
    tuned: bool
    classed: bool

    @property
    def name(self) -> str:
        return self.library + ("-tuned" if self.tuned else "") + ("-classes" if self.classed else "")

    @property
    def title(self) -> str:
        if self.library == US:
            return US
        return f"{self.library}, {'tuned' if self.tuned else 'as documented'}"

    @property
    def ours(self) -> bool:
        return self.library == US


def runners(libraries: list[str]) -> list[Runner]:
    """Ours and each peer's, without and with classes; what the libraries' documentation trains is told no classes."""
    kinds = ((False, False), (True, False), (True, True))
    peers = [Runner(library, tuned, classed) for library in libraries for tuned, classed in kinds]
    return [Runner(US, False, False), Runner(US, False, True), *peers]


# Training


def fastest(race: Race, library: str) -> dict[str, Any]:
    """Images per second of a peer at each batch, number of threads and precision, each in a process of its own."""
    rows = []
    for batch in BATCHES:
        for threads in sorted({1, race.cores}):
            for bf16 in (False, True) if race.bf16 else (False,):
                course = asdict(Course(library, False, batch, 1e-4, bf16=bf16))
                rate = work("speed", threads, course=course, seconds=race.tries)
                rows.append({"batch": batch, "threads": threads, "bf16": bf16, "images_per_second": rate})
    return {"tried": rows, "best": max(rows, key=lambda row: row["images_per_second"])}


def searched(race: Race, library: str, speeds: dict[str, Any]) -> dict[str, Any]:
    """The learning rate and batch of a peer that a short run ends best with, by its own loss of held-out images.

    Batches are its fastest one and the smallest, which takes more steps.
    """
    best, rows = speeds["best"], []
    for batch in sorted({BATCHES[0], best["batch"]}):
        for rate in RATES:
            course = Course(library, False, batch, rate, bf16=best["bf16"])
            out = str(race.folder.path / "weights" / f"search-{library}")
            mark = work("train", best["threads"], course=asdict(course), marks=[race.seconds(race.search)], out=out)[-1]
            rows.append({"batch": batch, "rate": rate, **mark, "loss": min(mark["losses"].values())})
    return {"tried": rows, "best": min(rows, key=lambda row: row["loss"])}


def course_of(race: Race, runner: Runner) -> tuple[Course, int]:
    """How a peer is trained, and with how many threads."""
    library, folder = runner.library, race.folder
    speeds = folder.stage(f"speed-{library}", lambda: fastest(race, library))
    if not runner.tuned:
        own = LIBRARIES[library].documented
        plain = [row for row in speeds["tried"] if row["batch"] == own.batch and not row["bf16"]]
        threads = max(plain, key=lambda row: row["images_per_second"])["threads"]
        return Course(library, runner.classed, own.batch, own.rate, own.warmup, own.falls), threads
    best = folder.stage(f"search-{library}", lambda: searched(race, library, speeds))["best"]
    fast = speeds["best"]
    return Course(library, runner.classed, best["batch"], best["rate"], bf16=fast["bf16"]), fast["threads"]


def trained(race: Race, runner: Runner, share: float) -> dict[str, Any]:
    """What a training of this share of the time came to; all shares are one run where the rate does not fall."""
    if runner.ours:
        return race.folder.stage(f"train-{runner.name}-{share:g}", lambda: _we_train(race, runner, share))
    course, threads = course_of(race, runner)
    if course.falls:
        rows = race.folder.stage(
            f"train-{runner.name}-{share:g}", lambda: _train(race, runner, course, threads, [share])
        )
        return rows[0]
    rows = race.folder.stage(f"train-{runner.name}", lambda: _train(race, runner, course, threads, list(race.budgets)))
    return rows[race.budgets.index(share)]


def _train(race: Race, runner: Runner, course: Course, threads: int, shares: list[float]) -> list[dict[str, Any]]:
    """Train a peer. Its average is drawn from, as documented; when tuned, whichever weights have the lower loss."""
    out = str(race.folder.path / "weights" / f"{runner.name}-{shares[-1]:g}")
    marks = work("train", threads, course=asdict(course), marks=[race.seconds(s) for s in shares], out=out)
    for mark in marks:
        mark["which"] = min(WEIGHTS, key=mark["losses"].__getitem__) if runner.tuned else "average"
        mark["images"] = mark["steps"] * course.batch
        mark["images_per_second"] = mark["images"] / mark["seconds"]
        mark["course"] = f"batch {course.batch}, rate {course.rate:g}, {threads} threads" + ", bf16" * course.bf16
    return marks


def _we_train(race: Race, runner: Runner, share: float) -> dict[str, Any]:
    """`diffcli train --minutes M`, as anyone runs it; without classes it is told none."""
    out = race.folder.path / "runs" / f"{runner.name}-{share:g}"
    shutil.rmtree(out, ignore_errors=True)  # of a race that was cut
    asked = ["--minutes", f"{race.minutes * share:g}", "--out", str(out), "--json", "--quiet"]
    asked += [] if runner.classed else ["--set", "drop=1"]
    said = json.loads(run([*command_line(), "train", *asked]).stdout)
    precision = json.loads((out / "run.json").read_text())["precision"]
    return {**said, "weights": said["checkpoint"], "which": "ema", "course": precision}


# Judging


def judged(race: Race, runner: Runner, share: float, walk: Walk, count: int, name: str) -> Verdict:
    """Draw and judge, once."""

    def do() -> dict[str, Any]:
        made, folder = trained(race, runner, share), race.folder.path / "images" / name
        if runner.ours:
            array = judging.drawn_by_us(folder, made["weights"], runner.classed, walk, count)
        else:
            array = judging.drawn(
                folder, runner.library, runner.classed, made["weights"], made["which"], walk, count, race.cores
            )
        return judging.judged(array)._asdict()

    return Verdict(**race.folder.stage(f"judge-{name}", do))


def best_walk(race: Race, runner: Runner) -> Walk:
    """The few-step sampler that draws best from the model after all the minutes."""
    library = LIBRARIES.get(runner.library)
    known = judging.OURS if library is None else library.guided if runner.classed else library.walks
    if len(known) == 1:
        return known[0]

    def distance(number: int) -> float:
        name = f"{runner.name}-choosing-{number}"
        return judged(race, runner, race.budgets[-1], known[number], race.choosing, name).frechet

    return known[min(range(len(known)), key=distance)]


def result(race: Race, runner: Runner, share: float) -> Verdict:
    """The quality after a share of the time."""
    return judged(race, runner, share, best_walk(race, runner), race.images(runner, share), f"{runner.name}-{share:g}")


def seconds(race: Race, runner: Runner, walk: Walk, count: int, repeats: int = 3) -> list[float]:
    """The time of drawing so many images by the model after all the minutes, with all cores."""
    made = trained(race, runner, race.budgets[-1])
    if runner.ours:
        folder = race.folder.path / "images" / "timed"
        folder.mkdir(exist_ok=True)
        rounds = range(repeats)
        return [judging.sample(made["weights"], runner.classed, walk, count, folder)["seconds"] for _ in rounds]
    return work(
        "seconds", race.cores, library=runner.library, classed=runner.classed, weights=made["weights"],
        which=made["which"], walk=list(walk), count=count, repeats=repeats,
    )  # fmt: skip


def as_good_as_the_chain(race: Race, runner: Runner) -> tuple[Walk, Verdict, Verdict]:
    """The first sampler of the ladder that is as good as DDPM-1000, and the verdicts of both."""
    ladder = judging.OUR_LADDER if runner.ours else LIBRARIES[runner.library].ladder

    def verdict(walk: Walk) -> Verdict:
        name = f"{runner.name}-chain-{walk.sampler}-{walk.steps}"
        return judged(race, runner, race.budgets[-1], walk, race.chain, name)

    chain = verdict(ladder[-1])
    for walk in ladder[:-1]:
        if judging.as_good(found := verdict(walk), chain):
            return walk, found, chain
    return ladder[-1], chain, chain


def machine(race: Race) -> dict[str, float]:
    """The best single convolution of the machine in each precision, operations per second summed over processes."""
    found: dict[str, float] = {}
    for bf16 in (False, True) if race.bf16 else (False,):
        for count, threads in {(race.cores, 1), (1, race.cores)}:
            asked = {"bf16": bf16, "seconds": max(0.3, race.tries / 5), "start": time.time() + 15}
            several = together("convolutions", threads, [asked] * count)
            sums = {case: sum(one[case] for one in several) for case in several[0]}
            name = "bf16" if bf16 else "fp32"
            found[name] = max(found.get(name, 0.0), *sums.values())
    return found
