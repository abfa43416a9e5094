"""Another style for a trained network: all that it has of its own are a scale and a shift behind every convolution."""

from torch import Tensor, nn

from oneira.errors import PlanError
from oneira.feedforward.normalisation import ConditionalInstanceNorm


def new_styles_alone(network: nn.Module, first: int) -> list[nn.Parameter]:
    """Let only the styles from number `first` on learn; what is left to train.

    The others' gradients are 0, and Adam leaves what never had a gradient where it is, to the bit. Raises PlanError for
    a network without a scale and a shift per style.
    """
    network.requires_grad_(False)
    layers = [part for part in network.modules() if isinstance(part, ConditionalInstanceNorm)]
    parameters = [parameter for layer in layers for parameter in (layer.scale, layer.shift)]
    if not parameters:
        raise PlanError("styles are added to conditional networks only; this one draws a single style")

    def of_new_styles(gradient: Tensor) -> Tensor:
        kept = gradient.clone()
        kept[:first] = 0
        return kept

    for parameter in parameters:
        parameter.requires_grad_().register_hook(of_new_styles)
    return parameters
