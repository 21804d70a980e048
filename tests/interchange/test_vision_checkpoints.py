"""ViT, CLIP and SigLIP give here what they give in transformers: the same pixels, states, vectors and answers."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image
from safetensors.torch import load_file, save_file

import raw2vec
from raw2vec.errors import BadFolder, BadInput
from tiny_checkpoints import TEXTS
from tiny_marian import SCORES, spm
from tiny_vision import EDGE, PAIRS, PICTURES, clip, pixel_values, processor, siglip, vit

pytestmark = pytest.mark.filterwarnings("ignore::raw2vec.system.TruncationWarning")


def numbers(model: raw2vec.Raw2Vec, pictures: Any) -> torch.Tensor:
    """The pixels that patches are made of, (n, 3, H, W), normalised."""
    embedding, ragged = model.parts_.model.embedding, model.parts_.raw.windows(pictures).ragged
    values = (ragged.values.float() / 255 - embedding.mean) / embedding.deviation
    return torch.stack([item.permute(2, 0, 1) for item in ragged.replace(values).items()])


def jpeg(picture: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=95)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["vit", "clip", "siglip"])
@pytest.mark.parametrize("resample", [0, 1, 2, 3])
def test_pictures_become_the_same_numbers(kind: str, resample: int, tmp_path: Path) -> None:
    """Also of a JPEG much larger than what is asked for, which other models here decode at a fraction."""
    {"vit": vit, **PAIRS}[kind](tmp_path)
    theirs = processor(kind, resample=resample)
    theirs.save_pretrained(tmp_path)
    smooth = np.clip(np.cumsum(np.random.default_rng(0).normal(0, 2, (330, 410, 3)), axis=1) + 128, 0, 255)
    large = np.asarray(Image.open(io.BytesIO(jpeg(smooth.astype(np.uint8)))))
    found = numbers(raw2vec.load(tmp_path), [*PICTURES, jpeg(smooth.astype(np.uint8))])
    assert_allclose(found, pixel_values(theirs, [*PICTURES, large]), atol=1e-6)


@pytest.mark.parametrize("labels", [0, 3])
@torch.inference_mode()
def test_vit_is_the_same(labels: int, tmp_path: Path) -> None:
    theirs, ours = vit(tmp_path, labels), raw2vec.load(tmp_path)
    pixels = pixel_values(processor("vit"))
    states = getattr(theirs, "vit", theirs)(pixels).last_hidden_state
    assert ours.parts_.recipe.kind == "image"
    assert_allclose(np.stack(ours.features(PICTURES)), states, atol=1e-5)
    assert_allclose(ours.encode(PICTURES), states[:, 0], atol=1e-5)
    if labels:
        logits = theirs(pixels).logits
        assert_allclose(ours.predict_proba(PICTURES), logits.softmax(-1), atol=1e-5)
        assert ours.predict(PICTURES).tolist() == [f"thing {place}" for place in logits.argmax(-1)]


@torch.inference_mode()
def test_one_of_several_labels_at_once(tmp_path: Path) -> None:
    theirs, ours = vit(tmp_path, problem_type="multi_label_classification"), raw2vec.load(tmp_path)
    assert_allclose(ours.predict_proba(PICTURES), theirs(pixel_values(processor("vit"))).logits.sigmoid(), atol=1e-5)


@pytest.mark.parametrize("kind", PAIRS)
@torch.inference_mode()
def test_pairs_are_the_same(kind: str, tmp_path: Path) -> None:
    theirs, tokenizer = PAIRS[kind](tmp_path)
    ours = raw2vec.load(tmp_path)
    padding: Any = "max_length" if kind == "siglip" else True
    batch = tokenizer(TEXTS, padding=padding, truncation=True, return_tensors="pt", split_special_tokens=True)
    mask = {"attention_mask": batch["attention_mask"]} if kind == "clip" else {}
    told = theirs(input_ids=batch["input_ids"], pixel_values=pixel_values(processor(kind)), **mask)
    assert_allclose(ours.encode(PICTURES), told.image_embeds, atol=1e-5)
    assert_allclose(ours.encode(TEXTS), told.text_embeds, atol=1e-5)
    scores = ours.encode(PICTURES) @ ours.encode(TEXTS).T
    contrastive: Any = ours.parts_.objectives["0/contrastive"]
    bias = 0.0 if contrastive.bias is None else contrastive.bias.item()
    assert_allclose(scores * contrastive.log_scale.exp().item() + bias, told.logits_per_image, atol=1e-4)


@pytest.mark.parametrize("kind", PAIRS)
def test_words_choose_pictures_and_pictures_words(kind: str, tmp_path: Path) -> None:
    PAIRS[kind](tmp_path / "m")
    model, names = raw2vec.load(tmp_path / "m"), ["a ship", "a mast", "the sailor"]
    scores = model.encode(PICTURES, side="input") @ model.encode(names, side="target").T
    assert model.predict(PICTURES, labels=names).tolist() == [names[place] for place in scores.argmax(1)]
    for number, picture in enumerate(PICTURES):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "pictures" / f"{number}.png")
    pytest.importorskip("lancedb")
    model.index(tmp_path / "pictures", tmp_path / "store")
    (hits,) = model.search(tmp_path / "store", ["a ship"], k=1)
    assert hits[0].row == scores[:, 0].argmax()


@pytest.mark.parametrize("kind", ["vit", "clip", "siglip"])
def test_saved_it_is_a_folder_of_ours(kind: str, tmp_path: Path) -> None:
    """Round trip to the bit; and an item's vector is the same alone, in any batch and in any order."""
    {"vit": vit, **PAIRS}[kind](tmp_path / "theirs")
    ours = raw2vec.load(tmp_path / "theirs")
    ours.save(tmp_path / "ours")
    again = raw2vec.load(tmp_path / "ours")
    assert again.fingerprint_ == ours.fingerprint_
    assert (tmp_path / "ours" / "README.md").read_text() == ours._card
    for items in (PICTURES, TEXTS[-9:]) if kind in PAIRS else (PICTURES,):
        together = ours.encode(items)
        np.testing.assert_array_equal(again.encode(items), together)
        assert_allclose(np.stack([ours.encode(item) for item in items]), together, atol=1e-5)
        assert_allclose(ours.encode(items[::-1], batch_size=3)[::-1], together, atol=1e-5)
    if kind == "vit":
        np.testing.assert_array_equal(again.predict_proba(PICTURES), ours.predict_proba(PICTURES))


