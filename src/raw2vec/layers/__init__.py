"""The layers that encoders and decoders are built of, each over Ragged or over its rows."""

from raw2vec.layers.activations import ACTIVATIONS, GATES, activation
from raw2vec.layers.attention import Layout, SelfAttention
from raw2vec.layers.convolution import ConvolutionBlock, DepthwiseConvolution
from raw2vec.layers.feed_forward import FeedForward, GatedFeedForward
from raw2vec.layers.normalization import NORMALIZATIONS, normalization
from raw2vec.layers.positions import Learned, Rotary, Rotation, Sinusoidal
from raw2vec.layers.recurrent import CELLS, Recurrent

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "GATES",
    "NORMALIZATIONS",
    "ConvolutionBlock",
    "DepthwiseConvolution",
    "FeedForward",
    "GatedFeedForward",
    "Layout",
    "Learned",
    "Recurrent",
    "Rotary",
    "Rotation",
    "SelfAttention",
    "Sinusoidal",
    "activation",
    "normalization",
]
