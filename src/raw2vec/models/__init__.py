"""Models: parts put together, nothing else."""

from raw2vec.models.embedder import Embedder

__all__ = ["Embedder"]
