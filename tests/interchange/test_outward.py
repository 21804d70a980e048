"""Folders for transformers and sentence-transformers: the real libraries open them and give the model's own numbers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from safetensors.torch import load_file, save_file

import raw2vec
from raw2vec import Raw2Vec
from raw2vec.errors import BadInput, MissingExtra, Raw2VecError
from raw2vec.interchange.outward import export, parity
from small import texts
from tiny_checkpoints import CASES, TEXTS, drawn, written

transformers = pytest.importorskip("transformers", reason="needs the extra 'peers'")
sentence_transformers = pytest.importorskip("sentence_transformers", reason="needs the extra 'peers'")
pytestmark = pytest.mark.filterwarnings("ignore::raw2vec.system.TruncationWarning")

SMALL = {"name": "transformer", "width": 32, "layers": 3, "heads": 2}
MODERNBERT = {**SMALL, "window": 8}
BERT = {**SMALL, "norm_order": "post", "positions": "learned", "activation": "gelu", "limit": 128, "epsilon": 1e-5}
NOMIC = {**SMALL, "norm_order": "post", "biases": "norms", "epsilon": 1e-5}


def fitted(encoder: Any, objective: str = "contrastive", **settings: Any) -> Raw2Vec:
    """Weights drawn anew after a step: what a fit begins with would hide a norm or a bias left out."""
    settings = {
        "embedding.width": 32,
        "training.hold_out": 0.0,
        "raw.vocabulary": 200,
        "raw.max_tokens": 64,
        **settings,
    }
    model = Raw2Vec(objective, encoder, steps=2, settings=settings).fit(texts(40))
    drawn(model.parts_.model)
    drawn(model.parts_.objectives)
    return model


def states(folder: Path, model: Raw2Vec) -> tuple[Any, Any, list[Any]]:
    """Their states of TEXTS, which places there are words, and ours."""
    theirs = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    batch = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        found = theirs(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    return found, batch["attention_mask"].bool(), model.features(TEXTS)


@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_that_came_in_goes_out(case: str, tmp_path: Path) -> None:
    written(case, tmp_path / "in")
    model = raw2vec.load(tmp_path / "in")
    told = export(model.parts_, tmp_path / "out", "transformers")
    assert told.difference <= 1e-5
    found, inside, ours = states(tmp_path / "out", model)
    for row, own, mine in zip(found, inside, ours, strict=True):
        assert_allclose(row[own], mine, atol=1e-5, rtol=1e-5)
    assert_allclose(raw2vec.load(tmp_path / "out").encode(TEXTS), model.encode(TEXTS), atol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "family", "settings"),
    [
        (MODERNBERT, "ModernBertModel", {}),
        (BERT, "BertModel", {"latent.pooling": "attention"}),
        (NOMIC, "NomicBertModel", {"latent.width": 16, "raw.boundaries": "none"}),
        (BERT, "BertModel", {"embedding.width": 48, "objective": "variational", "raw.tokenizer": "bpe"}),
        (MODERNBERT, "ModernBertModel", {"embedding.weights": "learned", "raw.boundaries": "sep"}),
    ],
)
def test_what_was_fitted_here_goes_out(encoder: Any, family: str, settings: Any, tmp_path: Path) -> None:
    model = fitted(encoder, **settings)
    told = export(model.parts_, tmp_path / "out", "transformers")
    assert told.family == family
    found, inside, ours = states(tmp_path / "out", model)
    for row, own, mine in zip(found, inside, ours, strict=True):
        assert_allclose(row[own], mine, atol=1e-5, rtol=1e-5)
    code = (tmp_path / "out/README.md").read_text().split("```python\n")[1].split("```")[0]
    exec(code.replace('"out"', f'"{tmp_path / "out"}"'), {})


@pytest.mark.parametrize(
    ("encoder", "family"), [(MODERNBERT, "ModernBert"), (BERT, "Bert"), (NOMIC | {"activation": "geglu"}, "NomicBert")]
)
def test_the_head_goes_along(encoder: Any, family: str, tmp_path: Path) -> None:
    model = fitted(encoder, "masked")
    told = export(model.parts_, tmp_path / "out", "transformers")
    assert told.note is None
    assert told.logits is not None
    assert told.logits <= 1e-5
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "out", local_files_only=True).eval()
    assert type(theirs).__name__ == f"{family}ForMaskedLM"
    parts, (objective,) = model.parts_, model.parts_.objectives.values()
    ids = parts.raw.windows(["the old ship near a harbour"]).ragged
    ids.values[2] = parts.raw.mask
    with torch.inference_mode():
        found = theirs(input_ids=ids.values[None]).logits[0]
        ours = objective.readout.logits(parts.model.contextual(ids).values, parts.model.table)
    assert_allclose(found, ours, atol=1e-4, rtol=1e-5)
    assert raw2vec.load(tmp_path / "out").encode(TEXTS).shape == (len(TEXTS), 32), "a checkpoint, for us too"


@pytest.mark.parametrize(
    ("encoder", "reason"),
    [
        (BERT | {"epsilon": 0.0}, "its norm adds 1e-05 to a variance and this encoder's 1e-12 (encoder.epsilon)"),
        (BERT | {"activation": "relu"}, "its activation is gelu, where this encoder's is relu"),
        (NOMIC | {"activation": "swiglu"}, "its activation is gelu, where this encoder's is silu"),
    ],
)
def test_a_head_that_does_not_fit_stays_here_and_is_told_of(encoder: Any, reason: str, tmp_path: Path) -> None:
    told = export(fitted(encoder, "masked").parts_, tmp_path / "out", "transformers")
    assert told.logits is None
    assert told.note == f"the head that tells masked words is left out: {reason}"


@pytest.mark.parametrize(
    ("encoder", "settings"),
    [
        (MODERNBERT, {"latent.pooling": "max", "latent.normalize": "none"}),
        (BERT, {"latent.width": 16, "latent.pooling": "first", "embedding.width": 48, "objective": "variational"}),
        ({"name": "dense", "width": 24, "layers": 2, "activation": "tanh"}, {"embedding.weights": "learned"}),
    ],
)
def test_for_sentence_transformers(encoder: Any, settings: Any, tmp_path: Path) -> None:
    bag = {"raw.boundaries": "none"} if encoder["name"] == "dense" else {}
    model = fitted(encoder, **settings, **bag)
    assert export(model.parts_, tmp_path / "out", "sentence-transformers").difference <= 1e-5
    assert not (tmp_path / "out/recipe.json").exists()
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "out"), device="cpu", local_files_only=True)
    filled = [text for text in TEXTS if "[SEP]" not in text]  # which are words here, and a boundary there
    assert_allclose(theirs.encode(filled), model.encode(filled), atol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "settings", "sentence"),
    [
        ({"name": "recurrent", "width": 32}, {}, "its encoder is recurrent, and all of transformers' are transformers"),
        ({"name": "dense", "width": 32}, {"raw.boundaries": "none"}, "--to sentence-transformers takes it"),
        (
            MODERNBERT | {"positions": "sinusoidal", "normalization": "rms"},
            {},
            "ModernBERT, has encoder.positions rotary, not sinusoidal and encoder.normalization layer, not rms.",
        ),
        (BERT | {"window": 8}, {}, "the nearest, BERT, has encoder.window 0, not 8."),
        (BERT | {"positions": "learned-relative"}, {}, "its padding is token 0, and MPNet takes token 1"),
    ],
)
def test_what_does_not_fit_is_named(encoder: Any, settings: Any, sentence: str, tmp_path: Path) -> None:
    model = fitted(encoder, **settings)
    with pytest.raises(BadInput) as raised:
        export(model.parts_, tmp_path / "out", "transformers")
    assert sentence in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_gives_other_numbers_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiled(folder: Path, *rest: Any) -> Any:
        held = load_file(folder / "model.safetensors")
        held["model.layers.1.mlp.Wo.weight"] *= 1.001
        save_file(held, folder / "model.safetensors", {"format": "pt"})
        return honest(folder, *rest)

    honest = parity.as_transformers
    monkeypatch.setattr("raw2vec.interchange.outward.as_transformers", spoiled)
    with pytest.raises(Raw2VecError, match="transformers does not give this model's vectors, so nothing was written"):
        export(fitted(MODERNBERT).parts_, tmp_path / "out", "transformers")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("field", ["difference", "logits"])
def test_a_folder_that_gives_no_numbers_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    honest = parity.as_transformers
    spoiled = {field: float("nan")}
    monkeypatch.setattr(
        "raw2vec.interchange.outward.as_transformers", lambda *given: replace(honest(*given), **spoiled)
    )
    with pytest.raises(Raw2VecError, match="a number is nan off"):
        export(fitted(MODERNBERT).parts_, tmp_path / "out", "transformers")
    assert not list(tmp_path.iterdir())


def test_without_the_library_one_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'raw2vec\[peers\]'"):
        export(fitted(MODERNBERT).parts_, tmp_path / "out", "transformers")


def test_an_earlier_export_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    model = fitted(BERT)
    export(model.parts_, tmp_path / "out", "transformers")
    (tmp_path / "out/old").write_text("")
    export(model.parts_, tmp_path / "out", "sentence-transformers")
    assert (tmp_path / "out/modules.json").exists()
    assert not (tmp_path / "out/old").exists()
    (tmp_path / "out/README.md").write_text("# Mine\n\nExported by raw2vec, then changed.\n")
    with pytest.raises(BadInput, match="holds other files and no model"):
        export(model.parts_, tmp_path / "out", "transformers")


def test_a_small_encoder_by_its_defaults(tmp_path: Path) -> None:
    """`fit --objective masked` makes a ModernBERT: no setting is needed for it to go out, head and all."""
    settings = {"raw.vocabulary": 300, "encoder.layers": 2, "training.hold_out": 0.0}
    model = Raw2Vec("masked", size="tiny", steps=30, settings=settings).fit(texts(200))
    model.save(tmp_path / "m")
    model = raw2vec.load(tmp_path / "m")
    told = export(model.parts_, tmp_path / "out", "transformers")
    assert (told.family, told.note) == ("ModernBertModel", None)
    assert max(told.difference, told.logits or 1.0) <= 1e-5
    assert json.loads((tmp_path / "out/config.json").read_text())["architectures"] == ["ModernBertForMaskedLM"]
    assert np.isfinite(model.encode(["the old ship"])).all()
