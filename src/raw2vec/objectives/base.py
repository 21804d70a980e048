"""What an objective is: a model and a batch to named losses. It knows no loop and not where the data came from."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from torch import Tensor, nn

from raw2vec.batch import Batch
from raw2vec.errors import BadInput
from raw2vec.layers import begin
from raw2vec.models import AnyModel, Autoencoder
from raw2vec.seeding import Draws


class Objective(nn.Module, ABC):
    """Its own parameters are heads that training needs and `encode` does not."""

    needs: ClassVar[Literal["sides", "pair", "labels"]]
    """What a sample is: any one side by itself, a whole pair, or an input with its label."""

    @abstractmethod
    def forward(self, model: AnyModel, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Named losses, each a scalar with the unit that the class states. The first is minimised; held-out
        items are judged by the last; those between are noted down."""


def projection(latent: int, hidden: int, outputs: int) -> nn.Module:
    """A head of two layers from vectors (B, latent) to (B, outputs), which training alone needs (Chen et al. 2020).

    What it throws away to tell views apart, such as their colours, its input may keep. hidden 0: no head at all.
    """
    if not hidden:
        return nn.Identity()
    made = nn.Sequential(nn.Linear(latent, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, outputs))
    begin(made)
    return made


def autoencoder(model: AnyModel, who: str) -> Autoencoder:
    """The model, which has a way back from its vectors; BadInput says that `who` needs one where there is none."""
    if not isinstance(model, Autoencoder):
        raise BadInput(f"{who} needs a way back from vectors to items: give the recipe a decoder.")
    return model
