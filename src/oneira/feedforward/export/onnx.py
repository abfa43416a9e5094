"""A trained network as an ONNX model, measured against the network before anybody gets it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import oneira
from oneira.errors import PlanError, WeightsError, one_of
from oneira.feedforward.export.departure import LIMITS, Departure, departure
from oneira.feedforward.export.extra import exporting
from oneira.feedforward.export.graph import IMAGE, OPSET, STYLE, STYLIZED, ExportedNetwork
from oneira.feedforward.export.precision import in_int8
from oneira.feedforward.saving import TrainedNetwork
from oneira.feedforward.transformer import TransformerNetwork
from oneira.files import write_whole

if TYPE_CHECKING:
    from onnx import ModelProto

PRECISIONS = tuple(LIMITS)


@dataclass(frozen=True)
class OnnxModel:
    """A network as the bytes of an .onnx file, and how far its pictures are from the network's own."""

    data: bytes
    precision: str
    departure: Departure

    def write(self, path: Path) -> None:
        """Into a file, all of it or nothing. Raises WeightsError where the disk refuses."""
        try:
            write_whole(path, lambda file: file.write(self.data))
        except OSError as error:
            raise WeightsError(f"cannot write the model {str(path)!r}: {error.strerror or error}") from error


def onnx_model(trained: TrainedNetwork, precision: str = "float32") -> OnnxModel:
    """`trained` for any ONNX runtime: `image` (1, 3, h, w) in [0, 1], of any size, to `stylized`, of the same.

    A conditional network takes `style` (1, styles), too: weights of styles, as `TrainedNetwork.weights` makes them. The
    model's metadata tell `styles`, their names in this order, and `identity`, the name of the one that leaves pictures
    as they are; both in JSON. `precision`: float32, float16 (half the size, for graphics cards), or int8 (a quarter).

    Raises PlanError for networks that draw out of noise, WeightsError where the extra `export` is not installed, and
    where ONNX Runtime's pictures are not the network's: beyond 1e-3 in float32, and beyond `LIMITS` in the others.
    """
    one_of("precision", precision, PRECISIONS)
    network = trained.network
    if not isinstance(network, TransformerNetwork):
        raise PlanError("this network draws a texture out of noise; networks that redraw a picture are exported")
    with exporting():
        traced = _traced(network, torch.float16 if precision == "float16" else torch.float32)
        data = _told(in_int8(traced, trained) if precision == "int8" else traced, trained, precision)
        apart = departure(data, trained)
    if not apart.within(LIMITS[precision]):
        raise WeightsError(
            f"the model in {precision} draws other pictures than the network: {apart}; nothing is written"
        )
    return OnnxModel(data, precision, apart)


def _traced(network: TransformerNetwork, precision: torch.dtype) -> "ModelProto":
    """The graph of `network`, for pictures of any size."""
    height, width = torch.export.Dim("height", min=1), torch.export.Dim("width", min=1)
    example: dict[str, Any] = {IMAGE: torch.zeros(1, 3, 37, 50)}
    sizes: dict[str, Any] = {IMAGE: {2: height, 3: width}}
    if network.conditional:
        example[STYLE], sizes[STYLE] = torch.zeros(1, network.styles), None
    program = torch.onnx.export(
        ExportedNetwork(network, precision).eval(),
        kwargs=example,
        input_names=list(example),
        output_names=[STYLIZED],
        dynamic_shapes=sizes,
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    return program.model_proto


def _told(model: "ModelProto", trained: TrainedNetwork, precision: str) -> bytes:
    """The model with its metadata, and without the notes of how it was traced, which name files of this machine."""
    import onnx

    graph = model.graph
    for noted in (*graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output, graph):
        del noted.metadata_props[:]
        noted.doc_string = ""
    del graph.value_info[:]
    for dimension, name in zip(graph.output[0].type.tensor_type.shape.dim[2:], ("height", "width"), strict=True):
        dimension.dim_param = name  # the exporter's is a formula: it does not know that what was grown is cut again
    graph.name = "oneira"
    model.producer_name, model.producer_version = "oneira", oneira.__version__
    identity = None if trained.identity is None else trained.names[trained.identity]
    about = {"styles": list(trained.names), "identity": identity, "precision": precision}
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in about.items()})
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data
