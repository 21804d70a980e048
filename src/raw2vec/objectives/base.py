"""What an objective is: a model and a batch to named losses. It knows no loop and not where the data came from."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from torch import Tensor, nn

from raw2vec.batch import Batch
from raw2vec.models import Embedder
from raw2vec.seeding import Draws


class Objective(nn.Module, ABC):
    """Its own parameters are heads that training needs and `encode` does not."""

    needs: ClassVar[Literal["sides", "pair", "labels"]]
    """What a sample is: any one side by itself, a whole pair, or an input with its label."""

    @abstractmethod
    def forward(self, model: Embedder, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Named losses, each a scalar with the unit that the class states. The first is minimised; held-out
        items are judged by the last."""
