"""A device that stands in for an accelerator, and tells what a real one would mind.

Its tensors have a type of device of their own, so they are told apart from the CPU's as a GPU's are. What is computed
with them is computed on the CPU, by the same kernels. Inside `accelerator()` it is refused to

- make a float64 there, as on Apple's GPUs;
- take tensors of both devices together, but for a CPU's single number in an operation number by number;

and it is noted, with the line of diffcli, where the CPU would wait for the accelerator, because it wants to know a
number or how many there are, or because it copies from memory that is not pinned.
"""

import contextlib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from diffcli.core import devices as core_devices
from diffcli.system import device as system_device
from diffcli.training import recording

NAME = "standin"
AS_MANY_AS_THERE_ARE = {"nonzero", "masked_select", "bincount", "unique", "repeat_interleave"}
LOOKS = {"_local_scalar_dense", "equal", "is_nonzero"} | AS_MANY_AS_THERE_ARE
COPIES = {"_to_copy", "copy_"}
LACKING = frozenset({"special_log_ndtr", "special_ndtri"})  # what a device may not have

aten = torch.ops.aten


class Fault(AssertionError):
    """What an accelerator could not do."""


class _Backend:
    """What torch asks of the module of a device."""

    def is_available(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        pass

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


class There(Tensor):
    """A tensor of the device; `raw` is the CPU's that holds its numbers."""

    raw: Tensor

    @staticmethod
    def __new__(cls, raw: Tensor) -> "There":
        return torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined, no-any-return]
            cls, raw.shape, strides=raw.stride(), storage_offset=raw.storage_offset(), dtype=raw.dtype, device=device(),
        )  # fmt: skip

    def __init__(self, raw: Tensor) -> None:
        self.raw = raw

    def tolist(self) -> Any:
        return self.cpu().tolist()

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise Fault(f"{func} outside of accelerator()")


@dataclass
class Stand(TorchDispatchMode):
    """The device while it is there.

    lacking:  operations that it does not have
    stalls:   where it was waited for, as "operation at file:line"
    faults:   on the way back to the gradients, where torch ends the process if it meets an exception
    """

    lacking: frozenset[str] = frozenset()
    stalls: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    tape: "Tape | None" = None

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in pytree.arg_tree_leaves(*args, **kwargs) if isinstance(leaf, Tensor)]
        there = any(isinstance(tensor, There) for tensor in tensors)
        wanted = torch.device(kwargs["device"]).type if kwargs.get("device") is not None else None
        if not there and wanted != NAME:
            return func(*args, **kwargs)
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
            with self:  # without gradients it comes whole
                return func.decompose(*args, **kwargs)
        name = func.overloadpacket.__name__
        self._check(func, name, tensors, args, kwargs, wanted)
        if wanted is not None:
            kwargs["device"] = torch.device("cpu")
        raw_args, raw_kwargs = pytree.tree_map_only(There, lambda tensor: tensor.raw, (args, kwargs))
        if self.tape is not None:
            self.tape.before(raw_args, raw_kwargs)
        result = func(*raw_args, **raw_kwargs)
        if self.tape is not None:
            self.tape.after(func, raw_args, raw_kwargs, result)
        if name == "copy_" and not isinstance(args[0], There) or (wanted or NAME) != NAME:
            return args[0] if name == "copy_" else result
        result = pytree.tree_map_only(Tensor, lambda raw: self._placed(raw, func), result)
        return return_and_correct_aliasing(func, args, kwargs, result) if there else result

    def _placed(self, raw: Tensor, func: Any) -> There:
        if raw.dtype == torch.float64:
            self._refuse(f"{func} makes a float64, at {_line()}")
        return There(raw)

    def _refuse(self, reason: str) -> None:
        if torch._C._current_graph_task_id() < 0:  # type: ignore[attr-defined]
            raise Fault(reason)
        self.faults.append(reason)

    def _check(
        self, func: Any, name: str, tensors: list[Tensor], args: Any, kwargs: dict[str, Any], wanted: str | None
    ) -> None:
        if name in self.lacking:
            raise NotImplementedError(f"the operator {name} is not there for {NAME}")
        here = [tensor for tensor in tensors if not isinstance(tensor, There)]
        if name in COPIES:
            asynchronous = kwargs.get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2])
            away = name == "copy_" and not isinstance(args[0], There) or (wanted or NAME) != NAME
            if away or (here and not asynchronous and name == "copy_") or (not away and here and not asynchronous):
                self.stalls.append(f"{name} at {_line()}")
            return
        chosen = name.startswith("index") and any(t.dtype in (torch.bool, torch.uint8) for t in _indices(args))
        if name in LOOKS or name.startswith("_unique") or name.startswith("unique") or chosen:
            self.stalls.append(f"{name} at {_line()}")
        alone = all(tensor.dim() == 0 for tensor in here) and torch.Tag.pointwise in func.tags
        if here and not alone:
            self._refuse(f"{func} has tensors of both devices, at {_line()}")


