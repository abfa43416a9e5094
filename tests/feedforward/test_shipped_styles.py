"""The network that ships: its styles do what their slider says, and leave photographs alone where it stands at 0."""

import pytest
import torch

from oneira import Encoder
from oneira.feedforward.saving import TrainedNetwork
from oneira.feedforward.shipped import POCKET_STYLES, network_file
from oneira.feedforward.training.compared import Compared
from oneira.images import PHOTOGRAPHS, fit, load, resize, sample
from oneira.objectives import Artwork
from oneira.objectives.term import BoundObjective

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
SIDE = 192
DRAWN_HERE = ("night_wind", "rose_window")  # whose pictures are in the package


@pytest.fixture(scope="module")
def trained():
    return TrainedNetwork.load(network_file(POCKET_STYLES))


@pytest.fixture(scope="module")
def photographs():
    pictures = [load(sample(name)) for name in PHOTOGRAPHS]
    return [resize(each, fit(each.shape[2], each.shape[3], SIDE)) for each in pictures]


@torch.inference_mode()
def along_the_slider(trained, photographs, name):
    identity = trained.names[trained.identity]
    shares = [{name: strength, identity: 1 - strength} for strength in STRENGTHS]
    return [[trained.network(each, trained.weights(share)) for each in photographs] for share in shares]


def test_it_is_small_and_has_many_styles(trained):
    assert network_file(POCKET_STYLES).stat().st_size < 5_000_000
    assert len(trained.names) >= 9
    assert trained.identity is not None


@pytest.mark.parametrize("name", DRAWN_HERE)
def test_the_style_comes_nearer_all_along_the_slider(trained, photographs, name):
    picture = load(sample(name))
    encoder, compared = Encoder(), Compared()
    losses = []
    for drawn in along_the_slider(trained, photographs, name):
        sizes = [(each.shape[2], each.shape[3]) for each in drawn]
        bound = [BoundObjective(compared.style(Artwork(picture)), encoder, size) for size in sizes]
        losses.append(sum(float(each(image).total) for each, image in zip(bound, drawn, strict=True)))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 4


def test_its_identity_leaves_photographs_nearly_as_they_are(trained, photographs):
    for photograph in photographs:
        with torch.inference_mode():
            drawn = trained.network(photograph, trained.weights({trained.names[trained.identity]: 1.0}))
        error = float((drawn - photograph).square().mean())
        assert error < 0.01  # 20 dB


def test_every_style_is_another(trained, photographs):
    pictures = torch.cat([along_the_slider(trained, photographs[:1], name)[-1][0] for name in trained.names])
    apart = torch.cdist(pictures.flatten(1)[None], pictures.flatten(1)[None])[0]
    assert float(apart[~torch.eye(len(pictures), dtype=torch.bool)].min()) > 0.05 * pictures[0].numel() ** 0.5
