"""A fit that begins from a model: what reads the items, and the weights, taken over."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from torch import Tensor

from raw2vec.build import build_raw
from raw2vec.corpus import Corpus
from raw2vec.errors import BadInput
from raw2vec.folder import Model
from raw2vec.models import AnyModel
from raw2vec.presets import Start
from raw2vec.raw import Raw, Text
from raw2vec.recipe import Recipe, Side
from raw2vec.resolve import reads

_FREE = {"dropout", "limit"}  # settings of an encoder that change nothing of what its weights mean
_LOOKED_AT = 2000  # rows whose unknown tokens are counted
# Shares from which they are told of, and above which they are refused: a word of another script is often two tokens, a
# space that is known and all the rest, which is not.
_SOME_UNKNOWN, _MOST_UNKNOWN = 0.01, 0.4


def start_of(model: Model | None) -> Start | None:
    """What a recipe has to know of the model that a fit begins from, if there is one."""
    return None if model is None else Start(model.recipe, model.model.latent.width)


def raw_of(start: Model, recipe: Recipe, role: str, theirs: str) -> Raw:
    """What reads the items of a side: that of the start's side `theirs`, with what it learned, and with what the recipe
    sets otherwise. BadInput where its encoder would read the start's weights otherwise than they were learned."""
    _refuse_other(start, recipe, role, theirs)
    settings, before, held = _side(recipe, role).raw, _side(start.recipe, theirs).raw, start.raw.side(theirs)
    changed = {name: value for name, value in settings.items() if value != before.get(name)}
    with TemporaryDirectory() as place:
        held.save(Path(place))
        raw: Raw = build_raw(recipe).side(role).load(place, held.settings | changed)
    masked = any(part.name == "masked" for part in recipe.objectives)
    if masked and isinstance(raw, Text) and not raw.masks:
        raise BadInput("This checkpoint's tokenizer has no token for what is masked: learn contrastive or supervised.")
    return raw


def _refuse_other(start: Model, recipe: Recipe, role: str, theirs: str) -> None:
    own, before = (reads(side)["encoder"] for side in (_side(recipe, role), _side(start.recipe, theirs)))
    for name in sorted({*own.settings, *before.settings} - _FREE):
        asked, learned = own.settings.get(name), before.settings.get(name)
        if asked != learned:
            raise BadInput(
                f"encoder.{name} is {asked}, and the weights that the fit begins from were learned with {learned}: "
                "leave it as it is, or learn from nothing, without a checkpoint."
            )


def unread(start: Model | None, recipe: Recipe, corpus: Corpus, raw: Raw) -> list[str]:
    """A sentence for each side of pairs to be translated of which the checkpoint's vocabulary knows not all.

    BadInput where it does not know most of a side.
    """
    if start is None or not recipe.translates or not isinstance(raw, Text):
        return []
    found, some = [], np.arange(min(len(corpus), _LOOKED_AT))
    for place, name in enumerate(corpus.columns):
        values = corpus.gather(some, place).values
        values = values[(values != raw.start) & (values != raw.end)]
        share = float((values == raw.unknown).float().mean()) if len(values) else 0.0
        told = f"{share:.1%} of the tokens of '{name}' are unknown to the checkpoint's vocabulary"
        if share > _MOST_UNKNOWN:
            raise BadInput(f"{told}: it was made for another language or script. Take another, or fit without --from.")
        found += [f"{told}, and are neither read nor written"] if share >= _SOME_UNKNOWN else []
    return found


def take_over(model: AnyModel, start: AnyModel) -> None:
    """Puts the start's weights into the model. A latent, or a way back, of another shape stays as it was drawn.

    What does not learn there does not here.

    BadInput where the embedding or the encoder would not be the start's.
    """
    own = model.state_dict()
    begun = {name: value for name, value in start.state_dict().items() if _fits(value, own.get(name))}
    for name in own:
        part = name.removeprefix("embedder.").split(".")[0]
        if part in ("embedding", "encoder") and name not in begun:
            raise BadInput(
                f"The checkpoint has no weight '{name}' of this shape: the recipe's embedding and encoder have to be "
                "those of the checkpoint that it begins from."
            )
    model.load_state_dict(begun, strict=False)
    fixed = {name for name, weight in start.named_parameters() if not weight.requires_grad}
    for name, weight in model.named_parameters():
        weight.requires_grad_(name not in fixed and weight.requires_grad)


def _side(recipe: Recipe, role: str) -> Recipe | Side:
    return recipe.target if role == "target" and recipe.target is not None else recipe


def _fits(value: Tensor, own: Tensor | None) -> bool:
    return own is not None and own.shape == value.shape
