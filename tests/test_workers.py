"""Work side by side: everything in its order, one thread each, and torch as it was afterwards."""

import threading

import pytest
import torch

from raw2vec.workers import side_by_side


@pytest.fixture(autouse=True)
def _threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("workers", [1, 2, 3, 9])
def test_what_is_made_comes_in_order_and_without_gradients(workers: int) -> None:
    weight = torch.ones(1, requires_grad=True)

    def work(piece: int) -> tuple[int, bool]:
        return piece * piece, (weight * piece).requires_grad

    assert list(side_by_side(work, range(7), workers)) == [(piece * piece, False) for piece in range(7)]
    assert list(side_by_side(work, [], workers)) == []


def test_every_worker_has_one_thread_and_others_have_theirs_afterwards() -> None:
    torch.set_num_threads(2)
    together = threading.Barrier(2)

    def work(piece: int) -> tuple[int, str]:
        together.wait(timeout=60)
        return torch.get_num_threads(), threading.current_thread().name

    made = list(side_by_side(work, range(4), 2))
    assert {threads for threads, _ in made} == {1}
    assert len({name for _, name in made}) == 2
    assert torch.get_num_threads() == 2
    found: list[int] = []
    later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert found == [2]


def test_the_caller_has_one_thread_until_all_is_made() -> None:
    torch.set_num_threads(2)
    found: list[int] = []
    for _ in side_by_side(lambda piece: piece, range(3), 2):
        other = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        other.start()
        other.join()
        assert torch.get_num_threads() == 1
    assert found == [2, 2, 2], "it is the caller's alone"
    assert torch.get_num_threads() == 2
    left = side_by_side(lambda piece: piece, range(3), 2)
    next(left)
    left.close()
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("workers", [1, 3])
def test_what_goes_wrong_is_heard(workers: int) -> None:
    def work(piece: int) -> float:
        return 1 / (piece - 2)

    with pytest.raises(ZeroDivisionError):
        list(side_by_side(work, range(50), workers))


def test_when_no_more_threads_can_be_had_nobody_waits_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    start, refused = threading.Thread.start, threading.Event()
    begun: list[threading.Thread] = []

    def few(thread: threading.Thread) -> None:
        if begun and threading.current_thread() is threading.main_thread():
            refused.set()
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", few)
    with pytest.raises(RuntimeError, match="new thread"):
        list(side_by_side(lambda piece: refused.wait(timeout=60), range(5), 3))
    begun[0].join(timeout=60)
    assert not begun[0].is_alive()


def test_a_pool_ends_however_quick_the_work_is() -> None:
    """A worker that fails to begin takes away the sign by which the others end (Python 3.11): none may fail."""
    for _ in range(100):
        assert list(side_by_side(lambda piece: piece, range(4), 4)) == [0, 1, 2, 3]
