"""Models: parts put together, nothing else."""

from raw2vec.models.autoencoder import Autoencoder, GridAutoencoder, SequenceAutoencoder
from raw2vec.models.base import Embedder

AnyModel = Embedder | Autoencoder
"""Whatever gives an item a vector."""

__all__ = ["AnyModel", "Autoencoder", "Embedder", "GridAutoencoder", "SequenceAutoencoder"]
