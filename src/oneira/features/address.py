"""Where in a network: `backbone:layer`."""

from dataclasses import dataclass, field

from oneira.errors import AddressError

DEFAULT_BACKBONE = "pocket"


@dataclass(frozen=True, order=True)
class Address:
    """A layer of a backbone, under the name of the module that computes it. Made by `resolve`.

    `written` is the layer's name as the user wrote it, for messages; it makes no difference between addresses.
    """

    backbone: str
    layer: str
    written: str = field(default="", compare=False)

    @property
    def key(self) -> str:
        """The layer's own name with its backbone's, whatever alias it was asked for by."""
        return f"{self.backbone}:{self.layer}"

    def __str__(self) -> str:
        return f"{self.backbone}:{self.written or self.layer}"


def split_address(text: str, default: str = DEFAULT_BACKBONE) -> tuple[str, str]:
    """`"vgg19:relu4_2"` -> `("vgg19", "relu4_2")`; a layer alone belongs to `default`.

    Raises AddressError where either part is empty.
    """
    backbone, colon, layer = (part.strip() for part in text.rpartition(":"))
    backbone = backbone if colon else default
    if not backbone or not layer:
        raise AddressError(f"{text!r} is not an address; write backbone:layer, such as {default}:relu4_2")
    return backbone, layer
