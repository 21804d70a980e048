"""A recipe made whole before anything is built: every name known, every setting checked and written out."""

from collections.abc import Callable, Mapping
from typing import Any

from raw2vec.build import (
    BRIDGES,
    DECODERS,
    DUAL,
    ENCODERS,
    FACTS,
    GIVEN,
    LATENTS,
    LIKELIHOODS,
    OBJECTIVES,
    RAWS,
    WRITERS,
    embedding_of,
    objective_of,
)
from raw2vec.errors import BadInput
from raw2vec.layers import GATES, activation
from raw2vec.recipe import RETURNING, TEXTS, Part, Recipe, Side
from raw2vec.rows import Filtered
from raw2vec.settings import checked, known


def resolve(recipe: Recipe) -> Recipe:
    """The recipe with every name known and every setting checked and written out: later defaults change nothing.

    An encoder's own width is a setting; what it takes (`inputs`) follows from the embedding.
    """
    if not recipe.stages:
        raise BadInput("The recipe has no stages: it says nothing that could be learned.")
    if recipe.training.minutes is None and recipe.training.steps is None:
        raise BadInput("The recipe has no budget: give it training.minutes or training.steps.")
    parts = reads(recipe)
    if parts["raw"].get("vocabularies") in ("separate", "shared"):
        _refuse_one_language(recipe)
    if recipe.target is not None:
        _refuse_unpaired(recipe)
        parts["target"] = recipe.target.model_copy(update=reads(recipe.target))
    stages = [
        stage.model_copy(update={"objectives": tuple(_objective(part, recipe) for part in stage.objectives)})
        for stage in recipe.stages
    ]
    _refuse_unlabelled(recipe)
    _refuse_unscored(recipe)
    _refuse_more_rows(recipe)
    if recipe.translates:
        pair = dict.fromkeys(("rows", "source", "target"))
        recipe = recipe.model_copy(update={"filters": checked(Filtered, recipe.filters, "What is left out", pair)})
    elif recipe.filters:
        raise BadInput("Filters leave out pairs that a translator is not to learn from: they are for 'translation'.")
    elif recipe.placeholders:
        raise BadInput("Placeholders are protected in what a translator writes: that is for 'translation' alone.")
    return recipe.model_copy(update=parts | {"stages": tuple(stages)} | _way_back(recipe))


def reads(side: Recipe | Side) -> dict[str, Any]:
    """What reads the items of a side, its settings written out."""
    encoder = _part(ENCODERS, side.encoder, "encoder")
    width = {"width": encoder.settings["width"]} | side.embedding
    return {
        "raw": checked(known(RAWS, side.kind, "kind of data"), side.raw, f"The {side.kind}", {}),
        "encoder": encoder,
        "embedding": checked(embedding_of(side.kind), width, "The embedding", FACTS),
        "latent": _part(LATENTS, side.latent, "latent"),
    }


def _refuse_unpaired(recipe: Recipe) -> None:
    """BadInput where an encoder for targets has no targets, or is asked for what two encoders cannot do together."""
    if "target" not in recipe.columns:
        raise BadInput("An encoder for targets needs pairs: name the column of targets with --target.")
    if other := next((part.name for part in recipe.objectives if part.name not in DUAL), None):
        known_ones = " and ".join(DUAL)
        raise BadInput(
            f"Two encoders that find each other know no objective '{other}': there is {known_ones} for them."
        )
    if recipe.decoder is not None:
        raise BadInput("Two encoders that find each other have no way back: leave out the decoder.")


def _refuse_one_language(recipe: Recipe) -> None:
    """BadInput where sides cannot have vocabularies of their own."""
    shared = recipe.raw.get("vocabularies") == "shared"
    if not recipe.translates and not shared:
        raise BadInput("Separate vocabularies are for two languages: raw.vocabularies is for 'translation' alone.")
    if not shared and (both := sorted(recipe.translated("input") & recipe.translated("target"))):
        raise BadInput(f"The column '{both[0]}' is both read and written, so that raw.vocabularies cannot be separate.")
    if any(part.settings.get("autoencode") for part in recipe.objectives):
        raise BadInput(
            "With pieces for each language only the target's are written, so that no input can come back: leave out "
            "autoencode, or set raw.vocabularies to joint."
        )


