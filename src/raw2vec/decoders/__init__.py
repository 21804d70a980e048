"""Decoders, each one file: one vector an item to states over the item's grid, at once or row by row."""

from raw2vec.decoders.base import Decoder, Kept, Writer
from raw2vec.decoders.bridges import Bridge
from raw2vec.decoders.convolutional import Convolutional, ConvolutionalWriter
from raw2vec.decoders.dense import Dense
from raw2vec.decoders.recurrent import Recurrent, RecurrentWriter
from raw2vec.decoders.transformer import Transformer, TransformerWriter

__all__ = [
    "Bridge",
    "Convolutional",
    "ConvolutionalWriter",
    "Decoder",
    "Dense",
    "Kept",
    "Recurrent",
    "RecurrentWriter",
    "Transformer",
    "TransformerWriter",
    "Writer",
]
