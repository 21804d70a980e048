"""Addresses of stores (`postgresql://user:password@host/database`), as they may be shown."""

import re


def shown(address: object) -> str:
    """An address without its password, for messages, answers and files."""
    hidden = re.sub(r"(?<=://)([^/?#@:]*):.*@", r"\1:***@", str(address), flags=re.DOTALL)
    return re.sub(r"([?&](?:ssl)?password=)[^&]*", r"\1***", hidden, flags=re.IGNORECASE)
