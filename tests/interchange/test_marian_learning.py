"""A translator from a Marian checkpoint learns on, translates, and goes out again: to CTranslate2, and as a Marian."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import raw2vec
from raw2vec import Raw2Vec
from raw2vec.errors import BadFolder, BadInput
from raw2vec.interchange import outward
from raw2vec.interchange.checkpoints.pieces import as_bytes, pieces_in, pieces_of
from raw2vec.models.sequence_to_sequence import parted
from raw2vec.ragged import Ragged
from raw2vec.use.translate import translate
from raw2vec.use.write import Manner
from tiny_marian import PAD, SIZE, VOCABULARY, spm, written

transformers = pytest.importorskip("transformers", reason="parity is measured against transformers itself")

EN = ["a ship", "the ships", "the ship", "a hip ship"]
FR = ["un navire", "le navire", "le navire", "un navire"]
PAIRS = {"en": EN * 12, "fr": FR * 12}
WRITES = {"▁un": -2.0, "▁navire": -3.0, "▁le": -2.5, "s'il": -5.0, "▁": -6.0, "n": -9.0}
SHORT = {"training.checks": 1, "training.hold_out": 0.1}
QUICK = {**SHORT, "training.learning_rate": 0.01, "encoder.dropout": 0.0, "decoder.dropout": 0.0}


def started(folder: Path, **changes: Any) -> Path:
    written(folder, **changes)
    (folder / "target.spm").write_bytes(spm(WRITES))
    return folder


def fitted(folder: Path, steps: int = 3, settings: Any = SHORT, pairs: Any = PAIRS) -> Raw2Vec:
    made = Raw2Vec("translation", steps=steps, checkpoint=folder, settings=settings)
    return made.fit(pairs, input="en", target="fr")


def weights(model: Raw2Vec) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.parts_.model.state_dict().items()}


def test_each_side_is_cut_by_its_own_pieces(tmp_path: Path) -> None:
    raw = raw2vec.load(started(tmp_path)).parts_.raw
    assert raw.size == SIZE, "pieces that the table has no row for take none"
    ((*ids,),) = (item.tolist() for item in raw.windows(["hip the"]).ragged.items())
    assert ids == [VOCABULARY["▁"], 1, VOCABULARY["▁the"], 0], "a piece without a number is the unknown"
    ((*ids,),) = (item.tolist() for item in raw.side("target").windows(["un navire"]).ragged.items())
    assert ids == [PAD, VOCABULARY["▁un"], VOCABULARY["▁navire"], 0]


@pytest.mark.parametrize("scaled", [True, False], ids=["scaled", "plain"])
def test_it_learns_and_goes_out_again(scaled: bool, tmp_path: Path) -> None:
    made = fitted(started(tmp_path / "in", scaled=scaled), 60, QUICK)
    assert made.translate(EN[:3]) == FR[:3]
    assert made.parts_.recipe.training.optimizer.name == "adamw"
    made.save(tmp_path / "ours")
    again = raw2vec.load(tmp_path / "ours")
    assert again.fingerprint_ == made.fingerprint_
    assert again.translate(EN) == made.translate(EN)
    assert again.translate("a ship", begin="le") == "le navire"
    assert again.evaluate(PAIRS, input="en", target="fr").metrics["chrf"] > 90

    assert outward.export(again.parts_, tmp_path / "out", "transformers").difference <= 1e-5
    same_logits(tmp_path / "out", again)
    back = raw2vec.load(tmp_path / "out")
    assert back.translate(EN) == made.translate(EN)
    np.testing.assert_allclose(back.encode(EN), made.encode(EN), atol=1e-6)
    assert back.parts_.raw.settings == made.parts_.raw.settings


@torch.inference_mode()
def same_logits(folder: Path, model: Raw2Vec) -> None:
    """Of MarianMTModel and ours, and the same greedy translations."""
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder, local_files_only=True).eval()
    raw, ours = model.parts_.raw, model.parts_.model
    sources = raw.windows(EN).ragged
    told = Ragged.of([torch.tensor([PAD, *range(2, 3 + row), 0]) for row in range(len(EN))])
    before, _ = parted(told)
    inputs = {"input_ids": sources.padded(PAD), "attention_mask": sources.inside().long()}
    found = theirs(**inputs, decoder_input_ids=before.padded(PAD), decoder_attention_mask=before.inside().long()).logits
    logits = ours.readout.logits(ours.written(ours.read(sources), told)[0].values)
    torch.testing.assert_close(logits, before.unpadded(found), atol=1e-5, rtol=1e-5)
    made = theirs.generate(**inputs, max_new_tokens=12, do_sample=False, num_beams=1)
    ends = [ids[1 : ids.index(0, 1)] for ids in made.tolist()]
    texts = raw.restore(Ragged.of([torch.tensor(ids) for ids in ends]))
    assert texts == model.translate(EN, beam=1)


def test_its_sines_stay_as_marian_has_them(tmp_path: Path) -> None:
    made = fitted(started(tmp_path), 3, QUICK)
    for side in (made.parts_.model.encoder, made.parts_.model.decoder):
        assert float(side.positions.scale) == 1.0
    made.parts_.model.decoder.positions.scale.data.fill_(1.1)
    with pytest.raises(BadInput, match="its sines have learned another height"):
        outward.export(made.parts_, tmp_path / "out", "transformers")


def test_ctranslate2_runs_what_was_learned(tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    from raw2vec.interchange.ctranslate2 import Exported, export

    made = fitted(started(tmp_path / "in"), 60, QUICK)
    assert export(made.parts_, tmp_path / "ct2").agreement == 1
    found = translate(Exported(tmp_path / "ct2"), EN, Manner(beam=5))
    assert [each.text for each in found] == made.translate(EN, beam=5)


@pytest.mark.parametrize(
    ("settings", "still", "moved"),
    [
        ({"stages.0.frozen": ["embedding", "encoder"]}, "embedder.", "decoder."),
        ({"stages.0.adapters.rank": 2}, "embedder.embedding.", "embedder.encoder.layers.0.attention.enter.weight"),
        ({"training.optimizer.layer_decay": 0.5}, "nothing", "embedder.encoder.layers.0.attention.enter.weight"),
        ({"stages.0.objectives.0.smoothing": 0.0}, "nothing", "decoder."),
    ],
)
def test_some_parts_learn_and_some_do_not(settings: Any, still: str, moved: str, tmp_path: Path) -> None:
    before = weights(raw2vec.load(started(tmp_path)))
    made = fitted(tmp_path, 2, {**SHORT, "training.learning_rate": 0.01, **settings})
    changed = {name for name, value in weights(made).items() if not value.equal(before[name])}
    assert any(name.startswith(moved) for name in changed)
    assert not any(name.startswith(still) for name in changed)


def test_what_the_vocabulary_does_not_know_is_told(tmp_path: Path) -> None:
    started(tmp_path)
    some = {
        "en": ["a ship", "the ships", "the ship", "ship"] * 12,
        "fr": ["un navire", "le navire ñ", "le navire", "un navire"] * 12,
    }
    notes = fitted(tmp_path, 1, pairs=some).parts_.report["notes"]
    assert any("of the tokens of 'fr' are unknown to the checkpoint's vocabulary" in note for note in notes)
    assert not any("of 'en'" in note for note in notes)
    other = {"en": EN * 12, "fr": [f"корабль {number % 5}" for number in range(48)]}
    with pytest.raises(BadInput, match=r"of the tokens of 'fr' are unknown.* another language or script"):
        fitted(tmp_path, 1, pairs=other)


def test_what_is_missing_is_one_sentence(tmp_path: Path) -> None:
    started(tmp_path)
    with pytest.raises(BadInput, match=r"no column 'fr'|has: en"):
        fitted(tmp_path, 1, pairs={"en": EN * 12})
    with pytest.raises(BadInput, match="no input can come back"):
        fitted(tmp_path, 1, {**SHORT, "stages.0.objectives.0.autoencode": 1.0})
    with pytest.raises(BadInput, match="Shared vocabularies are a checkpoint's"):
        Raw2Vec("translation", steps=1, settings={"raw.vocabularies": "shared"}).fit(PAIRS, input="en", target="fr")
    (tmp_path / "target.spm").write_bytes(spm(WRITES)[:-3])
    with pytest.raises(BadFolder, match="damaged or no SentencePiece"):
        fitted(tmp_path, 1)


def test_a_translator_of_our_own_learns_on(tmp_path: Path) -> None:
    """Of another corpus, with its vocabulary; the objective is the new command's."""
    settings = {**SHORT, "raw.vocabulary": 300, "encoder.layers": 1, "decoder.layers": 1}
    first = Raw2Vec("translation", size="tiny", steps=2, settings=settings).fit(PAIRS, input="en", target="fr")
    first.save(tmp_path / "first")
    other = {"source": [f"the old {text}" for text in EN] * 8, "target": [f"{text} ancien" for text in FR] * 8}
    changes = {**SHORT, "stages.0.objectives.0.smoothing": 0.0}
    made = Raw2Vec("translation", steps=2, checkpoint=tmp_path / "first", settings=changes)
    made.fit(other, input="source", target="target")
    assert made.parts_.raw.identity() == first.parts_.raw.identity()
    assert made.parts_.recipe.objectives[0].settings["smoothing"] == 0.0
    assert made.parts_.recipe.encoder == first.parts_.recipe.encoder
    assert len(made.translate(["the old ship"])) == 1
    reason = r"the nearest, Marian, has encoder\.norm_order post-only, not pre-each"
    with pytest.raises(BadInput, match=reason):
        outward.export(made.parts_, tmp_path / "out", "transformers")


