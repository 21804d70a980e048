"""Checkpoints: whole or not there."""

import os
from pathlib import Path

import pytest
import torch

from raw2vec.errors import BadFolder
from raw2vec.train import checkpoint

TENSORS = {"weights/a": torch.arange(6.0).view(2, 3), "weights/steps": torch.tensor(7)}
STATE = {"state": {"step": 3, "history": [{"held_out": 0.1}]}, "budget": {"spent": 1.25}}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    assert checkpoint.read(path) is None
    checkpoint.write(path, TENSORS, STATE)
    tensors, state = checkpoint.read(path)
    assert state == STATE
    assert all(torch.equal(tensors[name], tensor) for name, tensor in TENSORS.items())
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_weights_that_share_memory_are_kept_each(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    shared = torch.zeros(3)
    checkpoint.write(path, {"a": shared, "b": shared, "c": torch.arange(6.0).view(2, 3).T}, {})
    tensors, _ = checkpoint.read(path)
    assert set(tensors) == {"a", "b", "c"}
    assert tensors["c"].shape == (3, 2)


def test_a_torn_one_is_never_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.safetensors"
    checkpoint.write(path, TENSORS, STATE)
    whole = path.read_bytes()
    for size in (0, 5, len(whole) // 2, len(whole) - 1):
        path.with_suffix(".partial").write_bytes(whole[:size])
        assert checkpoint.read(path)[1] == STATE

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write(path, {"weights/a": torch.zeros(1)}, {})
    assert path.read_bytes() == whole


def test_a_damaged_one_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    checkpoint.write(path, TENSORS, STATE)
    whole = path.read_bytes()
    for damaged in (b"", whole[:40], whole[:-1], b"\x00" * 100, b"not a checkpoint at all"):
        path.write_bytes(damaged)
        with pytest.raises(BadFolder, match=r"c\.safetensors is damaged.*delete it"):
            checkpoint.read(path)
