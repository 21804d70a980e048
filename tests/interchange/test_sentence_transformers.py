"""The very same folder in the real sentence-transformers: the same vectors, or a sentence that says why not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raw2vec import Raw2Vec
from raw2vec.interchange import refusal

sentence_transformers = pytest.importorskip("sentence_transformers", reason="needs the extra 'peers'")

TEXTS = [
    "Return the mean of the data.",
    "def mean(data):\n    return sum(data) / len(data)",
    "one",
    "Open a file, read it line by line and count the words that it holds, however long they may be. " * 3,
    "Été, naïve, 数据",
] * 6

MODERNBERT = {"name": "transformer", "width": 32, "layers": 3, "heads": 2, "window": 8, "dropout": 0.1}
BERT = {**MODERNBERT, "norm_order": "post", "positions": "learned", "activation": "gelu", "window": 0, "limit": 300}
DENSE = {"name": "dense", "width": 32, "layers": 2, "activation": "tanh", "normalization": "layer"}


def fitted(encoder: dict[str, Any], objective: str = "contrastive", **settings: Any) -> Raw2Vec:
    settings = {"embedding.width": 32, "training.hold_out": 0.0, "raw.vocabulary": 200, **settings}
    return Raw2Vec(objective, encoder, steps=6, settings=settings).fit(TEXTS)


@pytest.mark.parametrize(
    ("encoder", "settings"),
    [
        (MODERNBERT, {}),
        (MODERNBERT | {"window": 0, "activation": "swiglu"}, {"latent.pooling": "max", "latent.normalize": "none"}),
        (BERT, {"latent.pooling": "first", "latent.width": 16}),
        (BERT, {"latent.pooling": "last"}),
        (DENSE, {}),
        ({"name": "dense", "width": 32, "layers": 0}, {"latent.normalize": "none"}),
        ({"name": "dense", "width": 24, "layers": 1}, {"latent.width": 8, "raw.max_tokens": 20}),
        (MODERNBERT, {"objective": "variational"}),
    ],
)
def test_the_same_folder_gives_the_same_vectors(
    encoder: dict[str, Any], settings: dict[str, Any], tmp_path: Path
) -> None:
    model = fitted(encoder, **settings)
    model.save(tmp_path / "m")
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "m"), device="cpu", local_files_only=True)
    ours, other = model.encode(TEXTS), theirs.encode(TEXTS)
    assert ours.shape == other.shape
    cosine = (ours * other).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(other, axis=1)
    assert cosine.min() > 0.9999
    np.testing.assert_allclose(other, ours, atol=1e-4)
    assert (tmp_path / "m" / "model.safetensors").stat().st_size < 4 * sum(
        p.numel() for p in model.parts_.model.parameters()
    ) * 1.1 + 20_000, "weights are stored once"


@pytest.mark.parametrize(
    ("encoder", "settings", "theirs_of_nothing"),
    [
        (MODERNBERT, {}, "boundaries"),
        (BERT, {}, "boundaries"),
        ({"name": "dense", "width": 32, "layers": 0}, {"raw.boundaries": "none"}, "zeros"),
        (MODERNBERT, {"objective": "variational"}, "ours"),
    ],
)
def test_an_empty_text_is_zeros_here_whatever_it_is_there(
    encoder: dict[str, Any], settings: dict[str, Any], theirs_of_nothing: str, tmp_path: Path
) -> None:
    """Theirs is the vector of [CLS] and [SEP], which is near to some texts; a bag of no tokens is zeros in both."""
    model = fitted(encoder, **settings)
    model.save(tmp_path / "m")
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "m"), device="cpu", local_files_only=True)
    texts = ["", "one", " \n", "Return the mean of the data."]
    ours, other = model.encode(texts), theirs.encode(texts)
    np.testing.assert_allclose(other[[1, 3]], ours[[1, 3]], atol=1e-4)
    assert ours[[0, 2]].any() == (theirs_of_nothing == "ours"), "a model with a decoder leads back from it"
    assert other[[0, 2]].any() == (theirs_of_nothing != "zeros")
    if theirs_of_nothing != "boundaries":
        np.testing.assert_allclose(other, ours, atol=1e-4)


@pytest.mark.parametrize(
    ("encoder", "settings", "reason"),
    [
        ({"name": "recurrent", "width": 32}, {}, "no recurrent encoder"),
        (MODERNBERT, {"latent.pooling": "attention"}, "no attention pooling"),
        (MODERNBERT | {"positions": "sinusoidal"}, {}, "none of transformers' models"),
        (DENSE | {"activation": "relu_squared"}, {}, "no 'relu_squared' activation"),
        (MODERNBERT, {"objective": "reconstruction", "latent.name": "quantised"}, "no quantised latent"),
    ],
)
def test_what_cannot_be_opened_says_why(
    encoder: dict[str, Any], settings: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    model = fitted(encoder, **settings)
    assert reason in (refusal(model.parts_.recipe) or "")
    model.save(tmp_path / "m")
    assert not (tmp_path / "m" / "modules.json").exists()
    assert reason in (tmp_path / "m" / "README.md").read_text()
