"""Objectives: what a model is trained for. Each is one file that maps a batch to named losses."""

from raw2vec.objectives.base import Objective
from raw2vec.objectives.contrastive import (
    Contrastive,
    ContrastivePictures,
    ContrastiveSides,
    ContrastiveViews,
    InfoNCE,
)
from raw2vec.objectives.distillation import Distillation
from raw2vec.objectives.masked import Masked
from raw2vec.objectives.masked_patches import MaskedPatches
from raw2vec.objectives.reconstruction import Reconstruction
from raw2vec.objectives.supervised import Supervised, SupervisedPictures
from raw2vec.objectives.timestamps import Timestamps
from raw2vec.objectives.translation import Translation
from raw2vec.objectives.variational import Variational
from raw2vec.objectives.vicreg import VICReg

__all__ = [
    "Contrastive",
    "ContrastivePictures",
    "ContrastiveSides",
    "ContrastiveViews",
    "Distillation",
    "InfoNCE",
    "Masked",
    "MaskedPatches",
    "Objective",
    "Reconstruction",
    "Supervised",
    "SupervisedPictures",
    "Timestamps",
    "Translation",
    "VICReg",
    "Variational",
]
