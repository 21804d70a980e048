"""The demo of icons: what it draws, that nothing it is judged by was learned from, and a short run to its end."""

from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from raw2vec.errors import BadInput, MissingExtra

if find_spec("qtawesome") is None:
    pytest.skip("needs the extra 'demo'", allow_module_level=True)
demo = import_module("raw2vec.demos.icons")  # the package calls its function by the same name
Known = demo.Icons


@pytest.fixture(scope="module")
def known() -> Known:
    return demo.drawn()


def test_icons_are_drawings_with_names(known: Known) -> None:
    assert len(known.names) == len(known.pictures) > 15_000
    assert known.pictures.shape[1:] == (32, 32)
    dark = (known.pictures < 128).mean(axis=(1, 2))
    assert dark.max() < 0.95
    assert np.median(dark) > 0.1
    assert {"heart", "home", "house"} <= set(known.names)
    assert (known.pictures[:, :2] == 255).all(), "a margin is left free"


def test_no_variant_of_what_is_judged_is_learned(known: Known) -> None:
    train, held = demo.split(known, 0)
    assert len(held) == demo.HELD == len({known.groups[place] for place in held})
    assert not {known.groups[place] for place in held} & {known.groups[place] for place in train}
    assert demo.split(known, 0)[1] == held != demo.split(known, 1)[1]


def test_a_short_run_finds_more_than_chance(known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = np.arange(0, len(known.names), 9)
    fewer = Known(known.pictures[few], [known.names[i] for i in few], [known.groups[i] for i in few])
    monkeypatch.setattr(demo, "drawn", lambda: fewer)
    monkeypatch.setattr(demo, "HELD", 200)
    said = StringIO()
    found: dict[str, Any] = demo.icons(tmp_path, 0.25, 0, Console(file=said, width=120), lambda event: None)
    assert found["metrics"]["recall@10"] > 1.5 * found["baselines"]["chance"]["recall@10"]
    assert found["baselines"]["names, then pixels"]["recall@10"] > found["baselines"]["chance"]["recall@10"]
    assert "among ten" in said.getvalue()
    assert (tmp_path / "found.png").stat().st_size > 1000
    assert "arrow" in (tmp_path / "map.html").read_text()
    with pytest.raises(BadInput, match="holds found"):
        demo.icons(tmp_path, 0.1, 0, Console(file=said), lambda event: None)


def test_without_the_fonts_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"raw2vec\[demo\]"):
        demo.drawn()
