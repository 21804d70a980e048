"""Real texts that every Python has: the functions of its own standard library."""

import sysconfig
from functools import cache

from raw2vec.rows import open_rows, text_column


@cache
def functions() -> list[str]:
    """Source of the standard library's functions, a few words to a few thousand."""
    rows = open_rows(sysconfig.get_paths()["stdlib"], ["code"])
    return [text for batch in rows.batches() for text in text_column(batch, "code") if text]


def mixed(count: int) -> list[str]:
    """So many of them, evenly spread over the library."""
    texts = functions()
    return texts[:: max(1, len(texts) // count)][:count]
