"""Training: the optimisers, the average, the plan, and what happens to nan."""

import math
from collections.abc import Collection, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from diffcli.core.diffusion.denoiser import Denoiser
from diffcli.core.diffusion.exact import Gaussian, covariance_spectrum
from diffcli.core.diffusion.schedules import SCHEDULES
from diffcli.core.randomness import image_noise, keyed
from diffcli.data.kinds import IMAGES, Items
from diffcli.training import optimizers
from diffcli.training.clock import Clock, looks
from diffcli.training.fit import fit
from diffcli.training.objectives import objective
from diffcli.training.optimizers import Muon, Optimizer
from diffcli.training.progress import Diverged, Progress, check, read
from diffcli.training.recipes.diffusion import Recipe, SimpleKeys
from diffcli.training.refusal import RefusableAdamW, clear
from diffcli.training.step import average
from diffcli.training.trainer import Objective, Plan, Trainer
from diffcli.training.validation import Validation

FIT: dict[str, Any] = {"seed": 0, "batch": 8, "warmup": 2, "clip": 1.0, "ema": 0.9}


class Affine(nn.Module):
    """Linear in x, with a slope and an offset that are free functions of the log-SNR: it can be the exact denoiser."""

    def __init__(self) -> None:
        super().__init__()
        self.nulls = {"label": 3}
        self.inner = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 2))
        self.seen: list[Tensor | None] = []

    def forward(self, x: Tensor, log_snr: Tensor, *, label: Tensor | None = None) -> Tensor:
        self.seen.append(label)
        slope, offset = self.inner(log_snr.unsqueeze(1) / 4).unsqueeze(-1).unsqueeze(-1).unbind(1)
        return slope.unsqueeze(-1) * x + offset.unsqueeze(-1)


def simple(drop: float = 0.5) -> Objective:
    return objective(Recipe(objective=SimpleKeys(drop=drop)), Items(IMAGES, (1, 1, 1), ("a", "b", "c")))


def trainer(steps: int, name: str = "adamw", lr: float = 0.01, drop: float = 0.5) -> Trainer:
    torch.manual_seed(0)
    denoiser = Denoiser(Affine(), "v")
    optimizer = Optimizer(denoiser, name=name, lr=lr, muon_lr=lr, weight_decay=0.0)
    return Trainer(denoiser, optimizer, simple(drop), Plan(steps))


def batches(size: int = 8) -> Any:
    """Data from N(0.3, 0.5²) with three labels."""

    def stream(first: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        while True:
            x0 = 0.3 + 0.5 * image_noise(0, "data", [first], (size, 1, 1, 1))[0]
            yield x0, {"label": torch.arange(size) % 3}
            first += size

    return stream


@pytest.mark.parametrize(("name", "lr"), [("adamw", 0.02), ("muon", 0.02)])
def test_training_on_a_gaussian_reaches_the_exact_denoiser(name: str, lr: float) -> None:
    run = trainer(400, name, lr)
    list(fit(run, batches(256), **FIT | {"ema": 0.99, "batch": 256}))
    x = torch.linspace(-1.5, 1.5, 13).reshape(-1, 1, 1, 1)
    for t in (0.2, 0.5, 0.8):
        level = SCHEDULES["cosine"]()(torch.tensor(t, dtype=torch.float64))
        found, truth = run.ema(x, level).x0, Gaussian(0.3, 0.5)(x, level).x0
        assert (found - truth).abs().max() < 0.05


def test_validation_meets_the_linear_line_on_gaussian_data() -> None:
    x0 = 0.3 + 0.5 * torch.randn(4000, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    validation = Validation.fixed(x0, {}, SCHEDULES["cosine"](), seed=0)
    line = validation.linear_loss(covariance_spectrum(x0), "v")

    class Exact(nn.Module):
        def forward(self, x: Tensor, log_snr: Tensor, *, label: Tensor | None = None) -> Tensor:
            alpha2 = torch.sigmoid(log_snr.double()).reshape(-1, 1, 1, 1)
            from diffcli.core.levels import Level

            here = Level(alpha2.sqrt(), (1 - alpha2).sqrt())
            x0, eps, _ = Gaussian(0.3, 0.5)(x, here)
            return here.alpha * eps - here.sigma * x0

    denoiser = Denoiser(Exact(), "v")
    denoiser.register_parameter("place", nn.Parameter(torch.zeros(1)))
    assert validation.loss(denoiser) == pytest.approx(line, rel=0.05)
    assert validation.loss(denoiser, batch=4000) == pytest.approx(validation.loss(denoiser, batch=7), rel=1e-5)


def test_labels_are_dropped_at_the_asked_rate_to_the_null_label() -> None:
    run = trainer(200, drop=0.25)
    list(fit(run, batches(), **FIT))
    seen = torch.cat([label for label in run.model.network.seen if label is not None])  # type: ignore[union-attr]
    assert (seen == 3).float().mean().item() == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 1600))


