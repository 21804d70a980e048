"""Encoders for any raw data: train, run and search them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from raw2vec.errors import BadFolder, BadInput, MissingExtra, NonFinite, Raw2VecError, WrongSpace

if TYPE_CHECKING:
    from raw2vec.distilling import distill
    from raw2vec.recipe import Recipe
    from raw2vec.system import Raw2Vec, TruncationWarning, fit, load

__version__ = "0.1.0"

__all__ = [
    "BadFolder",
    "BadInput",
    "MissingExtra",
    "NonFinite",
    "Raw2Vec",
    "Raw2VecError",
    "Recipe",
    "TruncationWarning",
    "WrongSpace",
    "distill",
    "fit",
    "load",
]


_HOMES = {"Recipe": "recipe", "distill": "distilling"}


def __getattr__(name: str) -> Any:
    """The facade comes with torch, which takes seconds to import: only when it is asked for (PEP 562)."""
    if name in __all__:
        return getattr(import_module(f"raw2vec.{_HOMES.get(name, 'system')}"), name)
    raise AttributeError(f"module 'raw2vec' has no attribute '{name}'")
