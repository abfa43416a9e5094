"""A user's own modules, by name."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

from oneira.errors import AddressError
from oneira.features.backbones.classes import find_class
from oneira.features.encoder import Encoder
from oneira.features.registry import backbones, find_backbone, register_backbone, resolve

pytestmark = pytest.mark.usefixtures("registered")


class Functional(nn.Module):
    """A ReLU that is no module, and one that works in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.second = nn.Conv2d(4, 4, 3)

    def forward(self, image: Tensor) -> Tensor:
        return F.relu_(self.second(F.relu(self.first(image))))


class Twice(nn.Module):
    """One layer run twice, in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.relu = nn.ReLU()
        self.last = nn.Conv2d(3, 2, 1)
        self.idle = nn.Conv2d(3, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.last(self.relu(self.conv(self.relu(self.conv(image)))))


class Pair(nn.Module):
    """Gives two tensors."""

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        return image, image


class Unpacking(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair()

    def forward(self, image: Tensor) -> Tensor:
        return sum(self.pair(image))


def itself(image: Tensor) -> Tensor:
    return image


@pytest.fixture
def image(generator):
    return torch.rand(1, 3, 12, 12, generator=generator)


def test_a_registered_module_runs_behind_its_own_preprocessing(image):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    register_backbone("mine", module, lambda picture: 2 * picture)
    assert "mine" in backbones()
    (found,) = Encoder()(image, ["mine:2"]).values()
    assert_close(found, module(2 * image))


def test_what_functional_relus_do_in_place_is_not_seen(image):
    module = Functional()
    register_backbone("mine", module, itself)
    first, second = Encoder()(image, ["mine:first", "mine:second"]).values()
    assert_close(first, module.first(image))
    assert_close(second, module.second(module.first(image).relu()))
    assert (second < 0).any()


def test_a_module_that_works_in_place_is_harmless(image):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Dropout(0.5, inplace=True))
    register_backbone("mine", module, itself)
    conv, relu, last = Encoder()(image, ["mine:0", "mine:1", "mine:2"]).values()
    assert (conv < 0).any()
    assert_close(relu, conv.relu())
    assert_close(last, relu)


def test_what_comes_behind_any_layer_may_work_in_place(image):
    class Doubling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.MaxPool2d(2)

        def forward(self, picture: Tensor) -> Tensor:
            return self.pool(picture).mul_(2)

    register_backbone("mine", nn.Sequential(Doubling(), nn.Identity()), itself)
    pool, doubled = Encoder()(image, ["mine:0.pool", "mine:1"]).values()
    assert_close(pool, F.max_pool2d(image, 2))
    assert_close(doubled, 2 * pool)


def test_the_users_module_is_left_alone(image):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    register_backbone("mine", module)
    Encoder(precision=torch.bfloat16)(image, ["mine:2"])
    assert module.training
    assert module[2].inplace
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert_close(module.state_dict(), before, rtol=0, atol=0)


def test_an_encoder_in_bfloat16_does_not_round_the_weights_of_another(image):
    module = nn.Sequential(nn.Conv2d(3, 4, 3))
    register_backbone("mine", module, itself)
    Encoder(precision=torch.bfloat16)(image, ["mine:0"])
    (found,) = Encoder()(image, ["mine:0"]).values()
    assert_close(found, module(image))


@pytest.mark.parametrize("layer", ["relu", "conv"])
def test_a_layer_that_runs_twice_is_refused(layer, image):
    register_backbone("twice", Twice())
    with pytest.raises(AddressError, match=f"layer twice:{layer} runs more than once in a forward pass"):
        Encoder()(image, [f"twice:{layer}"])


def test_a_layer_that_runs_twice_is_refused_after_another_layer_was_fine(image):
    register_backbone("twice", Twice())
    encoder = Encoder()
    assert len(encoder(image, ["twice:last"])) == 1
    with pytest.raises(AddressError, match="runs more than once"):
        encoder(image, ["twice:relu", "twice:last"])


def test_a_layer_that_never_runs_is_refused(image):
    register_backbone("twice", Twice())
    with pytest.raises(AddressError, match="layer twice:idle never runs in a forward pass"):
        Encoder()(image, ["twice:idle"])


def test_a_layer_that_gives_a_tuple_is_refused(image):
    register_backbone("mine", Unpacking())
    with pytest.raises(AddressError, match="layer mine:pair gives no tensor but tuple; name a layer inside it"):
        Encoder()(image, ["mine:pair"])


def test_registering_a_name_again_replaces_the_module(image):
    for channels in (2, 5):
        register_backbone("mine", nn.Sequential(nn.Conv2d(3, channels, 3)))
        (found,) = Encoder()(image, ["mine:0"]).values()
        assert found.shape[1] == channels


@pytest.mark.parametrize("name", ["vgg19", "mine:layer", "", " "])
def test_names_that_are_taken_or_cannot_be_addressed_are_refused(name):
    with pytest.raises(AddressError, match="choose a name without ':' that is not built in"):
        register_backbone(name, nn.Identity())


def test_a_registered_module_can_name_its_classes():
    register_backbone("mine", nn.Sequential(nn.Conv2d(3, 2, 1)), logits="0", classes=["cat", "dog"])
    backbone = find_backbone("mine")
    assert find_class(backbone, "dog") == 1
    assert resolve(f"mine:{backbone.logits}").layer == "0"


def test_without_names_a_class_is_a_number():
    register_backbone("mine", nn.Identity())
    assert find_class(find_backbone("mine"), "7") == 7
    with pytest.raises(AddressError, match="mine does not name its classes; give the number of the class, not 'cat'"):
        find_class(find_backbone("mine"), "cat")
