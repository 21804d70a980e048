"""Models: parts put together, nothing else."""

from raw2vec.models.autoencoder import Autoencoder
from raw2vec.models.base import Embedder

__all__ = ["Autoencoder", "Embedder"]
