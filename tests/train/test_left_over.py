"""What a fit leaves beside its model: nothing where it was refused before it had begun, else what it can go on from."""

from pathlib import Path

import numpy as np
import pytest

from raw2vec.errors import BadInput
from raw2vec.system import Raw2Vec
from raw2vec.train.loop import Trainer

GOOD = [{"size": float(number), "day": number % 3} for number in range(60)]
BAD = [*GOOD, {"size": float("inf"), "day": 1}]


def fit(data: object, out: Path, *, steps: int = 4, resume: bool = False) -> Raw2Vec:
    made = Raw2Vec("reconstruction", kind="table", size="tiny", steps=steps)
    return made.fit(data, out=out, resume=resume)


@pytest.mark.parametrize("resume", [False, True])
def test_a_fit_refused_for_its_data_leaves_nothing(tmp_path: Path, resume: bool) -> None:
    with pytest.raises(BadInput, match="infinite"):
        fit(BAD, tmp_path / "m", resume=resume)
    assert not list(tmp_path.iterdir())
    fit(GOOD, tmp_path / "m", resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_two_fits_to_one_place_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Trainer.run

    def meanwhile(trainer: Trainer) -> object:
        with monkeypatch.context() as patched:
            patched.setattr(Trainer, "run", run)
            for resume in (False, True):
                with pytest.raises(BadInput, match=r"Another run is writing .*m: wait for its end"):
                    fit(GOOD, tmp_path / "m", resume=resume)
        return run(trainer)

    monkeypatch.setattr(Trainer, "run", meanwhile)
    fit(GOOD, tmp_path / "m")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_model_may_lie_behind_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").symlink_to(tmp_path / "far")
    for _ in range(2):
        fit(GOOD, tmp_path / "m")
    assert (tmp_path / "m").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["far", "m"]
    fit(GOOD, tmp_path / "m", resume=True)
    monkeypatch.chdir(tmp_path / "far")
    with pytest.raises(BadInput, match="is the folder that this runs in"):
        fit(GOOD, Path("."))


def test_what_was_begun_stays_when_another_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_: Trainer) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "run", stopped)
        with pytest.raises(KeyboardInterrupt):
            fit(GOOD, tmp_path / "m")
    with pytest.raises(BadInput, match="cannot be resumed as another"):
        fit(GOOD, tmp_path / "m", steps=5, resume=True)
    assert (tmp_path / "m.training" / "prepared.json").exists()
    assert np.isfinite(fit(GOOD, tmp_path / "m", resume=True).encode(GOOD)).all()
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
