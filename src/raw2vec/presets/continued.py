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
_GREAT = 384  # the width from which on a transformer of anything but texts was not trained in minutes
Which = Literal["input", "target"]
_PARTS = ("raw", "embedding", "encoder", "latent")
_HEAD = 20.0  # times as large steps for heads, which begin from nothing


def sides_begun(made: Recipe, start: Recipe) -> dict[Which, Which]:
    """Which sides begin as which of the checkpoint's, by their kinds; a single encoder is the input. {}: none can.

    Where a checkpoint of one encoder could be either side of a pair, it is the target.
    """
    own, theirs = _kinds(made), _kinds(start)
    if len(own) == len(theirs):
        ways: tuple[dict[Which, Which], ...] = ({"input": "input"}, {"input": "target"})
        if len(own) == 2:
            ways = ({"input": "input", "target": "target"}, {"input": "target", "target": "input"})
        return next((way for way in ways if all(own[a] == theirs.get(b) for a, b in way.items())), {})
    found: list[tuple[Which, Which]] = [(a, b) for a in reversed(own) for b in theirs if own[a] == theirs[b]]
    return dict(found[:1])


def begun(start: Recipe, options: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The options that follow from the checkpoint, whose side of this kind begins what reads the items.

    BadInput for an option that has no say beside it.
    """
    if options["encoder"] is not None:
        raise BadInput("An encoder has no say beside the checkpoint, which has its own: leave it out.")
    decoder = start.decoder.name if start.decoder and options["objective"] in (*RETURNING, "translation") else None
    own = start.target if start.target is not None and _kind(start.kind) != _kind(kind) else start
    return {"encoder": {"name": own.encoder.name, **own.encoder.settings}, "decoder": options["decoder"] or decoder}


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
    tree, held = made.model_dump(mode="json"), start.model_dump(mode="json")
    own_side = held["target"] if sides_begun(made, start)["input"] == "target" else held
    back = {part: held[part] for part in ("decoder", "bridge", "likelihood")} if made.decoder else {}
    tree |= {"checkpoint": name} | {part: own_side[part] for part in _PARTS} | back
    if start.latent.name == "point":
        tree["latent"]["normalize"] = made.latent.settings.get("normalize", "none")
    if latent is not None:
        tree["latent"] |= {"width": latent} | ({"activation": "identity"} if start.latent.name == "point" else {})
    tree["training"]["start"] = "random"
    if tree["raw"].get("vocabularies") == "shared" and not made.translates:
        tree["raw"]["vocabularies"] = "joint"  # there is one language, or both are read alike
    encoder = own_side["encoder"]
    great = encoder["name"] == "transformer" and (not start.learned or encoder["width"] >= _GREAT)
    learns = not start.learned if made.translates else not made.decoder
    if not own and learns and (made.kind in TEXTS or great):
        tree["stages"] = [_stage(stage, encoder["name"]) for stage in tree["stages"][-1:]]
        tree["training"] |= _training(encoder)
    return Recipe.read(tree)


def _sided(made: Recipe, begin: Start, name: str, own: bool, latent: int | None) -> Recipe:
    """One side begins as the checkpoint and stays as it is, the other learns to find it (LiT; Zhai et al. 2022).

    A checkpoint of such pairs begins both, and both learn.
    """
    if latent not in (None, begin.width):
        raise BadInput(f"Vectors of pairs that begin from {name} have its {begin.width} numbers: leave out the latent.")
    tree, start = (each.model_dump(mode="json") for each in (made, begin.recipe))
    ways = sides_begun(made, begin.recipe)
    if len(ways) == 2:
        return Recipe.read(_both(tree, start, ways, own) | {"checkpoint": name})
    (role,) = ways
    side, other = (tree["target"], tree) if role == "target" else (tree, tree["target"])
    side |= {part: start[part] for part in _PARTS}
    for each in (side, other):
        each["latent"]["normalize"] = "unit"
    other["latent"]["width"] = begin.width
    if not own:
        tree["stages"] = [{**stage, "frozen": [role]} for stage in tree["stages"]]
    return Recipe.read(tree | {"checkpoint": name})


def _both(tree: dict[str, Any], start: Mapping[str, Any], ways: Mapping[Which, Which], own: bool) -> dict[str, Any]:
    """Both sides begin as the checkpoint's, and find each other as they did there: by its loss and temperature."""
    for role, theirs in ways.items():
        begun = start["target"] if theirs == "target" else start
        (tree["target"] if role == "target" else tree).update({part: begun[part] for part in _PARTS})
    if not own:
        before = [part for stage in start["stages"] for part in stage["objectives"] if part["name"] == "contrastive"]
        kept = {key: part[key] for part in before for key in ("loss", "temperature") if key in part}
        for stage in tree["stages"]:
            parts = stage["objectives"]
            stage["objectives"] = [part | (kept if part["name"] == "contrastive" else {}) for part in parts]
        tree["stages"] = [_stage(stage, tree["encoder"]["name"]) for stage in tree["stages"]]
        tree["training"] |= _training(tree["encoder"])
        tree["training"]["start"] = "random"
    return tree


def _stage(stage: dict[str, Any], encoder: str) -> dict[str, Any]:
    """Without words for others: a whole transformer over many items takes too long a step."""
    if encoder == "dense":
        return stage
    return {**stage, **({"batch_items": 64} if stage["batch_items"] else {"batch_tokens": 2048})}


def _training(encoder: Mapping[str, Any]) -> dict[str, Any]:
    if encoder["name"] == "dense":
        return {"learning_rate": _BAG_RATE, "full_steps": None}
    width = encoder["width"]
    rate = next(rate for least, rate in _RATES if width >= least)
    optimizer = {"name": "adamw", "head_rate": _HEAD}
    # A check reads hundreds of items, and such models are slow: ten of them would leave no time to learn.
    return {"learning_rate": rate, "warmup": 0.1, "full_steps": None, "optimizer": optimizer, "checks": 4}


def _refuse(made: Recipe, start: Recipe, name: str) -> None:
    """BadInput where the data, or what is to be learned of them, are nothing for this checkpoint."""
    if not sides_begun(made, start):
        told, known = (" and ".join(dict.fromkeys(_kinds(each).values())) for each in (made, start))
        one = "one kind of data, " if start.target is None else ""
        raise BadInput(f"The checkpoint {name} reads {one}{known}, and these are {told}.")
    if made.decoder is not None and (start.decoder is None or made.translates != start.translates):
        learned = next(part.name for part in made.objectives if part.name in (*RETURNING, "translation"))
        raise BadInput(
            f"The checkpoint {name} has no way back that '{learned}' could go on from: learn contrastive, supervised "
            "or masked."
        )


def _kinds(recipe: Recipe) -> dict[Which, str]:
    """The kind of each side that has an encoder."""
    found: dict[Which, str] = {"input": _kind(recipe.kind)}
    return found if recipe.target is None else {**found, "target": _kind(recipe.target.kind)}


def _kind(kind: str) -> str:
    return "text" if kind in TEXTS else kind