class Tape:
    """What was done with the device's tensors, to be done again in the same memory, as a GPU does with a graph."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, Any, Any, Any]] = []
        self.made: set[int] = set()
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}

    def before(self, args: Any, kwargs: Any) -> None:
        """Keep what was there before, to be put back: a graph does nothing while it is recorded."""
        for tensor in _tensors((args, kwargs)):
            place = tensor.untyped_storage().data_ptr()
            if place not in self.made and place not in self.kept:
                whole = torch.as_strided(tensor, (tensor.untyped_storage().nbytes() // tensor.element_size(),), (1,), 0)
                self.kept[place] = whole, whole.clone()

    def after(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        self.done.append((func, args, kwargs, result))
        self.made |= {t.untyped_storage().data_ptr() for t in _tensors(result)} - set(self.kept)

    def restore(self) -> None:
        for whole, before in self.kept.values():
            whole.copy_(before)

    def play(self) -> None:
        """Once more, into the memory of the first time."""
        for func, args, kwargs, result in self.done:
            again = func(*args, **kwargs)
            for old, new in zip(_tensors(result), _tensors(again), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor) and leaf.numel()]


def recorder(act: Any) -> Any:
    """As `cuda_graph`, of this device."""
    stand = _stands[-1]
    stand.tape = tape = Tape()
    try:
        result = act()
    finally:
        stand.tape = None
        tape.restore()

    def play() -> Any:
        with torch.no_grad():
            tape.play()
        return result

    return play


_stands: list[Stand] = []


def _indices(args: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.arg_tree_leaves(*args[1:2]) if isinstance(leaf, Tensor)]


def _line() -> str:
    """The innermost line of diffcli that led here."""
    frames = [frame for frame in traceback.extract_stack() if "/diffcli/" in frame.filename]
    frame = frames[-1] if frames else traceback.extract_stack()[0]
    return f"{frame.filename.rpartition('/diffcli/')[2]}:{frame.lineno}"


def device() -> torch.device:
    """The device; it is made known to torch when it is first asked for."""
    if torch._C._get_privateuse1_backend_name() != NAME:
        _setup_privateuseone_for_python_backend(NAME, backend_module=_Backend())
    return torch.device(NAME, 0)


@contextlib.contextmanager
def accelerator(*, lacking: frozenset[str] = frozenset(), records: bool = False) -> Iterator[Stand]:
    """The device as the one that diffcli picks, without float64, sent to as to a GPU.

    lacking:  operations that it does not have
    records:  whether steps of a training are played back
    """
    where = device()
    here = torch.autograd.set_multithreading_enabled(False)  # torch counts its devices at the first gradient of all
    with here, pytest.MonkeyPatch.context() as patch, Stand(lacking) as stand:
        patch.setattr(system_device, "pick", lambda name="auto": torch.device("cpu") if name == "cpu" else where)
        patch.setattr(core_devices, "NO_FLOAT64", {"mps", NAME})
        patch.setattr(core_devices, "PINNED", {"cuda", NAME})
        patch.setattr(Tensor, "pin_memory", lambda tensor: tensor)
        patch.setattr(recording, "RECORDERS", {NAME: recorder} if records else {})
        patch.setattr(f"{__name__}._stands", [stand])
        yield stand
        if stand.faults:
            raise Fault(stand.faults[0])
