"""What transformers makes of a folder that sees, beside what the model makes of the same pictures and words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from torch import Tensor

from raw2vec.errors import Raw2VecError
from raw2vec.folder import Model
from raw2vec.interchange.outward.base import PROBES, Agreement, first_windows, library, off, quiet, worst
from raw2vec.interchange.outward.vision import Seen
from raw2vec.ragged import Ragged
from raw2vec.raw.pixels import pixels

_SIZES = ((48, 64), (90, 37), (31, 200), (5, 1))  # heights and widths of pictures that are tried


@torch.inference_mode()
def as_seen(folder: Path, parts: Model, out: Seen) -> Agreement:
    """AutoModel and its processors on the folder: states and classes, or the vectors of both sides and how well they
    belong together."""
    pictures = _pictures(parts, out)
    with quiet() as transformers:
        theirs, told = transformers.AutoModel.from_pretrained(
            folder, output_loading_info=True, local_files_only=True, dtype=torch.float32
        )
        if out.reads is None:
            images = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        else:
            both = transformers.AutoProcessor.from_pretrained(folder, local_files_only=True)
            images = both.image_processor
    if missing := [name for name in told["missing_keys"] if "pooler" not in name]:
        raise Raw2VecError(f"{type(theirs).__name__} lacks '{missing[0]}' in what was written, so nothing is kept.")
    values = images([_as_file(picture, out) for picture in pictures], return_tensors="pt")["pixel_values"]
    if out.reads is None:
        return _alone(folder, parts, out, theirs.eval(), pictures, values)
    return _together(parts, out, theirs.eval(), both.tokenizer, pictures, values)


def _alone(
    folder: Path, parts: Model, out: Seen, theirs: Any, pictures: list[NDArray[np.uint8]], values: Tensor
) -> Agreement:
    states = theirs(values).last_hidden_state
    own = out.model.contextual(out.raw.windows(pictures).ragged)
    found = own.replace(states.flatten(0, 1))
    difference = worst(off(found.values, own.values), off(out.model.latent(found), out.model.latent(own)))
    if not (folder / "config.json").read_text(encoding="utf-8").count("ViTForImageClassification"):
        return Agreement(type(theirs).__name__, len(pictures), difference)
    with quiet() as transformers:
        made = transformers.AutoModelForImageClassification
        tells = made.from_pretrained(folder, local_files_only=True, dtype=torch.float32).eval()
    head: Any = next(objective for objective in parts.objectives.values() if hasattr(objective, "readout"))
    logits = off(tells(values).logits, head.readout.linear(out.model.latent(own)))
    return Agreement(type(theirs).__name__, len(pictures), difference, logits)


def _together(
    parts: Model, out: Seen, theirs: Any, tokenizer: Any, pictures: list[NDArray[np.uint8]], values: Tensor
) -> Agreement:
    padding: Any = "max_length" if out.kind == "siglip" else True
    reads, (texts, ids) = out.reads, _texts(parts, out)
    assert reads is not None
    batch = tokenizer(texts, padding=padding, truncation=True, return_tensors="pt", split_special_tokens=True)
    for row, item in zip(batch["input_ids"], ids.items(), strict=True):
        if row[: len(item)].tolist() != item.tolist():
            raise Raw2VecError("AutoTokenizer does not read texts as the model's own does, so nothing is kept.")
    mask = {"attention_mask": batch["attention_mask"]} if out.kind == "clip" else {}
    told = theirs(input_ids=batch["input_ids"], pixel_values=values, **mask)
    seen, read = out.model(out.raw.windows(pictures).ragged), reads(ids)
    difference = worst(off(told.image_embeds, seen), off(told.text_embeds, read))
    contrastive: Any = next(o for name, o in parts.objectives.items() if name.endswith("/contrastive"))
    scores = seen @ read.T * contrastive.log_scale.exp().clamp(max=100)
    if out.kind == "siglip" and contrastive.bias is not None:
        scores = scores + contrastive.bias
    return Agreement(type(theirs).__name__, len(pictures) + len(texts), difference, off(told.logits_per_image, scores))


@torch.inference_mode()
def as_pair(folder: Path, parts: Model, out: Seen) -> Agreement:
    """SentenceTransformer on the folder of a CLIP: the vectors of pictures and of words, beside our own."""
    made, reads, pictures = library("sentence-transformers"), out.reads, _pictures(parts, out)
    assert reads is not None
    texts, ids = _texts(parts, out)
    with quiet():
        theirs = made.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        options: dict[str, Any] = {"prompt": "", "show_progress_bar": False, "convert_to_tensor": True}
        seen = theirs.encode([_as_file(picture, out) for picture in pictures], **options)
        read = theirs.encode(texts, **options)
    own = out.model(out.raw.windows(pictures).ragged)
    difference = worst(off(seen, own), off(read, reads(ids)))
    return Agreement("SentenceTransformer", len(pictures) + len(texts), difference)


def _texts(parts: Model, out: Seen) -> tuple[list[str], Ragged]:
    """The golden texts and some more, and their tokens."""
    words = out.words
    assert words is not None
    golden = parts.golden_targets if out.role == "input" else parts.golden
    texts = [*(golden[0] if golden else []), *PROBES]
    ids = first_windows(words, texts)
    # What cannot be read is the end to some of CLIP's vocabularies, and there the first of these ends a text.
    told_apart = [place for place, item in enumerate(ids.items()) if words.end not in item[:-1].tolist()]
    return [texts[place] for place in told_apart], ids.take(torch.tensor(told_apart))


def _pictures(parts: Model, out: Seen) -> list[NDArray[np.uint8]]:
    """The golden pictures and some more, of the one size that is taken or of several: (H, W, C) each."""
    golden = parts.golden if out.role == "input" else parts.golden_targets
    channels = out.raw.form.channels
    held = [pixels(item, number, channels) for number, item in enumerate(golden[0] if golden else [])]
    draw, sizes = np.random.default_rng(0), _SIZES if out.raw.size is not None else [out.size] * 4
    return [*held, *(draw.integers(0, 256, (*size, channels), np.uint8) for size in sizes)]


def _as_file(picture: NDArray[np.uint8], out: Seen) -> Pillow.Image:
    return Pillow.fromarray(picture if out.raw.form.channels == 3 else picture[:, :, 0])
