"""For tests of options in pairs: where each command is tried, a value for each option, and what else it needs."""

from dataclasses import dataclass, field
from typing import Any

GENERAL = {  # by flag: options that mean the same in many commands
    "out": "place", "seed": 1, "device": "cpu", "devices": 1, "data": "sets", "schedule": "linear", "grid": "log-snr",
    "class": 1, "guidance": 3, "sampler": "heun", "steps": 3, "weights": "raw", "batch": 1, "impl": "plug.py",
    "lora": "added.safetensors", "dataset": "others", "count": 3, "columns": 3,
}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """Where a command is tried. Names are those of parameters: label for --class.

    arguments:  of the command, with words between blanks
    base:       options that are always given, to be quick
    examples:   a value for each option that `GENERAL` has none for, or another one; flags need none
    beside:     other values beside some other option: (option, other) -> value
    needs:      what an option belongs to, which is given with it
    without:    what of the base has no place beside an option
    """

    arguments: str = ""
    base: dict[str, Any] = field(default_factory=dict)
    examples: dict[str, Any] = field(default_factory=dict)
    beside: dict[tuple[str, str], Any] = field(default_factory=dict)
    needs: dict[str, dict[str, Any]] = field(default_factory=dict)
    without: dict[str, set[str]] = field(default_factory=dict)


TRAINING = {
    "minutes": 0.01, "lr": 0.01, "settings": "warmup=3", "recipe": "own.toml", "batch": 8, "steps": 20, "low": 0.1,
    "high": 0.5, "corruption": "masking", "pixels": "8bit", "model": "mlp", "latent": 3, "beta": 2, "free_bits": 0.1,
    "predict": "eps",
}  # fmt: skip
MOVED = {("dataset", "resume"): "shapes"}  # the same images elsewhere
WITHOUT = {"minutes": {"steps"}, "resume": {"dataset", "recipe", "steps"}}


def trained(resume: str, **more: Any) -> Scene:
    """The scene of a `train`."""
    base = {"dataset": "shapes", "recipe": "tiny", "steps": 2}
    return Scene(base=base, examples=TRAINING | {"resume": resume} | more, without=WITHOUT, beside=MOVED)


FORWARD = Scene(
    base={"dataset": "shapes", "count": 2, "columns": 2},
    examples={"image": "photo.png"},
    without={"image": {"dataset", "count"}},
)

