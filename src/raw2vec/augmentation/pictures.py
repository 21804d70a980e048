"""Seeded views of pictures, item by item: another frame, other colours, a blur, a part gone.

Pictures are Ragged pixels (N, C) on grids (H, W), uint8 or numbers from 0 to 1; what comes back is float, from 0 to 1.
Pictures of one size are worked on together, a batch of one size in one go.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample

from raw2vec.augmentation.base import slow_waves
from raw2vec.errors import BadInput
from raw2vec.ragged import Ragged
from raw2vec.seeding import Draws

_LUMA = (0.299, 0.587, 0.114)  # how bright each of red, green and blue looks (ITU-R BT.601)
# Brightness and two axes of colour, about which a hue turns (YIQ; the NTSC standard of 1953).
_YIQ = (_LUMA, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
_FINEST = 8  # samples along an axis of a pixel that is made of many

Planes = Callable[[Tensor, Tensor], Tensor]
"""Pictures of one size (b, H, W, C) and their places in the batch (b,), to pictures (b, H', W', C)."""


@dataclass(frozen=True)
class PictureViews:
    """How a picture is seen anew each time (SimCLR; Chen et al. 2020, appendix A): a call gives a view of each item.

    crops, aspect, flip, turn, bend and size: see `reframe`. brightness, contrast, saturation, hue and grey: see
    `recolour`; of the colours a view changes them with chance `colour`. blur and erase: the chances of each. A 0, and
    crops from 1 to 1, leave a change out.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    crops: tuple[float, float] = (0.2, 1.0)
    aspect: float = 1.33
    flip: float = 0.5
    turn: float = 0.0
    bend: float = 0.0
    size: int = 0
    colour: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    grey: float = 0.2
    blur: float = 0.0
    erase: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.crops[0] <= self.crops[1] <= 4:
            raise BadInput(f"crops are two shares of a picture, the smaller first, above 0, not {list(self.crops)}.")
        chances = {name: getattr(self, name) for name in ("flip", "colour", "grey", "blur", "erase")}
        if wrong := next((name for name, chance in chances.items() if not 0 <= chance <= 1), None):
            raise BadInput(f"A view's {wrong} is a chance from 0 to 1, not {chances[wrong]:g}.")
        amounts = ("turn", "bend", "size", "brightness", "contrast", "saturation", "hue")
        if wrong := next((name for name in amounts if getattr(self, name) < 0), None):
            raise BadInput(f"A view's {wrong} is 0 or more, not {getattr(self, wrong):g}.")
        if self.aspect < 1:
            raise BadInput(f"A view's aspect is 1 or more, not {self.aspect:g}.")

    def __call__(self, pictures: Ragged, items: Tensor, draws: Draws, name: str) -> Ragged:
        """A view of each picture, drawn by its item's number and by the view's name."""
        seen = reframe(
            pictures,
            items,
            draws,
            crops=self.crops,
            aspect=self.aspect,
            flip=self.flip,
            turn=self.turn,
            bend=self.bend,
            size=self.size,
            purpose=f"{name} frame",
        )
        amounts = {name: getattr(self, name) for name in ("brightness", "contrast", "saturation", "hue")}
        if self.grey or (self.colour and any(amounts.values())):
            purpose = f"{name} colours"
            seen = recolour(seen, items, draws, **amounts, grey=self.grey, chance=self.colour, purpose=purpose)
        if self.blur:
            seen = blur(seen, items, draws, chance=self.blur, purpose=f"{name} blur")
        return erase(seen, items, draws, chance=self.erase, purpose=f"{name} erased") if self.erase else seen


PHOTOGRAPHS = PictureViews()
"""The views of pictures of which nobody says more."""
AS_THEY_ARE = PictureViews(crops=(1.0, 1.0), aspect=1.0, flip=0.0, colour=0.0, grey=0.0)
"""No change at all."""


