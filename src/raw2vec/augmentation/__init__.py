"""Seeded views and corruptions of a batch, item by item: no crop, drop, mask or noise depends on batch mates."""

from raw2vec.augmentation.numbers import (
    add_noise,
    bend,
    blank_spans,
    change_speed,
    crop_span,
    hidden_rows,
    hide,
    move,
    rescale,
    span,
    span_of,
)
from raw2vec.augmentation.pictures import AS_THEY_ARE, PHOTOGRAPHS, PictureViews, blur, erase, recolour, reframe
from raw2vec.augmentation.tokens import Masked, crop, drop, keep, mask, unmerge

__all__ = [
    "AS_THEY_ARE",
    "PHOTOGRAPHS",
    "Masked",
    "PictureViews",
    "add_noise",
    "bend",
    "blank_spans",
    "blur",
    "change_speed",
    "crop",
    "crop_span",
    "drop",
    "erase",
    "hidden_rows",
    "hide",
    "keep",
    "mask",
    "move",
    "recolour",
    "reframe",
    "rescale",
    "span",
    "span_of",
    "unmerge",
]
