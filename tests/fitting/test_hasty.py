"""A budget that is over before anything was learned is told of, with what would help."""

import pytest

from raw2vec.fitting.fit import _hasty
from small import recipe


@pytest.mark.parametrize(
    ("batch", "help"), [({"batch_items": 128}, "batch_items=16"), ({"batch_tokens": 4096}, "batch_tokens=512")]
)
def test_few_steps_are_told_of_with_a_smaller_batch(batch: dict[str, int], help: str) -> None:
    asked = recipe("contrastive", "dense").changed({"stages.0.batch_items": None, "stages.0.batch_tokens": None})
    told = _hasty(asked.changed({f"stages.0.{name}": value for name, value in batch.items()}), 3)
    assert told.startswith("steps in all: 3, in which next to nothing is learned")
    assert told.endswith(f"--set stages.0.{help}")
