"""Encoders: vectors to states, by bags, recurrences, convolutions or attention."""

from raw2vec.encoders.base import Encoder
from raw2vec.encoders.convolutional import Convolutional
from raw2vec.encoders.dense import Dense
from raw2vec.encoders.recurrent import Recurrent
from raw2vec.encoders.transformer import Transformer

__all__ = ["Convolutional", "Dense", "Encoder", "Recurrent", "Transformer"]
