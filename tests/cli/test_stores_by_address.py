"""`index` and `search` with a store in a folder, in a bucket and on PostgreSQL: the same words and the same answers."""

import json

import pytest
from typer.testing import CliRunner

from raw2vec import Raw2Vec
from raw2vec.cli import app
from store_servers import KEYS, KINDS, PASSWORD, StoreKinds

SMALL = {"size": "tiny", "steps": 2, "settings": {"raw.vocabulary": 300}}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """A csv, a model of it and another model."""
    folder = tmp_path_factory.mktemp("models")
    lines = [f"a printer and number {row},{2000 + row % 30}" for row in range(200)]
    (folder / "rows.csv").write_text("\n".join(["body,year", *lines]) + "\n")
    for name, seed in (("one", 0), ("other", 1)):
        Raw2Vec(**SMALL, seed=seed).fit(folder / "rows.csv", input="body").save(folder / name)
    return str(folder / "rows.csv"), str(folder / "one"), str(folder / "other")


def run(*words: str, code: int = 0) -> dict:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == code, result.output
    for secret in (PASSWORD, KEYS["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_is_filled_searched_and_gone_on_with(kind: str, store_kinds: StoreKinds, models: tuple[str, str, str]):
    data, model, other = models
    place = store_kinds.place(kind)
    missing = "no file or folder" if kind == "folder" else "is not a store"
    assert missing in run("search", place, "a printer", code=2)["error"]
    done = run("index", model, data, "--input", "body", "--store", place)
    assert (done["items"], done["new"]) == (200, 200)
    assert done["out"] == place.replace(PASSWORD, "***")
    assert "add --resume" in run("index", model, data, "--input", "body", "--store", place, code=2)["error"]
    again = run("index", model, data, "--input", "body", "--store", place, "--resume", "--approximate")
    assert (again["items"], again["new"], again["recall"]) == (200, 0, None)
    assert "exact search is faster below 150,000 rows" in again["notes"][0]
    for mode in ("exact", "hybrid"):
        found = run("search", place, "a printer and number 77", "--where", "year > 2010", "--mode", mode)
        hits = found["results"][0]["hits"]
        assert hits[0]["row"] == 77
        assert len(hits) == 10
        assert all(hit["columns"]["year"] > 2010 for hit in hits)
    assert "no column 'yeer'. Did you mean 'year'?" in run("search", place, "x", "--where", "yeer = 1", code=2)["error"]
    assert "has no approximate index" in run("search", place, "x", "--mode", "approximate", code=2)["error"]
    assert "fingerprint" in run("search", place, "x", "--model", other, code=2)["error"]
    told = CliRunner().invoke(app, ["index", model, data, "--input", "body", "--store", place, "--resume"])
    assert told.exit_code == 0
    assert PASSWORD not in told.output


@pytest.mark.parametrize("kind", ["s3", "postgresql"])
def test_every_kind_finds_what_a_folder_finds(kind: str, store_kinds: StoreKinds, models: tuple[str, str, str]):
    data, model, _ = models
    places = [store_kinds.place(name) for name in ("folder", kind)]
    for place in places:
        run("index", model, data, "--input", "body", "--store", place)
    words = ("a printer", "number 5", "nothing of the kind", "--where", "`year` in (2001, 2002) or body like '%9'")
    near, far = (run("search", place, *words)["results"] for place in places)
    assert near == far
