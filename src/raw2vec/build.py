"""From a recipe to its parts: the only tables from names to classes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Literal

import torch
from torch import nn

from raw2vec import decoders
from raw2vec.decoders import Bridge, Decoder, Writer, bridges
from raw2vec.embedding import ColumnEmbedding, Embedding, PatchEmbedding, TokenEmbedding
from raw2vec.encoders import Convolutional, Dense, Encoder, Recurrent, Transformer
from raw2vec.errors import BadInput
from raw2vec.latents import Gaussian, Latent, Point, Quantised
from raw2vec.layers import GATES, activation
from raw2vec.likelihood import Bernoulli, Categorical, DiscretisedLogistic, Likelihood
from raw2vec.likelihood import Gaussian as Normal
from raw2vec.models import AnyModel, Embedder, GridAutoencoder, SequenceToSequence
from raw2vec.objectives import (
    Contrastive,
    ContrastivePictures,
    ContrastiveViews,
    Masked,
    MaskedPatches,
    Objective,
    Reconstruction,
    Supervised,
    Timestamps,
    Translation,
    Variational,
    VICReg,
)
from raw2vec.raw import Audio, Form, Image, Raw, Series, Table, Text
from raw2vec.readout import ColumnReadout, PatchReadout, Readout, TokenReadout
from raw2vec.recipe import RETURNING, Part, Recipe
from raw2vec.rows import Filtered
from raw2vec.seeding import key
from raw2vec.settings import checked, construct, known

RAWS: dict[str, type[Raw]] = {
    "text": Text,
    "pairs": Text,
    "image": Image,
    "audio": Audio,
    "series": Series,
    "table": Table,
}
EMBEDDINGS: dict[str, type[Embedding]] = {"text": TokenEmbedding, "pairs": TokenEmbedding, "table": ColumnEmbedding}
ENCODERS: dict[str, Callable[..., Encoder]] = {
    "dense": Dense,
    "recurrent": Recurrent,
    "convolutional": Convolutional,
    "transformer": Transformer,
}
LATENTS: dict[str, type[Latent]] = {"point": Point, "gaussian": Gaussian, "quantised": Quantised}
DECODERS: dict[str, type[Decoder]] = {
    "dense": decoders.Dense,
    "recurrent": decoders.Recurrent,
    "convolutional": decoders.Convolutional,
    "transformer": decoders.Transformer,
}
WRITERS: dict[str, type[Writer]] = {
    "recurrent": decoders.RecurrentWriter,
    "convolutional": decoders.ConvolutionalWriter,
    "transformer": decoders.TransformerWriter,
}
"""Decoders of texts, which tell token after token."""
BRIDGES: dict[str, Callable[..., Bridge]] = {
    "fixed": bridges.fixed,
    "attention": bridges.attention,
    "cross-attention": bridges.cross_attention,
}
"""What a decoder of texts is told of what was read."""
LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "gaussian": Normal,
    "discretised-logistic": DiscretisedLogistic,
    "categorical": Categorical,
}
OBJECTIVES: dict[str, type[Objective]] = {
    "masked": Masked,
    "contrastive": Contrastive,
    "vicreg": VICReg,
    "supervised": Supervised,
    "reconstruction": Reconstruction,
    "variational": Variational,
    "translation": Translation,
}
_UNLIKE: dict[str, dict[str, type[Objective]]] = {
    "masked": dict.fromkeys(("image", "audio", "series"), MaskedPatches),
    "contrastive": {"image": ContrastivePictures, "audio": ContrastiveViews, "series": Timestamps},
    "vicreg": {"image": VICReg},
    "translation": {},
}
"""What an objective is for kinds that have no tokens, where it is not one and the same for all."""
_WORDLESS = ("vicreg",)
"""What is no objective of texts."""

_TEXTS = ("text", "pairs")
# What parts and, after them, objectives are given by the data and by their neighbours: never a setting of a recipe.
_NEIGHBOURS = ("inputs", "places", "latent", "memory", "score", "coverage")
_FACTS = dict.fromkeys((*(field.name for field in fields(Form)), *_NEIGHBOURS))
_GIVEN = dict.fromkeys(
    ("merges", "inputs", "latent", "vocabulary", "mask_id", "ordinary", "channels", "sizes", "outcomes", "task")
)


def resolve(recipe: Recipe) -> Recipe:
    """The recipe with every name known and every setting checked and written out: later defaults change nothing.

    An encoder's own width is a setting; what it takes (`inputs`) follows from the embedding.
    """
    if recipe.training.minutes is None and recipe.training.steps is None:
        raise BadInput("The recipe has no budget: give it training.minutes or training.steps.")
    raw = checked(known(RAWS, recipe.kind, "kind of data"), recipe.raw, f"The {recipe.kind}", {})
    if raw.get("vocabularies") == "separate":
        _refuse_one_language(recipe)
    encoder = _part(ENCODERS, recipe.encoder, "encoder")
    width = {"width": encoder.settings["width"]} | recipe.embedding
    embedding = checked(_embedding(recipe.kind), width, "The embedding", _FACTS)
    latent = _part(LATENTS, recipe.latent, "latent")
    stages = [
        stage.model_copy(update={"objectives": tuple(_objective(part, recipe.kind) for part in stage.objectives)})
        for stage in recipe.stages
    ]
    _refuse_unlabelled(recipe)
    _refuse_unscored(recipe)
    if recipe.translates:
        pair = dict.fromkeys(("rows", "source", "target"))
        recipe = recipe.model_copy(update={"filters": checked(Filtered, recipe.filters, "What is left out", pair)})
    elif recipe.filters:
        raise BadInput("Filters leave out pairs that a translator is not to learn from: they are for 'translation'.")
    elif recipe.placeholders:
        raise BadInput("Placeholders are protected in what a translator writes: that is for 'translation' alone.")
    parts = {"raw": raw, "encoder": encoder, "embedding": embedding, "latent": latent, "stages": tuple(stages)}
    return recipe.model_copy(update=parts | _way_back(recipe))


def _refuse_one_language(recipe: Recipe) -> None:
    """BadInput where sides cannot have vocabularies of their own."""
    if not recipe.translates:
        raise BadInput("Separate vocabularies are for two languages: raw.vocabularies is for 'translation' alone.")
    if both := sorted(recipe.translated("input") & recipe.translated("target")):
        raise BadInput(f"The column '{both[0]}' is both read and written, so that raw.vocabularies cannot be separate.")
    if any(part.settings.get("autoencode") for part in recipe.objectives):
        raise BadInput(
            "With separate vocabularies only the target's words are written, so that no input can come back: leave out "
            "autoencode, or set raw.vocabularies to joint."
        )


def _refuse_unlabelled(recipe: Recipe) -> None:
    wanted = [part.name for part in recipe.objectives if OBJECTIVES[part.name].needs == "labels"]
    if wanted and "label" not in recipe.columns:
        raise BadInput(f"The objective '{wanted[0]}' learns labels: name their column with --label, or hand in y.")


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
    if recipe.kind in _TEXTS:
        return _writer(recipe, recipe.decoder, recipe.returns)
    likelihood = _part(LIKELIHOODS, recipe.likelihood or Part(name="gaussian"), "likelihood")
    return {"decoder": _part(DECODERS, recipe.decoder, "decoder"), "likelihood": likelihood}


def _writer(recipe: Recipe, decoder: Part, autoencoder: bool) -> dict[str, Part]:
    """The settings of a decoder of texts and of its bridge: a text that is to come back comes by its vector alone."""
    if decoder.name in DECODERS and decoder.name not in WRITERS:
        raise BadInput(f"Texts are written token by token: of decoders there is {', '.join(WRITERS)} for them.")
    if recipe.raw.get("boundaries") == "none":
        raise BadInput("A text that is to be written needs to know its end: set raw.boundaries to cls-sep.")
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


def build_raw(recipe: Recipe) -> Raw:
    """The raw kind of the recipe, not yet learned."""
    made: Raw = RAWS[recipe.kind](**recipe.raw)
    return made


def build_model(recipe: Recipe, raw: Raw) -> AnyModel:
    """The model of a resolved recipe, its weights drawn from its seed; an Autoencoder where there is a decoder."""
    with torch.random.fork_rng([]):
        torch.manual_seed(key(recipe.seed, "weights"))
        facts: dict[str, Any] = dict(vars(raw.form))
        embedding = construct(_embedding(recipe.kind), recipe.embedding, "The embedding", **facts)
        facts |= {"inputs": embedding.width}
        encoder = _made(ENCODERS, recipe.encoder, "encoder", facts)
        grid = None if raw.form.shape is None else embedding.grids(torch.tensor([raw.form.shape]))
        last = None if grid is None else encoder.grids(grid)[-1]
        facts |= {"inputs": encoder.width, "places": 0 if last is None else int(last.prod())}
        latent = _made(LATENTS, recipe.latent, "latent", facts)
        embedder = Embedder(embedding, encoder, latent)
        if recipe.decoder is None:
            return embedder
        if recipe.kind in _TEXTS:
            return _sequence_to_sequence(recipe, embedder, raw.form)
        rows = None if grid is None else tuple(grid[0].tolist())
        facts |= {"latent": latent.width, "shape": rows, "places": math.prod(rows or (0,))}
        decoder = _made(DECODERS, recipe.decoder, "decoder", facts)
        return GridAutoencoder(embedder, decoder, _readout(recipe, vars(raw.form) | {"inputs": decoder.width}))


def _sequence_to_sequence(recipe: Recipe, embedder: Embedder, form: Form) -> SequenceToSequence:
    assert recipe.decoder is not None, "it writes"
    assert isinstance(embedder.embedding, TokenEmbedding), "it writes tokens"
    bridge: Bridge = _made(BRIDGES, recipe.bridge or Part(name="fixed"), "bridge", {})
    facts = {"latent": embedder.latent.width, "inputs": embedder.embedding.width}
    facts |= {"memory": embedder.encoder.width if bridge.looks else 0}
    look = {"score": bridge.score, "coverage": bridge.coverage}
    writer: Writer = _made(WRITERS, recipe.decoder, "decoder", facts | look)
    table = embedder.embedding.table if writer.words == "tied" else None
    readout = TokenReadout(writer.width, form.written, form.ending or 0, form.beginning or 0, table)
    return SequenceToSequence(embedder, writer, readout)


def _made(table: Mapping[str, Callable[..., Any]], part: Part, what: str, facts: Mapping[str, Any]) -> Any:
    return construct(table[part.name], part.settings, f"The {what} '{part.name}'", **facts)


def _embedding(kind: str) -> type[Embedding]:
    return EMBEDDINGS.get(kind, PatchEmbedding)


def _readout(recipe: Recipe, facts: Mapping[str, Any]) -> Readout:
    assert recipe.likelihood is not None, "resolve fills it in"
    if recipe.kind == "table":
        return ColumnReadout(facts["inputs"], facts["categories"], **recipe.likelihood.settings)
    values: Literal["pixels", "numbers"] = "pixels" if recipe.kind == "image" else "numbers"
    likelihood = _made(LIKELIHOODS, recipe.likelihood, "likelihood", {})
    given = {name: facts[name] for name in ("inputs", "channels", "dimensions", "shape")}
    return PatchReadout(**given, patch=recipe.embedding["patch"], likelihood=likelihood, values=values)


def build_objectives(recipe: Recipe, raw: Raw, model: AnyModel, task: str | None, outcomes: int) -> nn.ModuleDict:
    """Each objective of the recipe, by stage and name ("1/contrastive"). `task` and `outcomes` are the labels' own."""
    given = {
        "inputs": model.encoder.width,
        "latent": model.latent.width,
        "vocabulary": raw.form.vocabulary,
        "channels": raw.form.channels,
        "sizes": _patch_of(model, raw.form),
        "merges": raw.merges if isinstance(raw, Text) and recipe.translates else None,
        "mask_id": raw.mask if isinstance(raw, Text) else 0,
        "ordinary": raw.ordinary if isinstance(raw, Text) else range(0),
        "outcomes": outcomes,
        "task": task or "classes",
    }
    made = nn.ModuleDict()
    with torch.random.fork_rng([]):
        torch.manual_seed(key(recipe.seed, "heads"))
        for place, stage in enumerate(recipe.stages):
            for part in stage.objectives:
                constructor, where = objective_called(part.name, recipe.kind), f"The objective '{part.name}'"
                _refuse_wider(part, model.latent.width)
                made[f"{place}/{part.name}"] = construct(constructor, part.settings, where, **given)
    return made


