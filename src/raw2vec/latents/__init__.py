"""Latents, each one file: the states of an item to one code, and to what is known of it."""

from raw2vec.latents.base import Certain, Latent, Posterior
from raw2vec.latents.gaussian import DiagonalGaussian, Gaussian
from raw2vec.latents.point import Point
from raw2vec.latents.quantised import Nearest, Quantised

__all__ = ["Certain", "DiagonalGaussian", "Gaussian", "Latent", "Nearest", "Point", "Posterior", "Quantised"]