def test_pieces_are_written_as_they_were_read(tmp_path: Path) -> None:
    raw = raw2vec.load(started(tmp_path)).parts_.raw
    raw.save(tmp_path)
    (tmp_path / "again.spm").write_bytes(as_bytes(pieces_in((tmp_path / "tokenizer.json").read_text())))
    before, after = pieces_of(tmp_path / "source.spm"), pieces_of(tmp_path / "again.spm")
    assert (after.characters, after.prefix, after.squeeze) == (before.characters, before.prefix, before.squeeze)
    assert after.scores == before.scores


def test_sentencepiece_cuts_by_written_pieces_as_before(tmp_path: Path) -> None:
    library = pytest.importorskip("sentencepiece", reason="what is written without it is read by it")
    texts = [f"{a} {b} ½ déjà vu." for a in EN for b in FR]
    for name in ("source", "target"):
        stream = io.BytesIO()
        options = {"vocab_size": 40, "hard_vocab_limit": False, "minloglevel": 2}
        library.SentencePieceTrainer.train(sentence_iterator=iter(texts), model_writer=stream, **options)
        (tmp_path / f"{name}.spm").write_bytes(stream.getvalue())
    made = library.SentencePieceProcessor(model_file=str(tmp_path / "source.spm"))
    names = ["</s>", "<unk>", *(made.id_to_piece(place) for place in range(3, made.get_piece_size())), "<pad>"]
    pad = {"pad_token_id": len(names) - 1, "decoder_start_token_id": len(names) - 1}
    written(tmp_path / "in", vocab_size=len(names), **pad)
    for name in ("source", "target"):
        (tmp_path / f"{name}.spm").rename(tmp_path / "in" / f"{name}.spm")
    (tmp_path / "in/vocab.json").write_text(json.dumps({name: place for place, name in enumerate(names)}))
    assert outward.export(raw2vec.load(tmp_path / "in").parts_, tmp_path / "out", "transformers").note is None
    again = library.SentencePieceProcessor(model_file=str(tmp_path / "out/source.spm"))
    for text in [*texts, "  a   ship ", "", "ﬁne"]:
        assert again.encode(text, out_type=str) == made.encode(text, out_type=str)
