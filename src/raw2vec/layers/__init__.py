"""The layers that encoders and decoders are built of, each over Ragged or over its rows."""

from raw2vec.layers.activations import ACTIVATIONS, GATES, activation
from raw2vec.layers.attention import Layout, SelfAttention
from raw2vec.layers.base import Dropout
from raw2vec.layers.blocks import (
    Biases,
    NormOrder,
    PlaneBlockName,
    TransformerBlock,
    WriterBlock,
    convolution_blocks,
    entry_norm,
    final_norm,
    hidden_features,
    stack_norm,
    transformer_blocks,
    usual_epsilon,
    widths,
    writer_blocks,
)
from raw2vec.layers.convolution import ConvolutionBlock, DepthwiseConvolution
from raw2vec.layers.cross_attention import Attention, CrossAttention, Memory, ScoreName, rectangle, rows_of
from raw2vec.layers.cross_entropy import cross_entropy
from raw2vec.layers.feed_forward import FeedForward, GatedFeedForward
from raw2vec.layers.initialization import begin, soften
from raw2vec.layers.low_rank import LowRank, adapt, merge
from raw2vec.layers.normalization import NORMALIZATIONS, normalization
from raw2vec.layers.past import Past, changes, closed_up, settled
from raw2vec.layers.plane import Canvas, ConvNeXtBlock, PlaneBlock, PlaneConvolution
from raw2vec.layers.positions import Learned, Relative, Rotary, Rotation, Sinusoidal, added_positions
from raw2vec.layers.recurrent import CELLS, Recurrent
from raw2vec.layers.scales import Double, Halve, halved, halving, trace
from raw2vec.layers.spread import Spread

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "GATES",
    "NORMALIZATIONS",
    "Attention",
    "Biases",
    "Canvas",
    "ConvNeXtBlock",
    "ConvolutionBlock",
    "CrossAttention",
    "DepthwiseConvolution",
    "Double",
    "Dropout",
    "FeedForward",
    "GatedFeedForward",
    "Halve",
    "Layout",
    "Learned",
    "LowRank",
    "Memory",
    "NormOrder",
    "Past",
    "PlaneBlock",
    "PlaneBlockName",
    "PlaneConvolution",
    "Recurrent",
    "Relative",
    "Rotary",
    "Rotation",
    "ScoreName",
    "SelfAttention",
    "Sinusoidal",
    "Spread",
    "TransformerBlock",
    "WriterBlock",
    "activation",
    "adapt",
    "added_positions",
    "begin",
    "changes",
    "closed_up",
    "convolution_blocks",
    "cross_entropy",
    "entry_norm",
    "final_norm",
    "halved",
    "halving",
    "hidden_features",
    "merge",
    "normalization",
    "rectangle",
    "rows_of",
    "settled",
    "soften",
    "stack_norm",
    "trace",
    "transformer_blocks",
    "usual_epsilon",
    "widths",
    "writer_blocks",
]
