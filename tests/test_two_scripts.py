"""Translators with a vocabulary a language: they write among the target's words alone, and all else is as ever."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import raw2vec
from raw2vec.cli import app
from raw2vec.errors import BadFolder, BadInput
from raw2vec.presets import recipe as preset
from raw2vec.recipe import Recipe
from raw2vec.resolve import resolve
from raw2vec.rows import open_rows
from raw2vec.system import Raw2Vec
from raw2vec.train.prepare import prepare
from raw2vec.use.encode import evaluation
from raw2vec.use.explain import Growth, Looks, explain
from two_scripts import ENGLISH, GREEK, PAIRS

FEW = PAIRS[:12]


def fitted(steps: int = 2, rows: Any = PAIRS, **settings: Any) -> Raw2Vec:
    changes = {
        "raw.vocabularies": "separate",
        "raw.vocabulary": 300,
        "training.hold_out": 0.0,
        "training.average": 0.9,
        "encoder.dropout": 0.0,
        "decoder.dropout": 0.0,
    }
    named = {name.replace("__", "."): value for name, value in settings.items()}
    made = Raw2Vec("translation", kind="pairs", size="tiny", latent=32, steps=steps, settings=changes | named)
    return made.fit(rows, input="en", target="el")


@pytest.fixture(scope="module")
def looking() -> Raw2Vec:
    """Twelve pairs learned by heart."""
    return fitted(60, FEW, raw__vocabulary=400)


@pytest.fixture(scope="module")
def through_a_vector() -> Raw2Vec:
    return fitted(
        bridge="fixed", encoder={"name": "recurrent", "width": 32}, decoder={"name": "recurrent", "width": 32}
    )


@pytest.fixture(scope="module")
def place(looking: Raw2Vec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("two scripts") / "m"
    looking.save(out)
    return out


def test_what_was_learned_by_heart_is_written_in_the_other_script(looking: Raw2Vec, place: Path) -> None:
    sources, targets = [row["en"] for row in FEW], [row["el"] for row in FEW]
    assert looking.translate(sources, beam=1) == targets
    assert looking.translate(sources, beam=3) == targets
    again = raw2vec.load(place)
    assert again.translate(sources) == targets
    assert again.fingerprint_ == looking.fingerprint_
    assert again.parts_.recipe.raw["vocabularies"] == "separate"


def test_among_the_targets_words_alone(looking: Raw2Vec) -> None:
    form, model = looking.parts_.raw.form, looking.parts_.model
    assert form.written < form.vocabulary
    assert len(model.embedding.weight) == form.vocabulary
    assert model.readout.linear.bias.shape == (form.written,)
    assert model.readout.logits(torch.zeros(2, model.decoder.width)).shape == (2, form.written)
    assert model.readout.weight.data_ptr() == model.embedding.table.weight.data_ptr(), "tied"
    own = fitted(1, decoder__words="own").parts_.model.readout
    assert own.weight is own.linear.weight


def test_beginnings_are_of_the_target(looking: Raw2Vec) -> None:
    begin = "αβγ " + FEW[0]["el"][:6]
    assert looking.translate(FEW[0]["en"], begin=begin).startswith(begin)
    assert looking.translate([row["en"] for row in FEW[:3]], beam=1, begin="θ")[0].startswith("θ")


def test_a_folder_holds_both_tokenizers_and_knows_them_from_others(place: Path, tmp_path: Path) -> None:
    for name in ("tokenizer.json", "target_tokenizer.json"):
        folder = Path(shutil.copytree(place, tmp_path / name))
        shutil.copy(place / "recipe.json", folder / name)
        with pytest.raises(BadFolder, match=f"{name} is not the file"):
            raw2vec.load(folder)
        (folder / name).unlink()
        with pytest.raises(BadFolder, match=f"has no {name}"):
            raw2vec.load(folder)
    assert "does not open in sentence-transformers: raw.vocabularies is separate" in (place / "README.md").read_text()


def test_what_is_looked_at_has_the_names_of_its_side(looking: Raw2Vec) -> None:
    found = explain(looking.parts_, FEW[0]["en"])
    assert isinstance(found, Looks)
    assert "".join(found.source[1:-1]) == FEW[0]["en"].replace(" ", "")
    assert "".join(found.written[:-1]) == FEW[0]["el"].replace(" ", "")


def test_a_vector_is_enough_behind_a_fixed_bridge(through_a_vector: Raw2Vec) -> None:
    vectors = through_a_vector.encode(ENGLISH[:5])
    told, translated = through_a_vector.decode(vectors, beam=1), through_a_vector.translate(ENGLISH[:5], beam=1)
    assert [text[:8] for text in told] == [text[:8] for text in translated], "only their limits differ"
    with pytest.raises(BadInput, match=r"autoencode=1 and --set raw\.vocabularies=joint"):
        through_a_vector.decode(vectors, side="input")
    found = explain(through_a_vector.parts_, ENGLISH[0])
    assert isinstance(found, Growth)
    assert found.words == ENGLISH[0].split()


def test_placeholders_have_marks_on_both_sides() -> None:
    rows = [{"en": f"{row['en']} %s", "el": f"%s {row['el']}"} for row in PAIRS]
    made = fitted(2, rows, placeholders="protect")
    sides = made.parts_.raw, made.parts_.raw.side("target")
    assert all("①" in side.restore(side.windows(["①"]).ragged) for side in sides)
    assert made.translate("the %(ship)s and %d", begin="%d").startswith("%d")
    found = made.translate(["an anchor %s", "%d or %d"])
    assert [text.count("%") for text in found] == [1, 2]
    assert "%(name)s" in explain(made.parts_, "a ship %(name)s").source


@pytest.mark.parametrize("encoder", ["recurrent", "convolutional", "transformer", "dense"])
def test_every_encoder_learns_with_tokens_taken_apart(encoder: str) -> None:
    made = fitted(2, encoder={"name": encoder, "width": 32}, stages__0__objectives__0__split=0.3)
    assert len(made.translate(ENGLISH[:3], beam=2)) == 3
    told = made.inspect(PAIRS, input="en", target="el")
    assert {"embedding", "decoder"} <= {part.name for part in told.parts}
    assert np.isfinite(told.loss)


def test_the_target_column_is_read_as_the_target(through_a_vector: Raw2Vec, tmp_path: Path) -> None:
    """By what indexes, embeds and evaluates a column by its name."""
    parts = through_a_vector.parts_
    with evaluation(parts.model):
        expected = parts.model(parts.raw.side("target").windows(GREEK).ragged).numpy()
    through_a_vector.embed(PAIRS, tmp_path / "el.npy", input="el")
    np.testing.assert_allclose(np.load(tmp_path / "el.npy"), expected, atol=1e-5)
    through_a_vector.embed(PAIRS, tmp_path / "en.npy", input="en")
    np.testing.assert_allclose(np.load(tmp_path / "en.npy"), through_a_vector.encode(ENGLISH), atol=1e-5)
    assert not np.allclose(through_a_vector.encode(GREEK), expected, atol=0.01)
    asked = {"input": "en", "target": "el"}
    assert through_a_vector.evaluate(PAIRS, "retrieval", **asked).items == len(PAIRS)
    assert through_a_vector.evaluate(PAIRS, **asked).protocol == "translation/1"


def test_another_objective_beside_it_reads_both_sides() -> None:
    tree = {"objectives": ["translation", "contrastive", "masked"], "batch_items": 20}
    made = fitted(2, stages=[tree])
    assert np.isfinite(made.encode(ENGLISH[:3])).all()
    assert made.evaluate(PAIRS, "masked", input="en").items > 0


def test_what_was_prepared_comes_back(tmp_path: Path) -> None:
    changes = {"raw.vocabularies": "separate", "raw.vocabulary": 300}
    asked = preset("pairs", {"input": "en", "target": "el"}, objective="translation", size="tiny", steps=1)
    made = resolve(asked.changed(changes))
    once, again = (
        prepare(open_rows(PAIRS, []), made, tmp_path, resume, lambda event: None) for resume in (False, True)
    )
    assert again.raw.identity() == once.raw.identity()
    assert np.array_equal(again.corpus.values, once.corpus.values)
    rows = np.arange(len(once.corpus))
    for role, column in (("input", 0), ("target", 1)):
        texts = [row[("en", "el")[column]] for row in PAIRS]
        assert once.corpus.gather(rows, column).values.equal(once.raw.side(role).windows(texts).ragged.values)


def test_several_languages_may_be_read_and_one_written() -> None:
    rows = [row | {"de": row["en"].upper()} for row in PAIRS]
    views = [{"columns": {"input": name, "target": "el"}} for name in ("en", "de")]
    made = fitted(1, rows, stages__0__views=views)
    assert made.parts_.raw.restore(made.parts_.raw.windows([rows[0]["de"]]).ragged) == [rows[0]["de"]]
    both = [{"columns": {"input": a, "target": b}} for a, b in (("en", "el"), ("el", "en"))]
    with pytest.raises(BadInput, match="The column 'el' is both read and written"):
        fitted(1, stages__0__views=both)


def test_where_it_makes_no_sense_a_sentence_says_so() -> None:
    with pytest.raises(BadInput, match="autoencode"):
        fitted(1, bridge="fixed", stages__0__objectives__0__autoencode=1.0)
    asked: dict[str, Any] = {"stages": [{"objectives": ["contrastive"]}], "training": {"steps": 1}}
    asked["raw"] = {"vocabularies": "separate"}
    for kind in ("text", "pairs"):
        with pytest.raises(BadInput, match=r"for two languages.*'translation' alone"):
            resolve(Recipe.read({**asked, "kind": kind, "columns": {"input": "en", "target": "el"}}))
    with pytest.raises(BadInput, match="no setting 'vocabularies'"):
        resolve(Recipe.read({**asked, "kind": "image"}))


def test_on_the_command_line(tmp_path: Path) -> None:
    data, out = tmp_path / "pairs.tsv", str(tmp_path / "mt")
    data.write_text("en\tel\n" + "".join(f"{row['en']}\t{row['el']}\n" for row in PAIRS), encoding="utf-8")

    def run(*words: str, given: str | None = None) -> dict[str, Any]:
        result = CliRunner().invoke(app, [*words, "--json"], input=given)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout.splitlines()[-1])

    named = ["--input", "en", "--target", "el"]
    settings = ["raw.vocabularies=separate", "raw.vocabulary=300", "training.hold_out=0.5"]
    small = ["--size", "tiny", "--steps", "2", *(word for each in settings for word in ("--set", each))]
    fit = run("fit", str(data), "--objective", "translation", *named, *small, "--out", out)
    assert fit["metrics"].keys() >= {"bleu"}
    assert run("evaluate", out, str(data), *named)["items"] == len(PAIRS)
    assert (tmp_path / "mt/target_tokenizer.json").exists()
    assert run("translate", out, "-", given=f"{ENGLISH[0]}\n\n")["items"] == 2
