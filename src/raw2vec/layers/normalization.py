"""Normalisations by name: what keeps the states of a deep stack at one scale."""

from torch import nn

from raw2vec.errors import BadInput, nearest

NORMALIZATIONS = ("layer", "rms", "none")


def normalization(name: str, width: int, bias: bool = True, eps: float = 1e-5) -> nn.Module:
    """ "layer" (Ba et al. 2016), "rms" (Zhang & Sennrich 2019, which has no bias) or "none", over the last axis.

    BadInput for another name.
    """
    if name == "layer":
        return nn.LayerNorm(width, eps=eps, bias=bias)
    if name == "rms":
        return nn.RMSNorm(width, eps=eps)
    if name == "none":
        return nn.Identity()
    known = ", ".join(NORMALIZATIONS)
    raise BadInput(f"There is no normalization '{name}'; known are {known}.{nearest(name, NORMALIZATIONS)}")
