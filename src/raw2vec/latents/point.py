"""The plain latent: an item is one point, with no doubt about it."""

from typing import Any, Literal

from torch import Tensor, nn
from torch.nn.functional import normalize as to_unit

from raw2vec.errors import BadInput
from raw2vec.latents.base import Certain, Latent, begin
from raw2vec.layers import activation as activation_called
from raw2vec.layers.base import wide
from raw2vec.layers.pooling import Pooling, PoolingName
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws


class Point(Latent):
    """The states of an item, pooled to a point of the latent space: Ragged (N, inputs) to (B, width) float32.

    width: numbers in a vector; 0 keeps the states' width and has no map of its own. pooling: see layers.Pooling; "all"
    needs a width and items of `places` rows each. activation: what follows the map, of a width alone. normalize: "unit"
    brings vectors to length one. heads and feed_forward are those of pooling "probe", and 0 as it says. An item of no
    rows gives what zeros give, never NaN.
    """

    def __init__(
        self,
        inputs: int,
        width: int = 0,
        pooling: PoolingName = "mean",
        normalize: Literal["none", "unit"] = "none",
        places: int = 0,
        activation: str = "identity",
        heads: int = 0,
        feed_forward: int = 0,
    ):
        super().__init__()
        if normalize not in ("none", "unit"):
            raise BadInput(
                f"Vectors are brought to length one by normalize 'unit' or left by 'none', not '{normalize}'."
            )
        if pooling == "all" and not width:
            raise BadInput("Pooling 'all' puts every row into the vector: give the latent a width to bring it to.")
        self.inputs, self.width, self.normalize = inputs, width or inputs, normalize
        self.pool = Pooling(inputs, pooling, places, heads, feed_forward)
        self.project = nn.Linear(self.pool.width, width) if width else nn.Identity()
        if isinstance(self.project, nn.Linear):
            begin(self.project)
        self.activation = activation_called(activation if width else "identity")
        self.register_state_dict_post_hook(_shorten)
        self.register_load_state_dict_pre_hook(_lengthen)

    def forward(self, states: Ragged) -> Tensor:
        return self.normalized(self.activation(self.project(self.pool(states))))

    def posterior(self, states: Ragged) -> Certain:
        return Certain(self(states))

    def normalized(self, vectors: Tensor) -> Tensor:
        """Vectors (B, L) as this space has them: of length one, or as they are; float32 or wider. Zeros stay zeros."""
        vectors = wide(vectors)
        return to_unit(vectors, dim=-1) if self.normalize == "unit" else vectors

    def prior(self, draws: Draws, items: Tensor) -> Tensor:
        raise BadInput(
            "The codes of this model have no prior to draw from: hand in data (--like DATA), whose codes show where to "
            "draw, or fit with --objective variational."
        )


# Model folders, and the fingerprints by which stores know them, hold the query by its short name.
def _shorten(point: nn.Module, weights: dict[str, Any], prefix: str, metadata: dict[str, Any]) -> None:
    _rename(weights, f"{prefix}pool.query", f"{prefix}query")


def _lengthen(point: nn.Module, weights: dict[str, Any], prefix: str, *others: Any) -> None:
    _rename(weights, f"{prefix}query", f"{prefix}pool.query")


def _rename(weights: dict[str, Any], old: str, new: str) -> None:
    if old in weights:
        weights[new] = weights.pop(old)
