"""Convolutions along sequences that never see past an item's edges, and the residual blocks made of them."""

import torch
from torch import Tensor, nn

from raw2vec.errors import BadInput
from raw2vec.layers.base import Dropout
from raw2vec.ragged import Ragged


class DepthwiseConvolution(nn.Module):
    """Each feature filtered along the item by its own `kernel` taps, `dilation` rows apart: (N, D) to (N, D).

    Rows beyond an item's edges count as zeros. All items are filtered in one pass, end to end with a gap of zero rows
    between them, by shifted multiply-adds: on a CPU twice as fast, forward and backward, as a grouped conv1d. causal:
    the last tap is on the row itself and the others before it, in place of the middle one.
    """

    def __init__(self, width: int, kernel: int = 5, dilation: int = 1, causal: bool = False):
        super().__init__()
        if kernel < 1 or (kernel % 2 == 0 and not causal):
            raise BadInput(f"A convolution's kernel must be an odd number of rows, centred on its own, not {kernel}.")
        self.span = dilation * (kernel - 1)
        self.reach = self.span if causal else self.span // 2  # rows before its own that a row sees
        self.dilation = dilation
        self.weight = nn.Parameter(torch.empty(kernel, 1, width).normal_(std=kernel**-0.5))

    def forward(self, x: Ragged) -> Ragged:
        values = self._typed(x.values)
        # A gap after each item serves the next one too; item b starts b gaps later than in `values`.
        starts = self.reach * (x.owners + 1) + torch.arange(len(values), device=values.device)
        total = len(values) + self.reach * len(x) + self.span
        gapped = values.new_zeros(total, values.shape[1]).index_copy(0, starts, values)
        filtered = self._filter(gapped)
        return x.replace(filtered.index_select(0, starts - self.reach))

    def step(self, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """One more row of each item (B, D), after what stood in the rows before it, (B, span, D); what to keep then."""
        seen = torch.cat((before, self._typed(x)[:, None]), dim=1)
        taken = seen[:, :: self.dilation] * self.weight[:, 0].to(seen.dtype)
        return taken.sum(dim=1), seen[:, 1:]

    def _typed(self, values: Tensor) -> Tensor:
        if torch.is_autocast_enabled(values.device.type):
            return values.to(torch.get_autocast_dtype(values.device.type))
        return values

    def _filter(self, gapped: Tensor) -> Tensor:
        """Row i of the answer is what the row `reach` further on of `gapped` becomes."""
        taps, inner = self.weight.to(gapped.dtype), len(gapped) - self.span
        filtered = gapped[:inner] * taps[0]
        for place, tap in enumerate(taps[1:], start=1):
            shift = place * self.dilation
            filtered = torch.addcmul(filtered, gapped[shift : shift + inner], tap)
        return filtered


class ConvolutionBlock(nn.Module):
    """A residual block: x + leave(activation(enter(filter(normalise(x))))), (N, D) to (N, D).

    A depthwise convolution mixes rows, two linear layers over four times the width mix features (ConvNeXt, Liu et al.
    2022, in pre-norm order).
    """

    def __init__(
        self,
        width: int,
        kernel: int,
        dilation: int,
        activation: nn.Module,
        normalization: nn.Module,
        dropout: float = 0.0,
        causal: bool = False,
    ):
        super().__init__()
        self.normalization = normalization
        self.filter = DepthwiseConvolution(width, kernel, dilation, causal)
        self.enter = nn.Linear(width, 4 * width)
        self.activation = activation
        self.leave = nn.Linear(4 * width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Ragged) -> Ragged:
        mixed = self.filter(x.replace(self.normalization(x.values))).values
        return x.replace(x.values + self._thought(mixed))

    def step(self, x: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """One more row of each item, (B, D), as DepthwiseConvolution has it."""
        mixed, kept = self.filter.step(self.normalization(x), before)
        return x + self._thought(mixed), kept

    def _thought(self, mixed: Tensor) -> Tensor:
        thought: Tensor = self.dropout(self.leave(self.activation(self.enter(mixed))))
        return thought
