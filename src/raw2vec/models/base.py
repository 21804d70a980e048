"""An encoder model: items to one vector each, through embedding, encoder and latent."""

from torch import Tensor, nn

from raw2vec.embedding import Embedding, TokenEmbedding
from raw2vec.encoders import Dense, Encoder
from raw2vec.errors import BadInput
from raw2vec.latents import Latent
from raw2vec.ragged import Ragged


class Embedder(nn.Module):
    """Ragged ids, pixels, frames or columns of B items to their vectors (B, L)."""

    def __init__(self, embedding: Embedding, encoder: Encoder, latent: Latent):
        super().__init__()
        self.embedding = embedding
        self.encoder = encoder
        self.latent = latent

    def forward(self, ids: Ragged) -> Tensor:
        """The items' vectors, (B, L)."""
        return self.latent(self.contextual(ids))

    def contextual(self, ids: Ragged) -> Ragged:
        """The encoder's last states, Ragged (N', D')."""
        encoder, embedding = self.encoder, self.embedding
        if not isinstance(encoder, Dense) or not isinstance(embedding, TokenEmbedding):
            return encoder(embedding(ids))
        if self.training and embedding.dropout.p:
            return encoder(embedding(ids))
        *_, last = encoder.layers_of_bag(embedding.bag(ids, encoder.weights(ids)))
        return last

    @property
    def table(self) -> Tensor:
        """The vectors of all tokens (V, D), which a vocabulary head shares; BadInput for data that has no tokens."""
        if not isinstance(self.embedding, TokenEmbedding):
            raise BadInput("This kind of data has no tokens that a head could tell: its 'masked' hides patches.")
        return self.embedding.weight

    def states(self, ids: Ragged) -> list[Ragged]:
        """Every layer's states, the encoder's input first: hierarchical features."""
        return self.encoder.states(self.embedding(ids))
