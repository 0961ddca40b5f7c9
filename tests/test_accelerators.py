"""Training and drawing on an accelerator: without float64, without waiting for it, to what the CPU comes to."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from device_modes import LACKING, Fault, There, accelerator, device
from torch import Tensor

from diffcli.core.devices import anywhere, exact_on, sent, widest
from diffcli.core.diffusion.grids import levels
from diffcli.core.diffusion.guidance import clipped, guided
from diffcli.core.diffusion.job import Job
from diffcli.core.diffusion.samplers import SAMPLERS
from diffcli.core.diffusion.schedules import SCHEDULES
from diffcli.core.randomness import image_noise, uniform, walk_noise
from diffcli.data.dataset import Dataset
from diffcli.data.kinds import IMAGES, POINTS, Items
from diffcli.runs.fitting import fit_by
from diffcli.training import objectives, recording
from diffcli.training.families import FAMILIES
from diffcli.training.fit import fit
from diffcli.training.progress import LOOK_EVERY, Diverged, Progress
from diffcli.training.recipes import Training, override
from diffcli.training.setup import build, new_trainer
from diffcli.training.trainer import Trainer

CPU = torch.device("cpu")
SMALL = {"network.widths": (4,), "network.blocks": 1}
PLACES = torch.arange(24)


# What the device minds


def test_a_number_that_is_asked_for_is_noted_with_its_line() -> None:
    with accelerator() as stand:
        x = torch.ones(3, device=device())
        for look in (lambda: x.sum().item(), x.tolist, x.cpu, lambda: bool(x.any()), lambda: x[x > 0], x.nonzero):
            before = len(stand.stalls)
            look()
            assert len(stand.stalls) > before
        stand.stalls.clear()
        x.add_(1).sum().clamp(max=2).where(x > 0, 0.0)
        assert stand.stalls == []
        anywhere(lambda value: value * value.sum().item(), x)
        assert stand.stalls[0].startswith("_local_scalar_dense at core/devices.py:")


def test_copies_from_memory_that_is_not_pinned_are_noted() -> None:
    with accelerator() as stand:
        sent(torch.ones(3), device())
        assert stand.stalls == []
        there = torch.ones(3).to(device())
        there.copy_(torch.zeros(3))
        assert len(stand.stalls) == 2
        there.copy_(torch.zeros(3), non_blocking=True)
        assert len(stand.stalls) == 2


def test_float64_is_refused_and_so_are_tensors_of_two_devices() -> None:
    with accelerator():
        x = torch.ones(3, device=device())
        for make in (
            x.double,
            lambda: torch.zeros(2, dtype=torch.float64, device=device()),
            lambda: torch.ones(2, dtype=torch.float64).to(device()),
            lambda: torch.nn.Linear(2, 2).double().to(device()),
        ):
            with pytest.raises(Fault, match="float64"):
                make()
        assert (x * torch.tensor(0.5, dtype=torch.float64)).dtype == torch.float32, "a single number is no tensor"
        for mix in (lambda: x + torch.ones(3), lambda: torch.cat([x, torch.ones(3)]), lambda: x[torch.tensor([0])]):
            with pytest.raises(Fault, match="both devices"):
                mix()
    with pytest.raises(Fault, match="outside"):
        x + 1


def test_the_way_back_to_the_gradients_is_watched_as_well() -> None:
    def passed_back(change: Callable[[Tensor], Tensor]) -> None:
        x = torch.ones(3, device=device()).requires_grad_()
        total = (2 * x).sum()
        total.register_hook(change)
        total.backward()
        assert x.grad is not None

    with accelerator() as stand:
        passed_back(lambda gradient: gradient * 2)
        assert stand.stalls == []
        passed_back(lambda gradient: gradient * float(gradient))
        assert len(stand.stalls) == 1
    for change, words in (
        (lambda g: g.double().float(), "float64"),
        (lambda g: (g + torch.ones(1))[0], "both devices"),
    ):
        with pytest.raises(Fault, match=words), accelerator():
            passed_back(change)


def test_operations_that_a_device_lacks_are_the_cpus() -> None:
    x = torch.linspace(-3, 3, 5)
    with accelerator(lacking=LACKING):
        with pytest.raises(NotImplementedError):
            torch.special.log_ndtr(x.to(device()))
        found = anywhere(torch.special.log_ndtr, x.to(device()))
        assert isinstance(found, There)
        assert torch.equal(found.cpu(), torch.special.log_ndtr(x))


def test_the_widest_numbers_and_where_they_are() -> None:
    assert (widest(CPU), widest(torch.device("cuda")), widest(torch.device("mps"))) == (
        torch.float64, torch.float64, torch.float32,
    )  # fmt: skip
    assert (exact_on("cuda:1"), exact_on("mps")) == (torch.device("cuda:1"), CPU)


# Numbers


def test_random_numbers_are_made_there_without_waiting_and_have_the_bits_of_the_cpu() -> None:
    with accelerator() as stand:
        image_noise(0, "first", [0], (), 0, device())  # a table is sent there once
        stand.stalls.clear()
        found = [
            image_noise(3, "start", range(5, 9), (1, 5, 5), 2, device()),
            uniform(3, "start", range(2**33, 2**33 + 3), (), 2, device()),
            walk_noise(3, range(4), torch.zeros(4, 7, device=device()))(2),
        ]
        assert stand.stalls == []
        found = [part.cpu() for part in found]
    assert torch.equal(found[0], image_noise(3, "start", range(5, 9), (1, 5, 5), 2))
    assert torch.equal(found[1], uniform(3, "start", range(2**33, 2**33 + 3), (), 2))
    assert torch.equal(found[2], image_noise(3, "walk", range(4), (7,), 2))


# Training


RUNS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "tiny": ("diffusion", "tiny", SMALL),
    "default": ("diffusion", "default", SMALL | {"data.augment": "flip"}),
    "ddpm": ("diffusion", "ddpm", SMALL | {"network.attention": ()}),
    "points": ("diffusion", "points", {"network.width": 16, "network.depth": 1}),
    "likelihood": ("diffusion", "mnist-likelihood", SMALL),
    "hybrid": ("diffusion", "tiny", SMALL | {"objective": "hybrid", "schedule": "linear"}),
    "by losses": ("diffusion", "tiny", SMALL | {"draws": "importance"}),
    "by losses, edm": ("diffusion", "tiny", SMALL | {"draws": "importance", "schedule": "edm"}),
    "weighted": ("diffusion", "tiny", SMALL | {"weighting": "sigmoid", "optimizer": "adamw"}),
    "additions": ("diffusion", "tiny", SMALL | {"adaptation": "lora", "rank": 2, "optimizer": "adamw"}),
    "partly frozen": ("diffusion", "tiny", SMALL | {"adaptation": "frozen", "parts": "encoder,middle"}),
    "vae": ("vae", "default", {"network": "mlp"}),
    "vae of bytes": ("vae", "default", {"network": "mlp", "pixels": "8bit"}),
    "dae": ("dae", "default", SMALL),
    "dae of lost values": ("dae", "default", SMALL | {"corruption": "salt-and-pepper"}),
}


def begun(name: str, where: torch.device, steps: int) -> tuple[Training, Trainer, Dataset]:
    family, known, changes = RUNS[name]
    recipe = override(FAMILIES[family].recipes[known], changes | {"batch": 6, "steps": steps, "precision": "fp32"})
    items = Items(POINTS, (2,)) if known == "points" else Items(IMAGES, (1, 8, 8), ("a", "b"))
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (24, *items.shape), generator=generator).byte()
    storage = pixels.float() / 100 if known == "points" else pixels
    dataset = Dataset("x", items, storage, torch.arange(24) % 2 if items.classes else None, "")
    model = build(recipe, items, where)
    FAMILIES[family].begin(model, dataset, PLACES)
    return recipe, new_trainer(recipe, items, model), dataset


def trained(name: str, where: torch.device, steps: int) -> tuple[Trainer, Iterator[Progress]]:
    recipe, trainer, dataset = begun(name, where, steps)
    return trainer, fit_by(recipe, trainer, dataset, PLACES)


def weights(trainer: Trainer) -> list[Tensor]:
    """All that training changes."""
    state = [value for _, value in sorted(trainer.optimizer.state().items())]
    history = list(trainer.objective.state.state_dict().values()) if trainer.objective.state else []
    parts = [*trainer.model.state_dict().values(), *trainer.ema.state_dict().values(), *state, *history]
    return [part.detach().cpu().double() for part in parts]


def as_on_the_cpu(name: str, count: int, found: list[Tensor], loss: float, allowed: float) -> None:
    """Weights and the last loss are those of as many steps there. allowed: relative; a tenth of it absolute"""
    on_cpu, steps = trained(name, CPU, count)
    assert loss == pytest.approx([*steps][-1].loss, rel=1e-4)
    for a, b in zip(found, weights(on_cpu), strict=True):
        torch.testing.assert_close(a, b, rtol=allowed, atol=allowed / 10)


@pytest.mark.parametrize("name", RUNS)
def test_steps_do_not_wait_for_the_device_and_come_to_what_the_cpu_comes_to(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffcli.training.optimizers.use_bf16", lambda *_: False)
    with accelerator() as stand:
        trainer, steps = trained(name, device(), 4)
        next(steps)  # some tables are sent there once
        stand.stalls.clear()
        for progress in steps:
            assert stand.stalls == [] or progress.step == 4
        found, loss = weights(trainer), progress.loss
    as_on_the_cpu(name, 4, found, loss, 2e-3)


@pytest.mark.parametrize("name", RUNS)
def test_steps_that_are_played_back_come_to_what_the_cpu_comes_to(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffcli.training.optimizers.use_bf16", lambda *_: False)
    monkeypatch.setattr(recording, "WARM", 2)
    with accelerator(records=True) as stand:
        trainer, steps = trained(name, device(), 7)
        acts = []
        act = recording.Recorder._act
        monkeypatch.setattr(recording.Recorder, "_act", lambda self: acts.append(trainer.step) or act(self))
        for progress in steps:
            if progress.step == 3:
                stand.stalls.clear()
            assert progress.step < 4 or progress.step == 7 or stand.stalls == []
        assert acts == [2], "it is recorded once"
        found, loss = weights(trainer), progress.loss
    as_on_the_cpu(name, 7, found, loss, 5e-3)


def test_what_cannot_be_recorded_is_done_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(act: Any) -> Any:
        act()
        raise RuntimeError("operation not permitted when stream is capturing")

    with accelerator(records=True):
        monkeypatch.setattr(recording, "RECORDERS", {device().type: refuses})
        trainer, steps = trained("tiny", device(), 6)
        assert [progress.step for progress in steps] == [1, 2, 3, 4, 5, 6]
        assert all(parameter.grad is None for parameter in trainer.model.parameters())


def planted(monkeypatch: pytest.MonkeyPatch, mistake: Any) -> None:
    """A mistake in the loss: what is made of the noise."""
    draw = objectives.drawn_normal
    monkeypatch.setattr(objectives, "drawn_normal", lambda *args: mistake(draw(*args)))


def test_a_look_at_a_number_in_the_loss_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, lambda eps: eps * (1.0 if eps.abs().max().item() < 9 else 0.0))
    with accelerator() as stand:
        _, steps = trained("tiny", device(), 3)
        next(steps)
        stand.stalls.clear()
        next(steps)
        assert [stall.split(" at ")[0] for stall in stand.stalls] == ["_local_scalar_dense"]


def test_a_float64_in_the_loss_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    planted(monkeypatch, lambda eps: eps.double().float())
    with accelerator(), pytest.raises(Fault, match="float64"):
        next(trained("tiny", device(), 3)[1])


@pytest.mark.parametrize("name", ["likelihood", "by losses, edm"])
def test_a_device_that_lacks_some_functions_trains_all_the_same(name: str) -> None:
    with accelerator(lacking=LACKING):
        trainer, steps = trained(name, device(), 2)
        assert all(math.isfinite(progress.loss) for progress in steps)


def test_what_was_measured_is_looked_at_now_and_then() -> None:
    with accelerator() as stand:
        _, steps = trained("points", device(), 2 * LOOK_EVERY + 3)
        next(steps)
        stand.stalls.clear()
        looked = []
        for progress in steps:
            if progress.known:
                looked.append(progress.step)
            assert len(stand.stalls) == len(looked)
    assert looked == [LOOK_EVERY, 2 * LOOK_EVERY, 2 * LOOK_EVERY + 3]


def poisoned(refused: tuple[int, ...], steps: int) -> tuple[Trainer, Iterator[Progress]]:
    """A training whose batches at these steps are nan."""
    recipe, trainer, dataset = begun("tiny", device(), steps)
    x0, told = dataset.take(range(6))

    def batches(first: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        for step in range(1, 1000):
            yield (x0 * math.nan if step in refused else x0), told

    return trainer, fit(trainer, batches, seed=0, batch=6, warmup=1, clip=1.0, ema=0.9)


def test_a_refused_step_changes_no_weight_there() -> None:
    with accelerator():
        trainer, steps = poisoned((1, 3, 4), 5)
        before: list[Tensor] = []
        for progress in steps:
            state = [value.cpu() for _, value in sorted(trainer.optimizer.state().items())]
            after = [*state, *(p.detach().cpu().clone() for p in trainer.model.parameters())]
            changed = any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)) if before else None
            assert progress.refused == (progress.step in (1, 3, 4))
            if before:
                assert changed != progress.refused, progress.step
            before = [part.clone() for part in after]
        assert all(part.isfinite().all() for part in before)


@pytest.mark.parametrize(("refused", "end"), [((2, 3, 4), LOOK_EVERY), ((9, 10, 11), 15), ((1, 2, 4, 5), 0)])
def test_three_refused_steps_in_a_row_are_noticed_at_the_next_look(refused: tuple[int, ...], end: int) -> None:
    with accelerator():
        trainer, steps = poisoned(refused, 15)
        if end:
            with pytest.raises(Diverged, match="three times in a row"):
                list(steps)
        else:
            list(steps)
        assert trainer.step == (end or 15)
        assert all(p.isfinite().all().item() for p in trainer.model.parameters())


def test_a_plan_that_goes_on_elsewhere_takes_its_optimizer_with_it() -> None:
    trainer, steps = trained("tiny", CPU, 3)
    next(steps)
    with accelerator():
        _, other, _ = begun("tiny", device(), 3)
        other.optimizer.load(trainer.optimizer.state())
        assert all(value.device == device() for value in other.optimizer.state().values())


# Drawing


@pytest.mark.parametrize("name", ["ddim", "ddpm", "heun", "dpmpp-3m", "unipc", "predictor-corrector"])
def test_a_walk_does_not_wait_for_the_device(name: str) -> None:
    walk = levels(SCHEDULES["cosine"](), 4)
    told = {"label": torch.arange(3)}
    found = []
    for where in (CPU, device()):
        with accelerator() as stand:
            recipe = override(FAMILIES["diffusion"].recipes["tiny"], SMALL | {"precision": "fp32"})
            network = build(recipe, Items(IMAGES, (1, 8, 8), ("a", "b", "c")), where).eval().requires_grad_(False)
            job = Job(network, walk, SAMPLERS[name], (1, 8, 8), 3, told, where, lambda made: clipped(guided(made, 2.0)))
            steps = job.walk(range(3))
            next(steps)
            stand.stalls.clear()
            *_, last = steps
            assert stand.stalls == []
            found.append(last.x.cpu())
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)
