"""Other pooling and padding, against what torch itself computes."""

from contextlib import suppress

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.features.backbones import FAMILIES
from oneira.features.encoder import Encoder
from oneira.features.variant import PaddedConv, Variant

POOLS = {
    "vgg": nn.MaxPool2d(2),
    "squeezenet": nn.MaxPool2d(3, 2, ceil_mode=True),
    "googlenet": nn.MaxPool2d(2, 2, ceil_mode=True),
    "inside googlenet": nn.MaxPool2d(3, 1, 1, ceil_mode=True),
    "resnet": nn.MaxPool2d(3, 2, 1),
}


def varied(module: nn.Module, **choices) -> nn.Module:
    return Variant(**choices).apply(nn.Sequential(module))


def windows(pool: nn.MaxPool2d, features: torch.Tensor) -> list[list[torch.Tensor]]:
    """What `pool` sees at each place of its grid, (b, c, n): cut at the border."""
    height, width = pool(features).shape[2:]
    starts = [[i * pool.stride - pool.padding for i in range(size)] for size in (height, width)]
    return [
        [
            features[:, :, max(y, 0) : y + pool.kernel_size, max(x, 0) : x + pool.kernel_size].flatten(2)
            for x in starts[1]
        ]
        for y in starts[0]
    ]


@pytest.fixture
def features(generator):
    return torch.randn(2, 3, 9, 14, generator=generator).relu()


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_average_pooling_averages_what_lies_in_the_picture(pool, features):
    expected = torch.stack([torch.stack([w.mean(2) for w in row], -1) for row in windows(pool, features)], -2)
    assert_close(varied(pool, pooling="avg", gain=1.0)(features), expected)


@pytest.mark.parametrize("size", [(8, 12), (9, 12), (8, 13), (9, 13)])
def test_the_gradient_of_average_pooling_is_torchs(size, generator):
    ours = torch.randn(2, 3, *size, generator=generator).requires_grad_()
    torchs = ours.detach().clone().requires_grad_()
    varied(nn.MaxPool2d(2), pooling="avg", gain=1.5)(ours).square().sum().backward()
    (1.5 * nn.functional.avg_pool2d(torchs, 2)).square().sum().backward()
    assert_close(ours.grad, torchs.grad)


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_l2_pooling_scales_windows_that_the_border_cuts(pool, features):
    expected = torch.stack(
        [
            torch.stack([w.square().mean(2).sqrt() * pool.kernel_size for w in row], -1)
            for row in windows(pool, features)
        ],
        -2,
    )
    assert_close(varied(pool, pooling="l2", gain=1.0)(features), expected, rtol=1e-4, atol=1e-3)


def test_l2_pooling_of_vgg_is_torchs(features):
    ours, torchs = varied(nn.MaxPool2d(2), pooling="l2", gain=1.0)(features), nn.LPPool2d(2, 2)(features)
    assert_close(ours, torchs, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("pooling", ["avg", "l2"])
def test_the_gradient_is_finite_where_a_whole_window_is_zero(pooling):
    features = torch.zeros(1, 1, 4, 4, requires_grad=True)
    varied(nn.MaxPool2d(2), pooling=pooling)(features).sum().backward()
    assert features.grad.isfinite().all()


@pytest.mark.parametrize(("pooling", "default"), [("max", 1.0), ("avg", 2.0), ("l2", 0.78)])
def test_without_a_gain_the_scale_is_kept(pooling, default, features):
    assert_close(
        varied(nn.MaxPool2d(2), pooling=pooling)(features),
        default * varied(nn.MaxPool2d(2), pooling=pooling, gain=1.0)(features),
    )


def test_a_gain_works_with_max_pooling_too(features):
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    assert_close(varied(pool, gain=1.5)(features), 1.5 * pool(features))


def test_what_is_not_asked_for_stays():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(4, 4, 1))
    before = list(network)
    assert list(Variant().apply(network)) == before
    assert isinstance(Variant(padding="reflect").apply(network)[0], PaddedConv)
    assert list(network)[1:] == before[1:]


