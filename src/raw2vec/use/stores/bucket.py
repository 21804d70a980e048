"""A store in a bucket (`s3://bucket/prefix`): Lance tables on object storage, and no locks but Lance's own commits.

Of two merges that insert the same key into a Lance table one does, for a commit is one conditional put. (Of two tables
created at once the later may replace the other, so no more than emptiness is ever created.) On this all stands:
- `store`, keys and values, says what the store is and which table holds its rows. The first rows make a table with
  their columns, of a name of its own; the one whose name gets into `store` is it.
- A block of rows is merged by the number of its first row (`_batch`): it goes in whole, or, where another writer's
  block has taken that number, not at all, and is numbered anew.
Nothing has to be unlocked after a crash.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path
from socket import gaierror
from typing import Any
from urllib.parse import parse_qsl
from urllib.request import urlopen

import numpy as np
import pyarrow as pa

from raw2vec.addresses import shown
from raw2vec.errors import BadFolder, BadInput, Raw2VecError, Unreachable, Unwritable
from raw2vec.use.stores.base import ROWS, Home, connected, reason, split

_STORE = "store"
_ONCE = {"lance-schema:unenforced-primary-key": "true"}  # makes merges that insert equal values conflict
_BATCH = pa.field("_batch", pa.int64(), False, metadata=_ONCE)
_SAYS = pa.schema([pa.field("key", pa.string(), False, metadata=_ONCE), ("value", pa.string())])
_PATIENCE = 8  # seconds for a host to answer at all; Lance by itself asks a silent one for minutes
# A first answer within seconds; blocks of vectors may take longer on their way.
_FIRST = {"connect_timeout": "3s", "timeout": "8s", "client_max_retries": "0", "retry_timeout": "8"}
_LATER = {"connect_timeout": "5s", "timeout": "120s", "client_max_retries": "3", "retry_timeout": "60"}
_KEPT = timedelta(hours=1)  # an old version's files stay for those who read them still
_REFUSED = "AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|AllAccessDisabled|Forbidden"
_NO_ANSWER = r"ConnectError|kind: Connect|Connection refused|dns error|timed out|Timeout|error sending request"


class Bucket(Home):
    """The place at an address; whose keys, region and endpoint the environment names, as for every other S3 client."""

    def __init__(self, address: str):
        self._bucket, self._place, self._options = _read(address)

    def __str__(self) -> str:
        return self._place

    def connect(self) -> Any:
        return connected(self._place, storage_options=self._options | _LATER)

    def told(self) -> str | None:
        self._refuse_silent()
        with self.reading():
            table = _opened(connected(self._place, storage_options=self._options | _FIRST), _STORE)
            if table is not None and table.schema.names != _SAYS.names:
                raise BadFolder(f"{self} is not a store: its Lance table '{_STORE}' is something else.")
            return None if table is None else _said(table, "about")

    def tell(self, about: str) -> None:
        table = self.connect().open_table(_STORE)
        table.merge_insert("key").when_matched_update_all().execute(_saying("about", about))

    def create(self, about: str, schema: pa.Schema) -> Any:
        """Says what the store is; its table is left to the first rows."""
        if self.told() is None:  # which is quick to find a place that does not answer
            with self.writer():
                connection = self.connect()
                with suppress(ValueError):  # that there is one: of a creation that goes on or was cut short
                    connection.create_table(_STORE, schema=_SAYS)
                if _first(connection.open_table(_STORE), "key", _saying("about", about)):
                    return
        raise BadInput(f"{self} is a store already. Open it, or name another place.")

    def open(self) -> Any:
        connection = self.connect()
        says = _opened(connection, _STORE)
        name = None if says is None else _said(says, ROWS)
        return None if name is None else connection.open_table(name)

    def append(self, table: Any, rows: pa.Table) -> Any:
        """See the first lines of this file."""
        first = pa.array(np.full(len(rows), rows["_row"][0].as_py()))
        rows = rows.append_column(_BATCH, first)
        table = self._begun(rows.schema) if table is None else table
        if table is None:
            return None
        try:
            return table if _first(table, "_batch", rows.select(table.schema.names).cast(table.schema)) else None
        except RuntimeError as error:
            if re.search("TooMuchWriteContention|Too many concurrent writers", str(error)):
                return None
            raise

    def _begun(self, schema: pa.Schema) -> Any:
        """A table with these columns for the store's rows; None where another writer has begun one."""
        connection = self.connect()
        says, name = connection.open_table(_STORE), f"{ROWS}-{uuid.uuid4().hex}"
        if json.loads(_said(says, "about") or "{}").get("id", "").encode() != schema.metadata[b"raw2vec.store"]:
            raise BadFolder(f"{self} is another store by now. Open it anew.")
        table = connection.create_table(name, schema=schema)
        if _first(says, "key", _saying(ROWS, name)):
            return table
        connection.drop_table(name)
        return None

    def tidy(self, table: Any) -> None:
        """Other writers may be at work, so what may be theirs stays: Lance removes what a killed one left in a week."""
        try:
            table.optimize(cleanup_older_than=_KEPT)
        except RuntimeError as error:
            if "conflict" not in str(error).lower():  # somebody else is tidying
                raise

    def discard(self) -> None:
        self.connect().drop_table(_STORE)

    def cache(self, store: str) -> Path:
        """In the user's own cache, or where RAW2VEC_CACHE says: the vectors come over the wire once."""
        base = os.environ.get("RAW2VEC_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "raw2vec"
        folder = Path(base).expanduser() / "stores" / store
        with suppress(OSError):  # the matrix is then held in memory
            folder.mkdir(0o700, parents=True, exist_ok=True)
        return folder

    @contextmanager
    def writer(self) -> Iterator[None]:
        try:
            yield
        except Raw2VecError:
            raise
        except (OSError, RuntimeError, ValueError, pa.ArrowException) as error:
            told = f"Cannot write to the store {self}: {self._worded(error)}. The store is as it was."
            raise self._trouble(error) or Unwritable(told) from error

    @contextmanager
    def reading(self) -> Iterator[None]:
        try:
            yield
        except Raw2VecError:
            raise
        except (OSError, RuntimeError, ValueError, pa.ArrowException) as error:
            told = f"The store {self} cannot be read, objects of it are missing or damaged: {self._worded(error)}."
            raise self._trouble(error) or BadFolder(f"{told} Index the data again into a new place.") from error

    def _refuse_silent(self) -> None:
        """Unreachable where the endpoint does not answer; what it answers is left to Lance."""
        endpoint = self._options.get("aws_endpoint", "")
        if not endpoint.startswith(("http://", "https://")):
            return
        try:
            urlopen(endpoint, timeout=_PATIENCE).close()
        except OSError as error:
            cause = getattr(error, "reason", error)
            if isinstance(cause, ConnectionRefusedError | TimeoutError | gaierror):
                raise self._silent() from error
        except HTTPException:
            pass

    def _silent(self) -> Unreachable:
        where = shown(self._options.get("aws_endpoint") or "Amazon S3")
        return Unreachable(f"{self}: {where} does not answer. See AWS_ENDPOINT_URL, or try again later.")

    def _trouble(self, error: Exception) -> Raw2VecError | None:
        """What keeps one out of the bucket, in a sentence; None for anything else."""
        told = str(error)
        if "NoSuchBucket" in told:
            return BadFolder(f"{self}: there is no bucket '{self._bucket}'. Create it, or name another.")
        if "InvalidBucketName" in told:
            return BadInput(f"{self}: '{self._bucket}' cannot be a bucket's name.")
        if refused := re.search(_REFUSED, told):
            advice = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to keys that may read and write there"
            return Unreachable(f"{self}: the keys are refused ({refused[0]}). {advice}.")
        if "get AWS credentials" in told or "CredentialsNotLoaded" in told:
            return Unreachable(f"{self}: there are no keys. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
        if "resolve region" in told:
            return Unreachable(f"{self}: Amazon S3 does not say where the bucket is. Set AWS_REGION to its region.")
        if re.search(_NO_ANSWER, told):
            return self._silent()
        return None

    def _worded(self, error: Exception) -> str:
        told = reason(error)
        for name in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"):
            if secret := self._options.get(name):
                told = told.replace(secret, "***")
        return told


def _read(address: str) -> tuple[str, str, dict[str, str]]:
    """The bucket, the address by which Lance finds the place, and Lance's options; BadInput for anything else in it."""
    parts = split(address)
    if parts.username or parts.password or "@" in parts.netloc:
        raise BadInput(
            f"{shown(address)}: keys do not belong into an address. "
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and write s3://bucket/prefix."
        )
    if not parts.netloc or parts.fragment:
        raise BadInput(f"{shown(address)}: an address in a bucket is s3://bucket/prefix.")
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    if strange := sorted(set(asked) - {"region", "endpoint"}):
        raise BadInput(
            f"s3://{parts.netloc}{parts.path}: '{strange[0]}' is nothing that an address may name; it may end in "
            "?region= and &endpoint=. Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    return parts.netloc, f"s3://{parts.netloc}{parts.path.rstrip('/')}", _options(os.environ, asked)


def _options(environment: Mapping[str, str], asked: Mapping[str, str]) -> dict[str, str]:
    """What Lance is to know of the bucket's host. Without keys it looks for those of the machine's role."""
    endpoint = asked.get("endpoint") or environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    region = asked.get("region") or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    plain = environment.get("AWS_ALLOW_HTTP") or str((endpoint or "").startswith("http://")).lower()
    found = {
        "aws_access_key_id": environment.get("AWS_ACCESS_KEY_ID"),
        "aws_secret_access_key": environment.get("AWS_SECRET_ACCESS_KEY"),
        "aws_session_token": environment.get("AWS_SESSION_TOKEN"),
        "aws_endpoint": endpoint,
        "aws_region": region or ("us-east-1" if endpoint else None),  # Lance would ask Amazon for the bucket's own
        "allow_http": plain,
    }
    return {name: value for name, value in found.items() if value}


def _opened(connection: Any, name: str) -> Any:
    """The table of this name, or None."""
    try:
        return connection.open_table(name)
    except ValueError as error:
        if re.search(r"Table '\w+' was not found", str(error)):
            return None
        raise


def _first(table: Any, key: str, rows: pa.Table) -> bool:
    """Whether the rows went in, for none with their key was there."""
    return bool(table.merge_insert(key).when_not_matched_insert_all().execute(rows).num_inserted_rows)


def _saying(key: str, value: str) -> pa.Table:
    return pa.table({"key": [key], "value": [value]}, schema=_SAYS)


def _said(table: Any, key: str) -> str | None:
    """What `store` has by this key."""
    found: dict[str, str] = {line["key"]: line["value"] for line in table.to_arrow().to_pylist()}
    return found.get(key)
