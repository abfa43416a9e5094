"""Labelled pictures in memory: a folder of class folders, or the packed .npz layout (jpeg, offset, label)."""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from oneira.errors import DataError


@dataclass(frozen=True)
class LabelledPictures:
    """`pictures` uint8 (n, 3, side, side), `labels` int64 (n,)."""

    pictures: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def load_packed(paths: Sequence[Path], side: int) -> LabelledPictures:
    pictures, labels = [], []
    for path in paths:
        with np.load(path) as packed:
            data, offset, label = packed["jpeg"].tobytes(), packed["offset"], packed["label"]
        files = [data[offset[i] : offset[i + 1]] for i in range(len(label))]
        with ThreadPoolExecutor() as pool:
            pictures.append(np.stack(list(pool.map(lambda file: _decode(file, side), files, chunksize=64))))
        labels.append(label.astype(np.int64))
    stacked = torch.from_numpy(np.concatenate(pictures)).permute(0, 3, 1, 2).contiguous()
    return LabelledPictures(stacked, torch.from_numpy(np.concatenate(labels)))


def _decode(file: bytes, side: int) -> np.ndarray:
    picture = Image.open(io.BytesIO(file)).convert("RGB")
    if picture.size != (side, side):
        picture = picture.resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(picture)
