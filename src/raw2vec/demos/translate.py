"""Messages of programs into French: a translator fitted from nothing on what installed packages say in both languages.

Translations of software are parallel texts that lie on many a machine already: a gettext catalogue holds a message and
its translation, and most packages that speak several languages bring their catalogues along.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from raw2vec.errors import MissingExtra
from raw2vec.evaluate import TRANSLATION, Report
from raw2vec.rows import Catalogues, Filtered, Joined, Memory
from raw2vec.seeding import key
from raw2vec.system import Raw2Vec
from raw2vec.tokens.placeholders import marked
from raw2vec.train.base import Listener, Phase
from raw2vec.use.translate import Translated
from raw2vec.use.translate import translate as translated
from raw2vec.use.write import Manner

PACKAGES = {
    "jupyterlab-language-pack-fr-FR": "jupyterlab_language_pack_fr_FR",
    "Django": "django",
    "django-allauth": "allauth",
    "wagtail": "wagtail",
}
"""What the extra `demo` installs, and the name of each as a module."""
FRENCH = ("fr", "fr_FR")
STEPS = 2000  # of 1,024 tokens: five minutes of two cores
SETTINGS = {
    "placeholders": "protect",
    "encoder.dropout": 0.2,  # so few pairs are soon known by heart: see docs/log.md
    "decoder.dropout": 0.2,
    "stages.0.objectives.0.split": 0.1,
    "stages.0.batch_tokens": 1024,
    "training.hold_out": 0.03,
}
BEAM = 5
SAMPLES, SAMPLE_WORDS = 10, range(3, 13)


def translate(out: Path, minutes: float | None, seed: int, console: Console, listener: Listener) -> dict[str, Any]:
    """Messages of programs from English into French, with a translator fitted here and now on installed catalogues."""
    listener(Phase("Reading the catalogues"))
    known = messages()
    held, train = split(known, seed)
    console.print(
        f"The French catalogues of {', '.join(PACKAGES)}: {len(known):,} messages, {len(train):,} of them\n"
        f"to learn from and {len(held):,} to judge by.\n"
    )
    budget = {"minutes": minutes} if minutes else {"steps": STEPS}
    model = Raw2Vec(objective="translation", size="tiny", **budget, settings=SETTINGS, seed=seed)
    rows = Memory(train, "the catalogues", "message")
    model.fit(rows, input="source", target="target", out=out / "model", listener=listener)
    listener(Phase("Measuring"))
    found, made = measured(model, held, train, seed)
    samples = sampled(held, made)
    share = placeholders_kept(held, made)
    show(samples, console)
    tell(found, share, model, console)
    console.print(
        "\nThe same for your own pairs: a tsv or csv with a column of each language, or a folder of catalogues:"
    )
    for line in (
        "fit pairs.tsv --objective translation --input en --target fr --out mt",
        "fit locale/fr --objective translation --input source --target target --set placeholders=protect --out mt",
        "translate mt file.en --out file.fr",
    ):
        console.print(Text(f"  raw2vec {line}", style="bold"), soft_wrap=True)
    asked = f'raw2vec translate {out / "model"} --explain "Open a new file"'
    console.print(Text(f"This one stays in {out}: {asked}"), soft_wrap=True)
    fitted = {name: model.report[name] for name in ("steps", "seconds", "items")}
    told = found.as_dict()
    return {**told, "metrics": {**told["metrics"], "placeholders_kept": share}, "samples": samples, "fit": fitted}


def messages() -> pa.Table:
    """The pairs of all packages that a translator may learn from: see Catalogues and Filtered. MissingExtra for one
    that is not installed; none is imported."""
    parts = [Catalogues(name, catalogues(name, module)) for name, module in PACKAGES.items()]
    rows = Filtered(Joined("the catalogues", parts), "source", "target")
    return pa.Table.from_batches(list(rows.batches()))


def catalogues(package: str, module: str) -> list[Path]:
    """A package's French catalogues, where they lie."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(package, "demo", "The demo 'translate'")
    places = [Path(place) for place in spec.submodule_search_locations]
    files = [file for place in places for file in sorted(place.rglob("LC_MESSAGES/*.[mp]o"))]
    return [file for file in files if file.parent.parent.name in FRENCH]


def split(known: pa.Table, seed: int) -> tuple[pa.Table, pa.Table]:
    """A tenth of the messages to judge by, and the others. What differs in case and punctuation only stays together."""
    words = [" ".join(re.findall(r"\w+", source.lower())) for source in known["source"].to_pylist()]
    held = [key(seed, "held-out message", message) % 10 == 0 for message in words]
    return known.filter(pa.array(held)), known.filter(pa.array([not out for out in held]))


def measured(model: Raw2Vec, held: pa.Table, train: pa.Table, seed: int) -> tuple[Report, list[Translated]]:
    """The scores of the held-out messages beside the baselines', and their translations."""
    made: list[Translated] = []

    def answer(texts: Sequence[str]) -> list[str]:
        made[:] = translated(model.parts_, texts, Manner(beam=BEAM))
        return [one.text for one in made]

    judged, learnt = (
        {"input": part["source"].to_pylist(), "target": part["target"].to_pylist()} for part in (held, train)
    )
    return TRANSLATION.run(answer, judged, seed, learnt), made


def placeholders_kept(held: pa.Table, made: Sequence[Translated]) -> float:
    """The share of messages with placeholders that the model gave all of them, none having to be put at the end."""
    having = [one for source, one in zip(held["source"].to_pylist(), made, strict=True) if marked(source).pieces]
    return sum(not one.lost for one in having) / max(len(having), 1)


def sampled(held: pa.Table, made: Sequence[Translated]) -> list[dict[str, str]]:
    """Messages of a few words, evenly spaced among all of them, neither the best nor the worst."""
    rows = zip(held["source"].to_pylist(), made, held["target"].to_pylist(), strict=True)
    short = [(source, one.text, target) for source, one, target in rows if len(source.split()) in SAMPLE_WORDS]
    some = short[:: max(len(short) // SAMPLES, 1)][:SAMPLES]
    return [dict(zip(("source", "translation", "reference"), row, strict=True)) for row in some]


def show(samples: Sequence[dict[str, str]], console: Console) -> None:
    """What came of messages that were never seen, beside what a person wrote."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 2), header_style="dim")
    for title in ("a message never seen", "raw2vec", "a person"):
        table.add_column(title, style="bold green" if title == "raw2vec" else "", overflow="fold")
    for sample in samples:
        table.add_row(*(Text(" ".join(text.split())) for text in sample.values()))
    console.print(table)


def tell(found: Report, share: float, model: Raw2Vec, console: Console) -> None:
    """The held-out scores beside those of who copies, who looks words up, and who knows the nearest message."""
    console.print(f"\n{found.items:,} messages that were never seen (0 to 100; exact: to the letter):\n")
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 2), header_style="dim")
    for title in ("", "BLEU", "chrF", "exact"):
        table.add_column(title, justify="left" if not title else "right")
    seconds = model.report["seconds"]
    for name, metrics in {f"raw2vec, {seconds:.0f} s of fitting": found.metrics, **found.baselines}.items():
        style = "bold green" if metrics is found.metrics else ""
        table.add_row(
            name, f"{metrics['bleu']:.1f}", f"{metrics['chrf']:.1f}", f"{100 * metrics['exact']:.1f}", style=style
        )
    console.print(table)
    console.print(
        f"\nOf the messages with placeholders (%s, {{name}}, <b>), {share:.0%} have all of theirs.", markup=False
    )
    for note in found.notes:
        console.print(f"  note: {note}")
