"""Models as folders of other libraries, given out once those libraries give the model's own vectors from them.

A folder for transformers holds the encoder, its tokenizer or its processor of pictures and, where model and family have
one, the head that tells masked words or classes; one for sentence-transformers also what makes the encoder's states a
vector.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from raw2vec.bundle import found, replacing
from raw2vec.embedding import TokenEmbedding
from raw2vec.encoders import Dense
from raw2vec.errors import BadInput, Raw2VecError
from raw2vec.folder import Model, embedder
from raw2vec.interchange import sentence_transformers
from raw2vec.interchange.hugging_face import config_of, family, to_hugging_face
from raw2vec.interchange.hugging_face.heads import misfit, with_head
from raw2vec.interchange.outward import translators, vision
from raw2vec.interchange.outward.base import Agreement, library, worst
from raw2vec.interchange.outward.parity import as_sentence_transformers, as_transformers
from raw2vec.interchange.outward.vision_parity import as_pair, as_seen
from raw2vec.models import Embedder
from raw2vec.objectives import Masked
from raw2vec.raw import Text
from raw2vec.readout import Words

__all__ = ["NEAR", "Agreement", "export"]

NEAR = 1e-5
"""How far a number may be off, in lengths of the largest."""


def export(parts: Model, out: Path, to: str) -> Agreement:
    """Writes a folder for "transformers" or "sentence-transformers", whole and in one step, and tells how near it is.

    BadInput for a recipe that none of their models is, with what does not fit and the nearest; Raw2VecError, and
    nothing written, where the library's numbers are not the model's.
    """
    library(to)
    if (found(out) / "recipe.json").exists():
        raise BadInput(f"{out} holds a model, which the export would take the place of: name another folder.")
    write = _seeing(parts, to) or _writing(parts, to) or _reading(parts, to)
    with replacing(out) as partial:
        agreement, card = write(partial, out.name)
        difference = worst(agreement.difference, agreement.logits)
        if not difference <= NEAR:
            raise Raw2VecError(
                f"{to} does not give this model's vectors, so nothing was written: of {agreement.items} items a number "
                f"is {difference:.2g} off, in lengths of the largest."
            )
        (partial / "README.md").write_text(card, encoding="utf-8")
    return agreement


Write = Callable[[Path, str], tuple[Agreement, str]]
"""Fills a folder that will have this name, and tells how near its library comes, and the card."""


def _seeing(parts: Model, to: str) -> Write | None:
    """Of a model that takes pictures; None for another."""
    if (seen := vision.seen(parts, to)) is None:
        return None

    def write(folder: Path, name: str) -> tuple[Agreement, str]:
        note = vision.write(folder, parts, seen)
        if to == "transformers":
            return as_seen(folder, parts, seen).noted(note), vision.card(parts, seen, name)
        sentence_transformers.write_pair(folder, parts)
        return as_pair(folder, parts, seen).noted(note), _pair_card(seen, name)

    return write


def _writing(parts: Model, to: str) -> Write | None:
    """Of a translator; None for another, and for the encoder alone, where its whole is none of theirs."""
    if to != "transformers" or not parts.recipe.translates:
        return None
    if (reason := translators.refusal(parts)) is None:
        return lambda folder, name: translators.write(folder, parts, name)
    try:
        family(parts.recipe.encoder.settings)
    except (BadInput, KeyError):
        raise BadInput(f"The model cannot be written for {to}: {reason}.") from None
    return None


def _reading(parts: Model, to: str) -> Write:
    """Of a model that takes texts."""
    model, raw = _texts(parts, to)

    def write(folder: Path, name: str) -> tuple[Agreement, str]:
        raw.save(folder)
        head, note = _encoder(folder, parts, model, raw, to)
        card = _card(parts, model, to, name)
        if to == "transformers":
            return as_transformers(folder, parts, model, head).noted(note), card
        sentence_transformers.write(folder, parts)
        return as_sentence_transformers(folder, parts, model).noted(note), card

    return write


def _texts(parts: Model, to: str) -> tuple[Embedder, Text]:
    """The encoder of texts that is to go out. BadInput for another, and for one that reads as they cannot."""
    recipe, raw, model = parts.recipe, parts.raw, embedder(parts.model)
    reason = None
    if recipe.target is not None or not isinstance(model, Embedder):
        reason = "it has an encoder for each side of a pair"
    elif not isinstance(raw, Text) or not isinstance(model.embedding, TokenEmbedding):
        reason = f"its data are no texts but of the kind '{recipe.kind}'"
    elif raw.separate:
        reason = "its two languages have a vocabulary each (raw.vocabularies separate, not joint)"
    elif model.embedding.filled:
        reason = "its texts are filled up to one length (embedding.filled, not 0)"
    elif to == "transformers" and recipe.encoder.name != "transformer":
        reason = f"its encoder is {recipe.encoder.name}, and all of transformers' are transformers, BERT the nearest"
        reason += "; --to sentence-transformers takes it" if recipe.encoder.name == "dense" else ""
    elif to == "sentence-transformers":
        reason = sentence_transformers.refusal(recipe)
    if reason:
        raise BadInput(f"The model cannot be written for {to}: {reason}.")
    assert isinstance(model, Embedder)
    assert isinstance(raw, Text)
    if isinstance(model.encoder, Dense):
        return model, raw
    if family(recipe.encoder.settings) == "mpnet" and raw.pad != 1:
        raise BadInput(
            f"The model cannot be written for {to}: its padding is token {raw.pad}, and MPNet takes token 1 for that "
            "whatever it is told; with encoder.positions learned, it is a BERT."
        )
    return model, raw


def _encoder(folder: Path, parts: Model, model: Embedder, raw: Text, to: str) -> tuple[Words | None, str | None]:
    """Writes weights and their config.json; the head that went along, or a note why the model's did not."""
    assert isinstance(model.embedding, TokenEmbedding)
    table = model.embedding.weight.detach()
    if isinstance(model.encoder, Dense):
        _save(folder, {"embedding.weight": table})
        return None, None
    settings = parts.recipe.encoder.settings
    tokens = {"pad_token_id": raw.pad, "bos_token_id": raw.start, "eos_token_id": raw.end}
    tokens |= {"cls_token_id": raw.start, "sep_token_id": raw.end}
    config = config_of(settings, raw.size, raw.max_tokens, tokens)
    state = {f"encoder.{name}": value for name, value in model.encoder.state_dict().items()}
    weights = to_hugging_face({**state, "embedding.table.weight": table}, settings)
    objective = next((o for o in parts.objectives.values() if isinstance(o, Masked)), None)
    head, note = None, None
    if objective is not None and to == "transformers":
        reason = misfit(config, objective.readout)
        head = None if reason else objective.readout
        note = f"the head that tells masked words is left out: {reason}" if reason else None
    if head is not None:
        config, weights = with_head(config, weights, head, table)
    _save(folder, weights)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return head, note


