"""Decoders, each one file: one vector an item to states over the item's grid."""

from raw2vec.decoders.base import Decoder, Writer
from raw2vec.decoders.convolutional import Convolutional
from raw2vec.decoders.dense import Dense
from raw2vec.decoders.recurrent import Recurrent, RecurrentWriter
from raw2vec.decoders.transformer import Transformer

__all__ = ["Convolutional", "Decoder", "Dense", "Recurrent", "RecurrentWriter", "Transformer", "Writer"]
