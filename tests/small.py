"""Small texts and small models that tests of every folder share."""

import random
from typing import Any

from raw2vec.recipe import Recipe

THEMES = {
    "harbour": ["ship", "anchor", "tide", "sailor", "harbour", "mast", "deck", "gull"],
    "kitchen": ["bread", "oven", "butter", "knife", "kitchen", "salt", "onion", "soup"],
    "garden": ["rose", "spade", "soil", "worm", "garden", "seed", "hedge", "rain"],
}
FILLERS = ["the", "a", "of", "in", "with", "near", "one", "old"]


def texts(count: int, seed: int = 0) -> list[str]:
    """Sentences of 3 to 13 words, each of one theme: words of a theme keep company."""
    return [text for text, _ in labelled(count, seed)]


def labelled(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Sentences with the name of their theme."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        theme = draw.choice(list(THEMES))
        words = [draw.choice(THEMES[theme] + FILLERS[:4]) for _ in range(draw.randint(2, 12))]
        made.append((f"{draw.choice(THEMES[theme])} {' '.join(words)} {draw.choice(FILLERS)}{number % 7}", theme))
    return made


def recipe(objective: str = "contrastive", encoder: str = "dense", **changes: Any) -> Recipe:
    """A recipe of a very small model; dotted keys have dots written as two underscores."""
    columns = {"input": "text", "label": "label"} if objective == "supervised" else {"input": "text"}
    parts: dict[str, dict[str, Any]] = {
        "dense": {"width": 16, "layers": 1},
        "recurrent": {"width": 16, "layers": 1},
        "convolutional": {"width": 16, "layers": 1},
        "transformer": {"width": 16, "layers": 1, "heads": 2},
    }
    made = Recipe.read(
        {
            "columns": columns,
            "raw": {"vocabulary": 200, "max_tokens": 24, "boundaries": "none" if encoder == "dense" else "cls-sep"},
            "encoder": {"name": encoder, **parts[encoder], "dropout": 0.1},
            "stages": [{"objectives": [objective], "batch_items": 16}],
            "training": {"steps": 12, "hold_out": 0.2, "checks": 2, "save_every": 1e9},
        }
    )
    return made.changed({key.replace("__", "."): value for key, value in changes.items()})


def rows(count: int = 120, seed: int = 0) -> list[dict[str, str]]:
    """The sentences as rows with their labels."""
    return [{"text": text, "label": label} for text, label in labelled(count, seed)]
