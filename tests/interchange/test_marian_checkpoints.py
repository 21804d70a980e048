"""Marian's folders: pieces read from SentencePiece's own files, and a translator that tells what theirs tells."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import raw2vec
from raw2vec import Raw2Vec
from raw2vec.errors import BadFolder, BadInput
from raw2vec.interchange.checkpoints.pieces import pieces_of, tokenizer_of
from raw2vec.models.sequence_to_sequence import parted
from raw2vec.ragged import Ragged
from raw2vec.use.encode import evaluation
from raw2vec.use.write import Manner, write
from tiny_marian import OTHER, PAD, SCORES, SIZE, VOCABULARY, field, spm, written

TEXTS = ["a ship", "the ships", "", "ships  the a", "x ship", "hip the", ">>fra<< the ship", "a s'il \ue000▁un"]


def by_hand(text: str) -> list[int]:
    """The best way to cut a text, by trying all; what is unknown costs ten nats more than the least piece."""
    known = {**SCORES, ">>fra<<": 0.0}
    whole = "▁" + " ".join(text.split()).replace(" ", "▁") if text.strip() else ""
    worst = min(SCORES.values()) - 10
    best: list[tuple[float, list[int]]] = [(0.0, [])]
    for end in range(1, len(whole) + 1):
        ways = []
        for start in range(max(end - 8, 0), end):
            piece = whole[start:end]
            score = known.get(piece, worst if end - start == 1 else -math.inf)
            number = VOCABULARY.get(piece if piece in known else "<unk>", 1)
            ways.append((best[start][0] + score, [*best[start][1], number]))
        best.append(max(ways, key=lambda way: way[0]))
    return best[-1][1]


def test_pieces_are_cut_as_their_scores_say(tmp_path: Path) -> None:
    (tmp_path / "source.spm").write_bytes(spm())
    pieces = pieces_of(tmp_path / "source.spm")
    assert pieces.scores == pytest.approx(SCORES)
    made = tokenizer_of(pieces, VOCABULARY, {"unknown": "<unk>", "end": "</s>", "padding": "<pad>"})
    for text in TEXTS[:6]:
        found = made.encode(text, add_special_tokens=False).ids
        assert [number if number < SIZE else 1 for number in found] == by_hand(text), text
    assert made.decode([VOCABULARY["▁un"], VOCABULARY["▁navire"]]) == "un navire"
    assert made.encode(">>fra<< a ship").ids[0] == VOCABULARY[">>fra<<"]
    strange = made.encode("s'il \ue000▁un", add_special_tokens=False).ids
    assert not {VOCABULARY[name] for name in OTHER} & set(strange)


def test_pieces_are_those_of_the_library(tmp_path: Path) -> None:
    library = pytest.importorskip("sentencepiece", reason="what is read without it is measured against it")
    unknown = field(1, field(1, b"<unk>") + field(2, 0.0) + field(3, 2))
    (tmp_path / "source.spm").write_bytes(unknown + spm())
    theirs = library.SentencePieceProcessor(model_file=str(tmp_path / "source.spm"))
    made = tokenizer_of(
        pieces_of(tmp_path / "source.spm"), VOCABULARY, {"unknown": "<unk>", "end": "</s>", "padding": "<pad>"}
    )
    for text in TEXTS[:6]:
        assert made.encode(text, add_special_tokens=False).tokens == theirs.encode(text, out_type=str)


@pytest.mark.parametrize("scaled", [True, False], ids=["scaled", "plain"])
@torch.inference_mode()
def test_the_same_logits_and_texts(scaled: bool, tmp_path: Path) -> None:
    theirs, ours = written(tmp_path, scaled), raw2vec.load(tmp_path)
    raw, model = ours.parts_.raw, ours.parts_.model
    sources = raw.windows([text for text in TEXTS if "hip the" not in text]).ragged  # 'hip' is not in the vocabulary
    assert all(item[-1] == 0 for item in sources.items())
    drawn = torch.Generator().manual_seed(0)
    told = Ragged.of(
        [torch.tensor([PAD, *torch.randint(2, PAD, (n,), generator=drawn).tolist(), 0]) for n in range(len(sources))]
    )
    before, _ = parted(told)
    inputs = {"input_ids": sources.padded(PAD), "attention_mask": sources.inside().long()}
    found = theirs(**inputs, decoder_input_ids=before.padded(PAD), decoder_attention_mask=before.inside().long()).logits
    states, _ = model.written(model.read(sources), told)
    logits = model.readout.logits(states.values)
    torch.testing.assert_close(logits[:, :SIZE], before.unpadded(found), atol=1e-5, rtol=1e-5)
    assert (logits[:, SIZE:] < -1000).all()
    texts = theirs.generate(**inputs, max_new_tokens=20, do_sample=False, bad_words_ids=[[PAD], [1]])
    with evaluation(model):
        limits = torch.full((len(sources),), 20)
        drafts = write(model, model.read(sources), limits, Manner(forbidden=(PAD, 1), loops=True))
    found = [ids[1 : ids.index(0) if 0 in ids else 20] for ids in texts.tolist()]  # our end is one of the twenty
    assert [each[0].ids for each in drafts] == found


def test_saved_it_is_a_folder_of_ours(tmp_path: Path) -> None:
    written(tmp_path / "theirs")
    ours = raw2vec.load(tmp_path / "theirs")
    ours.save(tmp_path / "ours")
    again = raw2vec.load(tmp_path / "ours")
    assert again.fingerprint_ == ours.fingerprint_
    np.testing.assert_array_equal(again.encode(TEXTS), ours.encode(TEXTS))
    assert again.translate(TEXTS, beam=3) == ours.translate(TEXTS, beam=3)
    alone = np.stack([ours.encode(text) for text in TEXTS])
    np.testing.assert_allclose(alone, ours.encode(TEXTS), atol=1e-5)
    assert ours.translate([""]) == [""]


def changed(**changes: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        held = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps(held))

    return spoil


def weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        held = load_file(folder / "model.safetensors")
        change(held)
        save_file(held, folder / "model.safetensors")

    return spoil


LAYER = "model.decoder.layers.1.encoder_attn"
BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no pieces": (lambda folder: (folder / "source.spm").unlink(), "has no tokenizer.json"),
    "no vocabulary": (lambda folder: (folder / "vocab.json").unlink(), r"vocab\.json cannot be read"),
    "cut short": (lambda folder: (folder / "source.spm").write_bytes(spm()[:-3]), "is damaged or no SentencePiece"),
    "byte pairs": (lambda folder: (folder / "source.spm").write_bytes(spm(kind=2)), "no Unigram model"),
    "a gap": (
        lambda folder: (folder / "vocab.json").write_text('{"<unk>": 0, "a": 2}'),
        "leaves out some of the numbers",
    ),
    "two vocabularies": (lambda folder: (folder / "target_vocab.json").write_text("{}"), "a vocabulary for each"),
    "another beginning": (changed(decoder_start_token_id=0), "begins translations with another token"),
    "another end": (changed(eos_token_id=2), r"end of a text at number 2 \(eos_token_id\).* has '</s>' at 0"),
    "another padding": (changed(pad_token_id=3), r"padding at number 3 \(pad_token_id\).* has '<pad>' at "),
    "another vocabulary": (changed(vocab_size=9), "has a vocab_size of 9, and the table of embeddings has"),
    "pre-norm": (changed(normalize_before=True), "has normalize_before True"),
    "missing part": (weights(lambda held: held.pop(f"{LAYER}.k_proj.weight")), "holds only some of"),
    "missing": (weights(lambda held: held.pop(f"{LAYER}.q_proj.bias")), rf"lacks the weight '{LAYER}\.q_proj\.bias'"),
    "no table": (weights(lambda held: held.pop("model.shared.weight")), "weights of its word embeddings"),
    "extra": (weights(lambda held: held.update(adapter=torch.ones(2))), "marian as we know it has no place for"),
    "NaN": (weights(lambda held: held[f"{LAYER}.q_proj.bias"].fill_(float("nan"))), "not finite"),
}


@pytest.mark.parametrize("case", BAD)
def test_one_sentence_says_what_is_wrong(case: str, tmp_path: Path) -> None:
    written(tmp_path)
    BAD[case][0](tmp_path)
    with pytest.raises(BadFolder, match=BAD[case][1]) as found:
        raw2vec.load(tmp_path)
    assert "\n" not in str(found.value)


def test_learning_from_it_needs_the_pieces_of_what_is_written(tmp_path: Path) -> None:
    written(tmp_path)
    pairs = {"en": ["a ship", "the ships"] * 20, "fr": ["un navire", "le navire"] * 20}
    with pytest.raises(BadInput, match=r"put its target\.spm into its folder"):
        Raw2Vec("translation", steps=1, checkpoint=tmp_path).fit(pairs, input="en", target="fr")
