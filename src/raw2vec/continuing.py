"""A fit that begins from a model: what reads the items, and the weights, taken over."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from raw2vec.build import build_raw
from raw2vec.errors import BadInput
from raw2vec.folder import Model
from raw2vec.models import AnyModel
from raw2vec.presets import Start
from raw2vec.raw import Raw, Text
from raw2vec.recipe import Recipe, Side


def start_of(model: Model | None) -> Start | None:
    """What a recipe has to know of the model that a fit begins from, if there is one."""
    return None if model is None else Start(model.recipe, model.model.latent.width)


def raw_of(start: Model, recipe: Recipe, role: str, theirs: str) -> Raw:
    """What reads the items of a side: that of the start's side `theirs`, with what it learned, and with what the recipe
    sets otherwise."""
    settings, before, held = _side(recipe, role).raw, _side(start.recipe, theirs).raw, start.raw.side(theirs)
    changed = {name: value for name, value in settings.items() if value != before.get(name)}
    with TemporaryDirectory() as place:
        held.save(Path(place))
        raw: Raw = build_raw(recipe).side(role).load(place, held.settings | changed)
    masked = any(part.name == "masked" for part in recipe.objectives)
    if masked and isinstance(raw, Text) and not raw.masks:
        raise BadInput("This checkpoint's tokenizer has no token for what is masked: learn contrastive or supervised.")
    return raw


def take_over(model: AnyModel, start: AnyModel) -> None:
    """Puts the start's weights into the model. A latent, or a way back, of another shape stays as it was drawn.

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


def _side(recipe: Recipe, role: str) -> Recipe | Side:
    return recipe.target if role == "target" and recipe.target is not None else recipe


def _fits(value: Tensor, own: Tensor | None) -> bool:
    return own is not None and own.shape == value.shape
