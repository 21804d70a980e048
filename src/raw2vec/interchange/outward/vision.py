"""Encoders of pictures as a ViT's folder, those of pictures and of words as CLIP's or SigLIP's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image as Pillow
from safetensors.torch import save_file
from torch import Tensor

from raw2vec.embedding import PatchEmbedding
from raw2vec.errors import BadInput
from raw2vec.folder import Model, embedder
from raw2vec.interchange.hugging_face import parted
from raw2vec.interchange.hugging_face.families import visual_family
from raw2vec.interchange.hugging_face.vision import PAIRS, VIT_FAMILY, laid_back
from raw2vec.interchange.hugging_face.visual_config import pair_config, pictures_config, vit_config, words_config
from raw2vec.interchange.sentence_transformers import pair_refusal
from raw2vec.models import Embedder
from raw2vec.objectives import Supervised
from raw2vec.raw import Image, Text
from raw2vec.recipe import Recipe, Side

Role = Literal["input", "target"]
_PROCESSORS = {"vit": "ViTImageProcessor", "clip": "CLIPImageProcessor", "siglip": "SiglipImageProcessor"}
_BOTH = {"clip": "CLIPProcessor", "siglip": "SiglipProcessor"}
_PADDING = ("[PAD]", "<pad>")
_NEAR = 1e-6  # how far from a projection's bias what is worked in elsewhere may be, in lengths of its largest number

_CARDS = {
    "vit": """from PIL import Image
from transformers import AutoImageProcessor, AutoModel

model, processor = AutoModel.from_pretrained("{name}"), AutoImageProcessor.from_pretrained("{name}")
pictures = processor([Image.new("RGB", (64, 48), "red")], return_tensors="pt")
states = model(**pictures).last_hidden_state""",
    "pair": """from PIL import Image
from transformers import AutoModel, AutoProcessor

