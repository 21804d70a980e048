"""Models: parts put together, nothing else."""

from raw2vec.models.autoencoder import GridAutoencoder
from raw2vec.models.base import Autoencoder, Embedder
from raw2vec.models.sequence_to_sequence import SequenceToSequence, Source

AnyModel = Embedder | Autoencoder
"""Whatever gives an item a vector."""

__all__ = ["AnyModel", "Autoencoder", "Embedder", "GridAutoencoder", "SequenceToSequence", "Source"]
