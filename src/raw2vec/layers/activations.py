"""Activations by their usual names: the only table of them, so that a recipe, an error and an export agree."""

from collections.abc import Callable

from torch import Tensor, nn

from raw2vec.errors import BadInput, nearest


class QuickGELU(nn.Module):
    """x · sigmoid(1.702 x), which is nearly GELU (Hendrycks & Gimpel 2016, section 2): CLIP's."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (1.702 * x).sigmoid()


class SquaredReLU(nn.Module):
    """The square of what is positive (So et al. 2021, Primer)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.relu().square()


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "relu_squared": SquaredReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "celu": nn.CELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "quick_gelu": QuickGELU,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "mish": nn.Mish,
    "softplus": nn.Softplus,
    "sigmoid": nn.Sigmoid,
    "hard_swish": nn.Hardswish,
    "tanh": nn.Tanh,
}

GATES: dict[str, str] = {
    "glu": "sigmoid",
    "reglu": "relu",
    "geglu": "gelu",
    "geglu_tanh": "gelu_tanh",
    "swiglu": "silu",
}
"""Which activation each gated feed-forward puts on its gate (Shazeer 2020)."""


def activation(name: str) -> nn.Module:
    """The activation called `name`. BadInput for a name that is not in ACTIVATIONS, with the nearest that is."""
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]()
    if name in GATES:
        raise BadInput(
            f"'{name}' is a gated feed-forward, which only a transformer's layers have; here '{GATES[name]}'."
        )
    known = (*ACTIVATIONS, *GATES)
    raise BadInput(f"There is no activation '{name}'; known are {', '.join(known)}.{nearest(name, known)}")
