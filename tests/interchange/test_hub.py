"""The hub is asked for what is named hf://, and for nothing else: a local path opens no socket."""

import builtins
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import raw2vec
from raw2vec.cli import app
from raw2vec.errors import BadFolder, BadInput, MissingExtra
from tiny_checkpoints import TEXTS, written
from tiny_vision import PICTURES, clip


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A stand-in for the hub that has one checkpoint; what it was asked for."""
    library = pytest.importorskip("huggingface_hub")
    written("bert", tmp_path / "snapshot")
    asked: list[dict[str, Any]] = []

    def fetch(name: str, **options: Any) -> str:
        asked.append({"name": name, **options})
        if name != "sailors/bert":
            raise OSError(f"404: no repository {name}\nand more")
        return str(tmp_path / "snapshot")

    monkeypatch.setattr(library, "snapshot_download", fetch)
    return asked


def test_a_name_on_the_hub_is_a_model(hub: list[dict[str, Any]], tmp_path: Path) -> None:
    found, own = raw2vec.load("hf://sailors/bert@v2"), raw2vec.load(tmp_path / "snapshot")
    np.testing.assert_array_equal(found.encode(TEXTS[:5]), own.encode(TEXTS[:5]))
    assert (hub[0]["name"], hub[0]["revision"]) == ("sailors/bert", "v2")
    assert not any(pattern.endswith((".bin", ".py", "*")) for pattern in hub[0]["allow_patterns"])
    (tmp_path / "lines.txt").write_text("\n".join(TEXTS[:5]))
    words = ["embed", "hf://sailors/bert", str(tmp_path / "lines.txt"), "--out", str(tmp_path / "v.npy"), "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr
    assert np.load(tmp_path / "v.npy").shape == (5, 32)


def test_what_is_not_there_is_told_in_a_sentence(hub: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadFolder, match=r"hf://sailors/brt cannot be fetched: 404: no repository sailors/brt$"):
        raw2vec.load("hf://sailors/brt")
    with pytest.raises(BadInput, match=r"is named hf://owner/name or .*, not hf://brt"):
        raw2vec.load("hf://brt")
    plain = builtins.__import__

    def without(name: str, *others: Any) -> Any:
        if name == "huggingface_hub":
            raise ImportError(name)
        return plain(name, *others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"huggingface_hub.*pip install 'raw2vec\[hub\]'"):
        raw2vec.load("hf://sailors/bert")


def test_a_local_path_opens_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written("bert", tmp_path / "bert")
    clip(tmp_path / "clip")

    def opened(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", opened)
    monkeypatch.setattr(socket, "getaddrinfo", opened)
    assert raw2vec.load(tmp_path / "bert").encode(TEXTS[:3]).shape == (3, 32)
    assert raw2vec.load(tmp_path / "clip").encode(PICTURES).shape == (len(PICTURES), 16)
    with pytest.raises(BadFolder):
        raw2vec.load("sailors/bert")