@pytest.mark.parametrize("mode", ["replicate", "reflect"])
@given(
    kernel=st.sampled_from([(3, 3), (5, 5), (1, 7), (7, 1), (3, 5)]),
    stride=st.integers(1, 3),
    size=st.tuples(st.integers(8, 12), st.integers(8, 12)),
)
def test_padding_is_torchs(mode, kernel, stride, size):
    amounts = (kernel[0] // 2, kernel[1] // 2)
    oracle = nn.Conv2d(3, 4, kernel, stride, amounts, padding_mode=mode)
    zeros = nn.Conv2d(3, 4, kernel, stride, amounts)
    zeros.load_state_dict(oracle.state_dict())
    features = torch.rand(1, 3, *size)
    assert_close(varied(zeros, padding=mode)(features), oracle(features))


def test_replicate_first_repeats_the_border_for_the_first_convolution_alone(generator):
    def network(*modes: str) -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 4, 5, padding=2, padding_mode=modes[0]), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Conv2d(4, 4, 3, padding=1, padding_mode=modes[1]),
            nn.Conv2d(4, 4, 3, padding=1, padding_mode=modes[1]),
        )

    features = torch.randn(1, 3, 9, 12, generator=generator)
    ours = Variant(padding="replicate-first").apply(network("zeros", "zeros"))
    assert_close(ours(features), network("replicate", "zeros")(features))
    assert [isinstance(part, PaddedConv) for part in (ours[0][0], ours[1], ours[2])] == [True, False, False]


def test_a_first_convolution_without_padding_leaves_the_others_their_zeros():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1))
    before = list(network)
    assert list(Variant(padding="replicate-first").apply(network)) == before


@pytest.mark.parametrize("backbone", FAMILIES.values(), ids=FAMILIES)
def test_the_first_convolution_of_every_family_is_the_first_to_run(backbone):
    ran = []
    with torch.device("meta"):
        network = Variant(padding="replicate-first").apply(backbone.build().eval())
    for part in network.modules():
        if isinstance(part, nn.Conv2d | PaddedConv):
            part.register_forward_hook(lambda part, *_: ran.append(part))
    network(torch.empty(1, 3, 128, 128, device="meta"))
    padded = [part for part in network.modules() if isinstance(part, PaddedConv)]
    assert padded == [part for part in ran[:1] if isinstance(part, PaddedConv)]
    assert padded or ran[0].padding == (0, 0)


def test_where_there_is_too_little_to_reflect_the_border_is_repeated():
    conv = nn.Conv2d(3, 4, 5, padding=2)
    features = torch.rand(1, 3, 2, 9)
    assert_close(varied(conv, padding="reflect")(features), varied(conv, padding="replicate")(features))


