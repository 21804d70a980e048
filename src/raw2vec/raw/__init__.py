"""Kinds of raw data, each one file: items as users have them to Ragged, and back."""

from raw2vec.raw.audio import Audio
from raw2vec.raw.base import FILES_AT_ONCE, Form, Raw, Windows
from raw2vec.raw.image import Image, are_drawings
from raw2vec.raw.series import Series
from raw2vec.raw.table import WHOLE_ROW, Table
from raw2vec.raw.text import Text

__all__ = [
    "FILES_AT_ONCE",
    "WHOLE_ROW",
    "Audio",
    "Form",
    "Image",
    "Raw",
    "Series",
    "Table",
    "Text",
    "Windows",
    "are_drawings",
]
