"""Every family's checkpoint gives here what it gives in transformers: random weights, mixed lengths, both ways."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

import raw2vec
from raw2vec.interchange import refusal
from tiny_checkpoints import CASES, TEXTS, written

pytestmark = pytest.mark.filterwarnings("ignore::raw2vec.system.TruncationWarning")


@pytest.mark.parametrize("case", CASES)
@torch.inference_mode()
def test_same_states_as_in_transformers(case: str, tmp_path: Path) -> None:
    theirs, tokenizer = written(case, tmp_path)
    ours = raw2vec.load(tmp_path)
    batch = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt", split_special_tokens=True)
    ids = ours.parts_.raw.windows(TEXTS).ragged.items()
    inside = batch["attention_mask"].bool()
    assert [item.tolist() for item in ids] == [
        row[own].tolist() for row, own in zip(batch["input_ids"], inside, strict=True)
    ]
    states = theirs(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    for found, row, own in zip(ours.features(TEXTS), states, inside, strict=True):
        assert_allclose(found, row[own].numpy(), atol=1e-5, rtol=1e-5)
    pooled = torch.stack([row[own].mean(0) for row, own in zip(states, inside, strict=True)])
    assert_allclose(ours.encode(TEXTS), pooled.numpy(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_saved_as_a_folder_of_ours_it_opens_here_and_there(case: str, tmp_path: Path) -> None:
    """Round trip to the bit, and the saved folder is still one of sentence-transformers'."""
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="needs the extra 'peers'")
    written(case, tmp_path / "theirs")
    ours = raw2vec.load(tmp_path / "theirs")
    ours.save(tmp_path / "ours")
    again = raw2vec.load(tmp_path / "ours")
    np.testing.assert_array_equal(again.encode(TEXTS), ours.encode(TEXTS))
    assert again.fingerprint_ == ours.fingerprint_
    assert refusal(ours.parts_.recipe) is None
    other = sentence_transformers.SentenceTransformer(str(tmp_path / "ours"), device="cpu", local_files_only=True)
    assert_allclose(other.encode(TEXTS), ours.encode(TEXTS), atol=1e-4)


@pytest.mark.parametrize("case", ["bert", "modernbert"])
def test_gradients_reach_every_weight(case: str, tmp_path: Path) -> None:
    written(case, tmp_path)
    model = raw2vec.load(tmp_path).parts_
    model.model(model.raw.windows(TEXTS).ragged).square().sum().backward()
    assert all(weight.grad is not None for weight in model.model.parameters())
