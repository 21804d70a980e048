"""The loop: steps, checks and checkpoints within a budget. It knows no losses and not where data came from."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raw2vec.batch import Batch
from raw2vec.errors import NonFinite
from raw2vec.recipe import Training
from raw2vec.seeding import Draws, key
from raw2vec.train import blame
from raw2vec.train.base import Checkpoints, Optimizer, Progress, State, Work
from raw2vec.train.budget import Budget, rate
from raw2vec.train.distributed import Group
from raw2vec.train.interrupt import Interrupt
from raw2vec.train.weights import Average


class Trainer:
    """Runs the stages over `modules`, the model and its objectives together.

    In minutes the schedule goes by the share of the time that has passed; in steps by their number, and then a run that
    was killed and resumed ends in the very same weights: every draw, dropout's too, is a function of the step.
    """

    def __init__(
        self,
        modules: nn.Module,
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
        self.group = group or Group()
        self.group.refuse(training.accumulate)
        self.modules, self.work, self.training, self.budget, self.seed = modules, work, training, budget, seed
        self.checkpoints, self.listener, self.precision = checkpoints, listener, precision
        self.weights = list(modules.parameters())
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
        self._clip(work)
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
        """Those of the batches' mean, worked out by all processes; its losses, and the items and tokens in it."""
        losses: dict[str, float] = {}
        items = tokens = 0.0
        for place in self.group.own(len(chosen)):
            self._seed(key(self.seed, "dropout", self.state.step * len(chosen) + place))
            batch = work.feed.batch(chosen[place]).to(self.device)
            for name, value in self._backward(work, batch, len(chosen)).items():
                losses[name] = losses.get(name, 0.0) + value / len(chosen)
            items += len(batch)
            tokens += sum(len(side.values) for side in batch.sides.values())
        self.group.add(self.weights)
        items, tokens, *values = self.group.totals([items, tokens, *losses.values()])
        return dict(zip(losses, values, strict=True)), int(items), int(tokens)

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

    def _backward(self, work: Work, batch: Batch, parts: int) -> dict[str, float]:
        draws = Draws(key(self.seed, "stage", self.state.stage), self.state.epoch, self._within())
        total: Tensor = torch.zeros((), device=self.device)
        named: dict[str, float] = {}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision is torch.bfloat16):
            for objective, weight in work.losses:
                losses = objective(batch, draws)
                total = total + weight * next(iter(losses.values()))
                first = next(iter(losses))
                for name, value in losses.items():  # two objectives of a stage may name a loss alike
                    named[name if name not in named else f"{name} of {first}"] = value.item()
        if not math.isfinite(total.item()):
            place = blame.layer(self.modules, lambda: [objective(batch, draws) for objective, _ in work.losses])
            raise NonFinite(self._stopped(work, f"The loss is {total.item()}: not finite from {place} on"))
        (total / parts).backward()
        return named

    def _clip(self, work: Work) -> None:
        norm = nn.utils.get_total_norm([p.grad for p in self.weights if p.grad is not None])
        if not math.isfinite(norm.item()):
            raise NonFinite(self._stopped(work, f"A gradient is {norm.item()}: {blame.gradient(self.modules)}"))
        if norm.item() > self.training.clip:
            nn.utils.clip_grads_with_norm_(self.weights, self.training.clip, norm)

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
            found = work.judge()
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
        self.checkpoints.write(tensors, {"state": asdict(self.state), "budget": self.budget.state()})

    def _resume(self) -> dict[str, dict[str, Tensor]]:
        """Puts the last checkpoint in place; what belongs to the stage's optimiser and average is handed back."""
        found = self.checkpoints.read() if self.checkpoints else None
        if found is None:
            return {}
        parts: dict[str, dict[str, Tensor]] = {"weights": {}, "best": {}, "average": {}, "optimizer": {}}
        for name, tensor in found[0].items():
            title, rest = name.split("/", 1)
            parts[title][rest] = tensor.to(self.device)
        self.state = State(**found[1]["state"])
        self.budget.restore(found[1]["budget"])
        self._saved = self.budget.seconds
        if parts["optimizer"]:  # else the stage before has ended, and this one is yet to begin
            self.work[self.state.stage].enter()
        self.modules.load_state_dict(parts["weights"])
        self.best = parts["best"]
        return {"average": parts["average"], "optimizer": parts["optimizer"]} if parts["optimizer"] else {}