def _save(folder: Path, weights: dict[str, Tensor]) -> None:
    save_file(
        {name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors", {"format": "pt"}
    )


def _pair_card(seen: vision.Seen, name: str) -> str:
    """The folder's README.md: how SentenceTransformer gives the vectors of both sides."""
    about = f"Vectors of {seen.model.latent.width} numbers, of pictures and of words."
    code = ["from PIL import Image", "from sentence_transformers import SentenceTransformer", ""]
    code += [f'model = SentenceTransformer("{name}")']
    code += [
        'pictures = model.encode([Image.new("RGB", (64, 48), "red")])',
        'words = model.encode(["a text", "another"])',
    ]
    title = "# An encoder of pictures and words for sentence-transformers"
    return "\n".join([title, f"Exported by raw2vec. {about}", "", "```python", *code, "```", ""])


def _card(parts: Model, model: Embedder, to: str, name: str) -> str:
    """The folder's README.md: what it is, and how its library gives the model's vectors."""
    latent = parts.recipe.latent
    if to == "sentence-transformers":
        code = ["from sentence_transformers import SentenceTransformer", ""]
        code += [f'vectors = SentenceTransformer("{name}").encode(["a text", "another"])']
        about = f"Vectors of {model.latent.width} numbers."
    else:
        code = ["from transformers import AutoModel, AutoTokenizer", ""]
        code += [f'model, tokenizer = AutoModel.from_pretrained("{name}"), AutoTokenizer.from_pretrained("{name}")']
        code += ['batch = tokenizer(["a text", "another"], padding=True, truncation=True, return_tensors="pt")']
        code += ["states = model(**batch).last_hidden_state"]
        told = ", ".join(f"{key} {value}" for key, value in latent.settings.items() if value and key != "places")
        about = f"States of {model.encoder.width} numbers a token. "
        about += f"The model's own vectors are a {latent.name} of them: {told}."
    return "\n".join([f"# An encoder for {to}", f"Exported by raw2vec. {about}", "", "```python", *code, "```", ""])
