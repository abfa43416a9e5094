"""Gatys' normalised network: filters scaled so that each one's activations average 1 (Gatys et al. 2016, section 2).

ReLU and pooling give scaled what they get scaled. So a filter may be scaled, and the weights that read it scaled back,
and what the network says stays the same; but all filters of a layer then weigh alike in a loss.

The paper names no pictures; we take the samples that ship with the package. Nor does it say what becomes of filters
that hardly answer; see `FAINTEST`.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise, takewhile

import torch
from torch import Tensor, nn

from oneira.errors import PlanError
from oneira.features.backbones.backbone import Backbone
from oneira.features.backbones.pocket import GlobalAverage
from oneira.features.backbones.stack import PooledClassifier
from oneira.features.variant import PaddedConv, Pool
from oneira.images import SAMPLES, fit, load, resize, sample

LONG_SIDE = 256  # of the sample pictures, in pixels
# A filter whose mean is less than this share of its layer's average is scaled as if it had that. What a few pictures
# hardly wake is measured badly, and would drown all others on a picture that does wake it.
FAINTEST = 0.01

CONVOLUTIONS = (nn.Conv2d, PaddedConv)
POOLS = (nn.MaxPool2d, Pool, nn.AdaptiveAvgPool2d, GlobalAverage)


class Restoring(nn.Module):
    """`original`, a fully connected layer, behind normalised filters: it takes back their `scales` (c, 1, 1) first.

    Its weights stay as they are: 411 MB in vgg19, which nobody reads who stops before them.
    """

    scales: Tensor

    def __init__(self, original: nn.Linear, scales: Tensor) -> None:
        super().__init__()
        self.original = original
        self.register_buffer("scales", scales.flatten().repeat_interleave(original.in_features // len(scales)))

    def forward(self, features: Tensor) -> Tensor:
        """(b, c * positions), flattened from (b, c, h, w) -> (b, c')."""
        restored: Tensor = self.original(features * self.scales)
        return restored


def require_plain(backbone: Backbone) -> None:
    """Raise PlanError unless `backbone` is one of Oneira's own that can be normalised; loads nothing."""
    if backbone.own:
        with torch.device("meta"):
            network = backbone.build()
        if _chain(network):
            return
    raise PlanError(
        f"{backbone.name} cannot be normalised: its filters must lie in one plain chain of convolutions, ReLUs "
        "and pools; take pocket, alexnet or a VGG"
    )


@torch.no_grad()
def normalise(network: nn.Module, preprocessing: Callable[[Tensor], Tensor]) -> None:
    """Scale the filters of `network`, in place, so that each one's activations over pictures and positions average 1.

    `network`: one that `require_plain` lets through, on the CPU, in float32, with the pools and the padding that it
    shall have. What its fully connected layers give stays as it was, to rounding. Only l2 pools, whose small number
    under the root is not scaled, may give another 1e-4 or so of a filter's scale where it does not answer.
    """
    values = [preprocessing(picture) for picture in _pictures()]  # of several sizes
    scales = torch.ones(3, 1, 1)
    for layer in _chain(network):
        if isinstance(layer, CONVOLUTIONS):
            answers = [layer(each * scales).relu() for each in values]
            before, scales = scales, _scales(answers)
            _rescale(layer.original if isinstance(layer, PaddedConv) else layer, before, scales)
            values = [each / scales for each in answers]
        elif isinstance(layer, POOLS):  # as it will be run: of normalised values
            values = [layer(each) for each in values]
    path, head = next((path, part) for path, part in network.named_modules() if isinstance(part, nn.Linear))
    network.set_submodule(path, Restoring(head, scales))


def _pictures() -> list[Tensor]:
    loaded = [load(sample(name)) for name in SAMPLES]
    return [resize(picture, fit(picture.shape[2], picture.shape[3], LONG_SIDE)) for picture in loaded]


def _scales(activations: Sequence[Tensor]) -> Tensor:
    """The mean of each filter over pictures and positions (c, 1, 1); that of a faint one raised, see `FAINTEST`."""
    means = torch.cat([each.flatten(2) for each in activations], 2).mean((0, 2))
    raised = means.clamp(min=FAINTEST * float(means.mean()))
    return torch.where(raised > 0, raised, 1.0)[:, None, None]  # 0: the whole layer is dead


def _rescale(conv: nn.Conv2d, before: Tensor, scales: Tensor) -> None:
    """Make `conv` take what was divided by `before` (c, 1, 1), and give what it gave divided by `scales` (c', 1, 1)."""
    assert conv.bias is not None
    # New tensors: the old ones may be a file's, mapped into memory.
    conv.weight = nn.Parameter(conv.weight * before / scales[:, None])
    conv.bias = nn.Parameter(conv.bias / scales.flatten())


def _chain(network: nn.Module) -> list[nn.Module]:
    """The layers that a plain network runs, one after the other, before its first fully connected one; else none."""
    layers: list[nn.Module] = []
    if isinstance(network, PooledClassifier):
        layers = [*network.features, network.avgpool, *network.classifier]
    elif isinstance(network, nn.Sequential):
        layers = [*network]
    chain = list(takewhile(lambda layer: not isinstance(layer, nn.Linear), layers))
    known = all(isinstance(layer, (*CONVOLUTIONS, *POOLS, nn.ReLU, nn.Dropout)) for layer in chain)
    # A ReLU behind each convolution, for a mean above 0, and nowhere else.
    pairs = pairwise([None, *chain])
    paired = all(isinstance(layer, CONVOLUTIONS) == isinstance(behind, nn.ReLU) for layer, behind in pairs)
    return chain if known and paired and len(chain) < len(layers) else []
