"""Linear maps in int8 whose inputs' ranges are known beforehand: the quickest there are on CPUs that have VNNI."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LEVELS, _ZERO = 127, 128  # to either side of what 0 is among the unsigned numbers that oneDNN multiplies
_SMOOTHING = 0.75  # measured: docs/log.md
_SIZES = 6  # of a number of rows the bits that count


class StaticInt8Linear(nn.Module):
    """(x - zero) · step · Wᵀ + b for x (N, inputs) of levels, uint8 (static quantisation): bfloat16.

    scales: what is done to other rows, x · scales + offsets, to have their levels. after, algorithm: an activation that
    oneDNN works out before it writes; `tells` makes of that levels again, for the next map.

    oneDNN writes a kernel for each number of rows that it meets, up to a millisecond each time. So rows are filled up
    to one of few numbers, and levels go on with what fills them up behind them.
    """

    def __init__(self, weight: Tensor, bias: Tensor, step: float, zero: int = _ZERO):
        super().__init__()
        self.out_features, self.in_features = weight.shape
        own = weight.abs().amax(dim=1).clamp(min=torch.finfo(weight.dtype).tiny * _LEVELS) / _LEVELS
        self.own, self.zeros = own, torch.zeros(len(weight), dtype=torch.long)
        self.bias, self.step, self.zero = bias, step, zero
        self.scales, self.offsets = torch.ones(self.in_features), torch.zeros(self.in_features)
        self.after, self.algorithm = "none", ""
        self.told: tuple[float, int, torch.dtype] = (1.0, 0, torch.bfloat16)
        whole = (weight / own[:, None]).round().to(torch.int8)
        self.packed: Tensor = torch.ops.onednn.qlinear_prepack(whole, None)

    @classmethod
    def ranged(cls, linear: nn.Linear, least: Tensor, most: Tensor) -> StaticInt8Linear:
        """The map for rows of numbers, each feature of which lies between its least and its most, (inputs,) both.

        Each feature has a middle and a step of its own. The middle goes into the bias, the steps into the weights as
        far as these have room for them (SmoothQuant, Xiao et al. 2023).
        """
        weight, bias = _parts(linear)
        middle, half = (least + most) / 2, ((most - least) / 2).clamp(min=1e-6)
        room = weight.abs().amax(dim=0).clamp(min=1e-6)
        shares = half**_SMOOTHING / room ** (1 - _SMOOTHING)
        step = float((half / shares).max()) / _LEVELS
        made = cls(weight * shares, bias + weight @ middle, step)
        made.scales = 1 / (shares * step)
        made.offsets = -middle * made.scales
        return made

    def tells(self, step: float, zero: int) -> None:
        """From now on it gives levels, uint8: (level - zero) · step is what one stands for."""
        self.told = (step, zero, torch.uint8)

    def forward(self, x: Tensor) -> Tensor:
        count, room = len(x), roomy(len(x))
        rows = x.as_strided((room, x.shape[1]), (x.shape[1], 1)) if x.dtype is torch.uint8 else self._levels(x, room)
        weights = (self.packed, self.own, self.zeros, self.bias)
        after: tuple[str, list[float], str] = (self.after, [], self.algorithm)
        made: Tensor = torch.ops.onednn.qlinear_pointwise(rows, self.step, self.zero, *weights, *self.told, *after)
        return made[:count]

    def _levels(self, x: Tensor, room: int) -> Tensor:
        """Rows of numbers in whole steps, uint8, and others that nobody reads up to `room`.

        torch 2.13 rounds to int8 nine times as fast as to uint8.
        """
        whole = self.scales.new_empty(room, x.shape[1])
        mine = torch.addcmul(self.offsets, x.float(), self.scales, out=whole[: len(x)])
        mine.round_().clamp_(-_LEVELS, _LEVELS)
        whole[len(x) :] = 0
        return whole.to(torch.int8).view(torch.uint8).bitwise_xor_(_ZERO)


def roomy(count: int) -> int:
    """A number of rows that this many are filled up to: at most a thirty-second more, and 32 for each doubling."""
    step = 1 << max(count.bit_length() - _SIZES, 0)
    return -(-count // step) * step


def in_a_row(
    enter: nn.Linear, leave: nn.Linear, seen: tuple[Tensor, Tensor], between: tuple[Tensor, Tensor]
) -> tuple[StaticInt8Linear, StaticInt8Linear]:
    """Two maps with a GELU or ReLU between, which pass each other levels; the caller sets the first's `after`.

    seen, between: least and most of what enters the first (D,) and the second (H,). One step is for all between them.
    A few neurons reach several times as far as all others, mostly for marks of beginning and end: what is over the
    ceiling of the others goes on in copies of these, each of which begins where the one before ends.
    """
    (weight, bias), (last, last_bias) = _parts(enter), _parts(leave)
    least, most = float(between[0].min().clamp(max=0)), between[1].clamp(min=1e-6)
    ceiling = _ceiling(most, copies=len(most) // 64)
    again = (most / ceiling).ceil().long() - 1
    more = torch.repeat_interleave(torch.arange(len(most)), again)
    nth = torch.cat([torch.arange(1, count + 1) for count in again.tolist()]) if len(more) else more
    wider = nn.Linear(enter.in_features, len(most) + len(more), device="meta")  # elsewhere it would draw weights
    wider.weight = nn.Parameter(torch.cat((weight, weight[more])))
    wider.bias = nn.Parameter(torch.cat((bias, bias[more] - nth * ceiling)))
    step = (ceiling - least) / 255
    zero = round(-least / step)
    first = StaticInt8Linear.ranged(wider, *seen)
    first.tells(step, zero)
    return first, StaticInt8Linear(torch.cat((last, last[:, more]), dim=1), last_bias, step, zero)


def known() -> bool:
    """Whether this processor multiplies int8 (VNNI) and this torch has oneDNN's product of it."""
    quick = torch.cpu._is_vnni_supported() and torch.backends.cpu.get_cpu_capability() == "AVX512"
    return quick and all(hasattr(torch.ops.onednn, name) for name in ("qlinear_prepack", "qlinear_pointwise"))


def _ceiling(most: Tensor, copies: int) -> float:
    """The lowest of 64 heights over which no more copies stand than allowed."""
    heights = float(most.max()) * torch.arange(1, 65) / 64
    needed = ((most[:, None] / heights).ceil() - 1).sum(dim=0)
    return float(heights[needed <= copies][0])


def _parts(linear: nn.Linear) -> tuple[Tensor, Tensor]:
    weight = linear.weight.detach()[: linear.out_features].float()  # a tied table may go on
    return weight, torch.zeros(len(weight)) if linear.bias is None else linear.bias.detach().float()
