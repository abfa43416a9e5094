"""Terms that make a picture look more like a class: one that is named, or those that the network sees already."""

from dataclasses import dataclass

from torch import Tensor

from oneira.errors import AddressError, PlanError
from oneira.features.address import Address
from oneira.features.backbones.classes import find_class
from oneira.features.encoder import Encoder
from oneira.features.registry import find_backbone, resolve
from oneira.images import resize
from oneira.objectives.channels import Selection, channels_known, mean_activations, require_channels
from oneira.objectives.term import BoundTerm, Size, Term, View


@dataclass(frozen=True)
class ClassLogit(Term):
    """The logit of a class, before the softmax (Simonyan et al. 2013): raising one need not lower the others.

    `index`: the number of the class, or one of its names. `against` in [0, 1]: how much of the logarithm of the summed
    exponentials of all logits is subtracted; 1 makes it the log-probability, which also lowers the classes like it.
    """

    index: int | str
    backbone: str = "pocket"
    against: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.against <= 1:
            raise PlanError(f"how much all classes are held against one lies between 0 and 1, not {self.against}")

    @property
    def name(self) -> str:
        """`class`, which Python keeps for itself."""
        return "class"

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Raises AddressError where there is no such class; of a registered module, when first evaluated."""
        address = _logits(self.backbone)
        index = self._number()
        count = channels_known(encoder, address, size)
        if count is not None:
            require_channels([index], count, address, "classes")
            self._require_named(count)
        return _raised([index], address, encoder, self.against)

    def _number(self) -> int:
        text = str(self.index).strip()
        # Weights may have another number of classes than the backbone has names: a number is held against the layer.
        if text.removeprefix("-").isdecimal():
            return int(text)
        return find_class(find_backbone(self.backbone), text)

    def _require_named(self, count: int) -> None:
        classes = find_backbone(self.backbone).classes
        if isinstance(self.index, str) and not self.index.strip().isdecimal() and classes is not None:
            named = len(classes())
            if named != count:
                raise AddressError(
                    f"{self.backbone} names {named} classes, but these weights have {count}; give the class's number"
                )


@dataclass(frozen=True, eq=False)
class SeenClass(Term):
    """The mean logit of the `count` classes that the network itself gives the highest logits for `image` (1, 3, h, w).

    They are found once per scale, from the picture resized to the canvas; `seen_classes` tells which.
    """

    image: Tensor
    backbone: str = "pocket"
    count: int = 1

    def __post_init__(self) -> None:
        _require_some(self.count)

    @property
    def name(self) -> str:
        """`class`, as a class that is named."""
        return "class"

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Raises AddressError where the network has no logits that are known, or fewer than `count`."""
        chosen = seen_classes(encoder, resize(self.image, size), self.backbone, self.count)
        return _raised(chosen, _logits(self.backbone), encoder)


def seen_classes(encoder: Encoder, image: Tensor, backbone: str = "pocket", count: int = 1) -> list[int]:
    """The `count` classes with the highest logits for `image` (1, 3, h, w), the highest first.

    Raises AddressError where the network has no logits that are known, or fewer than `count`; PlanError where `count`
    is below 1 or the picture too small.
    """
    _require_some(count)
    address = _logits(backbone)
    known = channels_known(encoder, address, (image.shape[2], image.shape[3]))
    if known is not None:
        _require_as_many(count, known, address)
    logits = mean_activations(encoder, image, address)
    _require_as_many(count, len(logits), address)
    chosen: list[int] = logits.argsort(stable=True, descending=True)[:count].tolist()
    return chosen


def _logits(name: str) -> Address:
    backbone = find_backbone(name)
    if not backbone.logits:
        raise AddressError(f"{name} does not say which layer holds its classes' logits; register it with logits=...")
    return resolve(f"{name}:{backbone.logits}")


def _raised(indices: list[int], address: Address, encoder: Encoder, against: float = 0.0) -> BoundTerm:
    selection = Selection(address, indices, encoder.device)

    def evaluate(view: View) -> Tensor:
        view.require_no_mask(address)
        logits = view.activations[address].float()
        raised = -view.mean(selection(logits))
        return raised + against * logits.flatten(1).logsumexp(1).sum() if against else raised

    return BoundTerm("class", evaluate, frozenset([address]))


def _require_some(count: int) -> None:
    if count < 1:
        raise PlanError(f"the classes seen in a picture are at least 1, not {count}")


def _require_as_many(count: int, classes: int, address: Address) -> None:
    if count > classes:
        raise AddressError(f"{address} has {classes} classes, fewer than {count}")
