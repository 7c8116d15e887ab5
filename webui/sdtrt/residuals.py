"""What ControlNets add to a UNet: one residual for each skip connection and one for the middle block's output. They are
inputs of the engines that are made for them."""
from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch

    Inputs = dict[str, torch.Tensor]

# The inputs' names: the first with the number of the input block that the skip connection comes from.
SKIP, MIDDLE = "residual.{}", "residual.middle"
# A weight whose outputs are those of a module of an input block, after which no other module changes their number.
OUTPUTS = re.compile(r"input_blocks\.(\d+)\.\d+\.(?:(op)\.|out_layers\.3\.)?weight")


class Misfit(Exception):
    """Residuals that no engine can take, and why."""


class Residuals(NamedTuple):
    # One for each input block, in their order; None where nothing is added.
    skips: tuple[torch.Tensor | None, ...]
    middle: torch.Tensor | None

    @classmethod
    def of(cls, skips: Sequence[torch.Tensor | None], middle: torch.Tensor | None) -> Residuals | None:
        """None if nothing is added anywhere."""
        found = cls(tuple(skips), middle)
        return found if any(each is not None for each in (*skips, middle)) else None

    def inputs(self, shapes: Mapping[str, Sequence[int]], like: torch.Tensor) -> Inputs:
        """Returns them as an engine's inputs of these shapes: zeros where nothing is added. Raises Misfit."""
        found = {SKIP.format(number): each for number, each in enumerate(self.skips)} | {MIDDLE: self.middle}
        if found.keys() != shapes.keys():
            counts = f"{len(self.skips)} residuals for the UNet's {len(shapes) - 1} skip connections"
            raise Misfit(f"the ControlNet gives {counts}; PyTorch computes it")
        return {name: filled(name, found[name], shape, like) for name, shape in shapes.items()}


def filled(
    name: str, residual: torch.Tensor | None, shape: Sequence[int], like: torch.Tensor
) -> torch.Tensor:
    """Returns a residual in its full shape."""
    if residual is None:
        return like.new_zeros(tuple(shape))
    try:
        return residual.expand(tuple(shape))
    except RuntimeError:
        has, needs = ("×".join(map(str, each)) for each in (residual.shape, shape))
        raise Misfit(f"the ControlNet's {name} has the shape {has} and not {needs}; PyTorch computes it") from None


def shapes(parameters: Mapping[str, Sequence[int]], sample: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of all residuals, by their names, for a latent of the shape [batch, channels, height, width].
    `parameters` are the shapes of the UNet's, by theirs."""
    outputs: dict[int, int] = {}
    halved: set[int] = set()
    for name, shape in parameters.items():
        found = OUTPUTS.fullmatch(name)
        if found is not None:
            block = int(found[1])
            outputs[block] = shape[0]
            halved |= {block} if found[2] else set()
    blocks = max((int(name.split(".")[1]) for name in parameters if name.startswith("input_blocks.")), default=-1) + 1
    batch, channels, height, width = sample
    skips: dict[str, tuple[int, ...]] = {}
    for block in range(blocks):
        # One without such a weight was pruned, and returns its input.
        channels = outputs.get(block, channels)
        if block in halved:
            height, width = -(-height // 2), -(-width // 2)
        skips[SKIP.format(block)] = batch, channels, height, width
    return skips | {MIDDLE: (batch, channels, height, width)}


def gathered(
    x: torch.Tensor,
    timesteps: torch.Tensor,
    context: torch.Tensor,
    y: torch.Tensor | None,
    residuals: Residuals | None,
    wanted: Callable[[], Mapping[str, Sequence[int]]],
) -> Inputs:
    """Returns a call's inputs by the names that engines have for them. `wanted` returns the shapes of residuals. Raises
    Misfit."""
    inputs = {"sample": x, "timesteps": timesteps, "encoder_hidden_states": context}
    if y is not None:
        inputs["y"] = y
    return inputs if residuals is None else inputs | residuals.inputs(wanted(), x)


def parted(inputs: Inputs) -> tuple[list[torch.Tensor], dict[str, Any]]:
    """Returns what a front end's own UNet is called with for the same."""
    first = [inputs[name] for name in ("sample", "timesteps", "encoder_hidden_states")]
    others: dict[str, Any] = {"y": inputs["y"]} if "y" in inputs else {}
    if MIDDLE in inputs:
        count = len(inputs) - len(first) - len(others) - 1
        skips = tuple(inputs[SKIP.format(number)] for number in range(count))
        others["residuals"] = Residuals(skips, inputs[MIDDLE])
    return first, others