def edited(name: str, **changes: Any) -> Callable[[Path], None]:
    """Changes of a JSON file; None takes a key away."""

    def spoil(folder: Path) -> None:
        held = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps({key: value for key, value in held.items() if value is not None}))

    return spoil


def weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        held = load_file(folder / "model.safetensors")
        change(held)
        save_file(held, folder / "model.safetensors")

    return spoil


def within(part: str, **changes: Any) -> Callable[[Path], None]:
    """Changes of a config within config.json."""

    def spoil(folder: Path) -> None:
        held = json.loads((folder / "config.json").read_text())
        held[part] |= changes
        (folder / "config.json").write_text(json.dumps(held))

    return spoil


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


QUERY = "encoder.layer.1.attention.attention.query.weight"
PIXELS = "preprocessor_config.json"
NAN = float("nan")
BAD: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "no processor": ("vit", lambda folder: (folder / PIXELS).unlink(), "has no preprocessor_config.json"),
    "no resizing": ("vit", edited(PIXELS, do_resize=False), "do_resize false"),
    "another scale": ("vit", edited(PIXELS, rescale_factor=1.0), r"rescale_factor of 1\.0"),
    "another size": ("vit", edited(PIXELS, size={"height": 16, "width": 16}), r"height 16, width 16.*of \(32, 32\)"),
    "a part of it": ("clip", edited(PIXELS, size={"shortest_edge": 16}), "shortest_edge 16, cut to"),
    "no such resampling": ("vit", edited(PIXELS, resample=9), "resampling 9"),
    "a pickle": ("vit", pickled, "is a pickle, which can run any code"),
    "NaN": ("vit", weights(lambda held: held[f"vit.{QUERY}"].fill_(NAN)), "query.weight.*not finite"),
    "missing": ("vit", weights(lambda held: held.pop("vit.layernorm.bias")), "lacks the weight 'layernorm.bias'"),
    "missing part": ("vit", weights(lambda held: held.pop(f"vit.{QUERY}")), r"holds only some of .*query\.weight"),
    "missing head": ("vit", weights(lambda held: held.pop("classifier.bias")), "lacks the weight 'classifier.bias'"),
    "extra": (
        "vit",
        weights(lambda held: held.update(extra=torch.ones(2))),
        "vit as we know it has no place for: 'ext",
    ),
    "another width": ("vit", edited("config.json", intermediate_size=64), "48 × 32, and its config.json.* 64 × 32"),
    "more layers": ("vit", edited("config.json", num_hidden_layers=3), r"lacks the weight 'encoder\.layer\.2\."),
    "odd patches": ("vit", edited("config.json", patch_size=9), "no whole number of patches"),
    "no bias": ("vit", edited("config.json", qkv_bias=False), "has qkv_bias False"),
    "four channels": ("vit", edited("config.json", num_channels=4), "have 4 channels"),
    "unknown": ("vit", edited("config.json", model_type="vitt"), "'vitt' cannot be taken over; .*Did you mean 'vit'"),
    "a side missing": (
        "clip",
        weights(lambda held: held.pop("vision_model.post_layernorm.weight")),
        r"lacks the weight 'vision_model\.post_layernorm\.weight'",
    ),
    "no projection": (
        "clip",
        weights(lambda held: held.pop("text_projection.weight")),
        "'target.latent.project|24 numbers and|vectors .* 32|cannot be compared",
    ),
    "no scale": ("clip", weights(lambda held: held.pop("logit_scale")), "lacks the weight 'logit_scale'"),
    "a stranger": ("clip", weights(lambda held: held.update(adapter=torch.ones(2))), "no place for: 'adapter'"),
    "no probe": (
        "siglip",
        weights(lambda held: held.pop("vision_model.head.probe")),
        r"lacks the weight 'vision_model\.head\.probe'",
    ),
    "sizes of words in a text": (
        "clip",
        edited("config.json", text_config="base"),
        r"config\.json is malformed: its text_config is 'base', and should be an object",
    ),
    "sizes of words not said": (
        "clip",
        edited("config.json", text_config=None),
        r"does not give text_config, and what is usual does not fit: .*'text_model\.",
    ),
    "sizes of pictures not said": (
        "siglip",
        edited("config.json", vision_config=None),
        "does not give vision_config, and what is usual does not fit: ",
    ),
    "no number of heads": ("clip", within("text_config", num_attention_heads=0), "its num_attention_heads is 0"),
    "words of another vocabulary": (
        "clip",
        within("text_config", vocab_size=7),
        "has a vocab_size of 7, and the table",
    ),
    "words end elsewhere": (
        "clip",
        within("text_config", eos_token_id=0),
        r"end of a text at number 0 \(eos_token_id\), and the tokenizer of .* has '<\|endoftext\|>' at 1",
    ),
    "words end as they did": (
        "clip",
        within("text_config", eos_token_id=2),
        r"end of a text at number \d{3} \(eos_token_id\)",
    ),
    "quantised words": (
        "clip",
        within("text_config", quantization_config={"quant_method": "bitsandbytes"}),
        r"has a quantization_config \(bitsandbytes\)",
    ),
    "code for pictures": (
        "vit",
        edited(PIXELS, auto_map={"AutoImageProcessor": "mine.Processor"}),
        r"preprocessor_config\.json asks for code .*\(mine\.Processor\)",
    ),
    "no words": ("siglip", lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer.json: write it once"),
}