model, processor = AutoModel.from_pretrained("{name}"), AutoProcessor.from_pretrained("{name}")
picture, options = Image.new("RGB", (64, 48), "red"), {{"padding": True, "truncation": True, "return_tensors": "pt"}}
answer = model(**processor(text=["a text", "another"], images=[picture], **options))
pictures, words = answer.image_embeds, answer.text_embeds""",
}


@dataclass(frozen=True)
class Seen:
    """What sees: the side of the model that takes pictures, with what reads them; and the other side, of words.

    kind: "vit", "clip" or "siglip". sees, read: both sides' recipes.
    """

    kind: str
    role: Role
    model: Embedder
    raw: Image
    words: Text | None
    reads: Embedder | None
    sees: Recipe | Side
    read: Recipe | Side | None

    @property
    def size(self) -> tuple[int, int]:
        shape = self.raw.form.shape
        assert shape is not None
        return shape[0], shape[1]

    @property
    def patch(self) -> tuple[int, ...]:
        assert isinstance(self.model.embedding, PatchEmbedding)
        return self.model.embedding.sizes


def seen(parts: Model, to: str) -> Seen | None:
    """What is to go out, of a model that takes pictures; None for another. BadInput for what no family is."""
    recipe = parts.recipe
    sides: dict[Role, Recipe | Side] = {"input": recipe, **({"target": recipe.target} if recipe.target else {})}
    role = next((role for role, side in sides.items() if side.kind == "image"), None)
    if role is None:
        return None
    other: Role = "target" if role == "input" else "input"
    words = sides.get(other)
    if to != "transformers" and words is None:
        raise BadInput(f"The model cannot be written for {to}: its data are pictures; --to transformers takes it.")
    if words is not None and words.kind not in ("text", "pairs"):
        raise BadInput(f"The model cannot be written for {to}: its pairs are of pictures and of the kind {words.kind}.")
    try:
        left = to == "sentence-transformers"  # where vectors may be of any length, so both sides' are
        flat, read = (None if side is None else _flat(side, left) for side in (sides[role], words))
        kind = visual_family(flat or {}, read, "target." if role == "target" else "")
    except BadInput as error:
        raise BadInput(f"The model cannot be written for {to}. {error}") from None
    whole = embedder(parts.model)
    raw, model = parts.raw.side(role), whole if isinstance(whole, Embedder) else whole.side(role)
    assert isinstance(raw, Image)
    reader = parts.raw.side(other) if words is not None else None
    assert reader is None or isinstance(reader, Text)
    reads = None if words is None or isinstance(whole, Embedder) else whole.side(other)
    found = Seen(kind, role, model, raw, reader, reads, sides[role], words)
    if reason := _unfit(found) or (pair_refusal(kind, sides) if to == "sentence-transformers" else None):
        raise BadInput(f"The model cannot be written for {to}: {reason}.")
    return found


def write(folder: Path, parts: Model, out: Seen) -> str | None:
    """Weights, config.json, preprocessor_config.json and the tokenizer; a note on what did not go along."""
    config, weights, notes = (_alone if out.reads is None else _pair)(parts, out)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    _write_json(folder / "config.json", config)
    processor, more = _processor(out)
    _write_json(folder / "preprocessor_config.json", processor)
    if out.words is not None:
        _tokenizer(folder, out)
    return "; ".join([*notes, *more]) or None


def card(parts: Model, out: Seen, name: str) -> str:
    """The folder's README.md: what it is, and how transformers gives the model's vectors."""
    if out.reads is None:
        latent = out.sees.latent
        told = ", ".join(f"{key} {value}" for key, value in latent.settings.items() if value and key != "places")
        about = f"States of {out.model.encoder.width} numbers a patch, the class token's first. "
        about += f"The model's own vectors are a {latent.name} of them: {told}."
        code = _CARDS["vit"]
    else:
        about, code = f"Vectors of {out.model.latent.width} numbers, of pictures and of words.", _CARDS["pair"]
        code = code.replace('"padding": True', '"padding": "max_length"') if out.kind == "siglip" else code
    title = f"# An encoder of pictures{' and words' if out.reads else ''} for transformers"
    return "\n".join([title, f"Exported by raw2vec. {about}", "", "```python", code.format(name=name), "```", ""])


def _flat(side: Recipe | Side, any_length: bool) -> dict[str, Any]:
    """Settings by their paths. any_length: without the length that vectors are brought to."""
    found: dict[str, Any] = {f"embedding.{name}": value for name, value in side.embedding.items()}
    for name, part in (("encoder", side.encoder), ("latent", side.latent)):
        found |= {f"{name}.name": part.name} | {f"{name}.{key}": value for key, value in part.settings.items()}
    if any_length:
        found.pop("latent.normalize", None)
    return found


def _unfit(out: Seen) -> str | None:
    """What else keeps the model from its family, or None."""
    assert isinstance(out.model.embedding, PatchEmbedding)
    shape = out.raw.form.shape
    if shape is None:
        return "its pictures are of many sizes, and theirs of one (set raw.size)"
    if out.model.embedding.whole:
        return "a whole picture is one patch (embedding.patch is 0)"
    if any(length % part for length, part in zip(shape, out.patch, strict=True)):
        return f"its pictures of {list(shape)} are no whole number of patches of {list(out.patch)}"
    return None if out.read is None else _unfit_pair(out, out.read)


def _unfit_pair(out: Seen, read: Recipe | Side) -> str | None:
    assert out.words is not None
    encoder, latent = out.sees.encoder.settings, out.sees.latent.settings
    if len({*out.size}) > 1 or len({*out.patch}) > 1:
        return f"pictures and patches of {out.kind} are square"
    if out.kind == "clip" and not latent["width"]:
        return "its vectors are the encoder's states, where CLIP has a map to another width (set latent.width)"
    if not read.latent.settings["width"]:
        return f"its words' vectors are the encoder's states, where {out.kind} has a map (set the words' latent.width)"
    if out.kind == "siglip" and any(latent[name] != encoder[name] for name in ("heads", "feed_forward")):
        return "its probe has other heads or hidden features than its encoder (latent.heads, latent.feed_forward)"
    if out.kind == "siglip" and read.embedding.get("filled") != out.words.max_tokens:
        return "its words are not filled up to the longest text (embedding.filled is not raw.max_tokens)"
    if out.kind == "clip" and out.words.boundaries == "none":
        return "its words end with no token of their own, by which CLIP finds the last (raw.boundaries is none)"
    return None


def _alone(parts: Model, out: Seen) -> tuple[dict[str, Any], dict[str, Tensor], list[str]]:
    """A ViT's config, weights and notes."""
    settings = out.sees.encoder.settings
    config = vit_config(settings, out.size, out.patch, out.raw.form.channels)
    state = {name: value for name, value in _entered(out).items() if not name.startswith("latent.")}
    head, note = _head(parts, out.kind)
    weights = laid_back(parted(state, VIT_FAMILY, settings["layers"]), out.patch, "vit." if head else "")
    if head is None or parts.labels is None:
        return config, weights, [note] if note else []
    names = {str(number): str(name) for number, name in enumerate(parts.labels.names)}
    config |= {"architectures": ["ViTForImageClassification"], "id2label": names}
    config |= {"label2id": {name: int(number) for number, name in names.items()}}
    several = "multi_label_classification" if parts.labels.task == "labels" else "single_label_classification"
    config["problem_type"] = several
    own = head.readout.linear.state_dict()
    return config, weights | {f"classifier.{name}": value.contiguous() for name, value in own.items()}, []


