"""An iteration of a plan, and what it cannot do without, its convolutions."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from oneira.features.registry import find_backbone
from oneira.features.weights import locate
from oneira.images import load, resize, sample
from oneira.objectives import BoundObjective
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.plan import Plan

ADAM = OptimiserSpec("adam", 0.02)  # which others tell their figures for; L-BFGS costs some milliseconds more
CONTENT, STYLE = "sample:coffee", "sample:night_wind"

Convolution = tuple[nn.Conv2d, Tensor, Tensor]  # the module, an input and a gradient of its output


def content_at(size: int) -> Tensor:
    """The content picture (1, 3, h, w) with a long side of `size`: four by three, as the figures of others are told."""
    return resize(load(sample(CONTENT.removeprefix("sample:"))), (3 * size // 4, size))


def style_picture() -> Tensor:
    """The style picture (1, 3, h, w), as large as it is."""
    return load(sample(STYLE.removeprefix("sample:")))


class Iteration:
    """`plan`, step by step, and its bare convolutions; `start` is the picture that it begins with.

    The first step, which loads the network and computes targets, has been taken: `first`. One more per `step()`.
    """

    def __init__(self, plan: Plan, *, device: str, precision: str, weights: Mapping[str, Path]) -> None:
        synthesis = Synthesis(plan, device=device, precision=precision, weights=weights)
        self.start = synthesis.image
        self._steps = iter(synthesis)
        self.first = next(self._steps)
        self._convolutions = _convolutions(synthesis)
        self.convolve()

    def step(self) -> None:
        """The loop's next step; the plan has as many as are asked for."""
        next(self._steps)

    def convolve(self) -> None:
        """Every convolution of an iteration, forward and back to its input."""
        for module, inputs, gradient in self._convolutions:
            torch.autograd.grad(module(inputs), inputs, gradient)


def _convolutions(synthesis: Synthesis) -> list[Convolution]:
    """Every convolution that an iteration runs, with an input and an output gradient of its shape and precision."""
    found: list[Convolution] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        found.append((module, inputs[0].detach().clone().requires_grad_(), torch.randn_like(output)))

    image = synthesis.image.to(synthesis.device)
    objective = BoundObjective(synthesis.plan.objective, synthesis.encoder, (image.shape[2], image.shape[3]))
    hooks = [
        module.register_forward_hook(note)
        for network in synthesis.encoder.networks.values()
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        objective(image)
    for hook in hooks:
        hook.remove()
    return found


@contextmanager
def weights_for(name: str) -> Iterator[dict[str, Path]]:
    """The backbone's own weights where they are here, otherwise random ones of the usual size."""
    backbone = find_backbone(name)
    if not backbone.own or locate(backbone).path is not None:
        yield {}
        return
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in backbone.build().state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, shape in shapes.items():
        if shape:  # what has none, counters that only training reads, may be left out
            deviation = (2 / max(1, shape[1:].numel())) ** 0.5
            state[key] = (torch.randn(shape, generator=generator) * deviation).half()
            if key.endswith("running_var"):
                state[key].abs_()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.safetensors"
        save_file(state, path)
        yield {name: path}