def _refuse_unlabelled(recipe: Recipe) -> None:
    wanted = [part.name for part in recipe.objectives if OBJECTIVES[part.name].needs == "labels"]
    if wanted and "label" not in recipe.columns:
        raise BadInput(f"The objective '{wanted[0]}' learns labels: name their column with --label, or hand in y.")


def _refuse_more_rows(recipe: Recipe) -> None:
    """BadInput where a text has rows that are none of its tokens, and tokens are to be told from rows."""
    if recipe.kind not in TEXTS:
        return
    filled, first = recipe.embedding.get("filled"), recipe.encoder.settings.get("class_tokens")
    masked = any(part.name == "masked" for part in recipe.objectives)
    if filled and (masked or recipe.decoder is not None):
        raise BadInput("Texts that are filled up to one length (embedding.filled) are not told token by token.")
    if first and masked:
        raise BadInput("Texts with class tokens before them (encoder.class_tokens) know no objective 'masked'.")


def _refuse_unscored(recipe: Recipe) -> None:
    score = recipe.training.judged_by
    if score != "loss" and not recipe.translates:
        raise BadInput(f"training.judged_by is {score}, which scores translations; this model makes none: use loss.")
    if score != "loss" and not recipe.training.hold_out:
        raise BadInput(f"training.judged_by is {score} of lines held out, but training.hold_out is 0: raise it.")


def _way_back(recipe: Recipe) -> dict[str, Part]:
    """The settings of the decoder and of its likelihood, or of a writer and its bridge, where there is a decoder."""
    needed = [part.name for part in recipe.objectives if part.name in (*RETURNING, "translation")]
    if recipe.translates and (recipe.kind != "pairs" or "target" not in recipe.columns):
        raise BadInput("The objective 'translation' learns from pairs of texts: name both, with --input and --target.")
    if recipe.decoder is None:
        if needed:
            raise BadInput(f"The objective '{needed[0]}' needs a decoder: name one, {', '.join(DECODERS)}.")
        return {}
    if recipe.kind in TEXTS:
        return _writer(recipe, recipe.decoder, recipe.returns)
    likelihood = _part(LIKELIHOODS, recipe.likelihood or Part(name="gaussian"), "likelihood")
    return {"decoder": _part(DECODERS, recipe.decoder, "decoder"), "likelihood": likelihood}


def _writer(recipe: Recipe, decoder: Part, autoencoder: bool) -> dict[str, Part]:
    """The settings of a decoder of texts and of its bridge: a text that is to come back comes by its vector alone."""
    if decoder.name in DECODERS and decoder.name not in WRITERS:
        raise BadInput(f"Texts are written token by token: of decoders there is {', '.join(WRITERS)} for them.")
    if recipe.raw.get("boundaries") in ("none", "sep") and recipe.raw.get("vocabularies") != "shared":
        raise BadInput(
            "A text that is to be written needs a beginning and an end: set raw.boundaries to cls-sep; or, of a Marian "
            "checkpoint, put its target.spm into its folder, by which translations are cut into pieces."
        )
    made = _part(WRITERS, decoder, "decoder of texts")
    known_ones = WRITERS[decoder.name].bridges
    bridge = recipe.bridge or Part(name="fixed" if autoencoder else known_ones[0])
    if bridge.name in BRIDGES and bridge.name not in known_ones:
        raise BadInput(f"A {decoder.name} decoder knows no bridge '{bridge.name}': it has {' and '.join(known_ones)}.")
    if autoencoder and bridge.name != "fixed":
        raise BadInput(
            f"A text that is to come back comes by its vector alone: its bridge is 'fixed', not '{bridge.name}'."
        )
    settings = checked(known(BRIDGES, bridge.name, "bridge"), bridge.settings, f"The bridge '{bridge.name}'", {})
    return {"decoder": made, "bridge": Part(name=bridge.name, **settings)}


def _part(table: Mapping[str, Callable[..., Any]], part: Part, what: str) -> Part:
    constructor = known(table, part.name, what)
    settings = checked(constructor, part.settings, f"The {what} '{part.name}'", FACTS)
    if "activation" in settings and not (part.name == "transformer" and settings["activation"] in GATES):
        activation(settings["activation"])  # refused here though no layer may use it: a bag has none
    return type(part)(name=part.name, **settings)


def _objective(part: Part, recipe: Recipe) -> Part:
    settings = checked(objective_of(part.name, recipe), part.settings, f"The objective '{part.name}'", GIVEN)
    return type(part)(name=part.name, **settings, weight=getattr(part, "weight", 1.0))
