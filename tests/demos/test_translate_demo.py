"""The demo that translates: short, from beginning to end, on a small catalogue, and what it leaves behind."""

from importlib import import_module
from itertools import product
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import raw2vec
from raw2vec.cli import app
from raw2vec.demos import DEMOS
from raw2vec.demos.translate import PACKAGES, catalogues, messages, placeholders_kept, split
from raw2vec.errors import MissingExtra
from raw2vec.use.translate import Translated

DEMO = import_module("raw2vec.demos.translate")
VERBS = {"Open": "Ouvrir", "Close": "Fermer", "Move": "Déplacer", "Copy": "Copier", "Remove": "Supprimer"}
VERBS |= {"Find": "Trouver", "Show": "Afficher", "Hide": "Masquer"}
THINGS = {"the file": "le fichier", "the page": "la page", "the window": "la fenêtre", "the list": "la liste"}
THINGS |= {"the folder": "le dossier", "the image": "l'image", "the user": "l'utilisateur", "the key": "la clé"}
ENDS = {"": "", " “%(title)s”": " « %(title)s »", " now": " maintenant", " of {owner}": " de {owner}"}


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a French catalogue and a German one, which would fail if it were imported."""
    place = tmp_path / "site" / "a_pack"
    for language in ("fr", "de"):
        folder = place / "locale" / language / "LC_MESSAGES"
        folder.mkdir(parents=True)
        (folder / "messages.po").write_text(catalogue(language), encoding="utf-8")
    (place / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(place.parent)
    monkeypatch.setattr(DEMO, "PACKAGES", {"a-pack": "a_pack"})
    return place


def catalogue(language: str) -> str:
    parts = [f'msgid ""\nmsgstr ""\n"Language: {language}\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n']
    for (verb, to_do), (thing, what), (end, so) in product(VERBS.items(), THINGS.items(), ENDS.items()):
        parts.append(f'msgid "{verb} {thing}{end}"\nmsgstr "{to_do} {what}{so}"\n')
    return "\n".join(parts)


def test_catalogues_are_found_without_an_import(pack: Path) -> None:
    assert catalogues("a-pack", "a_pack") == [pack / "locale" / "fr" / "LC_MESSAGES" / "messages.po"]
    known = messages()
    assert len(known) == len(VERBS) * len(THINGS) * len(ENDS)
    assert "Fermer la page « %(title)s »" in known["target"].to_pylist()


def test_a_package_that_is_missing_is_named_with_the_way_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DEMO, "PACKAGES", {"No-Such-Pack": "no_such_pack"})
    with pytest.raises(MissingExtra, match=r"needs No-Such-Pack.*pip install 'raw2vec\[demo\]'"):
        messages()


def test_what_the_extra_installs_is_read_whole() -> None:
    try:
        known = messages()
    except MissingExtra:
        pytest.skip("the extra 'demo' is not installed")
    assert len(known) > 5000
    assert all(any(module in file for file in known["file"].to_pylist()) for module in PACKAGES.values())


def test_messages_that_differ_in_case_alone_are_held_out_together(pack: Path) -> None:
    known = messages()
    shouted = known.set_column(0, "source", [[f"{text.upper()}!" for text in known["source"].to_pylist()]])
    held, train = split(known, 0)
    loud, _ = split(shouted, 0)
    assert 0.03 < len(held) / len(known) < 0.2
    assert len(held) + len(train) == len(known)
    assert loud["target"].to_pylist() == held["target"].to_pylist()
    assert held["source"].to_pylist() != split(known, 1)[0]["source"].to_pylist()


def test_only_messages_with_placeholders_count(pack: Path) -> None:
    held, _ = split(messages(), 0)
    made = [Translated(["x"], [0.0]) for _ in range(len(held))]
    assert placeholders_kept(held, made) == 1.0
    having = [place for place, source in enumerate(held["source"].to_pylist()) if "%" in source or "{" in source]
    made[having[0]] = Translated(["x %s"], [0.0], lost=["%s"])
    assert placeholders_kept(held, made) == pytest.approx(1 - 1 / len(having))


def test_from_beginning_to_end(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DEMO, "STEPS", 60)
    monkeypatch.setattr(DEMO, "SETTINGS", DEMO.SETTINGS | {"raw.vocabulary": 400, "stages.0.batch_tokens": 512})
    console = Console(record=True, width=160)
    out = tmp_path / "demo"
    found = DEMOS["translate"](out, None, 0, console, lambda event: None)
    assert found["metrics"]["bleu"] > found["baselines"]["copy"]["bleu"] + 20
    assert {"bleu", "chrf", "exact", "placeholders_kept"} <= set(found["metrics"])
    assert found["metrics"]["placeholders_kept"] > 0.8
    told = console.export_text()
    for words in ("nearest", "BLEU", found["samples"][0]["reference"], "--objective translation"):
        assert words in told
    model = raw2vec.load(out / "model")
    assert "%(never_seen)s" in model.translate("Open the file “%(never_seen)s”")
    picture = tmp_path / "looks.png"
    words = ["translate", str(out / "model"), "--explain", "Open the file", "--out", str(picture), "--json"]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    assert '"shares"' in answer.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
