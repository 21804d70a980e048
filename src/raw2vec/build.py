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
from raw2vec.likelihood import Bernoulli, Categorical, DiscretisedLogistic, Likelihood
from raw2vec.likelihood import Gaussian as Normal
from raw2vec.models import AnyModel, DualEncoder, Embedder, GridAutoencoder, SequenceToSequence
from raw2vec.objectives import (
    Contrastive,
    ContrastivePictures,
    ContrastiveSides,
    ContrastiveViews,
    Distillation,
    Masked,
    MaskedPatches,
    Objective,
    Reconstruction,
    Supervised,
    SupervisedPictures,
    Timestamps,
    Translation,
    Variational,
    VICReg,
)
from raw2vec.raw import Audio, Form, Image, Raw, Series, Table, Text
from raw2vec.readout import ColumnReadout, PatchReadout, Readout, TokenReadout
from raw2vec.recipe import TEXTS, Part, Recipe, Side
from raw2vec.seeding import key
from raw2vec.settings import construct, known

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
    "distillation": Distillation,
    "reconstruction": Reconstruction,
    "variational": Variational,
    "translation": Translation,
}
_UNLIKE: dict[str, dict[str, type[Objective]]] = {
    "masked": dict.fromkeys(("image", "audio", "series"), MaskedPatches),
    "contrastive": {"image": ContrastivePictures, "audio": ContrastiveViews, "series": Timestamps},
    "vicreg": {"image": VICReg},
    "supervised": {**dict.fromkeys(("audio", "series", "table"), Supervised), "image": SupervisedPictures},
    "translation": {},
}
"""What an objective is for kinds that have no tokens, where it is not one and the same for all."""
_WORDLESS = ("vicreg",)
"""What is no objective of texts."""

DUAL: dict[str, type[Objective]] = {"contrastive": ContrastiveSides, "supervised": Supervised}
"""What an objective is for pairs whose sides have an encoder each."""

# What parts and, after them, objectives are given by the data and by their neighbours: never a setting of a recipe.
_NEIGHBOURS = ("inputs", "places", "latent", "memory", "score", "coverage")
FACTS = dict.fromkeys((*(field.name for field in fields(Form)), *_NEIGHBOURS))
GIVEN = dict.fromkeys(
    (
        *("merges", "inputs", "latent", "vocabulary", "mask_id", "ordinary", "target_ordinary", "channels"),
        *("sizes", "outcomes", "task"),
    )
)


def build_raw(recipe: Recipe) -> Raw:
    """The raw kind of the recipe, and of its targets where they are read apart; not yet learned."""
    made: Raw = RAWS[recipe.kind](**recipe.raw)
    if recipe.target is not None:
        made.partner = RAWS[recipe.target.kind](**recipe.target.raw)
    return made


def build_model(recipe: Recipe, raw: Raw) -> AnyModel:
    """The model of a resolved recipe, its weights drawn from its seed; an Autoencoder where there is a decoder."""
    with torch.random.fork_rng([]):
        torch.manual_seed(key(recipe.seed, "weights"))
        embedder = _embedder(recipe, raw.form)
        if recipe.target is not None:
            return DualEncoder(embedder, _of_one_width(embedder, _embedder(recipe.target, raw.side("target").form)))
        if recipe.decoder is None:
            return embedder
        if recipe.kind in TEXTS:
            return _sequence_to_sequence(recipe, embedder, raw.form)
        grid = _first_grid(embedder.embedding, raw.form)
        rows = None if grid is None else tuple(grid[0].tolist())
        facts = dict(vars(raw.form)) | {"inputs": embedder.encoder.width, "latent": embedder.latent.width}
        facts |= {"shape": rows, "places": math.prod(rows or (0,))}
        decoder = _made(DECODERS, recipe.decoder, "decoder", facts)
        return GridAutoencoder(embedder, decoder, _readout(recipe, vars(raw.form) | {"inputs": decoder.width}))


def _embedder(side: Recipe | Side, form: Form) -> Embedder:
    """What gives the vectors of a side's items."""
    embedding = construct(embedding_of(side.kind), side.embedding, "The embedding", **vars(form))
    encoder = _made(ENCODERS, side.encoder, "encoder", vars(form) | {"inputs": embedding.width})
    grid = _first_grid(embedding, form)
    places = 0 if grid is None else int(encoder.grids(grid)[-1].prod())
    facts = vars(form) | {"inputs": encoder.width, "places": places}
    return Embedder(embedding, encoder, _made(LATENTS, side.latent, "latent", facts))


def _first_grid(embedding: Embedding, form: Form) -> torch.Tensor | None:
    """The grid (1, k) of every item's rows, where all items have one shape."""
    return None if form.shape is None else embedding.grids(torch.tensor([form.shape]))


def _of_one_width(input: Embedder, target: Embedder) -> Embedder:
    """The target's; BadInput where its vectors are not as wide as the input's."""
    if input.latent.width != target.latent.width:
        raise BadInput(
            f"Vectors of inputs have {input.latent.width} numbers and those of targets {target.latent.width}, which "
            "cannot be compared: give latent.width and target.latent.width one number."
        )
    return target


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


def embedding_of(kind: str) -> type[Embedding]:
    """The embedding of a kind's items."""
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
        "ordinary": _ordinary(raw),
        "target_ordinary": _ordinary(raw.side("target")),
        "outcomes": outcomes,
        "task": task or "classes",
    }
    made = nn.ModuleDict()
    with torch.random.fork_rng([]):
        torch.manual_seed(key(recipe.seed, "heads"))
        for place, stage in enumerate(recipe.stages):
            for part in stage.objectives:
                constructor, where = objective_of(part.name, recipe), f"The objective '{part.name}'"
                _refuse_wider(part, model.latent.width)
                made[f"{place}/{part.name}"] = construct(constructor, part.settings, where, **given)
    return made


def _ordinary(raw: Raw) -> range:
    """The ids of a text's own tokens; none of what is no text."""
    return raw.ordinary if isinstance(raw, Text) else range(0)


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


def objective_called(name: str, kind: str) -> type[Objective]:
    """The objective of this name for this kind of data; BadInput where there is none."""
    found: type[Objective] = known(OBJECTIVES, name, "objective")
    if name not in _UNLIKE or (kind in TEXTS and name not in _WORDLESS):
        return found
    if kind not in _UNLIKE[name]:
        others = ", ".join(other for other in OBJECTIVES if _is_for(other, kind))
        raise BadInput(f"There is no objective '{name}' for the kind '{kind}' yet; for it there is {others}.")
    return _UNLIKE[name][kind]


def objective_of(name: str, recipe: Recipe) -> type[Objective]:
    """The objective of this name for what the recipe is fitted on; BadInput where there is none."""
    known(OBJECTIVES, name, "objective")
    return objective_called(name, recipe.kind) if recipe.target is None else DUAL[name]


def _is_for(name: str, kind: str) -> bool:
    return name not in _WORDLESS if kind in TEXTS else kind in _UNLIKE.get(name, {kind})
