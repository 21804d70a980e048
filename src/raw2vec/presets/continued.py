"""What is learned from a checkpoint on: its parts as they are, and smaller steps, for it knows much already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raw2vec.errors import BadInput
from raw2vec.recipe import RETURNING, TEXTS, Recipe

# Steps that do not undo in a minute what took days: of BERT's size what its authors advise, of smaller ones more.
_RATES = ((768, 3e-5), (384, 1e-4), (0, 2e-4))
_BAG_RATE = 1e-3
_HEAD = 20.0  # times as large steps for heads, which begin from nothing


def begun(start: Recipe, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that follow from the checkpoint. BadInput for one that has no say beside it."""
    if options["encoder"] is not None:
        raise BadInput("An encoder has no say beside the checkpoint, which has its own: leave it out.")
    decoder = start.decoder.name if start.decoder and options["objective"] in (*RETURNING, "translation") else None
    return {"encoder": {"name": start.encoder.name, **start.encoder.settings}, "decoder": options["decoder"] or decoder}


def continued(made: Recipe, start: Recipe, name: str, own: bool, latent: int | None = None) -> Recipe:
    """The recipe with the parts of the checkpoint `name`, which is `start`.

    own: `made` was written by the user, whose stages and steps stay. latent: numbers in a vector, if others than the
    checkpoint's are wished for. Its prompts are left out: what is learned here is learned without them. BadInput for
    what cannot begin from it.
    """
    _refuse(made, start, name)
    tree = made.model_dump(mode="json")
    parts = ("raw", "embedding", "encoder", "latent", *(("decoder", "bridge", "likelihood") if made.decoder else ()))
    tree |= {"checkpoint": name} | {part: start.model_dump(mode="json")[part] for part in parts}
    if start.latent.name == "point":
        tree["latent"]["normalize"] = made.latent.settings.get("normalize", "none")
    if latent is not None:
        tree["latent"] |= {"width": latent} | ({"activation": "identity"} if start.latent.name == "point" else {})
    tree["training"]["start"] = "random"
    if not own and made.kind in TEXTS and not made.decoder:
        tree["stages"] = [_stage(stage, start.encoder.name) for stage in tree["stages"][-1:]]
        tree["training"] |= _training(start)
    return Recipe.read(tree)


def _stage(stage: dict[str, Any], encoder: str) -> dict[str, Any]:
    """Without words for others: a whole transformer over many items takes too long a step."""
    if encoder == "dense":
        return stage
    return {**stage, **({"batch_items": 64} if stage["batch_items"] else {"batch_tokens": 2048})}


def _training(start: Recipe) -> dict[str, Any]:
    if start.encoder.name == "dense":
        return {"learning_rate": _BAG_RATE, "full_steps": None}
    width = start.encoder.settings["width"]
    rate = next(rate for least, rate in _RATES if width >= least)
    optimizer = {"name": "adamw", "head_rate": _HEAD}
    # A check reads hundreds of items, and such models are slow: ten of them would leave no time to learn.
    return {"learning_rate": rate, "warmup": 0.1, "full_steps": None, "optimizer": optimizer, "checks": 4}


def _refuse(made: Recipe, start: Recipe, name: str) -> None:
    """BadInput where the data, or what is to be learned of them, are nothing for this checkpoint."""
    kinds = ["text" if recipe.kind in TEXTS else recipe.kind for recipe in (start, made)]
    if kinds[0] != kinds[1] or made.target is not None or start.target is not None:
        told = made.kind if made.target is None else f"{made.kind} and {made.target.kind}"
        raise BadInput(f"The checkpoint {name} reads one kind of data, {start.kind}, and these are {told}.")
    if made.decoder is not None and (start.decoder is None or made.translates != start.translates):
        learned = next(part.name for part in made.objectives if part.name in (*RETURNING, "translation"))
        raise BadInput(
            f"The checkpoint {name} has no way back that '{learned}' could go on from: learn contrastive, supervised "
            "or masked."
        )
