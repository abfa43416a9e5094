"""The official file of every backbone: its name, its address and the beginning of its hash."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

EMBEDDED = "pocket"  # the backbone that ships in the package and needs no file

TORCHVISION = "https://download.pytorch.org/models/"
JOHNSON = "https://web.eecs.umich.edu/~justincj/models/"


@dataclass(frozen=True)
class WeightsSource:
    """An official file. `sha256_prefix` is as much of its SHA-256 (lowercase hex) as its publisher tells."""

    filename: str
    url: str
    sha256_prefix: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.filename} (from {self.url}, SHA-256 {self.sha256_prefix}...)"


def _published(folder: str, filename: str, note: str) -> WeightsSource:
    # Both publishers follow PyTorch's rule: the eight digits before the suffix are the beginning of the SHA-256.
    stem, _, _ = filename.partition(".")
    return WeightsSource(filename, folder + filename, stem[-8:], note)


SOURCES: Mapping[str, WeightsSource] = MappingProxyType(
    {
        "vgg11": _published(TORCHVISION, "vgg11-8a719046.pth", "torchvision, ImageNet, 507 MB"),
        "vgg13": _published(TORCHVISION, "vgg13-19584684.pth", "torchvision, ImageNet, 508 MB"),
        "vgg16": _published(TORCHVISION, "vgg16-397923af.pth", "torchvision, ImageNet, 528 MB"),
        "vgg19": _published(TORCHVISION, "vgg19-dcbb9e9d.pth", "torchvision, ImageNet, 548 MB"),
        "vgg16-caffe": _published(JOHNSON, "vgg16-00b39a1b.pth", "Simonyan and Zisserman's own, by J. Johnson, 528 MB"),
        "vgg19-caffe": _published(JOHNSON, "vgg19-d01eb7cb.pth", "Simonyan and Zisserman's own, by J. Johnson, 548 MB"),
        "alexnet": _published(TORCHVISION, "alexnet-owt-7be5be79.pth", "torchvision, ImageNet, 233 MB"),
        "googlenet": _published(TORCHVISION, "googlenet-1378be20.pth", "torchvision, ImageNet, 50 MB"),
        "inception_v3": _published(TORCHVISION, "inception_v3_google-0cc3c7bd.pth", "torchvision, ImageNet, 104 MB"),
        "resnet18": _published(TORCHVISION, "resnet18-f37072fd.pth", "torchvision, ImageNet, 45 MB"),
        "resnet50": _published(TORCHVISION, "resnet50-0676ba61.pth", "torchvision, ImageNet, 98 MB"),
        "squeezenet1_0": _published(TORCHVISION, "squeezenet1_0-b66bff10.pth", "torchvision, ImageNet, 5 MB"),
        "squeezenet1_1": _published(TORCHVISION, "squeezenet1_1-b8a52dc0.pth", "torchvision, ImageNet, 5 MB"),
    }
)
