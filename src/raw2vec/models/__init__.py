"""Models: parts put together, nothing else."""

from raw2vec.models.autoencoder import GridAutoencoder
from raw2vec.models.base import Autoencoder, Embedder
from raw2vec.models.dual_encoder import DualEncoder
from raw2vec.models.sequence_to_sequence import SequenceToSequence, Source

AnyModel = Embedder | Autoencoder | DualEncoder
"""Whatever gives an item a vector."""

__all__ = ["AnyModel", "Autoencoder", "DualEncoder", "Embedder", "GridAutoencoder", "SequenceToSequence", "Source"]
