"""A posterior that has collapsed is said, by fit and by evaluate; one that has not is not."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from raw2vec import Raw2Vec
from raw2vec.errors import BadInput
from raw2vec.evaluate import health

DIGITS = (load_digits().images * 15).astype(np.uint8)


def fitted(beta: float) -> Raw2Vec:
    settings = {"stages.0.objectives": [{"name": "variational", "beta": beta}]}
    model = Raw2Vec("variational", kind="image", latent=6, size="tiny", steps=80, settings=settings)
    return model.fit(DIGITS[:700])


def test_a_collapsed_posterior_is_said_and_its_units_are_counted() -> None:
    model = fitted(500.0)
    found = model.evaluate(DIGITS[700:800], "likelihood", samples=3)
    assert found.metrics["active_units"] == 0
    for notes in (found.notes, model.report["notes"]):
        assert any("0 of 6 units carry information: the posterior has collapsed" in note for note in notes)
    assert len(model.report["health"]["unit_kl"]) == 6
    assert max(model.report["health"]["unit_kl"]) < 0.05


def test_a_posterior_in_use_is_not() -> None:
    model = fitted(1.0)
    heard: list[int] = []
    found = model.evaluate(DIGITS[700:1000], "likelihood", samples=3, progress=heard.append)
    assert heard == [256, 44]
    assert found.metrics["active_units"] > 2
    assert not any("collapsed" in note for note in [*found.notes, *model.report["notes"]])
    for notes in (found.notes, model.report["notes"]):
        assert any(" of 6 units carry information (nats a unit, most first: " in note for note in notes)
    space = model.evaluate(DIGITS[700:1000], "space")
    assert space.metrics["kl"] == pytest.approx(found.metrics["kl"])
    assert sum(model.report["health"]["unit_kl"]) == pytest.approx(found.metrics["kl"], rel=0.2)


def test_only_the_likelihood_draws_codes() -> None:
    model = Raw2Vec("variational", kind="image", latent=2, size="tiny", steps=1).fit(DIGITS[:50])
    with pytest.raises(BadInput, match="'reconstruction' draws no codes"):
        model.evaluate(DIGITS[:50], "reconstruction", samples=3)
    with pytest.raises(BadInput, match="at least 1 sample"):
        model.evaluate(DIGITS[:50], "likelihood", samples=0)


def test_codes_in_use_are_told_and_not_taken_for_repeated_items() -> None:
    settings = {"latent": {"name": "quantised", "width": 4, "codes": 8, "groups": 2}}
    model = Raw2Vec("reconstruction", kind="image", size="tiny", steps=40, settings=settings).fit(DIGITS[:700])
    assert 1 <= model.report["health"]["codes_in_use"] <= model.report["health"]["codes"] == 8
    found = model.evaluate(DIGITS[:700], "space")
    assert found.metrics["codes_in_use"] == model.report["health"]["codes_in_use"]
    for notes in (found.notes, model.report["notes"]):
        assert any(" of its 8 codes were in use" in note for note in notes)
    assert not any("look for repeated" in note for note in found.notes)


def test_what_costs_least_is_left_out_of_a_wide_code_s_sentence() -> None:
    means, costs = np.random.default_rng(0).normal(size=(50, 20)), np.full((50, 20), 0.5)
    costs[:, 7] = 2
    (told,) = health(means, kl=costs).in_use()
    assert told.startswith("20 of 20 units carry information (nats a unit, most first: 2.000, 0.500, ")
    assert told.endswith(" and 4 with no more)")
    assert health(means).in_use() == []
