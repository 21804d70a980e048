"""One recurrent layer over Ragged sequences: packed time step by time step, with no padding anywhere."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from raw2vec.errors import BadInput, nearest
from raw2vec.ragged import Ragged

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
        rows, alive, items = _time_steps(x, self.backwards)
        device = x.values.device.type
        learning = torch.is_autocast_enabled(device) and torch.is_grad_enabled()
        values = x.values if learning else x.values.to(self.cell.all_weights[0][0].dtype)
        with torch.autocast(device, enabled=learning):
            begun = None if first is None else self._parted(first[items].to(values.dtype))
            states: Tensor = self.cell(PackedSequence(values.index_select(0, rows), alive), begun)[0].data
        return x.replace(torch.zeros_like(states).index_copy(0, rows, states))

    def step(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """One row an item (B, inputs), in one direction: its states (B, width), and the memory (B, memory) after."""
        states, left = self.cell(x[None], self._parted(memory))
        return states[0], torch.cat(left, dim=-1)[0] if isinstance(left, tuple) else left[0]

    def _parted(self, memory: Tensor) -> Any:
        """(B, memory) as torch's cells take it: (directions, B, hidden), of an LSTM two of them."""
        hidden = self.cell.hidden_size
        parts = [part.unflatten(1, (-1, hidden)).transpose(0, 1).contiguous() for part in memory.split(self.width, 1)]
        return tuple(parts) if isinstance(self.cell, nn.LSTM) else parts[0]


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
