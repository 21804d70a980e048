"""The loop: accumulation, patience, the best weights, frozen parts, stages, and Ctrl-C."""

import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from raw2vec.batch import Batch
from raw2vec.errors import NonFinite
from raw2vec.ragged import Ragged
from raw2vec.recipe import Training
from raw2vec.seeding import Draws
from raw2vec.train.base import Progress, Verdict, Work
from raw2vec.train.budget import Budget
from raw2vec.train.loop import Trainer
from raw2vec.train.optimizers import Optimizer, adamw

ROWS = 24


class Points:
    """A feed of numbered items in batches of `size`, whose values are their numbers."""

    def __init__(self, size: int):
        self.size = size

    def epoch(self, epoch: int) -> list[np.ndarray]:
        return [np.arange(start, start + self.size) for start in range(0, ROWS, self.size)]

    def batch(self, samples: np.ndarray) -> Batch:
        items = torch.from_numpy(samples)
        return Batch(items, {"input": Ragged(items.float(), torch.ones(len(items), 1, dtype=torch.long))})


class Net(nn.Module):
    """y = b · tanh(a x), with dropout when asked for."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(1, 4), nn.Linear(4, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.dropout(torch.tanh(self.first(x))))

    def loss(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        x = batch.sides["input"].values[:, None] / ROWS
        return {"square": ((self(x) - torch.sin(3 * x)) ** 2).mean()}


class Memory:
    """Checkpoints in memory."""

    def __init__(self) -> None:
        self.held: Any = None
        self.count = 0

    def write(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        self.held = {name: value.clone() for name, value in tensors.items()}, state
        self.count += 1

    def read(self) -> Any:
        return self.held


def work(net: Net, size: int = 6, **changes: Any) -> Work:
    usual = {"name": "square", "feed": Points(size), "losses": [(net.loss, 1.0)], "optimizer": lambda: adamw([net])}
    return Work(**{**usual, "learning_rate": 0.01, "share": 1.0, **changes})


def trainer(net: Net, stages: Sequence[Work], **options: Any) -> Trainer:
    named = {name: options.pop(name) for name in ("checkpoints", "listener", "precision") if name in options}
    training = Training(**{"steps": 20, "hold_out": 0.2, "save_every": 1e9, **options})
    return Trainer(net, stages, training, Budget(training), 5, **named)


def weights(net: nn.Module) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in net.parameters()])


def test_accumulated_batches_are_one_big_batch() -> None:
    big, small, lone = Net(), Net(), Net()
    trainer(big, [work(big, 12, optimizer=lambda: Sgd(big), learning_rate=0.3)], clip=1e9).run()
    trainer(small, [work(small, 3, optimizer=lambda: Sgd(small), learning_rate=0.3)], clip=1e9, accumulate=4).run()
    assert torch.allclose(weights(big), weights(small), atol=1e-6)
    trainer(lone, [work(lone, 3, optimizer=lambda: Sgd(lone), learning_rate=0.3)], clip=1e9).run()
    assert not torch.allclose(weights(big), weights(lone), atol=1e-3)


def test_weights_of_losses_count() -> None:
    once, twice = Net(), Net()
    heard: list[Progress] = []
    trainer(once, [work(once, losses=[(once.loss, 3.0)])], clip=1e9).run()
    trainer(twice, [work(twice, losses=[(twice.loss, 1.0), (twice.loss, 2.0)])], clip=1e9, listener=heard.append).run()
    assert torch.allclose(weights(once), weights(twice), atol=1e-6)
    assert [event.step for event in heard] == list(range(1, 21))
    assert heard[-1].share == 1
    assert list(heard[0].losses) == ["square", "square of square"], "losses named alike are both told of"


def test_the_clip_bounds_every_step() -> None:
    net = Net()
    plain = lambda: Sgd(net)  # noqa: E731
    before = weights(net)
    trainer(net, [work(net, losses=[(net.loss, 1e6)], optimizer=plain)], steps=1, clip=0.5, warmup=0.0).run()
    assert float((weights(net) - before).norm()) == pytest.approx(0.5 * 0.01, rel=1e-3)


class Sgd:
    """Plain descent."""

    def __init__(self, net: nn.Module):
        self.net = net

    def step(self, learning_rate: float) -> None:
        with torch.no_grad():
            for weight in self.net.parameters():
                if weight.grad is not None:
                    weight -= learning_rate * weight.grad
                    weight.grad = None

    def tensors(self) -> dict[str, Tensor]:
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        raise AssertionError("it has no state")


def judge_of(net: Net, losses: Sequence[float], seen: list[Tensor], **scores: Sequence[float]) -> Any:
    """A judge that gives these losses one after the other, and these scores; it remembers the weights it saw."""
    left: Iterator[float] = iter(losses)

    def judge() -> Verdict:
        assert not net.training
        seen.append(weights(net))
        return Verdict(next(left), {name: found[len(seen) - 1] for name, found in scores.items()})

    return judge


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_the_best_weights_of_a_stage_are_kept(average: float) -> None:
    net, seen = Net(), []
    judged = work(net, judge=judge_of(net, [3.0, 1.0, 2.0, 1.5, 1.0], seen))
    state = trainer(net, [judged], checks=5, average=average).run()
    assert torch.equal(weights(net), seen[1])
    assert [check["held_out"] for check in state.history] == [3.0, 1.0, 2.0, 1.5, 1.0]
    assert [check["step"] for check in state.history] == [4, 8, 12, 16, 20]
    assert not net.training


def test_a_loss_that_is_not_a_number_is_never_the_best() -> None:
    net, seen = Net(), []
    trainer(net, [work(net, judge=judge_of(net, [float("nan"), 2.0, 1.0, float("nan")], seen))], checks=4).run()
    assert torch.equal(weights(net), seen[2])


def test_a_score_chooses_the_weights_where_there_is_one() -> None:
    net, seen, heard = Net(), [], []
    judge = judge_of(net, [3.0, 1.0, 2.0, 4.0, 5.0], seen, bleu=[0.0, 10.0, 30.0, 20.0, 30.0])
    state = trainer(net, [work(net, judge=judge)], checks=5, listener=heard.append).run()
    assert torch.equal(weights(net), seen[2])
    assert state.history[2] == {"stage": "square", "step": 12, "held_out": 2.0, "bleu": 30.0}
    told = [(event.held_out, event.scores) for event in heard if event.held_out is not None]
    assert told[3] == (4.0, {"bleu": 20.0})
    assert all(event.scores == {} for event in heard if event.losses)


def test_patience_counts_by_the_score_and_by_the_loss_where_scores_are_equal() -> None:
    """A translator scores nothing at first, and learns all the same."""
    net, seen = Net(), []
    judge = judge_of(net, [5.0, 4.0, 6.0, 3.0, 2.0, 1.0, 0.5], seen, bleu=[0.0, 0.0, 0.0, 0.0, 7.0, 6.0, 5.0])
    state = trainer(net, [work(net, judge=judge)], checks=20, patience=2).run()
    assert (len(seen), state.step) == (7, 7)
    assert torch.equal(weights(net), seen[4])


def test_a_score_does_not_hide_a_loss_that_is_not_a_number() -> None:
    net, seen = Net(), []
    judge = judge_of(net, [2.0, float("nan")], seen, bleu=[1.0, 9.0])
    trainer(net, [work(net, judge=judge)], checks=2).run()
    assert torch.equal(weights(net), seen[0])


def test_patience_stops_a_stage_and_the_next_has_the_time_left() -> None:
    net, seen = Net(), []
    heard: list[Progress] = []
    first = work(net, name="first", judge=judge_of(net, [1.0, 2.0, 3.0, 4.0, 5.0], seen))
    trained = trainer(net, [first, work(net, name="second")], checks=5, patience=2, listener=heard.append)
    state = trained.run()
    steps = [(event.stage, event.step) for event in heard if event.losses]
    assert steps == [("first", n) for n in range(1, 7)] + [("second", n) for n in range(7, 21)]
    assert (state.step, len(seen)) == (20, 3)


def test_frozen_parts_stay_and_thaw_for_the_next_stage() -> None:
    net = Net()
    kept = net.first.weight.detach().clone()
    seen: list[Tensor] = []

    def listen(event: Progress) -> None:
        if event.stage == "first":
            assert torch.equal(net.first.weight, kept)
        seen.append(net.first.weight.detach().clone())

    stages = [work(net, name="first", frozen=[net.first]), work(net, name="second")]
    trainer(net, stages, average=0.5, listener=listen).run()
    assert not torch.equal(seen[-1], kept)
    assert all(weight.requires_grad for weight in net.parameters())


def test_stages_share_the_budget_and_each_begins_with_a_warm_up() -> None:
    net = Net()
    heard: list[Progress] = []
    stages = [work(net, name="first", share=1.0), work(net, name="second", share=3.0, learning_rate=0.1)]
    trainer(net, stages, steps=40, warmup=0.2, listener=heard.append).run()
    assert [event.stage for event in heard] == ["first"] * 10 + ["second"] * 30
    rates = [event.learning_rate for event in heard]
    assert max(rates[:10]) == pytest.approx(0.01)
    assert max(rates[10:]) == pytest.approx(0.1)
    assert rates[10] < 0.01
    assert np.argmax(rates[10:]) == 6


@pytest.mark.parametrize("score", ["loss", "bleu"])
@pytest.mark.parametrize("stop", [1, 7, 10, 11, 19])
def test_a_run_resumed_from_any_checkpoint_ends_in_the_same_weights(stop: int, score: str) -> None:
    def run(net: Net, memory: Memory, listener: Callable[[Progress], None] = lambda event: None) -> Tensor:
        def judge() -> Verdict:
            norm = float(weights(net).norm())
            return Verdict(-norm) if score == "loss" else Verdict(norm, {score: -abs(norm - 1.667)})

        stages = [work(net, judge=judge, share=1.0, frozen=[net.first]), work(net, judge=judge)]
        options = {"checks": 3, "average": 0.8, "accumulate": 3, "checkpoints": memory, "save_every": 1e-12}
        trainer(net, stages, listener=listener, **options).run()
        return weights(net)

    def kill(event: Progress) -> None:
        if event.step == stop and event.losses:
            raise Killed

    whole = run(Net(0.3), Memory())
    memory = Memory()
    with pytest.raises(Killed):
        run(Net(0.3), memory, kill)
    assert torch.equal(run(Net(0.3), memory), whole)


@pytest.mark.parametrize("where", ["the loss", "the optimizer", "the judge", "the listener"])
def test_after_ctrl_c_a_run_goes_on_to_the_same_weights(where: str) -> None:
    """At a bad moment: in the middle of a step's arithmetic, or of a check. The step is finished first."""

    def run(net: Net, memory: Memory, interrupted: bool) -> Tensor:
        calls = 0

        def passing(place: str, call: int) -> None:
            nonlocal calls
            calls += place == where and interrupted
            if calls == call and place == where:
                signal.raise_signal(signal.SIGINT)

        class Passing(Optimizer):
            def step(self, learning_rate: float) -> None:
                super().step(learning_rate)
                passing("the optimizer", 9)

        def loss(batch: Batch, draws: Draws) -> dict[str, Tensor]:
            passing("the loss", 20)
            return net.loss(batch, draws)

        def judge() -> Verdict:
            passing("the judge", 2)
            return Verdict(-float(weights(net).norm()))

        stage = work(net, losses=[(loss, 1.0)], judge=judge, optimizer=lambda: Passing(*adamw([net]).optimizers))
        options = {"checks": 3, "average": 0.8, "accumulate": 2, "checkpoints": memory}
        trainer(net, [stage], listener=lambda event: passing("the listener", 8), **options).run()
        return weights(net)

    whole = run(Net(0.3), Memory(), False)
    memory = Memory()
    with pytest.raises(KeyboardInterrupt):
        run(Net(0.3), memory, True)
    assert memory.count == 1
    assert torch.equal(run(Net(0.3), memory, False), whole)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_stops_at_once() -> None:
    net, memory = Net(), Memory()

    def loss(batch: Batch, draws: Draws) -> dict[str, Tensor]:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it went on")

    with pytest.raises(KeyboardInterrupt):
        trainer(net, [work(net, losses=[(loss, 1.0)])], checkpoints=memory).run()
    assert memory.held is None, "nothing half done is saved"


def test_a_loss_that_is_not_finite_names_stage_step_and_layer() -> None:
    net = Net()

    def poison(event: Progress) -> None:
        if event.step == 3:
            with torch.no_grad():
                net.first.weight.fill_(float("nan"))

    with pytest.raises(NonFinite, match=r"loss is nan: not finite from layer first on \(stage 'square', step 3\)"):
        trainer(net, [work(net)], listener=poison).run()


def test_a_gradient_that_is_not_finite_names_its_weight() -> None:
    net = Net()

    def loss(batch: Batch, draws: Draws) -> dict[str, Tensor]:
        return {"root": net.loss(batch, draws)["square"] + (net.second.bias - net.second.bias.detach()).sqrt().sum()}

    with pytest.raises(NonFinite, match=r"gradient of second\.bias"):
        trainer(net, [work(net, losses=[(loss, 1.0)])]).run()


def test_the_global_generator_is_left_alone() -> None:
    net = Net(0.5)
    state = torch.get_rng_state()
    trainer(net, [work(net)], checks=2).run()
    assert torch.equal(torch.get_rng_state(), state)


class Killed(Exception):
    """Raised in the middle of a run."""
