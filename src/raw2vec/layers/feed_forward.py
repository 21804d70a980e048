"""The layer that thinks about each row by itself: wide, activated, and back (Vaswani et al. 2017); plain or gated."""

from torch import Tensor, nn

from raw2vec.layers.base import Dropout


class FeedForward(nn.Module):
    """leave(activation(enter(x))): (N, D) to (N, D) through `hidden` features."""

    def __init__(self, width: int, hidden: int, activation: nn.Module, bias: bool = True, dropout: float = 0.0):
        super().__init__()
        self.enter = nn.Linear(width, hidden, bias=bias)
        self.activation = activation
        self.leave = nn.Linear(hidden, width, bias=bias)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        left: Tensor = self.dropout(self.leave(self.activation(self.enter(x))))
        return left


class GatedFeedForward(nn.Module):
    """One half of the features, activated, opens and shuts the other (Dauphin et al. 2017; Shazeer 2020).

    (N, D) to (N, D) through twice `hidden` features, made by one product; the activated half comes first, as in
    ModernBERT.
    """

    def __init__(self, width: int, hidden: int, activation: nn.Module, bias: bool = True, dropout: float = 0.0):
        super().__init__()
        self.enter = nn.Linear(width, 2 * hidden, bias=bias)
        self.activation = activation
        self.leave = nn.Linear(hidden, width, bias=bias)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        opened, carried = self.enter(x).chunk(2, dim=-1)
        left: Tensor = self.dropout(self.leave(self.activation(opened) * carried))
        return left
