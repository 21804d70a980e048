"""Encoders of pictures, and of pictures and words, go out: transformers gives the model's own numbers from them."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image
from safetensors.torch import load_file, save_file

import raw2vec
from raw2vec import Raw2Vec
from raw2vec.errors import BadInput, Raw2VecError
from raw2vec.interchange.outward import export, vision_parity
from tiny_checkpoints import drawn
from tiny_vision import PAIRS, PICTURES, vit

transformers = pytest.importorskip("transformers", reason="needs the extra 'peers'")

DRAW = np.random.default_rng(0)
OWN = list(DRAW.integers(0, 256, (24, 24, 40, 3), np.uint8))
LABELS = [f"{number % 2}" for number in range(24)]
WORDS = [("ship", "mast", "the ship", "the sailor")[number % 4] + " the" * (number // 4) for number in range(24)]
SHORT = {"training.hold_out": 0.2, "training.checks": 1, "stages.0.batch_items": 8}
SIZED = {"raw.size": [32, 32], "embedding.patch": 8, "latent.pooling": "first"}
BLOCKS = {"name": "transformer", "width": 32, "layers": 2, "heads": 4, "feed_forward": 48, "activation": "gelu"}
BLOCKS |= {"norm_order": "pre-only", "positions": "learned", "biases": "all"}
SEES = {**BLOCKS, "class_tokens": 1, "epsilon": 1e-12}


def png(picture: np.ndarray) -> Image.Image:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return Image.open(io.BytesIO(stream.getvalue()))


@torch.inference_mode()
def sides(folder: Path, pictures: Any, words: list[str]) -> tuple[Any, Any]:
    """The vectors of their CLIP or SigLIP, by their own processor."""
    theirs = transformers.AutoModel.from_pretrained(folder, local_files_only=True).eval()
    both = transformers.AutoProcessor.from_pretrained(folder, local_files_only=True)
    padding: Any = "max_length" if type(theirs).__name__ == "SiglipModel" else True
    told = both(text=words, images=list(map(png, pictures)), padding=padding, truncation=True, return_tensors="pt")
    given = {name: told[name] for name in ("input_ids", "pixel_values")}
    found = theirs(**given, **({"attention_mask": told["attention_mask"]} if padding is True else {}))
    return found.image_embeds, found.text_embeds


def run_card(folder: Path) -> None:
    code = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    exec(code.replace(f'"{folder.name}"', f'"{folder}"'), {})


@pytest.mark.parametrize("labels", [0, 3])
@pytest.mark.parametrize("changes", [{}, {"image_size": [32, 16], "patch_size": [8, 4], "hidden_act": "quick_gelu"}])
@torch.inference_mode()
def test_a_vit_that_came_in_goes_out(labels: int, changes: Any, tmp_path: Path) -> None:
    vit(tmp_path / "in", labels, **changes)
    if changes:
        edited(tmp_path / "in", size={"height": 32, "width": 16}, resample=2)
    model = raw2vec.load(tmp_path / "in")
    told = export(model.parts_, tmp_path / "out", "transformers")
    assert (told.family, told.note) == ("ViTModel", None)
    assert told.difference <= 1e-5
    kind = transformers.AutoModelForImageClassification if labels else transformers.AutoModel
    theirs = kind.from_pretrained(tmp_path / "out", local_files_only=True).eval()
    images = transformers.AutoImageProcessor.from_pretrained(tmp_path / "out", local_files_only=True)
    found = theirs(images(list(map(png, PICTURES)), return_tensors="pt").pixel_values)
    if labels:
        assert_allclose(model.predict_proba(PICTURES), found.logits.softmax(-1), atol=1e-5)
        assert [theirs.config.id2label[int(place)] for place in found.logits.argmax(-1)] == list(
            model.predict(PICTURES)
        )
    else:
        assert_allclose(model.encode(PICTURES), found.last_hidden_state[:, 0], atol=1e-5)
    again = raw2vec.load(tmp_path / "out")
    assert_allclose(again.encode(PICTURES), model.encode(PICTURES), atol=1e-6)
    run_card(tmp_path / "out")


def edited(folder: Path, **changes: Any) -> None:
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("kind", PAIRS)
def test_a_pair_that_came_in_goes_out(kind: str, tmp_path: Path) -> None:
    PAIRS[kind](tmp_path / "in")
    model, words = raw2vec.load(tmp_path / "in"), ["ship", "the mast and the sailor", "the ship"]
    told = export(model.parts_, tmp_path / "out", "transformers")
    assert max(told.difference, told.logits or 1.0) <= 1e-5
    pictures, texts = sides(tmp_path / "out", PICTURES, words)
    assert_allclose(model.encode(PICTURES), pictures, atol=1e-5)
    assert_allclose(model.encode(words, side="target"), texts, atol=1e-5)
    again = raw2vec.load(tmp_path / "out")
    assert_allclose(again.encode(PICTURES), model.encode(PICTURES), atol=1e-6)
    assert_allclose(again.encode(words, side="target"), model.encode(words, side="target"), atol=1e-6)
    run_card(tmp_path / "out")


@pytest.mark.parametrize("kind", PAIRS)
@pytest.mark.parametrize("order", [("picture", "word"), ("word", "picture")])
def test_what_was_trained_on_goes_out(kind: str, order: tuple[str, str], tmp_path: Path) -> None:
    """Its biases, of which CLIP has fewer, are no longer zero; and the words may come first."""
    PAIRS[kind](tmp_path / "in")
    made = Raw2Vec(steps=3, checkpoint=tmp_path / "in", settings={**SHORT, "training.learning_rate": 0.01})
    made.fit({"picture": OWN, "word": WORDS}, input=order[0], target=order[1])
    model = made.parts_.model.side("input" if order[0] == "picture" else "target")
    if kind == "clip":
        assert float(model.latent.project.bias.detach().abs().max()) > 1e-4
        assert float(model.embedding.linear.bias.detach().abs().max()) > 1e-4
    told = export(made.parts_, tmp_path / "out", "transformers")
    assert max(told.difference, told.logits or 1.0) <= 1e-5
    pictures, texts = sides(tmp_path / "out", OWN, WORDS)
    assert_allclose(made.encode(OWN), pictures, atol=1e-5)
    assert_allclose(made.encode(WORDS), texts, atol=1e-5)


def test_a_classifier_that_was_trained_on_goes_out(tmp_path: Path) -> None:
    vit(tmp_path / "in", 0)
    made = Raw2Vec(steps=2, checkpoint=tmp_path / "in", settings=SHORT).fit(OWN, LABELS)
    told = export(made.parts_, tmp_path / "out", "transformers")
    assert told.logits is not None
    assert max(told.difference, told.logits) <= 1e-5
    again = raw2vec.load(tmp_path / "out")
    assert_allclose(again.predict_proba(OWN), made.predict_proba(OWN), atol=1e-5)
    assert list(again.predict(OWN)) == list(made.predict(OWN))


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({}, None),
        ({"raw.size": [32, 32], "embedding.width": 24, "encoder.limit": 40}, "JPEGs more than twice as large"),
        ({"raw.colour": "grey", "embedding.mean": [0.4], "embedding.deviation": [0.3]}, None),
        ({"latent.width": 7, "latent.pooling": "mean"}, "here latent.pooling is mean"),
    ],
)
def test_a_vit_from_nothing(changes: Any, note: str | None, tmp_path: Path) -> None:
    settings = {"embedding.patch": 8, "latent.pooling": "first", "latent.width": 0, **SHORT, **changes}
    made = Raw2Vec("supervised", SEES, steps=1, settings=settings).fit(OWN, LABELS)
    drawn(made.parts_.model)
    told = export(made.parts_, tmp_path / "out", "transformers")
    assert told.difference <= 1e-5
    assert (told.note is None) if note is None else (note in str(told.note))
    again = raw2vec.load(tmp_path / "out")
    if "latent.width" not in changes:
        assert_allclose(again.encode(OWN), made.encode(OWN), atol=1e-5)


READS = {"encoder": BLOCKS, "raw": {"vocabulary": 120, "max_tokens": 24}, "embedding": {"width": 32}}
FAMILIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "clip": (
        {**SEES, "norm_order": "pre-each", "epsilon": 0.0},
        {**READS, "encoder": {**BLOCKS, "causal": True}, "latent": {"width": 12, "pooling": "last"}},
    ),
    "siglip": (
        {**BLOCKS, "activation": "gelu_tanh", "epsilon": 1e-6},
        {**READS, "embedding": {"width": 20, "filled": 24}, "latent": {"width": 32, "pooling": "last"}},
    ),
}


def pair(kind: str, **changes: Any) -> Raw2Vec:
    sees, reads = FAMILIES[kind]
    latent = {"width": 12, "pooling": "first"} if kind == "clip" else {"width": 0, "pooling": "probe"}
    latent |= {"heads": 4, "feed_forward": 48} if kind == "siglip" else {}
    tree: dict[str, Any] = {
        "kind": "image",
        "raw": {"size": [32, 32], "shorter": 40, "resampling": "bilinear"},
        "embedding": {"patch": 8, "width": 24, "mean": [0.4, 0.5, 0.6], "deviation": [0.2, 0.3, 0.2]},
        "encoder": sees,
        "latent": {"name": "point", "normalize": "unit", **latent},
        "target": {"kind": "text", **reads, "latent": {"name": "point", "normalize": "unit", **reads["latent"]}},
        "columns": {"input": "picture", "target": "word"},
        "stages": [{"objectives": [{"name": "contrastive", "loss": "sigmoid" if kind == "siglip" else "softmax"}]}],
        "training": {"steps": 1, "hold_out": 0.2, "checks": 1},
    }
    made = Raw2Vec(recipe=tree, settings=changes).fit({"picture": OWN, "word": WORDS}, input="picture", target="word")
    drawn(made.parts_.model)
    return made


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_pair_from_nothing(kind: str, tmp_path: Path) -> None:
    made = pair(kind)
    told = export(made.parts_, tmp_path / "out", "transformers")
    assert max(told.difference, told.logits or 1.0) <= 1e-5
    pictures, texts = sides(tmp_path / "out", PICTURES[:4], WORDS)
    assert_allclose(made.encode(PICTURES[:4]), pictures, atol=1e-5)
    assert_allclose(made.encode(WORDS), texts, atol=1e-5)
    again = raw2vec.load(tmp_path / "out")
    assert_allclose(again.encode(PICTURES), made.encode(PICTURES), atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "changes", "sentence"),
    [
        ("clip", {"encoder.positions": "rotary"}, "the nearest, CLIP, has encoder.positions learned, not rotary"),
        ("clip", {"target.encoder.causal": False}, "target.encoder.causal true, not false"),
        ("clip", {"raw.size": [32, 40]}, "pictures and patches of clip are square"),
        ("clip", {"embedding.patch": 12}, "are no whole number of patches"),
        ("clip", {"latent.width": 48, "target.latent.width": 48}, "vectors are wider than the encoder"),
        ("siglip", {"encoder.activation": "gelu"}, "SigLIP, has encoder.activation gelu_tanh, not gelu"),
        ("siglip", {"target.embedding.filled": 30}, "not filled up to the longest text"),
        ("siglip", {"latent.heads": 2}, "its probe has other heads"),
    ],
)
def test_what_does_not_fit_is_named(kind: str, changes: Any, sentence: str, tmp_path: Path) -> None:
    made = pair(kind, **changes)
    with pytest.raises(BadInput) as raised:
        export(made.parts_, tmp_path / "out", "transformers")
    assert sentence in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_other_encoders_of_pictures_are_refused(tmp_path: Path) -> None:
    made = Raw2Vec("supervised", steps=1, size="tiny", settings=SHORT).fit(OWN, LABELS)
    with pytest.raises(BadInput, match=r"the nearest, ViT, has encoder\.name transformer, not convolutional"):
        export(made.parts_, tmp_path / "out", "transformers")
    with pytest.raises(BadInput, match=r"its data are pictures; --to transformers takes it|pictures"):
        export(made.parts_, tmp_path / "out", "sentence-transformers")


def test_a_folder_that_gives_other_numbers_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiled(folder: Path, *rest: Any) -> Any:
        held = load_file(folder / "model.safetensors")
        held["vision_model.encoder.layers.1.mlp.fc2.weight"] *= 1.001
        save_file(held, folder / "model.safetensors", {"format": "pt"})
        return honest(folder, *rest)

    honest = vision_parity.as_seen
    monkeypatch.setattr("raw2vec.interchange.outward.as_seen", spoiled)
    PAIRS["siglip"](tmp_path / "in")
    with pytest.raises(Raw2VecError, match="transformers does not give this model's vectors, so nothing was written"):
        export(raw2vec.load(tmp_path / "in").parts_, tmp_path / "out", "transformers")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
