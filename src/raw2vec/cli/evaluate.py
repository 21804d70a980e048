"""`raw2vec evaluate`: a model on data it has not seen, beside its baselines, by a named protocol."""

from __future__ import annotations

from typing import Annotated

import typer

from raw2vec.cli.base import (
    Answer,
    Counter,
    Data,
    Debug,
    Input,
    Json,
    Label,
    Model,
    Seed,
    Target,
    heavy,
    pace,
    scores,
    there,
)


def evaluate(
    model: Model,
    data: Data,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help="retrieval, cross-retrieval, zero-shot, sts, classification, knn, linear-probe, masked, space, "
            "reconstruction, rate-distortion, likelihood, anomaly, translation, agreement.",
        ),
    ] = None,
    input: Input = None,
    target: Target = None,
    label: Label = None,
    seed: Seed = None,
    samples: Annotated[
        int | None, typer.Option("--samples", min=1, help="Codes drawn an item by the protocol likelihood (100).")
    ] = None,
    train: Annotated[
        str | None,
        typer.Option("--train", metavar="FILE", help="What knn, linear-probe or baselines learn from."),
    ] = None,
    beam: Annotated[
        int | None, typer.Option("--beam", metavar="N", min=1, help="Drafts that a translator follows at a time (5).")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> Answer:
    """Measure MODEL on DATA beside its baselines.

    Without a protocol the columns choose: a target is to be found, a label
    to be told.

    raw2vec evaluate finder test.jsonl --input query --target code
    raw2vec evaluate stars test.tsv --protocol classification --label stars
    raw2vec evaluate stars test.tsv --protocol knn --train reviews.tsv
    """
    there(model, data, *([train] if train else []))
    loaded = heavy().load(model)
    asked = {"input": input, "target": target, "label": label, "seed": seed or 0, "samples": samples}
    asked |= {name: value for name, value in (("train", train), ("beam", beam)) if value is not None}
    with Counter(doing="measuring") as progress:
        found = loaded.evaluate(data, protocol, progress=progress, **asked)
    report = found.as_dict()
    return Answer({**report, **pace(report["items"], report["seconds"])}, scores(report))
