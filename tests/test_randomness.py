"""Numbers by a counter: what is refused, which kinds of item numbers there are. Their law is for `diffcli verify`."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from diffcli.core.draws import BatchDraws
from diffcli.core.randomness import image_noise, uniform, walk_noise

Draw = Callable[..., Tensor]


@pytest.mark.parametrize("draw", [image_noise, uniform])
@pytest.mark.parametrize(
    ("items", "step", "words"),
    [
        ([3, -1], 0, "0 or more, not -1"),
        (range(-2, 3), 0, "not -2"),
        (range(3, -3, -1), 0, "not -2"),
        (torch.tensor([-5]), 0, "not -5"),
        ([1], -1, "not -1"),
        ([1], 2**32, "not 4294967296"),
    ],
)
def test_numbers_out_of_range_are_refused(draw: Draw, items: Any, step: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        draw(0, "x", items, (2,), step)


def test_a_walk_refuses_them_before_its_first_step() -> None:
    with pytest.raises(ValueError, match="not -1"):
        walk_noise(0, [-1], torch.zeros(1, 2))


@pytest.mark.parametrize("draw", [image_noise, uniform])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (1, 3, 3)])
def test_items_may_be_a_range_a_list_or_a_tensor(draw: Draw, shape: tuple[int, ...]) -> None:
    wanted = draw(0, "x", range(2, 9, 3), shape)
    assert wanted.shape == (3, *shape)
    assert wanted.dtype == torch.float32
    for items in ([2, 5, 8], (2, 5, 8), torch.tensor([2, 5, 8]), torch.tensor([2, 5, 8], dtype=torch.int32)):
        assert torch.equal(draw(0, "x", items, shape), wanted)
    assert torch.equal(draw(0, "x", [2**63 - 1], shape), draw(0, "x", torch.tensor([2**63 - 1]), shape))


def test_numbers_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = image_noise(0, "x", range(50), (3, 7))
    for at_once in (1, 21, 100):
        monkeypatch.setitem(image_noise.__globals__["AT_ONCE"], "cpu", at_once)
        assert torch.equal(image_noise(0, "x", range(50), (3, 7)), wanted)


def test_a_walks_noise_is_of_the_type_of_what_it_is_for() -> None:
    for dtype in (torch.float32, torch.float64):
        fresh = walk_noise(0, range(3), torch.zeros(3, 2, dtype=dtype))(5)
        assert fresh.dtype == dtype
        assert torch.equal(fresh.float(), image_noise(0, "walk", range(3), (2,), 5))


def test_items_of_a_batch_count_through_the_training() -> None:
    assert list(BatchDraws(0, 0, 0, 3, 128).numbers) == [0, 1, 2]
    assert list(BatchDraws(0, 2, 64, 3, 128).numbers) == [320, 321, 322]
