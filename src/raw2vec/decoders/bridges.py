"""Bridges: what a writer is told of what was read. One vector alone, or every state of the encoder beside it."""

from dataclasses import dataclass

from raw2vec.layers import ScoreName


@dataclass(frozen=True)
class Bridge:
    """looks: whether the writer looks at the encoder's states; score and coverage: how (see layers.Attention)."""

    looks: bool
    score: ScoreName = "additive"
    coverage: bool = False


def fixed() -> Bridge:
    """The item's vector is all that the writer is told (Sutskever et al. 2014), so that a vector can be written out."""
    return Bridge(looks=False)


def attention(score: ScoreName = "additive", coverage: bool = False) -> Bridge:
    """At every token it looks at the states, one weight each (Bahdanau et al. 2015, Luong et al. 2015)."""
    return Bridge(True, score, coverage)


def cross_attention() -> Bridge:
    """At every token and layer it looks at the states with every head (Vaswani et al. 2017)."""
    return Bridge(looks=True)