@pytest.mark.parametrize("case", BAD)
def test_one_sentence_says_what_is_wrong(case: str, tmp_path: Path) -> None:
    kind, spoil, sentence = BAD[case]
    {"vit": vit, "clip": clip, "siglip": siglip}[kind](tmp_path / "m")
    spoil(tmp_path / "m")
    with pytest.raises(BadFolder, match=sentence) as found:
        raw2vec.load(tmp_path / "m")
    assert "\n" not in str(found.value)


def test_siglip_reads_words_by_its_pieces(tmp_path: Path) -> None:
    """As its authors publish it: no tokenizer.json, and no case and no punctuation in what is cut."""
    siglip(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "spiece.model").write_bytes(spm(special=(b"<unk>", b"</s>")))
    model, names = raw2vec.load(tmp_path), ["<unk>", "</s>", *SCORES]
    text = model.parts_.raw.side("target")
    for words in ("A ship", "a, (SHIP)!", "  a\tship."):
        (ids,) = text.windows([words]).ragged.items()
        assert [names[number] for number in ids] == ["▁a", "▁ship", "</s>"]
    assert model.parts_.recipe.target.embedding["filler"] == 1
    model.save(tmp_path / "ours")
    np.testing.assert_array_equal(raw2vec.load(tmp_path / "ours").encode("a ship"), model.encode("A ship!"))


@pytest.mark.parametrize("old", [EDGE, {"shortest_edge": EDGE}])
def test_older_processors_are_read(old: Any, tmp_path: Path) -> None:
    """A size that is one number; and all of it within processor_config.json."""
    clip(tmp_path)
    before = raw2vec.load(tmp_path).encode(PICTURES)
    edited(PIXELS, size=old, crop_size=EDGE)(tmp_path)
    (tmp_path / "processor_config.json").write_text(
        json.dumps({"image_processor": json.loads((tmp_path / PIXELS).read_text())})
    )
    (tmp_path / PIXELS).unlink()
    np.testing.assert_array_equal(raw2vec.load(tmp_path).encode(PICTURES), before)


def test_what_else_takes_a_model_takes_these(tmp_path: Path) -> None:
    """Groups, a map, labels measured, a look inside; what makes no sense is a sentence."""
    vit(tmp_path / "vit", labels=2)
    clip(tmp_path / "clip")
    for number in range(12):
        folder = tmp_path / "pictures" / f"thing {number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(PICTURES[number % 4], number, 0)).save(folder / f"{number}.png")
    sees, pair, pictures = raw2vec.load(tmp_path / "vit"), raw2vec.load(tmp_path / "clip"), tmp_path / "pictures"
    assert sees.evaluate(pictures, label="label").metrics["accuracy"] >= 0
    assert [row.name for row in sees.inspect(pictures).parts][-1] == "latent"
    for model in (sees, pair):
        assert len(model.group(pictures).groups) == 12
    with pytest.raises(BadInput, match="A prompt stands before texts"):
        pair.embed(pictures, tmp_path / "v.npy", prompt="a photo of ")
    with pytest.raises(BadInput, match="has no decoder"):
        sees.reconstruct(PICTURES)
