"""sentence-transformers' folders of CLIP: opened here as it opens them, and written for it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

import raw2vec
from raw2vec.errors import BadFolder, BadInput, Raw2VecError
from raw2vec.interchange import sentence_transformers
from raw2vec.interchange.outward import export
from tiny_checkpoints import TEXTS
from tiny_vision import PICTURES, clip, siglip

theirs = pytest.importorskip("sentence_transformers", reason="needs the extra 'peers'")
modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules", reason="needs version 6")
clip_model = pytest.importorskip("sentence_transformers.sentence_transformer.modules.clip_model")
pytestmark = pytest.mark.filterwarnings("ignore::raw2vec.system.TruncationWarning")
WORDS = [text for text in TEXTS if "[SEP]" not in text]


def saved(folder: Path, first: Any, *rest: Any) -> Any:
    """A tiny CLIP in a folder of theirs."""
    clip(folder / "clip")
    made = theirs.SentenceTransformer(modules=[first(str(folder / "clip")), *rest], device="cpu")
    made.save(str(folder / "m"))
    return made


def moved(folder: Path) -> None:
    """As clip-ViT-B-32 is published: the module in a folder of its own, by the class's older name, and bare."""
    home = folder / "0_CLIPModel"
    home.mkdir()
    for path in folder.iterdir():
        if path.is_file() and path.name not in ("modules.json", "config_sentence_transformers.json"):
            path.rename(home / path.name)
    (home / "sentence_bert_config.json").unlink()
    first = {"idx": 0, "name": "0", "path": home.name, "type": "sentence_transformers.models.CLIPModel"}
    listed = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([first, *listed[1:]]))


def beside(ours: Any, there: Any) -> None:
    """Both sides' vectors, here and there."""
    pictures = [Image.fromarray(picture) for picture in PICTURES]
    assert_allclose(ours.encode(PICTURES), there.encode(pictures), atol=1e-5)
    assert_allclose(ours.encode(WORDS, side="target"), there.encode(WORDS), atol=1e-5)


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("first", [clip_model.CLIPModel, modules.Transformer])
def test_pictures_and_words_as_there(first: Any, unit: bool, tmp_path: Path) -> None:
    saved(tmp_path, first, *[modules.Normalize()] * unit)
    if first is clip_model.CLIPModel:
        moved(tmp_path / "m")
    ours = raw2vec.load(tmp_path / "m")
    beside(ours, theirs.SentenceTransformer(str(tmp_path / "m"), device="cpu", local_files_only=True))
    lengths = np.linalg.norm(ours.encode(PICTURES), axis=1)
    assert np.allclose(lengths, 1, atol=1e-5) == unit
    assert ours.parts_.report["checkpoint"] == "m"


@pytest.mark.parametrize("unit", [False, True])
def test_what_came_in_goes_out(unit: bool, tmp_path: Path) -> None:
    saved(tmp_path, clip_model.CLIPModel, *[modules.Normalize()] * unit)
    ours, out = raw2vec.load(tmp_path / "m"), tmp_path / "out"
    told = export(ours.parts_, out, "sentence-transformers")
    assert (told.family, told.note) == ("SentenceTransformer", None)
    assert told.difference <= 1e-5
    beside(ours, theirs.SentenceTransformer(str(out), device="cpu", local_files_only=True))
    again = raw2vec.load(out)
    assert_allclose(again.encode(PICTURES), ours.encode(PICTURES), atol=1e-6)
    code = (out / "README.md").read_text().split("```python\n")[1].split("```")[0]
    exec(code.replace('"out"', f'"{out}"'), {})


def test_nothing_is_written_that_gives_other_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip(tmp_path / "in")
    ours = raw2vec.load(tmp_path / "in")
    listed = sentence_transformers._list
    monkeypatch.setattr(sentence_transformers, "_list", lambda folder, kinds, more: listed(folder, kinds[:1], more))
    with pytest.raises(Raw2VecError, match="does not give this model's vectors, so nothing was written"):
        export(ours.parts_, tmp_path / "out", "sentence-transformers")
    assert not (tmp_path / "out").exists()


def test_what_is_no_clip_stays_here(tmp_path: Path) -> None:
    siglip(tmp_path / "in")
    with pytest.raises(BadInput, match="fills them up to the longest of a batch"):
        export(raw2vec.load(tmp_path / "in").parts_, tmp_path / "out", "sentence-transformers")
    theirs.SentenceTransformer(str(tmp_path / "in"), device="cpu").save(str(tmp_path / "m"))
    with pytest.raises(BadFolder, match="fills a text up to the longest of its batch"):
        raw2vec.load(tmp_path / "m")


def asked(folder: Path, **changes: Any) -> None:
    path = folder / "sentence_bert_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


BAD: dict[str, tuple[Any, str]] = {
    "a map": (lambda: [modules.Dense(16, 8)], "and perhaps Normalize once"),
    "a task": (lambda folder: asked(folder, transformer_task="fill-mask"), "has transformer_task 'fill-mask'"),
    "options": (lambda folder: asked(folder, processing_kwargs={"text": {"padding": False}}), "has processing_kwargs"),
    "another method": (
        lambda folder: asked(folder, modality_config={"text": {"method": "forward"}}),
        "has the text read by",
    ),
    "prompts": (
        lambda folder: (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "a photo: "}}'),
        "has prompts",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_known_is_a_sentence(case: str, tmp_path: Path) -> None:
    spoil, sentence = BAD[case]
    saved(tmp_path, clip_model.CLIPModel, *(spoil() if case == "a map" else []))
    if case != "a map":
        spoil(tmp_path / "m")
    with pytest.raises(BadFolder, match=sentence) as found:
        raw2vec.load(tmp_path / "m")
    assert "\n" not in str(found.value)