SCENES: dict[str, Scene] = {
    "train": trained("shapes-1", recipe="own.toml", latent="codec-1"),
    "vae train": trained("vae-1", recipe="mlp", model="linear"),
    "dae train": trained("dae-1", recipe="masking"),
    "finetune": Scene(
        base={"dataset": "shapes", "steps": 2},
        examples=TRAINING
        | {
            "resume": "shapes-1",
            "mode": "head",
            "rank": 2,
            "alpha": 2,
            "layers": "attention",
            "parts": "middle",
            "judge": 3,
            "downstream": True,
        },
        needs={
            "rank": {"mode": "lora"},
            "alpha": {"mode": "lora"},
            "layers": {"mode": "lora"},
            "parts": {"mode": "frozen"},
        },
        without=WITHOUT,
        beside=MOVED,
    ),
    "control train": Scene(
        base={"dataset": "shapes", "steps": 2, "condition": "edges"},
        examples=TRAINING | {"resume": "shapes-1", "mode": "concat", "condition": "mask"},
        without=WITHOUT | {"resume": WITHOUT["resume"] | {"condition"}},
        beside=MOVED,
    ),
    "control evaluate": Scene(
        "edges-1",
        base={"count": 2, "steps": 3, "judge": False},
        examples={"steps": 4, "guide_by": "hint", "judge": True},
        needs={"guide_by": {"guidance": 3}},
    ),
    "sample": Scene(
        "shapes-1",
        base={"count": 2},
        examples={
            "start": "linear",
            "eta": 0.5,
            "variance": "large",
            "churn": 1,
            "churn_min": 0.5,
            "churn_max": 2,
            "churn_noise": 0.5,
            "corrections": 2,
            "snr": 0.3,
            "guide": "faded",
            "guidance_interval": "1,2",
            "guidance_rescale": 0.5,
            "clip": False,
            "threshold": 1,
            "begin": "photo.png",
            "strength": 0.9,
            "inpaint": "photo.png",
            "mask": "mask.png",
            "resample": 2,
            "invert": "photo.png",
            "array": "x.npy",
            "depth": 16,
            "count": 3,
            "steps": 4,
            "control": "edges-1",
            "hint": "mask.png",
            "hint_from": "photo.png",
            "guide_by": "hint",
        },
        beside={("clip", "invert"): True},
        needs={
            "churn": {"sampler": "edm"},
            "churn_min": {"sampler": "edm", "churn": 1},
            "churn_max": {"sampler": "edm", "churn": 1},
            "churn_noise": {"sampler": "edm", "churn": 1},
            "corrections": {"sampler": "predictor-corrector"},
            "snr": {"sampler": "predictor-corrector"},
            "guidance": {"label": 1},
            "guidance_interval": {"label": 1, "guidance": 3},
            "guidance_rescale": {"label": 1, "guidance": 3},
            "guide": {"label": 1, "guidance": 3, "impl": "plug.py"},
            "control": {"hint": "mask.png"},
            "hint": {"control": "edges-1"},
            "hint_from": {"control": "edges-1"},
            "guide_by": {"label": 1, "guidance": 3, "control": "edges-1", "hint": "mask.png"},
            "strength": {"begin": "photo.png"},
            "inpaint": {"mask": "mask.png"},
            "mask": {"inpaint": "photo.png"},
            "resample": {"inpaint": "photo.png", "mask": "mask.png"},
        },
        without={"invert": {"count"}},
    ),
    "visualize forward": FORWARD,
    "noise forward": FORWARD,
    "visualize reverse": Scene(
        "shapes-1",
        base={"count": 2, "columns": 2, "steps": 3},
        examples={"steps": 4},
        needs={"guidance": {"label": 1}},
    ),
    "visualize schedules": Scene("linear"),
    "visualize score": Scene("exact:dataset,name=moons,count=20", base={"columns": 1}, examples={"schedule": "cosine"}),
    "visualize weights": Scene(),
    "noise": Scene(),
    "noise gaussian": Scene(
        base={"count": 100},
        examples={
            "dim": 1,
            "mean": 0.5,
            "std": 2,
            "covariance": "1,0.5/0.5,2",
            "other_mean": 2,
            "other_std": 3,
            "other_covariance": "1,0.2/0.2,2",
            "matrix": "2,0/0,2",
            "shift": 2,
            "given": 0.5,
            "count": 200,
        },
    ),
    "noise chain": Scene(
        base={"value": 1, "count": 30, "steps": 5},
        examples={"value": 2, "schedule": "cosine", "count": 40},
        needs={"data": {"dataset": "shapes"}},
        without={"dataset": {"value"}, "data": {"value"}},
    ),
    "draw": Scene(
        base={"count": 1000},
        examples={
            "method": "metropolis",
            "chains": 5,
            "burn_in": 10,
            "scale": 2,
            "step": 0.1,
            "leaps": 3,
            "count": 1500,
        },
    ),
    "markov": Scene("random-walk", base={"steps": 20, "chains": 10}, examples={"chains": 20, "start": 1, "steps": 30}),
    "langevin": Scene(
        base={"steps": 20, "count": 50, "levels": 3},
        examples={
            "method": "annealed",
            "step": 0.2,
            "noise_step": 0.2,
            "steps": 30,
            "count": 60,
            "levels": 4,
            "sigma_max": 5,
            "sigma_min": 0.05,
        },
    ),
    "ais": Scene(
        base={"temperatures": 20, "chains": 20},
        examples={"ladder": "linear", "kernel": "hmc", "moves": 2, "temperatures": 30, "chains": 30},
    ),
    "dae denoise": Scene("dae-1 photo.png", examples={"amount": 0.3, "memory": 500}, needs={"seed": {"corrupt": True}}),
    "dae evaluate": Scene("dae-1", base={"count": 2}, examples={"amount": 0.3}),
    "dae score": Scene(base={"steps": 5, "count": 50}, examples={"sigma": 0.5, "steps": 6, "count": 60}),
    "vae evaluate": Scene(
        "vae-1",
        base={"count": 2, "samples": 3, "ais_images": 2, "ais_chains": 2, "ais_temperatures": 3},
        examples={"samples": 4, "ais_images": 3, "ais_chains": 3, "ais_temperatures": 4},
    ),
    "vae sample": Scene("vae-1", base={"count": 2, "traverse": 1}, examples={"traverse": 2}),
    "vae reconstruct": Scene("vae-1", base={"count": 2}, examples={"image": "photo.png"}, without={"image": {"count"}}),
    "vae interpolate": Scene("vae-1", base={"count": 2}, examples={"first": 2, "second": 3}),
    "score": Scene(
        base={"steps": 5, "count": 20},
        examples={
            "method": "denoising",
            "sigma": 0.5,
            "projections": 2,
            "directions": "gaussian",
            "steps": 6,
            "count": 30,
        },
    ),
    "evaluate": Scene(
        "many-1",
        base={"features": "pixels", "count": 70, "steps": 2, "metrics": "frechet,sliced"},
        examples={
            "against": "more",
            "features": "pixels,judge",
            "metrics": "frechet",
            "count": 80,
            "grid": "quadratic",
        },
        needs={"label": {"against": "more"}, "guidance": {"label": 1, "against": "more"}},
    ),
    "compare": Scene(
        "many-1",
        base={"features": "pixels", "count": 70, "steps": "2", "samplers": "ddim", "truth": 2},
        examples={
            "samplers": "dpmpp-2m",
            "steps": "3",
            "eta": "0.5",
            "guidance": "3",
            "start": "linear",
            "table": "ddim",
            "against": "more",
            "features": "judge",
            "count": 80,
            "truth": 3,
            "grid": "log-snr",
        },
        needs={"label": {"against": "more"}},
        without={"table": {"samplers", "truth"}, "eta": {"truth"}},
    ),
    "grid": Scene(
        "shapes-1",
        base={"steps": "2", "teacher": 5, "count": 2},
        examples={"steps": "3", "cost": "rollout", "teacher": 6, "discount": 2, "features": "pixels"},
        needs={"features": {"cost": "features"}},
    ),
    "vlb": Scene(
        "shapes-1",
        base={"steps": 5, "count": 4},
        examples={
            "steps": 6,
            "variance": "large",
            "decoder": "bayes",
            "samples": 2,
            "every": 2,
            "best_steps": 2,
            "precision": "fp32",
            "count": 5,
        },
    ),
    "likelihood": Scene(
        "shapes-1",
        base={"count": 2, "rtol": 0.1, "atol": 0.1},
        examples={
            "dequantise": "uniform",
            "trace": "gaussian",
            "probes": 2,
            "rtol": 0.03,
            "atol": 0.03,
            "precision": "bf16",
            "count": 3,
        },
    ),
    "data": Scene("shapes", examples={"settings": "size=4", "look": "look.png"}),
    "info": Scene("exact:dataset,name=moons,count=20"),
    "verify": Scene("schedules-go-one-way", examples={"impl": "schedule.py"}),
    "explain": Scene("posterior"),
    "learn": Scene(),
    "learn init": Scene("new", examples={"tasks": "more"}),
    "learn check": Scene("averages.standard-error"),
    "learn watch": Scene(),
    "learn show": Scene("averages"),
    "learn hint": Scene("averages.moving-average"),
    "learn solution": Scene("averages.moving-average"),
    "learn reset": Scene("averages.moving-average"),
    "learn skip": Scene("averages.moving-average"),
    "learn run": Scene("averages"),
    "learn status": Scene(examples={"badge": "badge.svg"}),
    "learn log": Scene(examples={"week": 2, "out": "page.md"}),
    "learn doctor": Scene(),
    "runs": Scene(),
    "runs export": Scene("shapes-1 small.safetensors", examples={"precision": "float32"}),
}

HARMLESS = {  # pairs of which one may change nothing, by command and option: why
    ("sample", "data"): "a folder to look for data sets in, where none is looked for: --start linear does, and points",
    ("grid", "data"): "the data are looked for by --cost features and bound only",
    ("finetune", "judge"): "nothing is trained here, so nothing is judged",
    ("finetune", "against_scratch"): "nothing is trained here, so nothing is judged",
    ("finetune", "forget_check"): "nothing is trained here, so nothing is judged",
    ("finetune", "downstream"): "nothing is trained here, so nothing is judged",
    ("dae denoise", "memory"): "a bound, which counts where it is reached",
    ("sample", "ddim", "invert"): "it says what happens anyway",
    ("sample", "ddim", "interpolate"): "it says what happens anyway",
}
