"""An encoder model: raw ids to one vector an item, through embedding, encoder and latent."""

from torch import Tensor, nn

from raw2vec.embedding import TokenEmbedding
from raw2vec.encoders import Dense, Encoder
from raw2vec.latent import Point
from raw2vec.ragged import Ragged


class Embedder(nn.Module):
    """Ragged ids (N,) of B items to their vectors (B, L)."""

    def __init__(self, embedding: TokenEmbedding, encoder: Encoder, latent: Point):
        super().__init__()
        self.embedding = embedding
        self.encoder = encoder
        self.latent = latent

    def forward(self, ids: Ragged) -> Tensor:
        """The items' vectors, (B, L)."""
        return self.latent(self.contextual(ids))

    def contextual(self, ids: Ragged) -> Ragged:
        """The encoder's last states, Ragged (N', D')."""
        if isinstance(self.encoder, Dense) and not (self.training and self.embedding.dropout.p):
            *_, last = self.encoder.layers_of_bag(self.embedding.bag(ids, self.encoder.weights(ids)))
            return last
        return self.encoder(self.embedding(ids))

    def states(self, ids: Ragged) -> list[Ragged]:
        """Every layer's states, the encoder's input first: hierarchical features."""
        return self.encoder.states(self.embedding(ids))
