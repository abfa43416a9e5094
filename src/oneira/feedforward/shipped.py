"""Where a trained network is: one that ships in the package, by its name, or a file."""

from pathlib import Path

from oneira.errors import WeightsError, nearest

POCKET_STYLES = "pocket-styles"
SHIPPED = (POCKET_STYLES,)


def network_file(name: str) -> Path:
    """The file of the network that is called so, or that lies there.

    Raises WeightsError, which tells those that ship, for a bare name that is neither.
    """
    if name in SHIPPED:
        return Path(__file__).parent / "networks" / f"{name}.safetensors"
    path = Path(name)
    if path.suffix or path.exists():
        return path
    raise WeightsError(
        f"unknown network {name!r}{nearest(name, SHIPPED)}: {', '.join(SHIPPED)}, or a file that "
        "`oneira train style` wrote"
    )
