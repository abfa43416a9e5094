"""Laws of choosing channels: by number, by chance, by what a picture excites."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import TINY, tiny_network
from safetensors.torch import save_file
from torch import nn
from torch.testing import assert_close

from oneira.errors import AddressError, PlanError
from oneira.features.backbones.pocket import pocket
from oneira.features.description import channels_of, describe
from oneira.features.encoder import Encoder
from oneira.features.registry import find_backbone, register_backbone, resolve
from oneira.images import resize
from oneira.objectives import Channel, ChannelChoice, Dream, Neuron, View

LAYER = f"{TINY}:conv3"
SIZE = (20, 28)


@pytest.fixture
def encoder():
    return Encoder(offline=True)


def chosen(text, encoder, layer=LAYER, size=SIZE, **given_too):
    return ChannelChoice.parse(text, **given_too).choose(encoder, resolve(layer), size)


def means_of(picture, encoder):
    return encoder(picture, [LAYER])[resolve(LAYER)][0].flatten(1).mean(1).numpy()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4", (4,)),
        ("5,0,2", (5, 0, 2)),
        (" 1 , 3 ", (1, 3)),
        ("first:3", (0, 1, 2)),
        ("first:6", (0, 1, 2, 3, 4, 5)),
        ("all-but:3,4", (0, 1, 2, 5)),
        (" all-but : 0 ", (1, 2, 3, 4, 5)),
    ],
)
def test_channels_are_named(text, expected, encoder):
    assert chosen(text, encoder) == expected


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 6))
def test_random_channels_are_as_many_as_wanted_all_different_and_their_seeds(seed, count):
    encoder = Encoder()
    drawn = chosen(f"random:{count}", encoder, seed=seed)
    assert len(set(drawn)) == count
    assert set(drawn) <= set(range(6))
    assert drawn == chosen(f"random:{count}", encoder, size=(40, 31), seed=seed)


def test_another_seed_draws_other_channels(encoder):
    assert len({chosen("random:3", encoder, seed=seed) for seed in range(20)}) > 5


@pytest.mark.parametrize("once", [False, True])
def test_a_picture_tells_the_strongest_weakest_and_typical(once, encoder, generator):
    picture = torch.rand(1, 3, 34, 22, generator=generator)
    means = means_of(picture if once else resize(picture, SIZE), encoder)
    ranked = np.argsort(means)
    given_too = {"picture": picture, "once": once}
    assert chosen("weakest:4", encoder, **given_too) == tuple(ranked[:4])
    assert chosen("strongest:4", encoder, **given_too) == tuple(ranked[::-1][:4])
    nearest = np.argsort(np.abs(means - np.median(means)), kind="stable")
    assert set(chosen("typical:2", encoder, **given_too)) == set(nearest[:2])
    assert set(chosen("typical:4", encoder, **given_too)) == set(nearest[:4])


def test_only_what_is_chosen_once_is_the_same_at_every_size(encoder, generator):
    # One channel answers to fine detail, which a small canvas does not show; the other to brightness.
    network = nn.Sequential()
    network.conv = nn.Conv2d(3, 2, 3, bias=False)
    with torch.no_grad():
        network.conv.weight.zero_()
        network.conv.weight[0, :, 1, 1], network.conv.weight[0, :, 1, 2] = 9.0, -9.0
        network.conv.weight[1, :, 1, 1] = 1.0
    network.relu = nn.ReLU()
    register_backbone("detail", network, lambda image: image)
    stripes = torch.zeros(1, 3, 32, 32)
    stripes[..., ::2] = 1
    for once, at_8, at_32 in ((False, (1,), (0,)), (True, (0,), (0,))):
        for size, expected in (((8, 8), at_8), ((32, 32), at_32)):
            found = chosen("strongest:1", encoder, "detail:relu", size, picture=stripes, once=once)
            assert found == expected


def test_a_silent_layer_has_a_strongest_channel_too(encoder):
    silent = tiny_network()
    with torch.no_grad():
        silent.conv1.bias.fill_(-99)
    register_backbone("silent", silent)
    for rule in ("strongest", "weakest", "typical"):
        assert chosen(f"{rule}:2", encoder, "silent:relu1", picture=torch.rand(1, 3, 9, 9)) == (0, 1)


def test_bfloat16_chooses_by_means_in_float32(generator):
    picture = torch.rand(1, 3, *SIZE, generator=generator)
    fine, coarse = (Encoder(precision=precision) for precision in (torch.float32, torch.bfloat16))
    assert chosen("strongest:3", coarse, picture=picture) == chosen("strongest:3", fine, picture=picture)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot read the channels ''"),
        ("twelve", "first:8"),
        ("1_2", "cannot read"),
        ("3,,7", "cannot read"),
        ("1.5", "cannot read"),
        ("first:", "cannot read"),
        ("first:1,2", "one number"),
        ("3,7,3", "channel 3 is named twice"),
        ("all-but:4,4", "channel 4 is named twice"),
        ("-1", "counted from 0; there is no channel -1"),
        ("all-but:-2", "counted from 0"),
        ("first:0", "at least 1, not 0"),
        ("random:-3", "at least 1, not -3"),
        ("strongest:0", "at least 1"),
        ("strongst:5", "did you mean 'strongest'"),
        ("first:2:3", "unknown rule 'first:2'"),
    ],
)
def test_what_is_written_otherwise_is_told_in_one_line(text, says):
    with pytest.raises(PlanError, match=says) as caught:
        ChannelChoice.parse(text, picture=torch.rand(1, 3, 4, 4))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["3", "all-but:3", "first:2", "random:2", "weakest:2"])
def test_a_choice_keeps_of_its_picture_and_seed_what_it_needs(text):
    choice = ChannelChoice.parse(text, picture=torch.rand(1, 3, 4, 4), seed=5, once=True)
    assert (choice.picture is not None, choice.once) == (text == "weakest:2",) * 2
    assert choice.seed == (5 if text == "random:2" else 0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ChannelChoice("theses", (1,)), "did you mean 'these'"),
        (lambda: ChannelChoice("these"), "no channel is named"),
        (lambda: ChannelChoice("these", (1,), 3), "not how many"),
        (lambda: ChannelChoice("first", (1,), 3), "not their numbers"),
        (lambda: ChannelChoice("first"), "at least 1, not None"),
        (lambda: ChannelChoice("typical", count=2), "those of a picture"),
        (lambda: ChannelChoice.parse("weakest:3"), "those of a picture"),
    ],
)
def test_choices_that_contradict_themselves_are_refused(make, says):
    with pytest.raises(PlanError, match=says):
        make()


def of_vgg(text):
    return Dream("vgg19:relu4_2", channels=ChannelChoice.parse(text, picture=torch.rand(1, 3, 32, 32)))


@pytest.mark.parametrize(
    ("term", "says"),
    [
        (of_vgg("512"), "vgg19:relu4_2 has channels 0 to 511, not 512"),
        (of_vgg("all-but:600"), "0 to 511, not 600"),
        (of_vgg("first:513"), "512 channels, fewer than first:513"),
        (of_vgg("random:999"), "fewer than random:999"),
        (of_vgg("strongest:513"), "fewer than strongest:513"),
        (of_vgg("all-but:" + ",".join(map(str, range(512)))), "all 512 channels .* are left out"),
        (Channel("vgg19:relu4_2", (3, 512)), "0 to 511, not 512"),
        (Neuron("googlenet:inception_4c/output", 512), "0 to 511, not 512"),
    ],
)
def test_a_channel_that_is_not_there_is_told_before_anything_is_loaded(term, says, encoder):
    with pytest.raises(AddressError, match=says) as caught:
        term.bind(encoder, (64, 64))
    assert "\n" not in str(caught.value)
    assert not encoder.networks


def test_what_does_not_depend_on_a_picture_is_chosen_without_loading(encoder):
    for text, count in (("first:8", 8), ("random:5", 5), ("all-but:1,2", 510), ("12,500", 2)):
        assert len(chosen(text, encoder, "vgg19:relu4_2", (64, 64))) == count
    assert not encoder.networks


def test_a_registered_modules_channels_are_counted_when_they_come(encoder, image):
    with pytest.raises(AddressError, match="6 channels, fewer than first:7"):
        chosen("first:7", encoder)
    for term in (Dream(LAYER, channels=ChannelChoice("these", (6,))), Channel(LAYER, 6), Neuron(LAYER, 6)):
        bound = term.bind(encoder, SIZE)
        with pytest.raises(AddressError, match="channels 0 to 5, not 6"):
            bound.evaluate(View(image, encoder(image, bound.layers)))


def test_weights_of_another_width_say_how_many_channels_there_are(tmp_path, encoder):
    wide = pocket(widths=(8, 8, 8, 300, 8), depths=(1, 1, 1, 1, 1))
    save_file(wide.state_dict(), tmp_path / "wide.safetensors")
    theirs = Encoder(weights={"pocket": tmp_path / "wide.safetensors"})
    for size in ((64, 64), (700, 33)):
        Channel("pocket:relu4_1", 299).bind(theirs, size)
        with pytest.raises(AddressError, match="0 to 255, not 299"):
            Channel("pocket:relu4_1", 299).bind(encoder, size)
    with pytest.raises(AddressError, match="0 to 7, not 8"):
        Channel("pocket:relu1_1", 8).bind(theirs, (64, 64))
    with pytest.raises(PlanError, match="too small"):
        Channel("pocket:relu5_1", 0).bind(encoder, (12, 700))


@pytest.mark.parametrize("name", ["pocket", "squeezenet1_0", "resnet18"])
def test_declared_channels_are_those_that_are_described(name):
    backbone = find_backbone(name)
    for description in describe(backbone):
        assert channels_of(backbone, description.layer) == description.channels
    assert channels_of(find_backbone(TINY), "relu1") is None


def test_a_dream_of_chosen_channels_is_that_of_their_activations(encoder, image):
    choice = ChannelChoice("all-but", (1, 4))
    activations = encoder(image, [LAYER])
    loss = Dream(LAYER, channels=choice).bind(encoder, SIZE).evaluate(View(image, activations))
    assert_close(loss, -activations[resolve(LAYER)][:, [0, 2, 3, 5]].square().mean() / 2)