def reframe(
    pictures: Ragged,
    items: Tensor,
    draws: Draws,
    *,
    crops: tuple[float, float] = (1.0, 1.0),
    aspect: float = 1.0,
    flip: float = 0.0,
    turn: float = 0.0,
    bend: float = 0.0,
    size: int = 0,
    purpose: str = "frame",
) -> Ragged:
    """Each picture through another frame, all in one bilinear resampling; beyond its edges they are drawn out.

    crops: the frame's area, as a share of the picture's; above 1 it reaches beyond. aspect: the frame is up to so many
    times as wide or as high, for its height or width, as the picture, cut at the picture's own. flip: the chance that
    left becomes right. turn: about its middle, by up to so many degrees either way. bend: a smooth distortion by about
    so many pixels, as numbers.bend has it. size: rows and columns of what comes out; 0: as many as went in. Where that
    makes several pixels one, it is the mean of samples as close as they are.
    """
    high, wide, middle, mirror, angle = _frames(items, draws, crops, aspect, flip, turn, purpose)
    shapes = pictures.shapes.to(high.device)
    to = torch.full_like(shapes, size) if size else shapes
    # x then y, as affine_grid has them; -1 and 1 are the picture's edges, so that turning minds its aspect.
    tall = (shapes[:, 0] / shapes[:, 1]).to(high.dtype)
    cos, sin = angle.cos(), angle.sin()
    across = torch.stack([cos * wide * mirror, -sin * tall * high, middle[:, 1]], dim=1)
    down = torch.stack([sin / tall * wide * mirror, cos * high, middle[:, 0]], dim=1)
    frames = torch.stack([across, down], dim=1)
    steps = torch.maximum(high * shapes[:, 0] / to[:, 0], wide * shapes[:, 1] / to[:, 1])
    finer = steps.round().long().clamp(1, _FINEST).cpu()
    waves = draws.normal(f"{purpose}: bend", items, 18).view(-1, 2, 9) if bend else None

    def seen(planes: Tensor, places: Tensor) -> Tensor:
        count, height, width, channels = planes.shape
        times, rows, columns = int(finer[places[0]]), size or height, size or width
        fine = [count, channels, rows * times, columns * times]
        grid = affine_grid(frames[places].to(planes.dtype), fine, align_corners=False)
        if waves is not None:
            moves = _moves(fine, waves[places].to(planes.dtype)) * (2 * bend)
            grid = grid + moves.flip(-1) / grid.new_tensor([width, height])
        found = grid_sample(planes.permute(0, 3, 1, 2), grid, padding_mode="border", align_corners=False)
        return (avg_pool2d(found, times) if times > 1 else found).permute(0, 2, 3, 1)

    return _by_size(pictures, seen, finer[:, None])