def test_learning_rate_rises_then_falls_to_zero() -> None:
    run = trainer(100)
    scales = [p.scale for p in fit(run, batches(), **FIT | {"warmup": 10})]
    assert scales[0] == pytest.approx(0.1, rel=0.01)
    assert max(scales) > 0.95
    assert scales[-1] < 0.001
    assert scales[10:] == sorted(scales[10:], reverse=True)


def test_average_follows_its_formula_with_warm_up() -> None:
    run = trainer(6)
    expected = [p.clone() for p in run.ema.parameters()]
    for n, _ in enumerate(fit(run, batches(), **FIT)):
        decay = min(0.9, (1 + n) / (10 + n))
        expected = [decay * e + (1 - decay) * p for e, p in zip(expected, run.model.parameters(), strict=True)]
        for e, p in zip(expected, run.ema.parameters(), strict=True):
            torch.testing.assert_close(e.detach(), p)


def test_average_with_decay_zero_is_the_model() -> None:
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    average(a, b, 0.0)
    assert torch.equal(a.weight, b.weight)


class Counting(Affine):
    """With a buffer that training changes: how many items it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor, log_snr: Tensor, *, label: Tensor | None = None) -> Tensor:
        self.count += len(x)
        return super().forward(x, log_snr, label=label)


def test_the_average_has_the_buffers_of_the_model_as_they_are_now() -> None:
    torch.manual_seed(0)
    denoiser = Denoiser(Counting(), "v")
    optimizer = Optimizer(denoiser, name="adamw", lr=0.01, muon_lr=0.01, weight_decay=0.0)
    run = Trainer(denoiser, optimizer, simple(), Plan(5))
    for n, _ in enumerate(fit(run, batches(), **FIT)):
        assert run.model.network.count == run.ema.network.count == 8 * (n + 1)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_nan_changes_no_weight_and_three_in_a_row_stop(name: str) -> None:
    run = trainer(50, name)
    clean = batches()

    def poisoned(first: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        for n, (x0, conditions) in enumerate(clean(first)):
            yield (x0 * math.nan if n in (3, 4, 7, 8, 9) else x0), conditions

    before: list[Tensor] = []
    with pytest.raises(Diverged):
        for progress in fit(run, poisoned, **FIT):
            after = [p.detach().clone() for p in run.model.parameters()]
            if progress.refused:
                assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
            before = after
    assert run.step == 10
    assert all(p.isfinite().all() for p in (*run.model.parameters(), *run.ema.parameters()))


def test_what_a_step_measured_is_read_once_and_many_at_once() -> None:
    steps = [Progress(n + 1, 1.0, False, torch.tensor([n + 0.5, 2.0 * n, float(n > 1)])) for n in range(4)]
    assert not any(step.known for step in steps)
    read(steps[1:])
    assert [step.known for step in steps] == [False, True, True, True]
    assert [step.loss for step in steps] == [0.5, 1.5, 2.5, 3.5]
    assert [step.gradient_norm for step in steps] == [0.0, 2.0, 4.0, 6.0]
    assert [step.refused for step in steps] == [False, False, True, True]


def test_three_refusals_in_a_row_are_found_among_steps_that_are_read_late() -> None:
    def steps(*refused: int) -> list[Progress]:
        return [Progress(n, 1.0, False, torch.tensor([math.nan, 1.0, float(row)])) for n, row in enumerate(refused)]

    check(steps(0, 1, 2, 0, 1, 2))
    with pytest.raises(Diverged, match="three times in a row"):
        check(steps(0, 1, 2, 3, 0, 0))


def moved(kind: Any, steps: int, refused: Collection[int] = (), **options: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Weights and optimiser state after steps with the same gradients; refused ones have gradients of nan."""
    generator = keyed(0, "moved")
    weights = [nn.Parameter(torch.randn(*size, generator=generator)) for size in ((5, 3), (4, 2))]
    optimizer = kind(weights, **options)
    for step in range(steps):
        for weight in weights:
            wrong = torch.full_like(weight, math.nan)
            weight.grad = wrong if step in refused else torch.randn(weight.shape, generator=generator)
        if kind is not torch.optim.AdamW:
            optimizer.refuse = torch.tensor(step in refused)
            clear([weight.grad for weight in weights], optimizer.refuse)
        optimizer.step()
    return [weight.detach() for weight in weights], [v for weight in weights for v in optimizer.state[weight].values()]


