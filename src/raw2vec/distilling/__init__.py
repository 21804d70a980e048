"""A student of another model: a table of tokens, or fewer layers that learn what it says."""

from raw2vec.distilling.distillation import distill

__all__ = ["distill"]