def _frames(
    items: Tensor, draws: Draws, crops: tuple[float, float], aspect: float, flip: float, turn: float, purpose: str
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Height and width (B,) as shares, the middle (B, 2) from -1 to 1, -1 where flipped (B,), the angle (B,)."""
    low, high = crops
    luck = _luck(draws, purpose, items, 6)
    share, ratio = low + (high - low) * luck[:, 0], aspect ** (2 * luck[:, 1] - 1)
    most = max(1.0, math.sqrt(high))
    sides = torch.stack([(share / ratio).sqrt(), (share * ratio).sqrt()], dim=1).clamp(max=most)
    middle = (1 - sides) * (2 * luck[:, 2:4] - 1)
    mirror = 1 - 2 * (luck[:, 4] < flip).to(luck.dtype)
    return sides[:, 0], sides[:, 1], middle, mirror, math.radians(turn) * (2 * luck[:, 5] - 1)


def _moves(fine: list[int], heights: Tensor) -> Tensor:
    """How far each of the places (b, H, W, 2) of frames (b, C, H, W) lies from its own, down and across."""
    count, _, height, width = fine
    grids = Ragged.bare(torch.tensor([[height, width]]).expand(count, 2), heights.device)
    return slow_waves(grids, heights.transpose(0, 1)).view(count, height, width, 2)


def recolour(
    pictures: Ragged,
    items: Tensor,
    draws: Draws,
    *,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    hue: float = 0.0,
    grey: float = 0.0,
    chance: float = 1.0,
    purpose: str = "colours",
) -> Ragged:
    """Other light and colours, with this chance; and with chance `grey` none at all.

    Brightness, contrast (about the picture's mean) and saturation are times a factor within so much of 1; the hue turns
    by up to a share `hue` of the circle. Pictures of one channel have neither saturation nor hue.
    """
    luck = _luck(draws, purpose, items, 6)
    on = (luck[:, 0] < chance).to(luck.dtype)
    light, apart, colour = (
        1 + on * amount * (2 * luck[:, place] - 1)
        for place, amount in ((1, brightness), (2, contrast), (3, saturation))
    )
    mix = _mix(colour, on * 2 * math.pi * hue * (2 * luck[:, 4] - 1), luck[:, 5] < grey)
    coloured = pictures.values.shape[1] == 3

    def seen(planes: Tensor, places: Tensor) -> Tensor:
        rows = planes.flatten(1, 2) * light[places, None, None].to(planes.dtype)
        if coloured:
            rows = rows @ mix[places].to(rows.dtype).transpose(1, 2)
        look = rows.new_tensor(_LUMA) if coloured else rows.new_ones(rows.shape[2]) / rows.shape[2]
        mean = (rows.mean(dim=1) @ look)[:, None, None]
        return (mean + apart[places, None, None].to(rows.dtype) * (rows - mean)).clamp(0, 1).view_as(planes)

    return _by_size(pictures, seen)


def _mix(colour: Tensor, angle: Tensor, grey: Tensor) -> Tensor:
    """The maps (B, 3, 3) of red, green and blue: colours so much stronger, turned by this angle, or gone."""
    to = torch.tensor(_YIQ, device=colour.device).double()  # which no autocast narrows
    strength, angle = colour.masked_fill(grey, 0.0).double(), angle.double()
    turned = torch.zeros(len(colour), 3, 3, device=colour.device, dtype=to.dtype)
    turned[:, 0, 0] = 1
    turned[:, 1, 1] = turned[:, 2, 2] = strength * angle.cos()
    turned[:, 1, 2], turned[:, 2, 1] = -strength * angle.sin(), strength * angle.sin()
    return torch.linalg.inv(to) @ turned @ to


def blur(
    pictures: Ragged,
    items: Tensor,
    draws: Draws,
    *,
    deviations: tuple[float, float] = (0.1, 1.5),
    chance: float = 1.0,
    purpose: str = "blur",
) -> Ragged:
    """Each pixel a mean of those around it, weighted by a Gaussian of a deviation drawn between these, in pixels."""
    luck = _luck(draws, purpose, items, 2)
    deviation = deviations[0] + (deviations[1] - deviations[0]) * luck[:, 1]

    def seen(planes: Tensor, places: Tensor) -> Tensor:
        chosen = luck[places, 0] < chance
        wide = deviation[places][chosen].to(planes.dtype)
        down, across = (_gaussian(along, wide) for along in planes.shape[1:3])
        part = planes[chosen]
        part = across[:, None] @ (down @ part.flatten(2)).view_as(part)
        return planes.index_copy(0, chosen.nonzero().squeeze(1), part)

    return _by_size(pictures, seen)


def _gaussian(along: int, deviation: Tensor) -> Tensor:
    """What each of so many pixels in a row is made of, (b, along, along): weights that add up to one."""
    places = torch.arange(along, device=deviation.device, dtype=deviation.dtype)
    apart = (places[:, None] - places).square() / (2 * deviation.square()[:, None, None])
    return (-apart).softmax(dim=2)


def erase(
    pictures: Ragged,
    items: Tensor,
    draws: Draws,
    *,
    shares: tuple[float, float] = (0.02, 0.2),
    aspect: float = 3.0,
    chance: float = 1.0,
    purpose: str = "erase",
) -> Ragged:
    """A rectangle of each picture, with this chance, at the median of the picture's own pixels (Zhong et al. 2020).

    shares: its area. aspect: how many times as wide or high it may be, for its height or width, as the picture.
    """
    high, wide, middle, _, _ = _frames(items, draws, shares, aspect, 0.0, 0.0, purpose)
    on = _luck(draws, f"{purpose}: whether", items, 1)[:, 0] < chance

    def seen(planes: Tensor, places: Tensor) -> Tensor:
        within = on[places][:, None, None]
        for axis, side in ((0, high), (1, wide)):
            along = planes.shape[1 + axis]
            at = (2 * torch.arange(along, device=planes.device) + 1) / along - 1
            inside = (at - middle[places, axis, None]).abs() < side[places, None]
            within = within & (inside[:, None, :] if axis else inside[:, :, None])
        usual = planes.flatten(1, 2).median(dim=1).values[:, None, None]
        return torch.where(within[..., None], usual, planes)

    return _by_size(pictures, seen)


def _luck(draws: Draws, purpose: str, items: Tensor, count: int) -> Tensor:
    """So many uniform numbers an item, (B, count) float32."""
    return draws.uniform(purpose, items, torch.full((len(items),), count)).view(-1, count)


def _by_size(pictures: Ragged, apply: Planes, beside: Tensor | None = None) -> Ragged:
    """What `apply` makes of the pictures, of one size and alike in `beside` (B, m) at a time."""
    if not len(pictures.values):
        return pictures
    with torch.autocast(pictures.values.device.type, enabled=False):  # places on a large grid need all their digits
        return _apply(pictures, apply, beside)


def _apply(pictures: Ragged, apply: Planes, beside: Tensor | None) -> Ragged:
    numbers = pictures.values
    pictures = pictures.replace(numbers.float() / 255 if numbers.dtype == torch.uint8 else numbers)
    marks = pictures.shapes if beside is None else torch.cat([pictures.shapes, beside], dim=1)
    device = numbers.device
    if bool((marks == marks[0]).all()):
        return _laid_flat(apply(_planes(pictures), torch.arange(len(pictures), device=device)))
    kinds, kind = marks.unique(dim=0, return_inverse=True)
    groups = [(kind == number).nonzero().squeeze(1) for number in range(len(kinds))]
    made = [_laid_flat(apply(_planes(pictures.take(group)), group.to(device))) for group in groups]
    values, shapes = torch.cat([each.values for each in made]), torch.cat([each.shapes for each in made])
    return Ragged(values, shapes).take(torch.cat(groups).argsort())


def _planes(pictures: Ragged) -> Tensor:
    return pictures.values.unflatten(0, (len(pictures), *pictures.shapes[0].tolist()))


def _laid_flat(planes: Tensor) -> Ragged:
    shapes = torch.tensor([planes.shape[1:3]]).expand(len(planes), 2).contiguous()
    return Ragged(planes.flatten(0, 2), shapes)
