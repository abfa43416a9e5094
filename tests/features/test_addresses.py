"""Layers go by the papers' names, and a name that is not there leads to the nearest one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from oneira.errors import AddressError
from oneira.features.address import Address, split_address
from oneira.features.backbones import FAMILIES
from oneira.features.backbones.classes import find_class
from oneira.features.description import _visits
from oneira.features.registry import backbones, find_backbone, resolve

KNOWN = {
    "vgg19:conv1_1": "features.0",
    "vgg19:relu1_1": "features.1",
    "vgg19:pool1": "features.4",
    "vgg19:conv4_2": "features.21",
    "vgg19:relu4_2": "features.22",
    "vgg19:relu5_1": "features.29",
    "vgg19:pool5": "features.36",
    "vgg19:fc6": "classifier.0",
    "vgg19:relu7": "classifier.4",
    "vgg19:fc8": "classifier.6",
    "vgg16:relu3_3": "features.15",
    "vgg16-caffe:relu5_3": "features.29",
    "vgg13:relu5_2": "features.23",
    "vgg11:relu5_2": "features.19",
    "alexnet:conv1": "features.0",
    "alexnet:pool2": "features.5",
    "alexnet:relu5": "features.11",
    "alexnet:pool5": "features.12",
    "alexnet:fc6": "classifier.1",
    "alexnet:relu7": "classifier.5",
    "googlenet:conv1/7x7_s2": "conv1",
    "googlenet:conv2/3x3": "conv3",
    "googlenet:inception_4c/output": "inception4c",
    "googlenet:inception_4c": "inception4c",
    "googlenet:mixed4c": "inception4c",
    "googlenet:inception_5a/3x3": "inception5a.branch2.1",
    "googlenet:inception_4d/5x5_reduce": "inception4d.branch3.0",
    "googlenet:inception_3b/pool_proj": "inception3b.branch4.1",
    "googlenet:loss3/classifier": "fc",
    "squeezenet1_0:fire4": "features.5",
    "squeezenet1_0:fire9/concat": "features.12",
    "squeezenet1_0:fire5/relu_expand3x3": "features.7.expand3x3_activation",
    "squeezenet1_1:fire4": "features.6",
    "squeezenet1_1:conv10": "classifier.1",
    "resnet50:relu1": "relu",
    "resnet50:res4f": "layer3.5",
    "resnet50:layer3.5": "layer3.5",
    "resnet18:layer2.0.relu1": "layer2.0.relu1",
    "pocket:relu3_4": "relu3_4",
    "relu3_4": "relu3_4",
}

# keras.applications.InceptionV3 at 299x299: side of the grid and channels of mixed0 .. mixed10.
KERAS = [
    (35, 256),
    (35, 288),
    (35, 288),
    (17, 768),
    (17, 768),
    (17, 768),
    (17, 768),
    (17, 768),
    (8, 1280),
    (8, 2048),
    (8, 2048),
]


@pytest.mark.parametrize(("text", "module"), KNOWN.items())
def test_a_papers_name_means_the_module_that_computes_it(text, module):
    assert resolve(text).layer == module


@pytest.mark.parametrize("name", FAMILIES)
def test_every_alias_names_a_layer_of_its_kind(name):
    backbone = FAMILIES[name]
    with torch.device("meta"):
        modules = dict(backbone.build().named_modules())
    kinds = {"relu": nn.ReLU, "fc": nn.Linear}
    for alias, layer in backbone.aliases.items():
        assert layer in backbone.layers
        for beginning, kind in kinds.items():
            if alias.startswith(beginning):
                assert isinstance(modules[layer], kind)
        if alias.startswith("conv") and name != "googlenet":  # where the convolution's name means after its ReLU
            assert isinstance(modules[layer], nn.Conv2d)


def test_keras_names_of_inception_v3_are_blocks_of_the_same_grids_and_channels():
    shapes = {visit.layer: visit.shape for visit in _visits(FAMILIES["inception_v3"], 299)}
    blocks = [resolve(f"inception_v3:mixed{index}").layer for index in range(11)]
    assert [(shapes[block][2], shapes[block][1]) for block in blocks] == KERAS
    assert blocks[3] == "Mixed_6a"


def test_googlenets_branches_lie_side_by_side_in_its_output(encoder_of):
    torch.manual_seed(0)
    backbone = FAMILIES["googlenet"]
    encoder = encoder_of(backbone, backbone.build())
    names = ["1x1", "3x3", "5x5", "pool_proj", "output"]
    with torch.no_grad():
        *branches, output = encoder(torch.rand(1, 3, 32, 32), [f"googlenet:inception_4d/{n}" for n in names]).values()
    assert torch.equal(torch.cat(branches, 1), output)
    assert all((branch >= 0).all() for branch in branches)


@given(st.sampled_from([(name, layer) for name in FAMILIES for layer in FAMILIES[name].layers]))
def test_an_address_survives_being_written_and_read(place):
    address = Address(*place)
    assert resolve(str(address)) == address


def test_addresses_are_equal_whatever_the_layer_was_called():
    paper, module = resolve("googlenet:inception_4c/output"), resolve("googlenet:inception4c")
    assert paper == module
    assert hash(paper) == hash(module)
    assert (str(paper), str(module)) == ("googlenet:inception_4c/output", "googlenet:inception4c")


def test_a_layer_that_is_not_there_leads_to_the_nearest():
    with pytest.raises(AddressError) as raised:
        resolve("vgg19:relu4-2")
    assert str(raised.value) == (
        "unknown layer 'relu4-2' of vgg19; did you mean 'relu4_2'? (oneira models vgg19 lists them)"
    )
    with pytest.raises(AddressError, match="unknown backbone 'vgg91'; did you mean 'vgg"):
        resolve("vgg91:relu4_2")
    with pytest.raises(AddressError, match=r"unknown layer 'aux1\.fc1' of googlenet"):
        resolve("googlenet:aux1.fc1")


def test_an_address_is_split_at_its_last_colon_and_spaces_do_not_matter():
    assert split_address("vgg19:relu4_2") == ("vgg19", "relu4_2")
    assert split_address(" vgg19 : relu4_2 ") == ("vgg19", "relu4_2")
    assert split_address("relu4_2") == ("pocket", "relu4_2")
    assert split_address("relu4_2", "alexnet") == ("alexnet", "relu4_2")


@pytest.mark.parametrize("text", ["", " ", ":", "vgg19:", ":relu4_2"])
def test_half_an_address_is_refused(text):
    with pytest.raises(AddressError, match="is not an address; write backbone:layer"):
        split_address(text)


def test_pocket_comes_first():
    assert backbones()[0] == "pocket"


@pytest.mark.parametrize(
    ("name", "text", "index"),
    [
        ("vgg19", "954", 954),
        ("vgg19", "banana", 954),
        ("vgg19", " Banana ", 954),
        ("vgg19", "Cardigan", 264),  # the dog
        ("vgg19", "cardigan", 474),  # the garment
        ("squeezenet1_0", "goldfish", 1),
        ("pocket", "goldfish", 0),
        ("pocket", "Carassius auratus", 0),
    ],
)
def test_a_class_goes_by_name_synonym_or_number(name, text, index):
    assert find_class(find_backbone(name), text) == index


@pytest.mark.parametrize("name", FAMILIES)
def test_every_class_is_found_by_its_number_and_nearly_all_by_their_name(name):
    backbone = FAMILIES[name]
    found = 0
    for index, line in enumerate(backbone.classes()):
        assert find_class(backbone, str(index)) == index
        try:
            found += find_class(backbone, line.split(", ")[0]) == index
        except AddressError as error:
            assert "is several classes" in str(error)  # noqa: PT017 - most names raise nothing
    assert found >= len(backbone.classes()) - 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bananna", r"unknown class 'bananna' of vgg19; did you mean 'banana'\? \(or give a number, 0 to 999\)"),
        ("crane", r"'crane' is several classes of vgg19; give a number: \[134, 517\]"),
        ("1000", "vgg19 has classes 0 to 999, not 1000"),
    ],
)
def test_a_class_that_is_not_there_leads_to_the_nearest(text, message):
    with pytest.raises(AddressError, match=message):
        find_class(find_backbone("vgg19"), text)
