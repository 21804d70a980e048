"""One recurrent layer over Ragged sequences: in rectangles of like lengths, or packed time step by time step."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from raw2vec.errors import BadInput, nearest
from raw2vec.ragged import Ragged

_STEP = 4  # items whose rows take as long as what a time step takes besides (measured: docs/log.md)


CELLS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}


class Recurrent(nn.Module):
    """An LSTM (Hochreiter & Schmidhuber 1997) or GRU (Cho et al. 2014) layer, (N, inputs) to (N, width).

    directions: 1 reads from the item's start, -1 from its true end (as where Sutskever et al. 2014 turn the source
    around); of 2 the first half of the features, width / 2, has read from the start, the second half from the end.

    Autocast is heeded while learning only. In bfloat16 an LSTM's rounding depends on its batch (alone or not: cosine
    0.99985 at 8 features, 0.99997 at 64), and an item's vector must not, so encoding reads in the weights' own type.
    """

    def __init__(self, inputs: int, width: int, cell: str = "lstm", directions: int = 2):
        super().__init__()
        if cell not in CELLS:
            raise BadInput(f"There is no recurrent cell '{cell}'; known are {', '.join(CELLS)}.{nearest(cell, CELLS)}")
        if directions not in (1, 2, -1):
            raise BadInput(f"A recurrence reads in 1 or 2 directions, or in -1, from the end, not in {directions}.")
        if width % directions:
            raise BadInput(f"Two directions share the width, so it must be even, not {width}.")
        hidden = width // abs(directions)
        self.cell = CELLS[cell](inputs, hidden, bidirectional=directions == 2)
        self.width, self.backwards = width, directions == -1
        self.memory = 2 * width if cell == "lstm" else width
        self._begin(hidden)

    def _begin(self, hidden: int) -> None:
        """Orthogonal recurrence (Saxe et al. 2014); biases 0, the forget gate's 1 (Jozefowicz et al. 2015)."""
        for name, weight in self.cell.named_parameters():
            if name.startswith("weight"):
                for gate in weight.detach().split(hidden):
                    (nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_)(gate)
            else:
                nn.init.zeros_(weight)
                if isinstance(self.cell, nn.LSTM) and name.startswith("bias_ih"):
                    nn.init.ones_(weight.detach()[hidden : 2 * hidden])

    def forward(self, x: Ragged, first: Tensor | None = None) -> Ragged:
        """The states at every row. Items of no rows are passed over.

        first (B, memory): what each item's reading begins with, hidden features and, of an LSTM, its cell; else zeros.
        """
        if not len(x.values):
            return x.replace(x.values.new_zeros(0, self.cell.hidden_size * (1 + self.cell.bidirectional)))
        device = x.values.device.type
        learning = torch.is_autocast_enabled(device) and torch.is_grad_enabled()
        values = x.values if learning else x.values.to(self.cell.all_weights[0][0].dtype)
        with torch.autocast(device, enabled=learning):
            if _quicker(values):
                return x.replace(self._by_rectangles(x, values, first))
            rows, alive, items = _time_steps(x, self.backwards)
            begun = None if first is None else self._parted(first[items].to(values.dtype))
            states: Tensor = self.cell(PackedSequence(values.index_select(0, rows), alive), begun)[0].data
        return x.replace(torch.zeros_like(states).index_copy(0, rows, states))

    def _by_rectangles(self, x: Ragged, values: Tensor, first: Tensor | None) -> Tensor:
        """The states by rectangles, which take less time than a packed sequence's rows: half of an LSTM's, by oneDNN.

        Where autocast rounds, rows are rounded before they are laid out, which moves half as much.
        """
        if torch.is_autocast_enabled("cpu"):
            values = values.to(torch.get_autocast_dtype("cpu"))
        if x.length and first is None and not self.backwards:
            rectangle = values.unflatten(0, (len(x), x.length)).transpose(0, 1)
            return self.cell(rectangle)[0].transpose(0, 1).flatten(0, 1)
        layout = _Rectangles(x, self.cell.bidirectional, self.backwards)
        begun = None if first is None else self._parted(first.to(values.dtype))
        if isinstance(begun, Tensor):  # a GRU's
            begun = (begun,)
        parts = iter(layout.laid(values))
        told = []
        for number, weights in enumerate(self.cell.all_weights):
            for items in layout.items:
                steps = next(parts).view(-1, len(items), values.shape[1])
                rest = values.new_zeros(1, len(items), self.cell.hidden_size)
                hidden = [rest, rest] if begun is None else [each[number : number + 1, items] for each in begun]
                told.append(self._told(steps, hidden, weights).flatten(0, 1))
        return layout.taken(told)

    def _told(self, steps: Tensor, hidden: list[Tensor], weights: Any) -> Tensor:
        """The states (T, B, hidden) of one direction at every step (T, B, inputs) of a rectangle."""
        how = (True, 1, 0.0, self.training, False, False)
        if isinstance(self.cell, nn.LSTM):
            return torch.lstm(steps, hidden, weights, *how)[0]
        return torch.gru(steps, hidden[0], weights, *how)[0]

    def step(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """One row an item (B, inputs), in one direction: its states (B, width), and the memory (B, memory) after."""
        states, left = self.cell(x[None], self._parted(memory))
        return states[0], torch.cat(left, dim=-1)[0] if isinstance(left, tuple) else left[0]

    def _parted(self, memory: Tensor) -> Any:
        """(B, memory) as torch's cells take it: (directions, B, hidden), of an LSTM two of them."""
        hidden = self.cell.hidden_size
        parts = [part.unflatten(1, (-1, hidden)).transpose(0, 1).contiguous() for part in memory.split(self.width, 1)]
        return tuple(parts) if isinstance(self.cell, nn.LSTM) else parts[0]


class _Rectangles:
    """The items with rows, in rectangles of time steps by items, longest first: as many as take the least time.

    items: their places in the batch, one tensor a rectangle; size: the steps times the items of all together. Each
    direction has all rectangles to itself, one after the other, an item's rows in them from where it is read: what
    fills it up comes after them.
    """

    def __init__(self, x: Ragged, both: bool, backwards: bool):
        lengths, order = x.lengths.sort(descending=True, stable=True)
        there = int((lengths > 0).sum())
        bounds = _parted(lengths[:there].numpy())
        self.items = [order[start:end] for start, end in pairwise(bounds)]
        self._sizes = [int(x.lengths[items[0]]) * len(items) for items in self.items]
        self._begins, self._widths = (torch.zeros(len(x), dtype=torch.long) for _ in range(2))
        begin = 0
        for items, size in zip(self.items, self._sizes, strict=True):
            self._begins[items], self._widths[items] = torch.arange(begin, begin + len(items)), len(items)
            begin += size
        self.size = begin
        ways = [self._slots(x, way) for way in ((False, True) if both else (backwards,))]
        self._slots_of = torch.stack([slots + way * self.size for way, slots in enumerate(ways)], dim=1)
        self._ways = len(ways)
        self._row_of = torch.zeros(len(ways) * self.size, dtype=torch.long)
        for slots in self._slots_of.unbind(1):
            self._row_of[slots] = torch.arange(len(slots))

    def laid(self, values: Tensor) -> tuple[Tensor, ...]:
        """Rows (N, D) as the rectangles of each direction, (steps · items, D); filled up by a row, whichever it is."""
        parts: tuple[Tensor, ...] = _Laid.apply(values, self._row_of, self._slots_of).split(self._sizes * self._ways)
        return parts

    def taken(self, told: list[Tensor]) -> Tensor:
        """The way back: what each direction tells of each row, side by side, (N, directions · hidden)."""
        joined = told[0] if len(told) == 1 else torch.cat(told)
        rows: Tensor = _Taken.apply(joined, self._slots_of.flatten())
        return rows.unflatten(0, (-1, self._ways)).flatten(1)

    def _slots(self, x: Ragged, backwards: bool) -> Tensor:
        """Where each row of `x` stands among the rectangles' rows, (N,), by how many of its item are read before it."""
        owners = x.owners
        steps = torch.arange(int(x.offsets[-1])) - x.offsets[:-1][owners]
        if backwards:
            steps = x.lengths[owners] - 1 - steps
        return self._begins[owners] + steps * self._widths[owners]


class _Laid(torch.autograd.Function):
    """The row (S,) that each slot holds, for slots (N, ways) in which each row stands once a way; others are filled.

    What fills up is read by nobody and has no gradient. A gradient is taken from a row's slots, which takes a third of
    the time of adding up every slot's, as index_select has it.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, row_of: Tensor, slots_of: Tensor) -> Tensor:
        ctx.save_for_backward(slots_of)
        return values.index_select(0, row_of)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        first, *others = ctx.saved_tensors[0].unbind(1)
        total = gradient.index_select(0, first)
        for slots in others:
            total = total + gradient.index_select(0, slots)
        return total, None, None


class _Taken(torch.autograd.Function):
    """Rows at slots (N,), no two of which are the same: a gradient is put where its row came from, not added there."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, slots: Tensor) -> Tensor:
        ctx.save_for_backward(slots)
        ctx.shape = rows.shape
        return rows.index_select(0, slots)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (slots,) = ctx.saved_tensors
        return gradient.new_zeros(ctx.shape).index_copy(0, slots, gradient), None


def _parted(lengths: NDArray[np.int64]) -> list[int]:
    """Where rectangles of items, longest first, begin and end: the cheapest way, by its time steps and their rows."""
    starts = np.flatnonzero(np.diff(lengths, prepend=-1))  # items of one length stay together
    ends, cost = np.append(starts[1:], len(lengths)), np.zeros(len(starts) + 1)
    came = np.zeros(len(starts), np.int64)
    for last, end in enumerate(ends):
        each = cost[: last + 1] + lengths[starts[: last + 1]] * (_STEP + end - starts[: last + 1])
        came[last] = each.argmin()
        cost[last + 1] = each.min()
    bounds, place = [len(lengths)], len(starts)
    while place > 0:
        place = int(came[place - 1])
        bounds.append(int(starts[place]))
    return bounds[::-1]


def _quicker(values: Tensor) -> bool:
    """Whether these values go through rectangles sooner than packed: in float32 on a CPU that has oneDNN."""
    return values.device.type == "cpu" and values.dtype is torch.float32 and torch.backends.mkldnn.is_available()


def _time_steps(x: Ragged, backwards: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The rows in the order a packed sequence has them, every first row before any second, longest items first; (N,).

    Backwards, an item's last row is its first. And how many items are still alive at each step, (T,) on the CPU, and
    which items these are, in their order.
    """
    longest_first = x.lengths.argsort(descending=True, stable=True)
    lengths = x.lengths[longest_first]
    steps = torch.arange(int(lengths[0]))
    alive = len(lengths) - torch.searchsorted(lengths.flip(0), steps, right=True)
    ranks = torch.arange(int(alive.sum())) - torch.repeat_interleave(alive.cumsum(0) - alive, alive)
    steps = torch.repeat_interleave(steps, alive)
    first = x.offsets[1:] - 1 if backwards else x.offsets[:-1]
    rows = first[longest_first[ranks]] + (-steps if backwards else steps)
    return rows.to(x.values.device), alive, longest_first[: int(alive[0])].to(x.values.device)
