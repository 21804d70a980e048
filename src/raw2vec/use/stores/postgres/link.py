"""The way to a PostgreSQL server: its address read, its connection kept, and its complaints in sentences.

What is said of an address never holds its password. A handle has one connection, opened anew where it broke.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlunsplit

from raw2vec.addresses import shown
from raw2vec.errors import BadFolder, BadInput, MissingExtra, Raw2VecError, Unreachable, Unwritable
from raw2vec.use.stores.base import split

if TYPE_CHECKING:
    import psycopg

_TABLE = "vectors"
_PATIENCE = 8  # seconds for a server to answer at all
_NAMES = re.compile(r"[A-Za-z_]\w{0,47}(\.[A-Za-z_]\w{0,47})?", re.ASCII)


class Link:
    """The server, database and table at an address; as text it is the address without its password."""

    def __init__(self, address: str):
        self._psycopg, self._vectors = _imported()
        self._where, table = _read(address)
        self.names = tuple(table.split("."))
        self._shown = shown(address)
        self._secret = self._secrets(address)
        self._lock = RLock()
        self._connection: psycopg.Connection[Any] | None = None

    def __str__(self) -> str:
        return self._shown

    @property
    def table(self) -> Any:
        """The table's name, quoted for SQL."""
        return self._psycopg.sql.Identifier(*self.names)

    @contextmanager
    def reading(self) -> Iterator[psycopg.Cursor[Any]]:
        """A cursor in a transaction that sees one state of the database and may change nothing."""
        with self._transaction() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield cursor

    @contextmanager
    def writing(self) -> Iterator[psycopg.Cursor[Any]]:
        """A cursor in a transaction that is there whole at the end of the block, or not at all."""
        with self._transaction() as cursor:
            yield cursor

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Cursor[Any]]:
        with self._lock, self._told():
            connection = self._connected()
            with connection.transaction(), connection.cursor(binary=True) as cursor:
                yield cursor

    def _connected(self) -> psycopg.Connection[Any]:
        connection = self._connection
        if connection is None or connection.closed:
            connection = self._psycopg.connect(self._where, autocommit=True, prepare_threshold=None)
            # Compiling a plan takes longer than a look at a hundred thousand rows.
            connection.execute("SET TimeZone = 'UTC'; SET standard_conforming_strings = on; SET jit = off")
            self._connection = connection
        if not connection.adapters.types.get("vector"):
            row = connection.execute("SELECT to_regtype('vector')").fetchone()
            if row and row[0]:
                self._vectors(connection)
        return connection

    def learn_vectors(self) -> None:
        """Makes the connection know pgvector's types, once its extension is there."""
        self._vectors(self._connection)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The server's complaints as errors of our own."""
        try:
            yield
        except Raw2VecError:
            raise
        except self._psycopg.Error as error:
            raise self._trouble(error) from error

    def _trouble(self, error: psycopg.Error) -> Raw2VecError:
        errors, words = self._psycopg.errors, self.words(error)
        if isinstance(error, errors.UndefinedTable):
            return BadFolder(f"{self} is not a store: there is no such table. Index the data into it first.")
        if isinstance(error, errors.DiskFull | errors.InsufficientPrivilege | errors.ReadOnlySqlTransaction):
            return Unwritable(f"Cannot write to the store {self}: {words}. The store is as it was.")
        if isinstance(error, errors.DataError | errors.ProgrammingError | errors.NotSupportedError):
            return BadInput(f"The store {self} cannot take this: {words}. The store is as it was.")
        return Unreachable(f"{self}: {words}. See whether the server runs and lets you in, and go on.")

    def words(self, error: psycopg.Error) -> str:
        """The server's own words, on one line and without the password."""
        told = error.diag.message_primary or str(error)
        line = next(filter(None, map(str.strip, told.splitlines())), type(error).__name__)
        for secret in self._secret:
            line = line.replace(secret, "***")
        return line.rstrip(". ")

    def _secrets(self, address: str) -> list[str]:
        """What no message may hold."""
        known = self._psycopg.conninfo.conninfo_to_dict(self._where)
        return sorted({str(known[name]) for name in ("password", "sslpassword") if known.get(name)}, key=len)[::-1]


def _imported() -> tuple[Any, Any]:
    try:
        import psycopg
        import psycopg.sql
        from pgvector.psycopg import register_vector
    except ImportError as error:
        raise MissingExtra("psycopg with pgvector", "postgres", "A store on PostgreSQL") from error
    return psycopg, register_vector


def _read(address: str) -> tuple[str, str]:
    """What libpq connects by, and the table; BadInput for an address that is none."""
    import psycopg

    parts = split(address)
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    table = asked.pop("table", _TABLE)
    if not _NAMES.fullmatch(table):
        raise BadInput(
            f"{shown(address)}: '{table}' cannot be the table's name: letters, digits and '_', at most 48 of them, "
            "begin with a letter (or so after a schema's name and a '.')."
        )
    for name, value in (
        ("connect_timeout", str(_PATIENCE)),
        ("application_name", "raw2vec"),
        ("keepalives_idle", "30"),
    ):
        asked.setdefault(name, value)
    where = urlunsplit(parts._replace(query=urlencode(asked, quote_via=quote, safe="/")))
    try:
        psycopg.conninfo.conninfo_to_dict(where)
    except psycopg.ProgrammingError as error:
        told = shown(str(error).strip().splitlines()[0])
        raise BadInput(f"{shown(address)} is no address of a database: {told}.") from None
    return where, table
