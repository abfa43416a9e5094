"""Several processes that train one network together, each on its share of every batch (torchrun)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Ranks:
    """This process is number `rank` of `count`; the first one writes files."""

    rank: int = 0
    count: int = 1

    @classmethod
    def here(cls) -> "Ranks":
        """As the processes were joined; one alone if they were not."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls()

    @property
    def first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def share(self, first: int, count: int) -> range:
        """Of `count` numbers from `first` on, those of this process."""
        return range(first + self.rank, first + count, self.count)

    def together(self, network: nn.Module) -> nn.Module:
        """The network to call: its gradients become the means over all processes."""
        return network if self.count == 1 else DistributedDataParallel(network)

    def add_up(self, numbers: Tensor) -> None:
        """Make `numbers` the sum over all processes, in place."""
        if self.count > 1:
            dist.all_reduce(numbers)


def own_device(device: torch.device) -> torch.device:
    """The card of this process, where torchrun started one process for each card of the machine."""
    if device.type == "cuda" and device.index is None and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Join the processes that torchrun started, as its environment says; without it, this one is alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks()
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks.here()
    finally:
        dist.destroy_process_group()
