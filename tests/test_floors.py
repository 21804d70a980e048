"""The house: each floor imports only from the floors below it, and files of one floor do not import each other."""

import ast
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "raw2vec"

# From the ground up. A name is a file or a folder; within a folder files may use its base.py, and its __init__ gathers.
# A file that is named with its folder has a floor of its own there, above some of its neighbours or below others.
FLOORS = [
    ["addresses", "braces", "errors", "memory", "workers"],
    ["calibration", "disk", "interchange.values", "levels", "packaged", "tokens", "unreadable", "yardstick"],
    [
        "bundle",
        "neighbours",
        "ragged",
        "raw.pixels",
        "raw.samples",
        "raw.tabular",
        "recipe",
        "rows",
        "seeding",
        "settings",
    ],
    ["batch", "corpus", "labels", "raw", "layers", "patches", "augmentation"],
    ["likelihood"],
    ["embedding", "encoders", "latents", "decoders", "readout"],
    ["models"],
    ["objectives"],
    ["build", "presets"],
    ["resolve"],
    ["folder"],
    ["engines"],
    ["interchange", "sides"],
    ["train", "use"],
    ["evaluate"],
    ["distilling.students", "fitting", "fitting.continuing", "fitting.device", "fitting.judging", "fitting.runs"],
    ["fitting.reserve"],
    ["fitting.fit", "measure"],
    ["fitting.report"],
    ["distilling.lessons", "system.calibrating", "system.decoding", "system.encoding", "system.surveying"],
    ["system.searching"],
    ["system", "system.exported", "system.facade"],
    ["benching", "distilling", "distilling.distillation"],
    ["demos"],
    ["cli", "service"],
]
# Files that gather their own folder, as its __init__ does, or put its other files to use.
GATHERERS = {
    "engines.exports",
    "interchange.checkpoints.marian",
    "interchange.checkpoints.modules",
    "interchange.checkpoints.static",
    "interchange.checkpoints.texts",
    "interchange.checkpoints.vision",
    "interchange.outward.translators",
    "interchange.outward.vision",
    "interchange.outward.vision_parity",
    "layers.blocks",
    "layers.pooling",
    "train.loop",
    "train.prepare",
    "use.embed",
    "use.stores.first_pass",
    "use.stores.homes",
    "use.stores.postgres.table",
} | {
    f"use.{name}"
    for name in ("detect", "explain", "exported", "generate", "index", "speak", "teach", "translate", "zero_shot")
}


@cache
def modules() -> dict[str, Path]:
    return {".".join(p.relative_to(SOURCE).with_suffix("").parts): p for p in sorted(SOURCE.rglob("*.py"))}


def floor(module: str) -> int:
    """That of the file where FLOORS names it, else of its folder."""
    own, folder = module.removesuffix(".__init__"), module.split(".")[0]
    for name in (own, folder):
        for number, names in enumerate(FLOORS):
            if name in names:
                return number
    pytest.fail(f"{module} stands on no floor: give it one in FLOORS")


def has_its_own(module: str) -> bool:
    return "." in module and any(module in names for names in FLOORS)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("raw2vec"):
            base = node.module.removeprefix("raw2vec").lstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                found.add(inner if inner in modules() or f"{inner}.__init__" in modules() else base)
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("raw2vec.") for alias in node.names if alias.name.startswith("raw2vec.")}
    return found - {""}


@pytest.mark.parametrize("module", [name for name in modules() if name not in ("__init__", "__main__")])
def test_imports_go_down(module: str) -> None:
    for other in imports(modules()[module]):
        same_folder = module.split(".")[0] == other.split(".")[0] and "." in module
        ranked = (has_its_own(module) or has_its_own(other)) and not module.endswith("__init__")
        if same_folder and not ranked:
            gathers = module.endswith("__init__") or module in GATHERERS or other.split(".")[-1] == "base"
            assert gathers, f"{module} imports {other}, a neighbour in its own folder"
        else:
            assert floor(other) < floor(module), f"{module} imports {other}, which is not below it"


def test_files_are_short_and_named_for_what_they_hold() -> None:
    long = {name: n for name, path in modules().items() if (n := len(path.read_text().splitlines())) > 350}
    assert not long, f"Files over 350 lines: {long}"
    vague = [name for name in modules() if name.split(".")[-1] in ("utils", "util", "common", "helpers", "misc")]
    assert not vague


def test_nothing_is_pickled() -> None:
    for name, path in modules().items():
        text = path.read_text(encoding="utf-8")
        for word in ("import pickle", "torch.load(", "torch.save(", "joblib.dump", "allow_pickle=True"):
            assert word not in text, f"{name}: {word}"
