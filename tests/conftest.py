"""What tests of every folder share; being here, it lets them import `small`."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

from raw2vec.system import Raw2Vec
from small import recipe, rows
from store_servers import store_kinds

__all__ = ["fitted", "store_kinds"]

settings.register_profile("untimed", deadline=None)  # a busy machine takes its time, and that decides nothing
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def fitted() -> Callable[..., Raw2Vec]:
    """A model of `recipe`'s arguments on `rows()`, the same one for every test that asks for it: leave it as it is."""
    known: dict[str, Raw2Vec] = {}

    def fit(*args: Any, **changes: Any) -> Raw2Vec:
        name = repr((args, sorted(changes.items())))
        if name not in known:
            known[name] = Raw2Vec(recipe=recipe(*args, **changes)).fit(rows())
        return known[name]

    return fit
