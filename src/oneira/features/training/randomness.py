"""Randomness that depends on a seed and a place in the training alone."""

import hashlib
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Seeded:
    """Generators of one seed."""

    seed: int

    def generator(self, purpose: str, index: int = 0) -> torch.Generator:
        """The randomness of one thing that training does, such as the crops of step 17: the same whenever it is asked.

        torch's generator on the CPU looks at 32 bits of its seed alone, so the three are hashed together.
        """
        digest = hashlib.sha256(f"{self.seed}/{purpose}/{index}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:4], "little"))
