"""A student of a tiny teacher: static, taught, smaller, saved and opened; and what nobody can learn from."""

from pathlib import Path

import numpy as np
import pytest
import torch

import raw2vec
from raw2vec import Raw2Vec
from raw2vec.errors import BadInput
from raw2vec.train.base import FINISHED
from raw2vec.use import teach
from small import texts
from tiny_checkpoints import TEXTS, written

pytestmark = pytest.mark.filterwarnings("ignore::raw2vec.errors.EmptyTextWarning")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BERT with three layers of width 32, its weights drawn."""
    folder = tmp_path_factory.mktemp("distilling") / "teacher"
    written("bert", folder)
    return folder


def test_without_texts_a_table_of_what_tokens_say(teacher: Path, tmp_path: Path) -> None:
    made = raw2vec.distill(teacher, out=tmp_path / "m", latent=8)
    assert made.encode(TEXTS).shape == (len(TEXTS), 8)
    assert (made.report["teacher"], made.report["steps"]) == (str(teacher), 0)
    metrics, most = made.report["metrics"], made.report["baselines"]["the teacher in 8 numbers"]
    assert (made.report["protocol"], made.report["passages"]) == ("agreement/1", 256)
    assert metrics["cosine"] <= most["cosine"] + 1e-6
    assert 1.5 * 10 / 255 < metrics["neighbours@10"] < most["neighbours@10"], "chance is ten of as many as there are"
    again = raw2vec.load(tmp_path / "m")
    np.testing.assert_array_equal(again.encode(TEXTS), made.encode(TEXTS))
    assert "what" in (tmp_path / "m" / "README.md").read_text()
    table = made.parts_.model.embedding.table.weight
    assert not table[[0, 2, 3, 4]].any(), "what stands for no text says nothing"
    wide = raw2vec.distill(teacher, out=tmp_path / "wide")
    assert wide.n_features_out_ == 32, "no more than the teacher has"
    assert "log_weights" not in str(wide.parts_.recipe)


def test_a_taught_table_comes_nearer_than_the_tokens_alone(teacher: Path, tmp_path: Path) -> None:
    data = {"body": [*texts(600), "", "anchor"], "other": ["x"] * 602}
    made = raw2vec.distill(
        teacher, data, input="body", out=tmp_path / "m", latent=12, steps=150, settings={"training.hold_out": 0.2}
    )
    metrics, baselines = made.report["metrics"], made.report["baselines"]
    assert metrics["cosine"] > baselines["before training"]["cosine"]
    assert metrics["cosine"] <= baselines["the teacher in 12 numbers"]["cosine"] + 1e-6
    assert list(baselines) == ["the teacher in 12 numbers", "before training", "TF-IDF+SVD"]
    assert made.report["taught"] == len(set(data["body"]) - {""})
    assert made.parts_.recipe.columns["input"] == "body", "further commands find the column again"
    lift = made.parts_.objectives["0/distillation"].lift
    lifted = made.encode(data["body"][:50]) @ lift.numpy()
    cosines = raw2vec.load(teacher).similarity(lifted, raw2vec.load(teacher).encode(data["body"][:50])).diagonal()
    assert cosines.mean() > 0.7
    assert not (tmp_path / "m.training").exists()


def test_vectors_that_embed_wrote_are_taken(teacher: Path, tmp_path: Path) -> None:
    """The very same student as of the same texts asked for anew would be, but for their order."""
    raw2vec.load(teacher).embed({"body": texts(300)}, tmp_path / "t.parquet")
    given = {"vectors": "vector", "latent": 8, "steps": 20}
    made = raw2vec.distill(teacher, tmp_path / "t.parquet", out=tmp_path / "m", **given)
    assert made.report["taught"] == len(set(texts(300)))
    assert made.report["metrics"] is not None
    assert made.parts_.recipe.columns == {"input": "body", "label": "vector"}
    raw2vec.distill(teacher, out=tmp_path / "other", latent=8).embed({"body": texts(9)}, tmp_path / "o.parquet")
    rows = {"body": texts(9), "vector": np.random.default_rng(0).normal(size=(9, 32)).tolist()}
    for data, said in ((rows, "is not what this model says"), (tmp_path / "o.parquet", "no vectors of 32 numbers")):
        with pytest.raises(BadInput, match=said):
            raw2vec.distill(teacher, data, input="body", out=tmp_path / "n", **given)


def test_the_folder_opens_in_sentence_transformers(teacher: Path, tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="needs the extra 'peers'")
    made = raw2vec.distill(teacher, texts(200), out=tmp_path / "m", latent=8, steps=5)
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path / "m"), device="cpu", local_files_only=True)
    np.testing.assert_allclose(theirs.encode(texts(20)), made.encode(texts(20)), atol=1e-6)


def test_fewer_layers_begin_as_the_teacher_s(teacher: Path, tmp_path: Path) -> None:
    settings = {"encoder.layers": 2, "training.learning_rate": 1e-9}
    made = raw2vec.distill(teacher, texts(200), out=tmp_path / "m", encoder="transformer", steps=1, settings=settings)
    own, held = made.parts_.model.state_dict(), raw2vec.load(teacher).parts_.model.state_dict()
    assert torch.allclose(own["embedding.table.weight"], held["embedding.table.weight"], atol=1e-6)
    for layer, theirs in ((0, 0), (1, 2)):
        names = [name for name in own if name.startswith(f"encoder.layers.{layer}.")]
        assert names
        for name in names:
            assert torch.allclose(own[name], held[name.replace(f"layers.{layer}.", f"layers.{theirs}.")], atol=1e-6), (
                name
            )
    assert made.n_features_out_ == 32
    assert made.parts_.recipe.encoder.settings["layers"] == 2


@pytest.mark.parametrize("encoder", ["transformer", "recurrent", "convolutional"])
def test_other_encoders_learn_too(teacher: Path, tmp_path: Path, encoder: str) -> None:
    settings = {"encoder.width": 32, "training.hold_out": 0.2}
    options = {"encoder": encoder, "latent": 16, "steps": 40, "settings": settings}
    made = raw2vec.distill(teacher, texts(400), out=tmp_path / "m", **options)
    assert made.report["metrics"]["cosine"] > made.report["baselines"]["before training"]["cosine"]
    assert made.encode(["an anchor"]).shape == (1, 16)


def test_one_seed_one_student(teacher: Path, tmp_path: Path) -> None:
    one, two, other = (
        raw2vec.distill(teacher, texts(100), out=tmp_path / name, latent=6, steps=4, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert one.fingerprint_ == two.fingerprint_ != other.fingerprint_


def test_a_run_that_was_stopped_goes_on_where_it_was(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The teacher is asked for no text twice, another run does not take its place, and a finished one is known."""
    monkeypatch.setattr(teach, "BLOCK", 50)
    asked: list[int] = []
    ask = teach.encode

    def counted(model: object, raw: object, items: list[str], **options: object) -> object:
        asked.append(len(items))
        if len(asked) == 4:
            raise KeyboardInterrupt
        return ask(model, raw, items, **options)

    monkeypatch.setattr(teach, "encode", counted)
    options = {"out": tmp_path / "m", "latent": 6, "steps": 4}
    data = list(dict.fromkeys(texts(400)))
    with pytest.raises(KeyboardInterrupt):
        raw2vec.distill(teacher, data, **options)
    assert len(list((tmp_path / "m.training" / "teacher").glob("*.parquet"))) == 3
    for other, said in (({"latent": 5}, "has another recipe"), ({"seed": 1}, "other data|another recipe")):
        with pytest.raises(BadInput, match=said):
            raw2vec.distill(teacher, data, resume=True, **{**options, **other})
    raw2vec.distill(teacher, out=tmp_path / "small", latent=8)
    with pytest.raises(BadInput, match="another teacher"):
        raw2vec.distill(tmp_path / "small", data, resume=True, **options)
    asked[:] = [0] * 4
    made = raw2vec.distill(teacher, data, resume=True, **options)
    assert sum(asked) == len(data) - 150
    assert made.report["taught"] == len(data)
    heard: list[object] = []
    again = raw2vec.distill(teacher, data, resume=True, listener=heard.append, **options)
    assert (again.fingerprint_, heard[-1]) == (made.fingerprint_, FINISHED)
    whole = raw2vec.distill(teacher, data, **{**options, "out": tmp_path / "whole"})
    assert whole.fingerprint_ == made.fingerprint_
    assert not list(tmp_path.glob("*.training"))


def test_what_nobody_can_learn_from(teacher: Path, tmp_path: Path) -> None:
    pictures = Raw2Vec("reconstruction", latent=2, steps=1).fit(np.zeros((30, 4, 4), np.uint8))
    with pytest.raises(BadInput, match="reads the kind 'image'"):
        raw2vec.distill(pictures, out=tmp_path / "m")
    for options, said in (
        ({"latent": 33}, r"vectors have 32 numbers.*latent of 1 to 32, not 33"),
        ({"encoder": "transformer"}, "Without texts there is nothing to learn from"),
        ({"minutes": 1.0}, "Without texts there is nothing to learn from"),
        ({"data": ["", " "]}, "no text to learn from"),
        ({"data": ["a"], "input": "b"}, "no column 'b'"),
        ({"data": texts(9), "minutes": 1, "steps": 2}, "minutes or steps, not both"),
    ):
        with pytest.raises(BadInput, match=said):
            raw2vec.distill(teacher, out=tmp_path / "m", **options)
    raw2vec.distill(teacher, out=tmp_path / "m", latent=2)
    with pytest.raises(BadInput, match="holds a model already"):
        raw2vec.distill(teacher, out=tmp_path / "m", latent=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m"]