def on_a_torus(features: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """(b, c, h', w', k, k'): what each window of a convolution or pool sees, every pixel by a division's remainder."""
    for axis, (kernel, stride, padding) in enumerate(
        zip(pair(layer.kernel_size), pair(layer.stride), pair(layer.padding), strict=True)
    ):
        extent = features.shape[2 + axis]
        starts = torch.arange(-(-extent // stride)) * stride - padding
        seen = (starts[:, None] + torch.arange(kernel) * pair(getattr(layer, "dilation", 1))[axis]) % extent
        features = features.index_select(2 + axis, seen.flatten()).unflatten(2 + axis, seen.shape)
        features = features.movedim(3 + axis, -1)
    return features


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


@given(
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    data=st.data(),
)
def test_circular_padding_is_the_opposite_border_however_small_the_map(kernel, stride, dilation, size, data):
    padding = tuple(data.draw(st.integers(0, length // 2)) for length in kernel)
    conv = nn.Conv2d(3, 4, kernel, stride, padding, dilation).double()
    features = torch.rand(1, 3, *size).double()
    windows = on_a_torus(features, conv)
    expected = torch.einsum("bchwij,dcij->bdhw", windows, conv.weight) + conv.bias[:, None, None]
    assert_close(varied(conv, padding="circular")(features), expected)


@pytest.mark.parametrize("size", [(8, 12), (2, 4), (9, 13)])
@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d(3, 1, 1, ceil_mode=True), nn.MaxPool2d(3, 2, 1)]
)
def test_pools_whose_windows_overlap_see_the_opposite_border_too(pool, size):
    features = torch.rand(2, 3, *size).double()
    windows = on_a_torus(features, pool).flatten(4)
    by_hand = {"max": windows.amax(4), "avg": windows.mean(4), "l2": (9 * (windows.square().mean(4) + 1e-8)).sqrt()}
    for pooling, expected in by_hand.items():
        assert_close(varied(pool, pooling=pooling, gain=1.5, padding="circular")(features), 1.5 * expected)


def test_average_pools_of_the_network_itself_wrap_and_keep_their_scale(features):
    pool = nn.AvgPool2d(3, 1, 1)
    for pooling in ("max", "l2"):
        wrapped = varied(pool, pooling=pooling, padding="circular")(features)
        assert_close(wrapped, on_a_torus(features, pool).flatten(4).mean(4))


def test_a_torus_leaves_alone_what_never_looks_over_the_border():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 2, 2), nn.MaxPool2d(2), nn.AvgPool2d(2))
    before = list(network)
    assert list(Variant(padding="circular").apply(network)) == before


DEEP = {
    "alexnet": "features",
    "vgg16": "features",
    "googlenet": "inception5b",
    "inception_v3": "Mixed_7c",
    "resnet50": "layer4",
    "squeezenet1_0": "features",
}


@pytest.mark.parametrize("name", DEEP)
def test_rolling_the_picture_by_strides_rolls_the_activations_of_every_family(name, generator):
    with torch.device("meta"):
        network = Variant(padding="circular").apply(FAMILIES[name].build().eval())
    network.to_empty(device="cpu").requires_grad_(False)
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            fan = part.weight[0].numel()
            part.weight.copy_(torch.randn(part.weight.shape, generator=generator) * (2 / fan) ** 0.5)
            if part.bias is not None:
                part.bias.zero_()
        elif isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
    found = []
    network.get_submodule(DEEP[name]).register_forward_hook(lambda *given: found.append(given[2]))
    picture = torch.rand(1, 3, 64, 96, generator=generator)
    for image in (picture, picture.roll((32, -64), (2, 3))):
        with suppress(RuntimeError):  # what comes behind may expect another grid
            network(image)
    plain, rolled = found
    strides = [side // there for side, there in zip((64, 96), plain.shape[2:], strict=True)]
    assert plain.std() > 0
    assert_close(rolled, plain.roll((32 // strides[0], -64 // strides[1]), (2, 3)), rtol=1e-3, atol=1e-4 * plain.max())


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"pooling": "average"}, "unknown pooling 'average'.*: max, avg, l2"),
        (
            {"padding": "reflection"},
            "unknown padding 'reflection'; did you mean 'reflect'.*: zeros, replicate, reflect, circular, replicate-f",
        ),
        ({"gain": 0.0}, r"the gain of pooling is a positive number, not 0\.0"),
        ({"gain": float("nan")}, "the gain of pooling is a positive number, not nan"),
    ],
)
def test_what_there_is_not_is_refused(choices, message):
    with pytest.raises(PlanError, match=message):
        Variant(**choices)


def test_the_encoder_runs_the_variant_it_was_given(mini_vgg):
    image = torch.rand(1, 3, 16, 16)
    layers = ["mini-vgg:relu1_1", "mini-vgg:pool1"]
    relu, pool = Encoder(variant=Variant("avg"))(image, layers).values()
    assert_close(pool, 2.0 * nn.functional.avg_pool2d(relu, 2))
    plain, _ = Encoder()(image, layers).values()
    replicated, _ = Encoder(variant=Variant(padding="replicate"))(image, layers).values()
    assert_close(replicated[..., 1:-1, 1:-1], plain[..., 1:-1, 1:-1])
    assert not torch.allclose(replicated, plain)


def test_pocket_repeats_the_border_of_the_picture_alone_where_it_is_asked_to(image):
    layers = ["pocket:conv1_1", "pocket:conv1_2"]
    first, second = Encoder(variant=Variant(padding="replicate-first"))(image, layers).values()
    assert torch.equal(first, *Encoder(variant=Variant(padding="replicate"))(image, layers[:1]).values())
    encoder = Encoder()
    encoder(image, layers)
    conv = encoder.networks["pocket"].conv1_2
    assert_close(second, nn.functional.conv2d(first.relu(), conv.weight, conv.bias, padding=1), rtol=1e-4, atol=1e-4)