def _head(parts: Model, kind: str) -> tuple[Supervised | None, str | None]:
    """The classifier that goes along, or why the model's does not; neither, where it has none."""
    head = next((o for o in parts.objectives.values() if isinstance(o, Supervised)), None)
    if head is None or parts.labels is None:
        return None, None
    told = "the head that tells the labels is left out: "
    if kind != "vit":
        return None, f"{told}{kind} has none"
    if parts.labels.task == "numbers":
        return None, f"{told}it tells numbers on a scale of their own"
    latent = parts.recipe.latent
    held = {"name": latent.name, **latent.settings}
    wanted = {"name": "point", "pooling": "first", "width": 0, "normalize": "none"}
    odd = next((name for name, value in wanted.items() if held.get(name) != value), None)
    if odd:
        return None, f"{told}it is told by the class token itself there, and here latent.{odd} is {held.get(odd)}"
    return head, None


def _pair(parts: Model, out: Seen) -> tuple[dict[str, Any], dict[str, Tensor], list[str]]:
    """CLIP's or SigLIP's config, weights and notes."""
    made, reads, words = PAIRS[out.kind], out.reads, out.words
    assert reads is not None
    assert words is not None
    assert out.read is not None
    settings, own = out.sees.encoder.settings, out.read.encoder.settings
    table = _words(reads)
    tokens = {"pad_token_id": _filler(out)[0], "bos_token_id": words.start, "eos_token_id": words.end}
    config = pair_config(
        out.kind,
        pictures_config(out.kind, settings, out.size, out.patch, out.raw.form.channels),
        words_config(out.kind, own, words.size, len(table["encoder.positions.table.weight"]), tokens),
        out.model.latent.width,
    )
    pictures = _entered(out)
    if out.kind == "clip":
        pictures, table = _unbiased(pictures), _unbiased(table)
    weights = laid_back(parted(pictures, made.pictures, settings["layers"]), out.patch, "vision_model.")
    weights |= laid_back(parted(table, made.words, own["layers"]), out.patch, "text_model.")
    scales, notes = _scales(parts, out.kind)
    return config, weights | scales, notes


def _scales(parts: Model, kind: str) -> tuple[dict[str, Tensor], list[str]]:
    """What cosines are multiplied by, as a logarithm, and what is added to them."""
    contrastive: Any = next((o for name, o in parts.objectives.items() if name.endswith("/contrastive")), None)
    if contrastive is None:
        raise BadInput(f"The model cannot be written as {kind}: no objective says how sure its cosines are.")
    scale = contrastive.log_scale.detach().exp().clamp(max=100).log()
    bias = contrastive.bias
    if kind == "clip":
        note = "the bias of its scores (loss sigmoid) is left out, which CLIP has not"
        return {"logit_scale": scale}, [] if bias is None else [note]
    note = "its scores were learned by softmax, and SigLIP's are read by a sigmoid: their bias is 0"
    told = torch.zeros(1) if bias is None else bias.detach().reshape(1).clone()
    return {"logit_scale": scale.reshape(1), "logit_bias": told}, [note] if bias is None else []


