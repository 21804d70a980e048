"""Token ids become vectors."""

from torch import Tensor, nn

from raw2vec.ragged import Ragged


class TokenEmbedding(nn.Module):
    """One learned vector a token of the vocabulary: Ragged ids (N,) to Ragged (N, D).

    Vectors start as normal draws of deviation 0.02 (BERT, GPT-2, ModernBERT): small beside a learning rate of 1e-3, so
    that words move far in few steps, and small enough that a head tied to them starts near the uniform guess.
    """

    def __init__(self, vocabulary: int, width: int, dropout: float = 0.0):
        super().__init__()
        self.width = width
        self.table = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.table.weight, std=0.02)
        self.dropout = nn.Dropout(dropout)

    @property
    def weight(self) -> Tensor:
        """The table (V, D), which a vocabulary head may share."""
        return self.table.weight

    def forward(self, ids: Ragged) -> Ragged:
        return ids.replace(self.dropout(self.table(ids.values)))
