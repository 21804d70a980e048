"""Our translator is a MarianMTModel: the same weights give the same logits and the same texts in transformers."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from raw2vec.decoders import TransformerWriter
from raw2vec.embedding import TokenEmbedding
from raw2vec.encoders import Transformer
from raw2vec.latents import Point
from raw2vec.models import Embedder, SequenceToSequence
from raw2vec.models.sequence_to_sequence import parted
from raw2vec.ragged import Ragged
from raw2vec.readout import TokenReadout
from raw2vec.use.encode import evaluation
from raw2vec.use.write import Draft, Manner, write

transformers = pytest.importorskip("transformers", reason="parity is measured against transformers itself")

VOCABULARY, WIDTH, END, PAD = 50, 16, 0, 49
LONGEST, BEAM = 30, 5
SHAPE = {"layers": 2, "heads": 2, "feed_forward": 32, "norm_order": "post-only", "positions": "sinusoidal"}
CONFIG = {
    "vocab_size": VOCABULARY,
    "d_model": WIDTH,
    "max_position_embeddings": 64,
    "pad_token_id": PAD,
    "decoder_start_token_id": PAD,
    "eos_token_id": END,
    "forced_eos_token_id": None,
    **{f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in (("layers", 2), ("attention_heads", 2))},
    **{f"{side}_ffn_dim": 32 for side in ("encoder", "decoder")},
}
# Ours ↔ theirs. Where theirs are several, ours is them one below the other.
LAYER = (
    ("attention.enter", "self_attn.q_proj self_attn.k_proj self_attn.v_proj"),
    ("attention.leave", "self_attn.out_proj"),
    ("attention_norm", "self_attn_layer_norm"),
    ("cross.enter", "encoder_attn.q_proj"),
    ("cross.remember", "encoder_attn.k_proj encoder_attn.v_proj"),
    ("cross.leave", "encoder_attn.out_proj"),
    ("cross_norm", "encoder_attn_layer_norm"),
    ("feed_forward.enter", "fc1"),
    ("feed_forward.leave", "fc2"),
    ("feed_forward_norm", "final_layer_norm"),
)


def theirs(activation: str, scaled: bool) -> Any:
    """Every weight drawn anew: ones and zeros would hide a norm or a bias left out.

    Norms turn the signs of features around, without which a tied table writes the same token again and again.
    """
    config = transformers.MarianConfig(activation_function=activation, scale_embedding=scaled, **CONFIG)
    model = transformers.MarianMTModel(config)
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if weight.requires_grad:  # positions stay what they are
            nn.init.normal_(weight, std=1.0 if "norm.weight" in name else 0.5 if "shared" in name else 0.2)
    model.final_logits_bias.normal_(std=0.5)
    model.final_logits_bias[0, END] = 2.0
    return model.eval()


def ours(model: Any) -> SequenceToSequence:
    """The same translator of our parts.

    Embeddings that theirs multiplies by √width as they enter are so in our table: the head then has a table of its own.
    """
    config, table = model.config, model.model.shared
    scaled, shape = config.scale_embedding, SHAPE | {"activation": config.activation_function}
    embedding = TokenEmbedding(VOCABULARY, WIDTH)
    embedder = Embedder(embedding, Transformer(WIDTH, WIDTH, **shape), Point(WIDTH, 4))
    writer = TransformerWriter(4, WIDTH, WIDTH, memory=WIDTH, **shape)
    readout = TokenReadout(WIDTH, VOCABULARY, END, PAD, None if scaled else embedding.table)
    for part, name in ((embedder.encoder, "encoder"), (writer, "decoder")):
        part.load_state_dict(weights_of(model.model.get_submodule(name)))
    with torch.no_grad():
        embedding.table.weight.copy_(table.weight * (WIDTH**0.5 if scaled else 1))
        readout.linear.weight.copy_(table.weight)
        readout.linear.bias.copy_(model.final_logits_bias[0])
    return SequenceToSequence(embedder, writer, readout).eval()


def weights_of(side: Any) -> dict[str, Tensor]:
    """An encoder's or a decoder's under our names. Our positions have a scale; theirs are as high as they are."""
    state, found = side.state_dict(), {"positions.scale": torch.tensor(1.0)}
    for layer in range(SHAPE["layers"]):
        for own, names in LAYER:
            for kind in ("weight", "bias"):
                parts = [state.get(f"layers.{layer}.{name}.{kind}") for name in names.split()]
                if parts[0] is not None:
                    found[f"layers.{layer}.{own}.{kind}"] = torch.cat(parts)
    return found


def both(activation: str, scaled: bool, dtype: torch.dtype = torch.float64) -> tuple[Any, SequenceToSequence]:
    """Theirs and ours. Their sines are rounded to float32, ours are worked out in it: beyond it both take ours."""
    model = theirs(activation, scaled)
    made, model = ours(model).to(dtype), model.to(dtype)
    if dtype == torch.float64:
        for side in (model.model.encoder, model.model.decoder):
            side.embed_positions.weight.copy_(places(made.encoder))
    return model, made


def places(side: Any) -> Tensor:
    """What our positions add to each of 64 rows."""
    rows = Ragged(torch.zeros(64, WIDTH, dtype=side.positions.scale.dtype), torch.tensor([[64]]))
    return side.positions(rows).values.detach()


def items(count: int, first: tuple[int, ...] = (), seed: int = 0) -> Ragged:
    """Texts of 0 to 19 tokens, which end; `first` stands before each."""
    generator = torch.Generator().manual_seed(seed)
    lengths = [0, 19, *torch.randint(1, 19, (count - 2,), generator=generator).tolist()]
    texts = [torch.randint(1, PAD, (length,), generator=generator) for length in lengths]
    return Ragged.of([torch.tensor([*first, *text.tolist(), END]) for text in texts])


def written(model: Any, sources: Ragged, **options: Any) -> list[list[tuple[list[int], float]]]:
    """Their drafts of each item, best first, without what begins and ends them; with scores where a beam gave any."""
    found = model.generate(
        input_ids=sources.padded(PAD),
        attention_mask=sources.inside().long(),
        max_new_tokens=LONGEST,
        do_sample=False,
        bad_words_ids=[[PAD]],
        return_dict_in_generate=True,
        output_scores=True,
        **options,
    )
    texts = [ids[1 : ids.index(END) if END in ids else LONGEST] for ids in found.sequences.tolist()]
    scores = found.get("sequences_scores")
    drafts = list(zip(texts, [0.0] * len(texts) if scores is None else scores.tolist(), strict=True))
    each = len(drafts) // len(sources)
    return [drafts[place : place + each] for place in range(0, len(drafts), each)]


def drafts(model: SequenceToSequence, sources: Ragged, **manner: Any) -> list[list[Draft]]:
    limits = torch.full((len(sources),), LONGEST)
    with evaluation(model):
        return write(model, model.read(sources), limits, Manner(forbidden=(PAD,), loops=True, **manner))


def test_positions_are_theirs() -> None:
    model = theirs("relu", False)
    found = model.model.encoder.embed_positions.weight
    torch.testing.assert_close(places(ours(model).encoder), found.detach(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("activation", ["swish", "relu"])
@pytest.mark.parametrize("scaled", [True, False], ids=["scaled", "plain"])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.float64, 1e-9)])
@torch.inference_mode()
def test_the_same_logits(activation: str, scaled: bool, dtype: torch.dtype, near: float) -> None:
    model, made = both(activation, scaled, dtype)
    sources, targets = items(9), items(9, first=(PAD,), seed=1).take(torch.arange(8, -1, -1))
    before, _ = parted(targets)
    told = model(
        input_ids=sources.padded(PAD),
        attention_mask=sources.inside().long(),
        decoder_input_ids=before.padded(PAD),
        decoder_attention_mask=before.inside().long(),
    )
    states, _ = made.written(made.read(sources), targets)
    logits = made.readout.logits(states.values)
    torch.testing.assert_close(logits, before.unpadded(told.logits), atol=near, rtol=0)
    assert logits.std() > 1, "all tokens are as likely: this would show nothing"


@pytest.mark.parametrize("activation", ["swish", "relu"])
@pytest.mark.parametrize("scaled", [True, False], ids=["scaled", "plain"])
@torch.inference_mode()
def test_the_same_texts(activation: str, scaled: bool) -> None:
    """Greedily; and all that a beam of 5 gives, where it compares sums."""
    model, made = both(activation, scaled)
    sources = items(32)
    greedy = [each[0][0] for each in written(model, sources)]
    assert [each[0].ids for each in drafts(made, sources)] == greedy
    told = written(model, sources, num_beams=BEAM, num_return_sequences=BEAM, length_penalty=0.0)
    found = drafts(made, sources, beam=BEAM, best=BEAM, length_penalty=0.0)
    assert [[draft.ids for draft in each] for each in found] == [[ids for ids, _ in each] for each in told]
    for own, others in zip(found, told, strict=True):
        assert [draft.log_prob for draft in own] == pytest.approx([score for _, score in others], abs=1e-5)
    for texts in (greedy, [ids for each in told for ids, _ in each]):
        assert len({tuple(ids) for ids in texts}) > 5
        assert any(0 < len(ids) < LONGEST - 1 for ids in texts)


@pytest.mark.parametrize("penalty", [0.6, 1.0])
@torch.inference_mode()
def test_with_a_length_penalty_ours_stops_between_their_two_ways_to(penalty: float) -> None:
    """By the tokens so far, or by the most there could be; ours goes by one more. Scores are the same."""
    model, made = both("swish", scaled=True)
    sources, beam = items(32), {"num_beams": BEAM, "length_penalty": penalty}
    soon, late = ([each[0] for each in written(model, sources, early_stopping=way, **beam)] for way in (False, "never"))
    found = [each[0] for each in drafts(made, sources, beam=BEAM, length_penalty=penalty)]
    ended = [place for place, (ids, _) in enumerate(soon) if len(ids) < LONGEST - 1]
    told = Ragged.of([torch.tensor([PAD, *soon[place][0], END]) for place in ended])
    _, costs = made.costs(made.read(sources.take(torch.tensor(ended))), told)
    lengths = told.lengths - 1
    ours = Ragged(-costs, lengths[:, None]).sum() / lengths**penalty
    assert ours.tolist() == pytest.approx([soon[place][1] for place in ended], abs=1e-5)
    assert all(found[place].score(penalty) > soon[place][1] - 1e-5 for place in ended)
    whole = [place for place in ended if len(late[place][0]) < LONGEST - 1]
    assert all(found[place].score(penalty) < late[place][1] + 1e-5 for place in whole)
    assert len({tuple(soon[place][0]) for place in whole}) > 2