def _entered(out: Seen) -> dict[str, Tensor]:
    """The weights of the side that sees, a map at the encoder's entry worked into the patches', positions as many as
    there are rows."""
    state = {name: value.detach() for name, value in out.model.state_dict().items()}
    if "encoder.project.weight" in state:
        weight, bias = state.pop("encoder.project.weight"), state.pop("encoder.project.bias")
        state["embedding.linear.bias"] = weight @ state["embedding.linear.bias"] + bias
        state["embedding.linear.weight"] = weight @ state["embedding.linear.weight"]
    (height, width), (high, wide) = out.size, out.patch
    rows = (height // high) * (width // wide) + len(state.get("encoder.first", ()))
    state["encoder.positions.table.weight"] = state["encoder.positions.table.weight"][:rows]
    return state


def _words(reads: Embedder) -> dict[str, Tensor]:
    """The weights of the side that reads, a map at its entry and factors of tokens worked into the table."""
    state = {name: value.detach() for name, value in reads.state_dict().items()}
    table: Tensor = reads.table.detach()
    state.pop("embedding.log_weights", None)
    if "encoder.project.weight" in state:
        table = table @ state.pop("encoder.project.weight").T + state.pop("encoder.project.bias")
    return {**state, "embedding.table.weight": table}


def _unbiased(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same without the biases that CLIP has not: patches' go into their positions, a projection's into the norm
    before it, whose bias it turns into the very same. BadInput where no norm's bias does."""
    found = dict(state)
    if (bias := found.pop("embedding.linear.bias", None)) is not None:
        places = found["encoder.positions.table.weight"].clone()
        places[1:] += bias
        found["encoder.positions.table.weight"] = places
    bias, weight = found.pop("latent.project.bias").double(), found["latent.project.weight"].double()
    moved = torch.linalg.lstsq(weight, bias[:, None], driver="gelsd").solution[:, 0]
    if not torch.allclose(weight @ moved, bias, rtol=0, atol=_NEAR * max(float(bias.abs().max()), 1e-3)):
        raise BadInput(
            "The model cannot be written as CLIP: its projections have no bias there, and the norm before this "
            "one cannot take it over, for vectors are wider than the encoder (latent.width above encoder.width)."
        )
    found["encoder.final.bias"] = (found["encoder.final.bias"].double() + moved).float()
    return found


def _processor(out: Seen) -> tuple[dict[str, Any], list[str]]:
    """preprocessor_config.json, by which pictures become the same numbers; and what is done otherwise there."""
    raw, embedding = out.raw, out.sees.embedding
    whole = dict(zip(("height", "width"), out.size, strict=True))
    name = "CLIPImageProcessor" if raw.shorter else _PROCESSORS[out.kind]
    found: dict[str, Any] = {"image_processor_type": name}
    found |= {"processor_class": _BOTH[out.kind]} if out.kind in _BOTH else {}
    draft = raw.resampling == "draft"
    found |= {"do_resize": True, "resample": int(Pillow.Resampling["BICUBIC" if draft else raw.resampling.upper()])}
    found |= {"size": {"shortest_edge": raw.shorter} if raw.shorter else whole}
    found |= {"do_center_crop": bool(raw.shorter), **({"crop_size": whole} if raw.shorter else {})}
    found |= {"do_rescale": True, "rescale_factor": 1 / 255, "do_convert_rgb": raw.form.channels == 3}
    found["do_normalize"] = bool(embedding["mean"])
    if embedding["mean"]:
        found |= {"image_mean": list(embedding["mean"]), "image_std": list(embedding["deviation"])}
    note = "JPEGs more than twice as large as its pictures are decoded at a fraction here, and whole there"
    return found, [note] if draft and raw.size is not None else []


def _filler(out: Seen) -> tuple[int, str]:
    """The token that short texts are filled up with, and its name: its own, or the end, which CLIP takes for it."""
    assert out.words is not None
    assert out.reads is not None
    embedding: Any = out.reads.embedding
    pads = out.words.pieces[out.words.pad] in _PADDING
    number = embedding.filler if embedding.filled else out.words.pad if pads else out.words.end
    return number, out.words.pieces[number]


def _tokenizer(folder: Path, out: Seen) -> None:
    """The words' own, with what transformers has to know of its padding."""
    assert out.words is not None
    out.words.save(folder)
    path = folder / "tokenizer_config.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    _write_json(path, held | {"pad_token": _filler(out)[1], "processor_class": _BOTH[out.kind]})


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
