"""The loop: steps, checks and checkpoints within a budget. It knows no losses and not where data came from."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raw2vec.batch import Batch
from raw2vec.errors import NonFinite
from raw2vec.recipe import Training
from raw2vec.seeding import Draws, key
from raw2vec.train import blame
from raw2vec.train.base import Checkpoints, Optimizer, Progress, State, Work, cut, placed, share
from raw2vec.train.budget import Budget, rate
from raw2vec.train.distributed import Group
from raw2vec.train.interrupt import Interrupt
from raw2vec.train.sharding import Whole
from raw2vec.train.weights import Average


class Trainer:
    """Runs the stages over `modules`, the model and its objectives together.

    In minutes the schedule goes by the share of the time that has passed; in steps by their number, and then a run that
    was killed and resumed ends in the very same weights: every draw, dropout's too, is a function of the step.
    """

    def __init__(
        self,
        modules: nn.Module | Whole,
        work: Sequence[Work],
        training: Training,
        budget: Budget,
        seed: int,
        *,
        checkpoints: Checkpoints | None = None,
        listener: Callable[[Progress], None] = lambda progress: None,
        precision: torch.dtype = torch.float32,
        group: Group | None = None,
    ):
        self.group, self.layout = group or Group(), modules if isinstance(modules, Whole) else Whole(modules)
        self.group.refuse(training.accumulate)
        self.modules, self.work, self.training, self.budget, self.seed = (
            self.layout.modules,
            work,
            training,
            budget,
            seed,
        )
        self.checkpoints, self.listener, self.precision = checkpoints, listener, precision
        self.weights = list(self.modules.parameters())
        self.device = self.weights[0].device
        self.state = State()
        self.best: dict[str, Tensor] = {}
        self.optimizer: Optimizer | None = None
        self._saved = budget.seconds
        self.interrupt, self.stop = Interrupt(), False

    def run(self) -> State:
        """Trains to the end of the budget, from the last checkpoint if there is one. Ctrl-C leaves one behind."""
        held = self._resume()
        self.group.alike(self.modules)
        devices = [self.device.index or 0] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices), self.interrupt:
            while self.state.stage < len(self.work):
                self._stage(self.work[self.state.stage], held)
                held = {}
        self.modules.eval()
        return self.state

    def _stage(self, work: Work, held: dict[str, dict[str, Tensor]]) -> None:
        for part in work.frozen:
            part.requires_grad_(False)
        work.enter()
        self.weights = list(self.modules.parameters())
        self.optimizer = optimizer = work.optimizer()
        self.average = Average(self.modules, self.training.average)
        if held:
            optimizer.restore(held["optimizer"])
            self.average.restore(held["average"])
        self.modules.train()
        batches = work.feed.epoch(self.state.epoch)
        while self._within() < 1 and not 0 < self.training.patience <= self.state.stale:
            chosen = []
            for _ in range(self.training.accumulate):
                if self.state.place >= len(batches):
                    self.state.epoch, self.state.place = self.state.epoch + 1, 0
                    batches = work.feed.epoch(self.state.epoch)
                chosen.append(batches[self.state.place])
                self.state.place += 1
            self._step(work, optimizer, chosen)
            self._check(work)
            if self.stop or self.budget.seconds - self._saved > self.training.save_every:
                self._save()
            if self.stop:
                raise KeyboardInterrupt
        self._next_stage(work)

    def _within(self) -> float:
        shares = [work.share for work in self.work]
        end = sum(shares[: self.state.stage + 1]) / sum(shares)
        return self.budget.within(self.state.step, self.state.begin, min(end, 1.0))

    def _step(self, work: Work, optimizer: Optimizer, chosen: list[NDArray[np.int64]]) -> None:
        began, state = self.budget.seconds, self.state
        losses, items, tokens = self._gradients(work, chosen)
        within = max(self._within(), 0.0)
        learning_rate = work.learning_rate * rate(self.training, within) * self._softness(within)
        optimizer.step(learning_rate)
        self.average.follow()
        state.step += 1
        self.stop = self.group.tick(self.interrupt.asked)
        seconds = self.budget.seconds - began
        self.budget.stepped(seconds)
        self.listener(
            Progress(work.name, state.step, state.epoch, self._share(), losses, items, tokens, seconds, learning_rate)
        )

    def _gradients(self, work: Work, chosen: list[NDArray[np.int64]]) -> tuple[dict[str, float], int, int]:
        """Those of the batches' mean, worked out by all processes; its losses, and the items and tokens in it.

        Losses and norm are asked of the device once, when all is under way: no wait for each of them on a GPU.
        """
        told: list[Tensor] = []
        items = tokens = 0.0
        names: list[str] = []
        for place in self.group.own(len(chosen)):
            batch = self._batch(work, chosen, place)
            losses = self._backward(work, batch, len(chosen))
            names, told = list(losses), [*told, torch.stack([value.detach().double() for value in losses.values()])]
            items += len(batch)
            tokens += sum(len(side.values) for side in batch.sides.values())
        self.group.add([weight for weight in self.weights if not cut(weight)])
        norm = self.layout.norm([weight.grad for weight in self.weights if weight.grad is not None])
        *found, size = torch.cat([*told, norm.double()[None]]).tolist()
        means = [sum(value / len(chosen) for value in found[place :: len(names)]) for place in range(len(names))]
        items, tokens, total, *values = self.group.totals([items, tokens, *means])
        if not math.isfinite(total):
            raise NonFinite(
                self._stopped(work, f"The loss is {total}: not finite from {self._origin(work, chosen)} on")
            )
        self._clip(work, norm, size)
        return dict(zip(names[1:], values, strict=True)), int(items), int(tokens)

    def _batch(self, work: Work, chosen: list[NDArray[np.int64]], place: int) -> Batch:
        """The batch at this place of the step, and dropout's luck for it."""
        self._seed(key(self.seed, "dropout", self.state.step * len(chosen) + place))
        return work.feed.batch(chosen[place]).to(self.device)

    def _seed(self, number: int) -> None:
        """As torch.manual_seed, which takes longer than a small step: it notes down who called for devices to come."""
        torch.default_generator.manual_seed(number)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(number)

    def _softness(self, within: float) -> float:
        """Steps times rate is how far a stage goes: what overfits further on goes as far in more and softer steps."""
        if self.training.full_steps is None or not within:
            return 1.0
        expected = (self.state.step - self.state.first + 1) / within
        return min(1.0, self.training.full_steps / expected)

    def _backward(self, work: Work, batch: Batch, parts: int) -> dict[str, Tensor]:
        """Adds the batch's share of the gradients to what is there; the sum of its losses, and each of them by name."""
        losses = self.layout.learning(lambda: self._losses(work, batch))
        (losses[""] / parts).backward()
        return losses

    def _losses(self, work: Work, batch: Batch) -> dict[str, Tensor]:
        draws = Draws(key(self.seed, "stage", self.state.stage), self.state.epoch, self._within())
        named = {"": torch.zeros((), device=self.device)}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision is torch.bfloat16):
            for objective, weight in work.losses:
                losses = objective(batch, draws)
                first = next(iter(losses))
                named[""] = named[""] + weight * losses[first]
                for name, value in losses.items():  # two objectives of a stage may name a loss alike
                    named[name if name not in named else f"{name} of {first}"] = value
        return named

    def _origin(self, work: Work, chosen: list[NDArray[np.int64]]) -> str:
        """The layer that is the first to give what is not finite."""
        found = [blame.NOWHERE]
        for place in self.group.own(len(chosen)):
            again = partial(self._losses, work, self._batch(work, chosen, place))
            found.append(blame.layer(self.modules, partial(self.layout.looking, again)))
        return next((layer for layer in found if layer != blame.NOWHERE), blame.NOWHERE)

    def _clip(self, work: Work, norm: Tensor, size: float) -> None:
        """`size` is the norm's number."""
        if not math.isfinite(size):
            raise NonFinite(self._stopped(work, f"A gradient is {size}: {blame.gradient(self.modules)}"))
        if size > self.training.clip:
            grads = [share(weight.grad) for weight in self.weights if weight.grad is not None]
            torch._foreach_mul_(grads, (self.training.clip / (norm + 1e-6)).clamp(max=1.0))

    def _stopped(self, work: Work, what: str) -> str:
        advice = "A lower learning rate (--set training.learning_rate=…) or float32 usually helps"
        return f"{what} (stage '{work.name}', step {self.state.step}). {advice}; the last checkpoint is kept."

    def _check(self, work: Work) -> None:
        """Judges the weights `checks` times a stage on held-out items; the best are remembered."""
        due = math.floor(self._within() * self.training.checks + 1e-9)
        if work.judge is None or due <= self.state.checked:
            return
        self.state.checked = due
        self.modules.eval()
        with self.average.in_place(), torch.no_grad():
            found = self.layout.looking(work.judge)
            finite = all(map(math.isfinite, found.rank))
            if finite and (self.state.best is None or found.rank < self.state.best):
                self.state.best, self.state.stale = found.rank, 0
                self.best = {name: value.detach().clone() for name, value in self.modules.state_dict().items()}
            else:
                self.state.stale += 1
        self.modules.train()
        name, step, epoch = work.name, self.state.step, self.state.epoch
        self.state.history.append({"stage": name, "step": step, "held_out": found.loss, **found.scores})
        self.listener(Progress(name, step, epoch, self._share(), held_out=found.loss, scores=found.scores))

    def _next_stage(self, work: Work) -> None:
        """The stage's best weights stay, and the next one begins where this one ended."""
        self.average.settle()
        if self.best:
            self.modules.load_state_dict(self.best)
        work.leave()
        self.best, self.optimizer = {}, None
        for part in work.frozen:
            part.requires_grad_(True)
        last = self.state
        self.state = State(last.stage + 1, last.step, begin=self._share(), first=last.step, history=last.history)
        self._save()

    def _share(self) -> float:
        return self.budget.share(self.state.step)

    def _save(self) -> None:
        self._saved = self.budget.seconds
        if self.checkpoints is None:
            return
        tensors = {f"weights/{name}": value for name, value in self.modules.state_dict().items()}
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        if self.optimizer:
            tensors |= {f"average/{name}": value for name, value in self.average.tensors().items()}
            tensors |= {f"optimizer/{name}": value for name, value in self.optimizer.tensors().items()}
        self.checkpoints.write(
            self.layout.gathered(tensors), {"state": asdict(self.state), "budget": self.budget.state()}
        )

    def _resume(self) -> dict[str, dict[str, Tensor]]:
        """Puts the last checkpoint in place; what belongs to the stage's optimiser and average is handed back."""
        found = self.checkpoints.read() if self.checkpoints else None
        if found is None:
            return {}
        parts: dict[str, dict[str, Tensor]] = {"weights": {}, "best": {}, "average": {}, "optimizer": {}}
        for name, tensor in found[0].items():
            title, rest = name.split("/", 1)
            parts[title][rest] = tensor
        self.state = State(**found[1]["state"])
        self.budget.restore(found[1]["budget"])
        self._saved = self.budget.seconds
        if parts["optimizer"]:  # else the stage before has ended, and this one is yet to begin
            self.work[self.state.stage].enter()
        own = self.modules.state_dict()
        weights, self.best = (
            {name: placed(tensor, own[name]) for name, tensor in parts[title].items()} for title in ("weights", "best")
        )
        self.modules.load_state_dict(weights)
        return {"average": parts["average"], "optimizer": parts["optimizer"]} if parts["optimizer"] else {}
