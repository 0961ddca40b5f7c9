"""Work in pieces: each is done once, whoever does it, whatever becomes of the others."""

import time
from collections.abc import Iterator

import pytest
import torch
from sums import Sums

from diffcli.errors import EnvironmentProblem, UsageProblem
from diffcli.ranks import pieces, sharing
from diffcli.ranks.launch import Place
from diffcli.ranks.sharing import Crew, crew

PIECES = 8


@pytest.fixture(scope="module")
def two(followers_find_tests: None) -> Iterator[tuple[Crew, list[str]]]:
    notes: list[str] = []
    with crew("2", "cpu", notes.append) as found:
        warm(found)
        yield found, notes


def warm(found: Crew) -> None:
    """Wait until the others are there."""
    assert found.team is not None
    there = {0}
    for shared in found.shared(lambda: Sums(0.1), Sums(0.1).here, 1000):
        there |= {shared.found[1]} if shared.found else set()
        if len(there) == found.team.count:
            break


def done(found: Crew, work: Sums, count: int = PIECES) -> dict[int, int]:
    """Who did which piece; each is asserted to be right, and to come once, and the progress to reach all."""
    who: dict[int, int] = {}
    for shared in found.shared(lambda: work, work.here, count):
        assert 0 <= shared.done <= count
        if shared.found is not None:
            numbers, rank = shared.found
            assert shared.piece not in who
            assert torch.equal(numbers, torch.arange(work.size * shared.piece + 1))
            who[shared.piece] = rank
    assert sorted(who) == list(range(count))
    return who


def test_alone_pieces_come_in_their_order_and_the_progress_rises() -> None:
    work = Sums()
    all_of_it = list(Crew().shared(lambda: work, work.here, 3))
    assert [one.piece for one in all_of_it if one.found is not None] == [0, 1, 2]
    progress = [one.done for one in all_of_it]
    assert progress == sorted(progress)
    assert (progress[0], progress[-1]) == (0, 3)
    assert progress[1] == pytest.approx(0.2)


def test_who_is_free_takes_the_next_piece(two: tuple[Crew, list[str]]) -> None:
    who = done(two[0], Sums(0.2))
    assert set(who.values()) == {0, 1}
    assert sum(who.values()) > PIECES / 2  # it is three times as fast


def test_results_of_any_size_arrive(two: tuple[Crew, list[str]]) -> None:
    assert set(done(two[0], Sums(0.2, size=400_000), 5).values()) == {0, 1}  # up to 13 MB


def test_what_somebody_cannot_do_is_done_here(two: tuple[Crew, list[str]]) -> None:
    found, notes = two
    notes.clear()
    assert set(done(found, Sums(0.1, "failed")).values()) == {0}
    (note,) = notes
    assert note.startswith("note: process 1 of 2 cannot help: ArithmeticError: piece ")
    assert note.endswith("; its part was done here")


def test_who_cannot_begin_is_named_and_the_rest_is_done(two: tuple[Crew, list[str]]) -> None:
    found, notes = two
    notes.clear()
    assert set(done(found, Sums(0.1, "begin")).values()) == {0}
    assert notes == ["note: process 1 of 2 cannot help: FileNotFoundError: no such"]


def test_what_nobody_can_do_fails_here_and_the_others_are_free_again(two: tuple[Crew, list[str]]) -> None:
    with pytest.raises(ArithmeticError, match="piece 3"):
        done(two[0], Sums(0.1, "everywhere"))
    assert set(done(two[0], Sums(0.1)).values()) == {0, 1}


def test_a_single_piece_is_done_here(two: tuple[Crew, list[str]]) -> None:
    assert done(two[0], Sums(), 1) == {0: 0}


def test_threads_are_given_back(two: tuple[Crew, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "threads_each", lambda count: 1)
    torch.set_num_threads(2)
    seen = {torch.get_num_threads() for _ in two[0].shared(lambda: Sums(), Sums().here, 3)}
    assert (seen, torch.get_num_threads()) == ({1}, 2)


@pytest.mark.parametrize(("busy", "threads"), [(None, 4), (0.2, 4), (0.9, 3), (1.5, 2), (7.0, 1)])
def test_cores_that_others_keep_busy_get_no_thread(busy: float | None, threads: int) -> None:
    torch.set_num_threads(4)
    for more, seen in ((True, threads), (False, 4)):
        found = Crew(more=more, busy=lambda: busy)
        with found.held:
            assert {torch.get_num_threads() for _ in found.shared(lambda: Sums(), Sums().here, 2)} == {seen}
            assert torch.get_num_threads() == seen  # until the command ends
    assert torch.get_num_threads() == 4


def test_a_killed_process_loses_nothing() -> None:
    notes: list[str] = []
    with crew("3", "cpu", notes.append) as found:
        warm(found)
        done(found, Sums(0.1, "killed"), 20)
        done(found, Sums(0.1))
    assert notes == ["note: process 1 of 3 was killed by SIGKILL; the others do its part"]


def test_a_piece_that_is_late_is_done_here_and_an_interrupt_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PATIENCE", 0.1)
    with pytest.raises(KeyboardInterrupt), crew("2", "cpu", lambda _: None) as found:  # noqa: PT012
        warm(found)
        assert set(done(found, Sums(0.1, "stuck")).values()) == {0}
        endless = found.shared(lambda: Sums(0.1, "stuck"), Sums(0.1).here, 1000)
        for shared in endless:
            if shared.done > 2:
                began = time.monotonic()
                raise KeyboardInterrupt
    assert found.team is not None
    assert all(child.poll() is not None for child in found.team.children.values())
    assert time.monotonic() - began < 2


def test_others_are_started_when_there_is_enough_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "SURE", 0.1)
    monkeypatch.setattr(sharing, "useful", lambda device: 2)
    notes: list[str] = []
    with crew("auto", "cpu", notes.append) as found:
        assert set(done(found, Sums(0.1), 3).values()) == {0}
        assert found.team is None
        monkeypatch.setattr(sharing, "WORTH", 2.0)
        assert set(done(found, Sums(0.1), 60).values()) == {0, 1}
    assert notes == ["note: 2 processes share the work"]


@pytest.mark.parametrize("devices", ["0", "-1", "many", "2.5", "5000", ""])
def test_nonsense_is_refused(devices: str) -> None:
    with pytest.raises(UsageProblem, match="--devices must be"), crew(devices, "cpu", lambda _: None):
        pass


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from diffcli.system import device

    monkeypatch.setattr(device, "pick", lambda name: torch.device(name))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(EnvironmentProblem, match="there is 1 GPU here, not 2"):
        sharing.check_devices("cuda", 2)
    with pytest.raises(UsageProblem, match="is one device"):
        sharing.check_devices("cuda:0", 2)
    assert sharing.useful("cuda:0") == sharing.useful("mps") == 1
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    sharing.check_devices("cuda", 4)
    assert sharing.useful("cuda") == 4
    assert [sharing.own_device("auto", Place(rank, 6, rank % 3)) for rank in (0, 2, 4)] == [
        "cuda:0",
        "cuda:2",
        "cuda:1",
    ]
    assert sharing.own_device("cpu", Place(2, 4, 2)) == "cpu"
