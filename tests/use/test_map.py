"""The map: one page with all that it shows in it, read back as its script reads it, and seen in a browser."""

import base64
import json
import re
import shutil
import subprocess
import wave
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import raw2vec
from raw2vec.errors import BadInput, MissingExtra
from raw2vec.use.map import projection
from raw2vec.use.map.page import Colouring

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
browser = pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt-get install chromium")
TEXTS = [
    f"the {colour} {thing} number {n}"
    for n in range(6)
    for colour in ("red", "blue")
    for thing in ("car", "tree", "</script><b>")
]


@cache
def of_texts() -> raw2vec.Raw2Vec:
    return raw2vec.Raw2Vec(steps=5).fit(TEXTS)


@cache
def of_digits() -> raw2vec.Raw2Vec:
    return raw2vec.Raw2Vec("reconstruction", latent=6, steps=20).fit(pictures()["image"])


def pictures(count: int = 90) -> dict[str, Any]:
    digits = load_digits()
    return {"image": (digits.images[:count] * 15).astype(np.uint8), "label": digits.target[:count].tolist()}


def held(page: Path) -> dict[str, Any]:
    """What the page's script reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def numbers(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


def test_a_page_holds_every_item_and_its_neighbours(tmp_path: Path) -> None:
    model, data = of_digits(), pictures()
    done = model.map(data, tmp_path / "m.html", input="image", label="label", projection="pca")
    assert (done.items, done.of, done.projection) == (90, 90, "pca")
    assert done.size == (tmp_path / "m.html").stat().st_size
    told = held(tmp_path / "m.html")
    points = numbers(told["points"], "<u2").reshape(90, 2)
    assert points.max() - points.min() > 60_000
    codes = model.encode(list(data["image"]))
    near = model.similarity(codes, codes)
    np.fill_diagonal(near, -2)
    np.testing.assert_array_equal(numbers(told["neighbours"], "<u4").reshape(90, 10)[:, 0], near.argmax(axis=1))
    np.testing.assert_allclose(
        numbers(told["cosines"], "<i2").reshape(90, 10)[:, 0] / 32767, near.max(axis=1), atol=1e-4
    )
    colours = {one["name"]: one for one in told["colours"]}
    names = np.array(colours["label"]["names"])
    assert names[numbers(colours["label"]["values"], "<u2")].tolist() == [str(label) for label in data["label"]]
    assert "cluster" in colours
    assert told["thumbnails"]["sheets"][0].startswith("data:image/")


def test_what_texts_say_cannot_break_the_page(tmp_path: Path) -> None:
    of_texts().map(TEXTS, tmp_path / "m.html")
    assert held(tmp_path / "m.html")["texts"] == TEXTS
    assert (tmp_path / "m.html").read_text().count("</script>") == 2, "the page's own two"


def test_the_page_asks_nothing_of_the_network(tmp_path: Path) -> None:
    of_texts().map(TEXTS, tmp_path / "m.html")
    page = (tmp_path / "m.html").read_text("utf-8")
    assert "default-src 'none'" in page
    assert not re.findall(r"(?:src|href)=[\"']?https?:|url\(https?:|@import|fetch\(|XMLHttpRequest|WebSocket", page)


def test_of_many_rows_a_sample_is_shown(tmp_path: Path) -> None:
    done = of_texts().map(TEXTS, tmp_path / "m.html", most=10)
    assert (done.items, done.of) == (10, len(TEXTS))
    assert "a sample: 10 of 36 rows" in done.notes
    told = held(tmp_path / "m.html")
    assert told["texts"] == [TEXTS[row] for row in told["rows"]]
    of_texts().map(TEXTS, tmp_path / "n.html", most=10)
    assert held(tmp_path / "n.html")["rows"] == told["rows"], "the same ones every time"


def test_sounds_can_be_played_and_series_are_drawn(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    sounds = [generator.normal(0, 0.1, 900 + 50 * n).astype(np.float32) for n in range(30)]
    settings = {"raw.rate": 4000, "raw.n_fft": 64, "raw.hop": 32, "raw.mels": 8}
    model = raw2vec.Raw2Vec("contrastive", kind="audio", steps=2, settings=settings).fit(sounds)
    model.map(sounds, tmp_path / "m.html", projection="pca")
    told = held(tmp_path / "m.html")
    assert len(told["sounds"]) == 30
    (tmp_path / "one.wav").write_bytes(base64.b64decode(told["sounds"]["3"].split(",")[1]))
    with wave.open(str(tmp_path / "one.wav")) as file:
        assert (file.getframerate(), file.getnframes()) == (4000, len(sounds[3]))
    series = [generator.normal(size=(20, 2)).astype(np.float32) for _ in range(30)]
    model = raw2vec.Raw2Vec("reconstruction", kind="series", steps=2).fit(series)
    model.map(series, tmp_path / "s.html", projection="pca")
    assert held(tmp_path / "s.html")["thumbnails"]


def test_rows_of_a_table_are_told_in_words(tmp_path: Path) -> None:
    rows = [{"height": n / 3, "kind": "ab"[n % 2]} for n in range(40)]
    raw2vec.Raw2Vec("reconstruction", kind="table", steps=2).fit(rows).map(rows, tmp_path / "m.html", label="kind")
    told = held(tmp_path / "m.html")
    assert told["texts"][1].startswith("height: 0.333333\nkind: b")


def test_numbers_are_a_scale_and_names_are_colours() -> None:
    scale = Colouring.of("age", [1.5, None, 3.0])
    assert scale.kind == "number"
    assert (scale.as_dict()["low"], scale.as_dict()["high"]) == (1.5, 3.0)
    assert Colouring.of("digit", [10, 9, 9, None]).names == ["9", "10", "–"]
    assert Colouring.of("many", list(range(40))).kind == "number"


@pytest.mark.parametrize(
    ("data", "out", "options", "said"),
    [
        (TEXTS, "m.txt", {}, r"ends in \.html"),
        (TEXTS[:1], "m.html", {}, "two items at least"),
        (TEXTS, "m.html", {"projection": "umpa"}, "Did you mean 'umap'"),
    ],
)
def test_what_makes_no_sense_is_said(tmp_path: Path, data: Any, out: str, options: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        of_texts().map(data, tmp_path / out, **options)
    assert not list(tmp_path.iterdir())


def test_a_projection_that_is_not_installed_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "find_spec", lambda name: None)
    vectors = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    with pytest.raises(MissingExtra, match=r"raw2vec\[map\]"):
        projection.project(vectors, "umap")
    assert projection.project(vectors)[1] == "tsne"
    assert projection.project(vectors[:9])[1] == "pca"
    np.testing.assert_array_equal(projection.project(vectors)[0], projection.project(vectors)[0])


def seen(page: Path, address: str, *options: str) -> str:
    """The page's elements as a browser has them, some time after it was opened at this place."""
    assert BROWSER
    words = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000", *options]
    words += [f"--user-data-dir={page.parent / 'browser'}", "--dump-dom", f"{page.as_uri()}#{address}"]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout


@browser
def test_a_browser_shows_an_item_and_its_neighbours(tmp_path: Path) -> None:
    of_digits().map(pictures(), tmp_path / "m.html", input="image", label="label", projection="pca")
    found = seen(tmp_path / "m.html", "select=7")
    assert 'data-ready="yes"' in found
    assert re.search(r'id="number">7<', found)
    near = [int(item) for item in re.findall(r'data-item="(\d+)"', found)]
    told = held(tmp_path / "m.html")
    assert near == numbers(told["neighbours"], "<u4").reshape(90, 10)[7].tolist()
    assert "label: 7" in found
    assert len(re.findall(r'<circle cx="[-\d]', found)) == 11, "it and its neighbours are ringed"


@browser
@pytest.mark.parametrize("options", [(), ("--disable-3d-apis",)], ids=["webgl", "canvas"])
def test_a_browser_searches(tmp_path: Path, options: tuple[str, ...]) -> None:
    of_texts().map(TEXTS, tmp_path / "m.html")
    found = seen(tmp_path / "m.html", "search=red+tree", *options)
    assert "6 of 36 found" in found
    assert f'data-painter="{"canvas" if options else "webgl"}"' in found