ADAMW: dict[str, Any] = {"lr": 0.05, "betas": (0.9, 0.99), "weight_decay": 0.1}


def test_adamw_that_may_refuse_is_torchs_own_to_rounding() -> None:
    for a, b in zip(moved(RefusableAdamW, 20, **ADAMW), moved(torch.optim.AdamW, 20, **ADAMW), strict=True):
        torch.testing.assert_close(a, b, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "options"), [(RefusableAdamW, ADAMW), (Muon, {"lr": 0.1, "weight_decay": 0.1})], ids=["adamw", "muon"]
)
@pytest.mark.parametrize("refused", [(0,), (0, 1), (2, 5), (7,)])
def test_a_refused_step_leaves_weights_and_state_as_they_are(
    kind: Any, options: dict[str, Any], refused: tuple[int, ...]
) -> None:
    found = moved(kind, 8, refused, **options)
    wanted = moved(kind, 8 - len(refused), **options)
    for a, b in zip(found, wanted, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_muon_steps_along_an_orthogonal_matrix_and_adamw_takes_the_rest() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(8, 6, 3), nn.Embedding(5, 4), nn.Linear(7, 7))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    before = {k: p.detach().clone() for k, p in network.named_parameters()}
    optimizer = Optimizer(network, name="muon", lr=0.001, muon_lr=0.1, weight_decay=0.0)
    for p in network.parameters():
        p.grad = torch.randn_like(p)
    optimizer.step(1.0)
    step = {k: before[k] - p.detach() for k, p in network.named_parameters()}
    for name in ("0.weight", "2.weight"):  # Newton-Schulz brings the singular values to about 1, here times 0.1
        singular = torch.linalg.svdvals(step[name].flatten(1))
        assert singular.min() > 0.05, name
        assert singular.max() < 0.13, name
    assert step["1.weight"].abs().max() < 0.0011, "an embedding is stepped by AdamW"
    assert step["2.bias"].abs().max() < 0.0011


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_matrices_are_the_same_together_as_one_by_one(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(optimizers, "_type", lambda _: dtype)
    monkeypatch.setattr(optimizers, "SMALL", 30)
    shapes = [(3, 7), (5, 4), (3, 7), (8, 8), (5, 4), (3, 7), (8, 8)]  # the last one is not small
    matrices = [torch.randn(shape) for shape in shapes]
    given = [matrix.clone() for matrix in matrices]
    for found, matrix in zip(optimizers.all_orthogonal(matrices), matrices, strict=True):
        wanted = optimizers.orthogonal(matrix)
        torch.testing.assert_close(found, wanted, atol=0.02 if dtype == torch.bfloat16 else 0, rtol=0)
    assert all(map(torch.equal, matrices, given)), "what was given is left alone"
    assert optimizers.all_orthogonal([]) == []


def convolution_trained(name: str, memory_format: torch.memory_format) -> Tensor:
    """Its weight after three steps; the tensor that training was given is the one that is trained."""
    torch.manual_seed(0)
    network = nn.Conv2d(8, 6, 3)
    network.to(memory_format=memory_format)  # type: ignore[call-overload]
    place, before = network.weight.data_ptr(), network.weight.detach().clone()
    optimizer = Optimizer(network, name=name, lr=0.01, muon_lr=0.1, weight_decay=0.01)
    for _ in range(3):
        for p in network.parameters():
            p.grad = torch.randn(p.shape)  # of another memory format than the weight, in one of the cases
        optimizer.step(1.0)
    assert network.weight.data_ptr() == place
    assert ((network.weight - before).abs() > 1e-4).float().mean() > 0.9, "nearly every number has moved"
    return network.weight.detach()


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_a_convolution_is_trained_alike_in_every_memory_format(name: str) -> None:
    plain, last = (convolution_trained(name, f) for f in (torch.contiguous_format, torch.channels_last))
    assert plain.is_contiguous()
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(plain, last)


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_optimizer_state_survives_a_round_trip_exactly(name: str) -> None:
    def walk(run: Trainer, steps: int) -> None:
        run.plan = Plan(10)
        stream = fit(run, batches(), **FIT)
        for _ in range(steps):
            next(stream)

    whole, first, second = trainer(10, name), trainer(10, name), trainer(10, name)
    walk(whole, 6)
    walk(first, 3)
    second.model.load_state_dict(first.model.state_dict())
    second.ema.load_state_dict(first.ema.state_dict())
    second.optimizer.load(first.optimizer.state())
    second.step = 3
    walk(second, 3)
    assert whole.optimizer.state().keys() == second.optimizer.state().keys()
    for key, value in whole.optimizer.state().items():
        assert torch.equal(value, second.optimizer.state()[key]), key
    for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_plan_is_linear_and_stays_continuous_when_revised() -> None:
    plan = Plan(100)
    assert [plan.at(n) for n in (0, 50, 100)] == [0, 0.5, 1]
    later = plan.revised(40, 60)
    assert later.at(40) == plan.at(40)
    assert later.at(60) == 1
    assert later.at(50) == pytest.approx(0.7)
    assert later.revised(50, 20) == Plan(50, 50, later.at(50)), "an end in the past is now"


class FakeTime:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("slowdown", [0.5, 1.0, 3.0])
def test_a_run_by_the_clock_ends_with_its_budget(slowdown: float) -> None:
    """The speed changes after a minute, each checkpoint takes 2 s, and still the end is within a few seconds.

    Wherever the clock puts the end, the learning rate has come down to a hundredth there.
    """
    time = FakeTime()
    clock = Clock(300.0, since=0.0, every=0, now=time)
    plan, step = clock.begin(0, Plan(0), seconds_per_step=0.1), 0
    while step < plan.total:
        progress = plan.at(step)
        step += 1
        time.now += 0.2 * (slowdown if time.now > 60 else 1.0)
        if clock.due(step) or step == plan.total:
            plan = clock.revise(step, plan)
            time.now += 2.0
            clock.saved(step, looked=True)
    assert 296 < time.now < 304
    assert (1 + math.cos(math.pi * progress)) / 2 < 0.01


def test_a_run_of_steps_is_not_moved_by_the_clock() -> None:
    time = FakeTime()
    clock = Clock(None, since=0.0, every=7, now=time)
    plan, saves = clock.begin(0, Plan(20), seconds_per_step=1.0), []
    for step in range(1, 21):
        time.now += 100
        if clock.due(step):
            plan = clock.revise(step, plan)
            clock.saved(step, looked=False)
            saves.append(step)
    assert saves == [7, 14, 20]
    assert plan == Plan(20)


def test_previews_come_early_and_then_now_and_then() -> None:
    assert [n for n in range(1, 30) if looks(n)] == [1, 2, 4, 8, 16, 24]
