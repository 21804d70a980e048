"""Addresses of stores (`postgresql://user:password@host/database`), as they may be shown."""

import re


def shown(address: object) -> str:
    """An address without its password, for messages, answers and files."""
    # First those behind the '?', for an '@' in one of them looks like the end of a user's.
    hidden = re.sub(r"([?&](?:ssl)?password=)[^&]*", r"\1***", str(address), flags=re.IGNORECASE)
    return re.sub(r"(?<=://)([^/?#@:]*):.*@", r"\1:***@", hidden, flags=re.DOTALL)
