"""`oneira models`: which networks there are, where their weights are, and what their layers are called."""

from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from oneira.cli.screen import Screen
from oneira.features import describe, find_backbone
from oneira.features.backbones.backbone import Backbone
from oneira.features.registry import backbones
from oneira.features.weights import locate


def models(model: Annotated[str | None, Parameter(show_default=False)] = None, /) -> int:
    """List the networks and where their weights are; with MODEL, its layers.

    Parameters
    ----------
    model
        a network, such as vgg19: its layers in the order in which they run, with channels, stride and receptive field
    """
    screen = Screen()
    screen.table(_all_models() if model is None else _layers(find_backbone(model)))
    return 0


def _all_models() -> Table:
    table = Table("network", "what", "weights", box=None, pad_edge=False)
    for name in backbones():
        backbone = find_backbone(name)
        located = locate(backbone)
        if located.path is not None:
            where = f"{located.where}: {located.path}" if located.where != "embedded" else "in the package"
        else:
            where = located.where if located.source is None else f"{located.where}: {located.source.url}"
        table.add_row(name, backbone.summary, where)
    return table


def _layers(backbone: Backbone) -> Table:
    title = f"{backbone.name}: pictures of at least {backbone.smallest} px"
    table = Table(
        "layer", "also called", "channels", "stride", "receptive field", title=title, title_justify="left", box=None
    )
    for layer in describe(backbone):
        table.add_row(
            layer.layer,
            ", ".join(layer.aliases),
            str(layer.channels),
            "whole picture" if layer.stride is None else f"{layer.stride} px",
            "whole picture" if layer.receptive_field is None else f"{layer.receptive_field} px",
        )
    return table
