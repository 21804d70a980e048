"""What a family of transformers' models is to us: a table of names, and a config.json read into our settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from raw2vec.errors import BadInput
from raw2vec.layers import GATES, usual_epsilon

Table = tuple[tuple[str, str], ...]
"""Ours ↔ theirs, each standing for a weight and, where there is one, a bias. {} is the layer. Where theirs are several,
ours is them one below the other."""

# Activations, ours ↔ theirs.
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_pytorch_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "relu6": "relu6",
    "relu_squared": "relu2",
    "leaky_relu": "leaky_relu",
    "silu": "silu",
    "swish": "silu",
    "mish": "mish",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "identity": "linear",
}
_ALIASES = {"gelu_new": "gelu_tanh", "gelu_fast": "gelu_tanh", "swish": "silu"}


@dataclass(frozen=True)
class Family:
    """A `model_type` of theirs.

    table: its weights. settings: those of our Transformer, by its config.json. model: what transformers calls it.
    types_in: where our weights take in the token type that stands at every row, if it has such. bare: ours ↔ theirs of
    what is one tensor by itself.
    """

    model: str
    table: Table
    settings: Callable[[Mapping[str, Any]], dict[str, Any]]
    types_in: str = ""
    bare: Table = ()


def activation_of(name: object) -> str:
    """Our name of their activation; BadInput for one that we have not."""
    found = {theirs: ours for ours, theirs in reversed(ACTIVATIONS.items())} | _ALIASES
    if name not in found:
        raise BadInput(f"The checkpoint's activation '{name}' is not one we have.")
    return found[str(name)]


def gate_of(name: object) -> str:
    """Our name of a feed-forward gated by their activation."""
    gates = {plain: gate for gate, plain in GATES.items()}
    plain = activation_of(name)
    if plain not in gates:
        raise BadInput(f"The checkpoint's feed-forward is gated by '{name}', which we have no gate for.")
    return gates[plain]


def epsilon_of(value: float, norm_order: str) -> float:
    """The setting that gives norms this epsilon: 0 where it is the usual one."""
    return 0.0 if value == usual_epsilon(norm_order) else float(value)


def agree(config: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """BadInput where the config says something else than what our transformer does."""
    for name, value in wanted.items():
        if config.get(name, value) != value:
            raise BadInput(f"The checkpoint has {name} {config[name]!r}, and our transformer only {value!r}.")


def sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that every family has, from the names that most of them give these."""
    return {
        "width": config["hidden_size"],
        "layers": config["num_hidden_layers"],
        "heads": config["num_attention_heads"],
        "feed_forward": config["intermediate_size"],
        "normalization": "layer",
        "limit": config.get("max_position_embeddings", 512),
    }
