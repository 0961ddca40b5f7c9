"""Devices: which one is meant, what they have left, what they say when it is nothing, and in what losses are summed."""

from typing import Any

import pytest
import torch

from diffcli.core.devices import sent
from diffcli.core.draws import BatchDraws
from diffcli.data.kinds import IMAGES, POINTS, Items
from diffcli.errors import EnvironmentProblem, UsageProblem
from diffcli.system import device as devices
from diffcli.system import limits
from diffcli.system.device import free_memory, out_of_memory, own_device, pick, use_bf16
from diffcli.training.families import family_of
from diffcli.training.recipes import Training, override
from diffcli.training.recipes import dae as of_dae
from diffcli.training.recipes import diffusion as of_diffusion
from diffcli.training.recipes import vae as of_vae
from diffcli.training.setup import build, new_trainer

CPU, CUDA, META = torch.device("cpu"), torch.device("cuda"), torch.device("meta")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


# Which one


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_goes_before_the_processor() -> None:
    assert pick("auto") == CUDA
    assert pick("cuda:1") == torch.device("cuda:1")
    assert pick("cpu") == CPU


def test_the_processor_is_taken_where_there_is_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for backend in (torch.cuda, torch.backends.mps):
        monkeypatch.setattr(backend, "is_available", lambda: False)
    assert pick() == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick() == torch.device("mps")


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("name", ["cuda:2", "mps", "cpu:1", "meta"])
def test_a_device_that_is_not_there_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(EnvironmentProblem, match=f"no device '{name}' here"):
        pick(name)


def test_what_is_no_device_is_refused() -> None:
    with pytest.raises(UsageProblem, match="unknown device 'gpu'"):
        pick("gpu")


@pytest.mark.usefixtures("two_gpus")
def test_every_process_has_a_gpu_of_its_own_and_all_share_what_is_no_gpu() -> None:
    assert [own_device(CUDA, local) for local in range(2)] == [torch.device("cuda:0"), torch.device("cuda:1")]
    assert own_device(CPU, 5) == CPU
    with pytest.raises(EnvironmentProblem, match="process 2 has no GPU: there are 2 here") as caught:
        own_device(CUDA, 2)
    assert caught.value.hint == "use --devices 2"


def test_precision_is_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert use_bf16("bf16", CPU)
    assert not use_bf16("fp32", CUDA)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    for has, used, wanted in ((True, "AVX512", True), (True, "AVX2", False), (False, "AVX512", False)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda has=has: has)
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda used=used: used)
        assert use_bf16("auto", CPU) == wanted
    assert not use_bf16("auto", torch.device("mps"))


# Memory


def test_memory_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3, 10))
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 10)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 4)
    monkeypatch.setattr(limits, "free_memory", lambda: 7)
    assert [free_memory(device) for device in (CUDA, torch.device("mps"), CPU, META)] == [3, 6, 7, None]


def refusal() -> BaseException:
    """What the processor's allocator says of more than there can be."""
    try:
        torch.empty(1 << 60, dtype=torch.uint8)
    except RuntimeError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (refusal(), True),
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 7.95 GB, other allocations: 20.00 MB)"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:75] . DefaultCPUAllocator: not enough memory: you tried"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"), False),
        (ValueError("out of memory"), False),
        (KeyboardInterrupt(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_running_out_of_memory_is_told_from_other_errors(error: BaseException, found: bool) -> None:
    assert out_of_memory(error) == found


def test_memory_is_given_back_to_the_device_that_it_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for name in ("cuda", "mps"):
        monkeypatch.setattr(getattr(torch, name), "empty_cache", lambda name=name: asked.append(name))
    for device in (CPU, CUDA, torch.device("mps")):
        devices.empty_cache(device)
    assert asked == ["cuda", "mps"]


def test_what_is_sent_to_a_gpu_is_pinned_first_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    pinned = torch.zeros(3)
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda tensor: tensor is pinned)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned)
    monkeypatch.setattr(
        torch.Tensor, "to", lambda tensor, device, **options: asked.append((tensor is pinned, device, options))
    )
    for tensor in (torch.ones(3), pinned):
        sent(tensor, CUDA)
    sent(torch.ones(3), CPU)
    sent(torch.ones(3, device=META), CUDA)
    later = (True, CUDA, {"non_blocking": True})
    assert asked == [later, later, (False, CPU, {}), (False, CUDA, {})]


# Losses


@pytest.mark.parametrize(
    ("recipe", "items"),
    [
        (of_diffusion.RECIPES["tiny"], Items(IMAGES, (1, 8, 8), ("a", "b"))),
        (override(of_diffusion.RECIPES["tiny"], {"objective.prior": "pixels"}), Items(IMAGES, (1, 8, 8))),
        (override(of_diffusion.RECIPES["tiny"], {"objective": "vlb"}), Items(IMAGES, (1, 8, 8))),
        (of_diffusion.RECIPES["points"], Items(POINTS, (2,))),
        (of_vae.RECIPES["default"], Items(IMAGES, (1, 8, 8))),
        (of_dae.RECIPES["default"], Items(IMAGES, (1, 8, 8))),
    ],
    ids=["diffusion", "pixels", "bound", "points", "vae", "dae"],
)
def test_networks_may_compute_in_bfloat16_losses_gradients_and_weights_are_float32(
    recipe: Training, items: Items
) -> None:
    recipe = override(recipe, {"precision": "bf16"})
    model = build(recipe, items, CPU)
    x0 = torch.rand(4, *items.shape, generator=torch.Generator().manual_seed(0))
    seen: set[torch.dtype] = set()
    for module in model.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            module.register_forward_hook(lambda _, inputs, output: seen.add(output.dtype))
    trainer = new_trainer(recipe, items, model)
    conditions = {"label": torch.zeros(4, dtype=torch.int64)} if items.classes else {}
    losses = family_of(recipe).objective(recipe, items).loss(model, x0, conditions, BatchDraws(0, 0, 0, 4, 4))
    losses.each.sum().backward()
    assert seen == {torch.bfloat16}
    assert losses.each.dtype == torch.float32
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in model.parameters() if p.grad is not None} == {torch.float32}
    assert {p.dtype for p in trainer.ema.parameters()} == {torch.float32}
