"""What is learned from a checkpoint on: its parts as they are, and smaller steps, for it knows much already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from raw2vec.errors import BadInput
from raw2vec.presets.base import Start
from raw2vec.recipe import RETURNING, TEXTS, Recipe

# Steps that do not undo in a minute what took days: of BERT's size what its authors advise, of smaller ones more.
_RATES = ((768, 3e-5), (384, 1e-4), (0, 2e-4))
_BAG_RATE = 1e-3
_HEAD = 20.0  # times as large steps for heads, which begin from nothing


def side_begun(made: Recipe, start: Recipe) -> Literal["input", "target"] | None:
    """Which side of pairs with an encoder each begins as the checkpoint, the target where both are of its kind; None:
    a single encoder does."""
    if made.target is None:
        return None
    return "target" if _kind(made.target.kind) == _kind(start.kind) else "input"


def begun(start: Recipe, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that follow from the checkpoint. BadInput for one that has no say beside it."""
    if options["encoder"] is not None:
        raise BadInput("An encoder has no say beside the checkpoint, which has its own: leave it out.")
    decoder = start.decoder.name if start.decoder and options["objective"] in (*RETURNING, "translation") else None
    return {"encoder": {"name": start.encoder.name, **start.encoder.settings}, "decoder": options["decoder"] or decoder}


def continued(made: Recipe, begin: Start, name: str, own: bool, latent: int | None = None) -> Recipe:
    """The recipe with the parts of the checkpoint `name`, which is where it begins.

    own: `made` was written by the user, whose stages and steps stay. latent: numbers in a vector, if others than the
    checkpoint's are wished for. Its prompts are left out: what is learned here is learned without them. BadInput for
    what cannot begin from it. See `_sided` for pairs with an encoder for each side.
    """
    start = begin.recipe
    _refuse(made, start, name)
    if made.target is not None:
        return _sided(made, begin, name, own, latent)
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


def _sided(made: Recipe, begin: Start, name: str, own: bool, latent: int | None) -> Recipe:
    """One side begins as the checkpoint and stays as it is, the other learns to find it (LiT; Zhai et al. 2022)."""
    if latent not in (None, begin.width):
        raise BadInput(f"Vectors of pairs that begin from {name} have its {begin.width} numbers: leave out the latent.")
    role = side_begun(made, begin.recipe)
    tree, start = (each.model_dump(mode="json") for each in (made, begin.recipe))
    side, other = (tree["target"], tree) if role == "target" else (tree, tree["target"])
    side |= {part: start[part] for part in ("raw", "embedding", "encoder", "latent")}
    for each in (side, other):
        each["latent"]["normalize"] = "unit"
    other["latent"]["width"] = begin.width
    if not own:
        tree["stages"] = [{**stage, "frozen": [role]} for stage in tree["stages"]]
    return Recipe.read(tree | {"checkpoint": name})


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
    kinds = [_kind(side.kind) for side in (made, made.target) if side is not None]
    if _kind(start.kind) not in kinds or start.target is not None:
        told = made.kind if made.target is None else f"{made.kind} and {made.target.kind}"
        raise BadInput(f"The checkpoint {name} reads one kind of data, {start.kind}, and these are {told}.")
    if made.decoder is not None and (start.decoder is None or made.translates != start.translates):
        learned = next(part.name for part in made.objectives if part.name in (*RETURNING, "translation"))
        raise BadInput(
            f"The checkpoint {name} has no way back that '{learned}' could go on from: learn contrastive, supervised "
            "or masked."
        )


def _kind(kind: str) -> str:
    return "text" if kind in TEXTS else kind
