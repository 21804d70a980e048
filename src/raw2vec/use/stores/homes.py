"""What kind of place an address names: a folder, a bucket, or a database on a server."""

from __future__ import annotations

from pathlib import Path

from raw2vec.addresses import shown
from raw2vec.errors import BadInput, nearest
from raw2vec.use.stores.base import Home
from raw2vec.use.stores.bucket import Bucket
from raw2vec.use.stores.folder import Folder

_SERVERS = ("postgresql", "postgres")


def on_server(address: str | Path) -> bool:
    """Whether it names a database."""
    return _scheme(address) in _SERVERS


def home(address: str | Path) -> Home:
    """The folder or bucket that it names; BadInput for anything else."""
    scheme = _scheme(address)
    if scheme and scheme != "s3":
        raise BadInput(
            f"{shown(address)}: there are no stores at {scheme}:// addresses. Name a folder, s3://bucket/prefix or "
            f"postgresql://host/database.{nearest(scheme, ('s3', *_SERVERS))}"
        )
    return Bucket(str(address)) if scheme else Folder(Path(address))


def _scheme(address: str | Path) -> str:
    scheme, separator, _ = str(address).partition("://")
    return scheme if separator else ""
