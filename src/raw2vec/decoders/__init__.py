"""Decoders, each one file: one vector an item to states over the item's grid."""

from raw2vec.decoders.base import Decoder

__all__ = ["Decoder"]
