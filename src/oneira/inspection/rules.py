"""What a rectifier lets through on the way back: the rules of projections, applied to a graph that is differentiated.

What a network computed is read off autograd's own record of it. There a ReLU is a ReLU whoever asked for it (a module,
a function, a method; in place or not), and what is no ReLU has a name. Nothing is patched: the hooks belong to the
record of one forward pass, and go with it.
"""

from collections.abc import Iterator
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.autograd.graph import Node

from oneira.errors import PlanError, one_of

Rule = Literal["gradient", "deconvnet", "guided"]

# What has one meaning on the way back: the gradient. Whatever is not named here is refused by the other rules, so that
# no rectifier in disguise (torch.where, masked_fill, maximum, indexing) and no compiled code goes by unseen.
FOLLOWED = frozenset(
    {
        *("AccumulateGrad", "Alias", "AsStrided", "Clone", "ReshapeAlias", "ToCopy", "UnsafeView", "View"),
        *("ChannelShuffle", "Expand", "Flip", "Permute", "PixelShuffle", "PixelUnshuffle", "Repeat", "Roll"),
        *("Squeeze", "T", "Transpose", "Unsqueeze"),
        *("Cat", "IndexSelect", "Select", "Slice", "Split", "SplitWithSizes", "Stack", "Unbind"),
        *("ConstantPadNd", "ReflectionPad2D", "ReplicationPad2D", "_Wrapped"),
        *("Add", "Sub", "Rsub", "Neg", "Mean", "Sum"),
        *("AdaptiveAvgPool2D", "AvgPool2D", "_HalvingAverage"),
        *("AdaptiveMaxPool2D", "MaxPool2D", "MaxPool2DWithIndices"),
        *("UpsampleBicubic2D", "UpsampleBilinear2D", "UpsampleNearest2D", "UpsampleNearestExact2D"),
        *("CudnnBatchNorm", "MiopenBatchNorm", "NativeBatchNorm", "NativeGroupNorm", "NativeLayerNorm"),
    }
)
# Likewise, where one factor alone depends on the picture.
PRODUCTS = frozenset({"Addmm", "Bmm", "Convolution", "Div", "Linear", "Mm", "Mul"})
CLAMPS = frozenset({"Clamp", "ClampMin", "Hardtanh"})  # ReLUs, where they begin at 0

IN_WORDS = {
    "CopySlices": "writing into a part of a tensor",
    "CompiledFunction": "compiled code",
    "DifferentiableGraph": "compiled code",
}


def require_rule(rule: str) -> None:
    """Raise PlanError, naming the nearest, unless `rule` is one."""
    one_of("rule", rule, get_args(Rule))


def impose(rule: Rule, activations: Tensor, address: object) -> None:
    """Make every ReLU between the picture and `activations` hand back, whenever they are differentiated, by `rule`.

    "gradient" (Simonyan et al. 2014): where the ReLU's input was positive. "deconvnet" (Zeiler and Fergus 2014): what
    is positive of what comes back. "guided" (Springenberg et al. 2015): both. A clamp that begins at 0 counts as a
    ReLU; also one that ends somewhere, such as ReLU6, of which no paper speaks: where it ended, "gradient" and "guided"
    let nothing through.

    `address` is for messages. Raises PlanError, for the two latter rules, where anything else lies between that is not
    linear, not a pool and not a normalisation: another activation, a product of activations, a mask.
    """
    if rule == "gradient":
        return
    refused = set()
    for node in _nodes(activations):
        operation = _operation(node)
        if operation == "Relu" or (operation in CLAMPS and _begins_at_zero(node)):
            _rectify(node, rule, operation)
        elif operation not in FOLLOWED and not (operation in PRODUCTS and _scales(node, operation)):
            refused.add(IN_WORDS.get(operation, operation))
    if refused:
        names = ", ".join(sorted(refused))
        raise PlanError(
            f"the {rule} rule is for ReLUs, and between {address} and the picture there is something else: {names}; "
            "take the rule gradient"
        )


def _nodes(activations: Tensor) -> Iterator[Node]:
    """All that was recorded on the way to `activations`, each once."""
    waiting = [activations.grad_fn]
    seen = set[Node]()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [before for before, _ in node.next_functions]
            yield node


def _operation(node: Node) -> str:
    """`"torch::autograd::CopySlices"` -> `"CopySlices"`, `"ReluBackward0"` -> `"Relu"`."""
    return node.name().rpartition("::")[2].rstrip("0123456789").removesuffix("Backward")


def _rectify(node: Any, rule: Rule, operation: str) -> None:
    # A hook that held its own node would keep the whole record alive; it holds a mask at most.
    positive = node._saved_self.detach() > 0 if rule == "guided" and operation.startswith("Clamp") else None

    def rectified(by_input: tuple[Tensor, ...], by_output: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        gradient = by_output[0] if rule == "deconvnet" else by_input[0]
        kept = gradient.clamp(min=0)
        # What is exactly 0 is let through by a clamp's gradient, and not by a ReLU's.
        return (kept if positive is None else kept * positive, *by_input[1:])

    node.register_hook(rectified)


def _begins_at_zero(node: Any) -> bool:
    floor = getattr(node, "_saved_min_val" if _operation(node) == "Hardtanh" else "_saved_min", None)
    return isinstance(floor, int | float) and floor == 0


def _scales(node: Any, operation: str) -> bool:
    """Whether one factor alone depends on the picture, and the other is no mask."""
    by_picture = [before is not None for before, _ in node.next_functions]
    if sum(by_picture) != 1 or (operation == "Div" and not by_picture[0]):
        return False
    if operation != "Mul":
        return True
    factor = node._saved_other if by_picture[0] else node._saved_self
    return not (isinstance(factor, Tensor) and _masks(factor))


def _masks(factor: Tensor) -> bool:
    """Whether it may stand for a rectifier, such as `x > 0`: a number for each position, or 0 for some."""
    by_position = factor.ndim > 2 and factor.shape[-2:].numel() > 1
    return by_position or factor.dtype == torch.bool or bool((factor == 0).any())
