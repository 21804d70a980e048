"""Demos: real examples from beginning to end, on data that every machine has."""

from collections.abc import Callable
from typing import Any

from raw2vec.demos.code import code
from raw2vec.demos.digits import digits
from raw2vec.demos.icons import icons
from raw2vec.demos.translate import translate

DEMOS: dict[str, Callable[..., dict[str, Any]]] = {
    "code": code,
    "digits": digits,
    "translate": translate,
    "icons": icons,
}
