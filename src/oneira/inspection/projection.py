"""From a layer back to the picture: what of it made a unit answer.

Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks" (deconvnet); Simonyan et al. 2014, "Deep
inside convolutional networks" (the gradient); Springenberg et al. 2015, "Striving for simplicity" (guided); Smilkov et
al. 2017, "SmoothGrad". All are one way back through the network, and differ in what a ReLU lets through.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from oneira.errors import PlanError
from oneira.features.address import Address
from oneira.features.encoder import Encoder
from oneira.features.registry import find_backbone, resolve
from oneira.inspection.rules import Rule, impose, require_rule

Seed = Tensor | Callable[[Tensor], Tensor]


def project(encoder: Encoder, image: Tensor, address: str | Address, seed: Seed, rule: Rule = "deconvnet") -> Tensor:
    """(b, 3, h, w) in [0, 1] -> (b, 3, h, w), float32: `seed` sent back from a layer to the picture by `rule`.

    `seed` is like the layer's activations, or a function that makes it of them; each picture's is its own. ReLUs let
    through what `rule` says (see `impose`). All else hands back its gradient: convolutions are transposed, and biases
    play no part; a max pool gives to the position that was the largest, its switch, and where windows overlap and
    switches coincide, their values add up. The result is in the picture's own units: with the rule "gradient" it is the
    gradient of `sum(seed * activations)` with respect to the picture in [0, 1], through the network's preprocessing.

    Departure from Zeiler and Fergus: they rescale the first layer's filters and look at the network's input; here
    preprocessing is gone through too, which scales each colour by a constant.

    Raises PlanError for a rule that there is not or that does not know what lies between, for a seed of another shape,
    and where no gradient reaches the picture; and what `encoder` raises.
    """
    require_rule(rule)
    found = resolve(address) if isinstance(address, str) else address
    with torch.inference_mode(False), torch.enable_grad():
        inputs, activations = _observed(encoder, image, found)
        if activations.grad_fn is None:
            raise PlanError(f"nothing comes back from {found}: its activations do not depend on the picture")
        impose(rule, activations, found)
        by_activations = _seeded(seed, activations.detach(), found)
        (by_inputs,) = torch.autograd.grad(activations, inputs, by_activations)
        return _through_preprocessing(find_backbone(found.backbone).preprocessing, image, by_inputs, found)


def smooth_gradient(
    encoder: Encoder,
    image: Tensor,
    address: str | Address,
    seed: Seed,
    *,
    generator: torch.Generator,
    rule: Rule = "gradient",
    samples: int = 25,
    spread: float = 0.15,
) -> Tensor:
    """(b, 3, h, w) -> (b, 3, h, w): the mean of `project` over `samples` pictures with noise of their own (SmoothGrad).

    `spread`: the noise's standard deviation, as a share of the way from a picture's lowest value to its highest. A seed
    that is a function is made anew for every sample. Samples run one after the other, so that memory stays that of one.
    Raises PlanError for fewer than one sample or a negative spread, and what `project` raises.
    """
    if samples < 1:
        raise PlanError(f"a mean takes at least 1 sample, not {samples}")
    if not 0 <= spread < float("inf"):
        raise PlanError(f"the spread of the noise is a share, 0 or above, not {spread}")
    deviation = spread * (image.amax((1, 2, 3), keepdim=True) - image.amin((1, 2, 3), keepdim=True))
    total = torch.zeros_like(image, dtype=torch.float32)
    for _ in range(samples):
        noise = torch.randn(image.shape, generator=generator, device=generator.device).to(image)
        # Not cut to [0, 1], as in the paper: noise of mean 0 stays noise of mean 0.
        total += project(encoder, image + deviation * noise, address, seed, rule)
    return total / samples


def _observed(encoder: Encoder, image: Tensor, address: Address) -> tuple[Tensor, Tensor]:
    """What the network is given, and its activations, recorded operation by operation from there.

    The picture itself asks for no gradient: for those that do, the encoder may run several layers as one.
    """
    name = address.backbone
    encoder.digest(name)  # loads the network
    given: list[Tensor] = []

    def watch(_: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        given.append(inputs[0].clone().requires_grad_())
        return given[0].clone()  # a network may work in place on what it is given

    hook = encoder.networks[name].register_forward_pre_hook(watch)
    try:
        activations = encoder(image.detach(), [address])[address]
    finally:
        hook.remove()
    return given[0], activations


def _seeded(seed: Seed, activations: Tensor, address: Address) -> Tensor:
    made = seed if isinstance(seed, Tensor) else seed(activations)
    if made.shape != activations.shape:
        raise PlanError(
            f"a seed has the shape of the activations that it is sent back from: {tuple(activations.shape)} of "
            f"{address}, not {tuple(made.shape)}"
        )
    return made.detach().to(activations)


def _through_preprocessing(
    preprocessing: Callable[[Tensor], Tensor], image: Tensor, by_inputs: Tensor, address: Address
) -> Tensor:
    """From the network's input on: always the gradient, whatever the rule, since this is no part of the network."""
    pixels = image.detach().clone().requires_grad_()
    inputs = preprocessing(pixels)
    if not inputs.requires_grad:
        raise PlanError(f"the preprocessing of {address.backbone} lets no gradient through to the picture")
    (by_pixels,) = torch.autograd.grad(inputs, pixels, by_inputs.to(inputs))
    return by_pixels.float().contiguous()