def _refuse_wider(part: Part, width: int) -> None:
    """Matryoshka's widths are the first numbers of a vector: none is wider."""
    for count in part.settings.get("dimensions", ()):
        if not 1 <= count <= width:
            raise BadInput(
                f"The objective '{part.name}' is to learn the first {count} numbers of a vector, which has {width}: "
                f"give dimensions of 1 to {width}, or a wider latent."
            )


def _patch_of(model: AnyModel, form: Form) -> tuple[int, ...]:
    """How long a patch is along each axis; () where items are not cut: tokens, columns, items of one patch."""
    if not isinstance(model.embedding, PatchEmbedding):
        return ()
    uncut = form.shape is not None and int(model.embedding.grids(torch.tensor([form.shape])).prod()) == 1
    return () if uncut else model.embedding.sizes


def _part(table: Mapping[str, Callable[..., Any]], part: Part, what: str) -> Part:
    constructor = known(table, part.name, what)
    settings = checked(constructor, part.settings, f"The {what} '{part.name}'", _FACTS)
    if "activation" in settings and not (part.name == "transformer" and settings["activation"] in GATES):
        activation(settings["activation"])  # refused here though no layer may use it: a bag has none
    return type(part)(name=part.name, **settings)


def objective_called(name: str, kind: str) -> type[Objective]:
    """The objective of this name for this kind of data; BadInput where there is none."""
    found: type[Objective] = known(OBJECTIVES, name, "objective")
    if name not in _UNLIKE or (kind in _TEXTS and name not in _WORDLESS):
        return found
    if kind not in _UNLIKE[name]:
        others = ", ".join(other for other in OBJECTIVES if _is_for(other, kind))
        raise BadInput(f"There is no objective '{name}' for the kind '{kind}' yet; for it there is {others}.")
    return _UNLIKE[name][kind]


def _is_for(name: str, kind: str) -> bool:
    return name not in _WORDLESS if kind in _TEXTS else kind in _UNLIKE.get(name, {kind})


def _objective(part: Part, kind: str) -> Part:
    settings = checked(objective_called(part.name, kind), part.settings, f"The objective '{part.name}'", _GIVEN)
    return type(part)(name=part.name, **settings, weight=getattr(part, "weight", 1.0))
