"""Models: parts put together, nothing else."""

from raw2vec.models.autoencoder import Autoencoder
from raw2vec.models.base import Embedder

AnyModel = Embedder | Autoencoder
"""Whatever gives an item a vector."""

__all__ = ["AnyModel", "Autoencoder", "Embedder"]
