"""A picture's processor is obeyed to the letter, also where its file says nothing, or refused in a sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose

import raw2vec
from raw2vec.errors import BadFolder
from spoiling import written_in
from tiny_vision import PAIRS, PICTURES, pixel_values, processor, vit

PIXELS = "preprocessor_config.json"
MAKERS: dict[str, Any] = {"vit": vit, **PAIRS}


@pytest.mark.parametrize("kind", MAKERS)
def test_what_a_file_does_not_say_is_as_the_familys(kind: str, tmp_path: Path) -> None:
    MAKERS[kind](tmp_path)
    path = tmp_path / PIXELS
    names = ("resample", "image_mean", "image_std", "do_center_crop", "image_processor_type")
    held = {name: value for name, value in json.loads(path.read_text()).items() if name not in names}
    path.write_text(json.dumps(held))
    model = raw2vec.load(tmp_path)
    embedding, ragged = model.parts_.model.embedding, model.parts_.raw.windows(PICTURES).ragged
    values = (ragged.values.float() / 255 - embedding.mean) / embedding.deviation
    found = [item.permute(2, 0, 1) for item in ragged.replace(values).items()]
    for ours, theirs in zip(found, pixel_values(processor(kind)), strict=True):
        assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("name", ["ViTImageProcessor", "ViTImageProcessorFast", "ViTFeatureExtractor"])
def test_a_familys_processor_has_several_names(name: str, tmp_path: Path) -> None:
    vit(tmp_path)
    written_in(PIXELS, image_processor_type=name, crop_pct=None, do_convert_rgb=True, processor_class="X")(tmp_path)
    assert raw2vec.load(tmp_path).encode(PICTURES).any()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            {"image_processor_type": "EfficientNetImageProcessor"},
            "read by EfficientNetImageProcessor, and those .* ViTImage",
        ),
        ({"image_processor_type": None, "feature_extractor_type": "DeiTFeatureExtractor"}, "read by DeiTFeatureExtr"),
        ({"rescale_offset": True}, "has rescale_offset True, which is not known here"),
        ({"crop_pct": 0.9}, r"has crop_pct 0\.9, which is not known here"),
    ],
)
def test_another_processor_is_refused(said: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    vit(tmp_path)
    written_in(PIXELS, **said)(tmp_path)
    with pytest.raises(BadFolder, match=rf"preprocessor_config\.json .*{sentence}"):
        raw2vec.load(tmp_path)
