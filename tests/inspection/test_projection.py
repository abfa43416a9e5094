"""Projections are what the papers write, whatever a network is made of."""

import threading
from collections import OrderedDict
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from networks import tiny_network
from torch import nn
from torch.testing import assert_close
from transcriptions import differentiated, scattered, sent_back, unpooled

from oneira.errors import AddressError, PlanError
from oneira.features.backbones import FAMILIES
from oneira.features.encoder import Encoder
from oneira.features.preprocessing import IMAGENET
from oneira.features.registry import register_backbone
from oneira.features.variant import Variant
from oneira.inspection.projection import project, smooth_gradient
from oneira.inspection.seeds import strongest, unit

RULES = ("gradient", "deconvnet", "guided")
STD = torch.tensor(IMAGENET.std).view(3, 1, 1)


@pytest.fixture
def image(generator):
    return torch.rand(2, 3, 20, 28, generator=generator)


def random_like(activations):
    """A seed of both signs, the same for the same shape."""
    return torch.randn(activations.shape, generator=torch.Generator().manual_seed(1))


def plain_stack(pool: nn.MaxPool2d, seed: int = 0) -> nn.Sequential:
    """Three convolutions, the first with a stride, two pools."""
    torch.manual_seed(seed)
    layers = OrderedDict[str, nn.Module](conv1=nn.Conv2d(3, 6, 3, 2, 1), relu1=nn.ReLU(), pool1=pool)
    layers |= {"conv2": nn.Conv2d(6, 8, 3, padding=1), "relu2": nn.ReLU(), "pool2": pool}
    layers |= {"conv3": nn.Conv2d(8, 5, 3, padding=1), "relu3": nn.ReLU()}
    return nn.Sequential(layers).requires_grad_(False)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.MaxPool2d(2, ceil_mode=True)], ids=["floor", "ceil"])
@pytest.mark.parametrize("seed", [random_like, partial(strongest, channel=2)], ids=["random", "strongest"])
def test_where_pools_do_not_overlap_it_is_unpool_rectify_filter(rule, pool, seed):
    image = torch.rand(2, 3, 45, 58, generator=torch.Generator().manual_seed(2))
    network = plain_stack(pool)
    register_backbone("plain", network)
    inputs = IMAGENET(image)
    expected = sent_back([*network], inputs, seed(network(inputs)), rule, unpooled) / STD
    assert expected.abs().max() > 1e-3
    assert_close(project(Encoder(), image, "plain:relu3", seed, rule), expected)


@pytest.mark.parametrize("rule", RULES)
def test_where_pools_overlap_coinciding_switches_add_up(rule):
    image = torch.rand(2, 3, 45, 58, generator=torch.Generator().manual_seed(2))
    network = plain_stack(nn.MaxPool2d(3, 2))
    register_backbone("overlapping", network)
    inputs = IMAGENET(image)
    found = project(Encoder(), image, "overlapping:relu3", random_like, rule)
    added, overwritten = (
        sent_back([*network], inputs, random_like(network(inputs)), rule, unpool) / STD
        for unpool in (scattered, unpooled)
    )
    assert_close(found, added)
    assert (added - overwritten).abs().max() > 0.1 * added.abs().max()


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "squeezenet1_1", "inception_v3"])
@pytest.mark.parametrize("rule", RULES)
def test_sums_and_branches_and_average_pools_follow_the_gradient(encoder_of, name, rule):
    path = {
        "resnet18": "layer2.1",
        "googlenet": "inception3b",
        "squeezenet1_1": "classifier.3",
        "inception_v3": "Mixed_6b",
    }[name]
    torch.manual_seed(0)
    with torch.device("meta"):
        network = FAMILIES[name].build()
    network.to_empty(device="cpu")
    for key, value in network.state_dict().items():
        fan_in = value[0].numel() if value.ndim > 1 else 1
        ones = key.endswith("running_var") or (value.ndim == 1 and key.endswith("weight"))
        value.copy_(torch.randn(value.shape) * (2 / fan_in) ** 0.5 if value.ndim > 1 else torch.full_like(value, ones))
    network = network.eval().requires_grad_(False)
    image = torch.rand(1, 3, 80, 84)
    encoder = encoder_of(FAMILIES[name], network)
    found = project(encoder, image, f"{name}:{path}", random_like, rule)
    seed = random_like(encoder(image, [f"{name}:{path}"]).popitem()[1])
    expected = differentiated(network, IMAGENET, image, path, seed, rule)
    assert expected.abs().max() > 0
    assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("variant", [Variant(pooling="avg"), Variant(padding="circular"), Variant(padding="reflect")])
@pytest.mark.parametrize("rule", RULES)
def test_changed_networks_are_projected_as_they_are_run(variant, rule, image):
    encoder = Encoder(variant=variant)
    found = project(encoder, image, "pocket:relu3_1", random_like, rule)
    seed = random_like(encoder(image, ["pocket:relu3_1"]).popitem()[1])
    expected = differentiated(encoder.networks["pocket"], IMAGENET, image, "relu3_1", seed, rule)
    assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_the_rule_gradient_is_the_gradient_to_the_bit(image):
    encoder = Encoder()
    network = tiny_network()
    pixels = image.clone().requires_grad_()
    laid_out = network.to(memory_format=torch.channels_last)(IMAGENET(pixels).to(memory_format=torch.channels_last))
    (expected,) = torch.autograd.grad(laid_out, pixels, random_like(laid_out))
    assert torch.equal(project(encoder, image, "tiny:relu3", random_like, "gradient"), expected)


@pytest.mark.parametrize("layer", ["conv1_1", "relu2_2", "conv4_2", "relu5_2", "fc"])
def test_the_rule_gradient_is_that_of_the_fused_networks(layer, image):
    encoder = Encoder()
    pixels = image.clone().requires_grad_()
    (activations,) = encoder(pixels, [f"pocket:{layer}"]).values()
    (expected,) = torch.autograd.grad(activations, pixels, random_like(activations))
    found = project(encoder, image, f"pocket:{layer}", random_like, "gradient")
    assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_where_all_is_positive_there_and_back_the_rules_agree(image):
    network = tiny_network()
    for parameter in network.parameters():
        parameter.data.abs_()
    register_backbone("positive", network, lambda picture: picture)
    found = [project(Encoder(), image, "positive:relu3", lambda values: values, rule) for rule in RULES]
    assert found[0].sum() > 0
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_the_rules_are_three(image):
    found = [project(Encoder(), image, "tiny:relu3", random_like, rule) for rule in RULES]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert (found[one] - found[other]).abs().max() > 0.1 * found[one].abs().max()


def test_the_picture_s_own_units_are_those_of_its_preprocessing(image):
    register_backbone("wide", tiny_network(), lambda picture: IMAGENET(picture / 255))
    narrow = project(Encoder(), image, "tiny:relu3", random_like, "gradient")
    assert_close(project(Encoder(), image * 255, "wide:relu3", random_like, "gradient") * 255, narrow)


def test_a_clamp_in_the_preprocessing_is_no_relu_of_the_network(image):
    register_backbone("clamped", tiny_network(), lambda picture: IMAGENET(picture.clamp(0, 1)))
    for rule in RULES:
        clamped, plain = (project(Encoder(), image, f"{name}:relu3", random_like, rule) for name in ("clamped", "tiny"))
        assert torch.equal(clamped, plain)


@pytest.mark.parametrize("rule", RULES)
def test_each_picture_of_a_batch_has_its_own_projection(rule, image):
    seed = partial(strongest, channel=3)
    together = project(Encoder(), image, "tiny:relu3", seed, rule)
    for index in range(len(image)):
        alone = project(Encoder(), image[index : index + 1], "tiny:relu3", seed, rule)
        assert_close(together[index : index + 1], alone)


@pytest.mark.parametrize("surroundings", [torch.no_grad, torch.inference_mode])
def test_where_gradients_are_switched_off_it_is_the_same(surroundings, image):
    expected = project(Encoder(), image, "tiny:relu3", random_like, "guided")
    with surroundings():
        assert torch.equal(project(Encoder(), image.clone(), "tiny:relu3", random_like, "guided"), expected)


def test_a_picture_that_asks_for_a_gradient_gets_none(image):
    pixels = image.clone().requires_grad_()
    found = project(Encoder(), pixels, "pocket:relu2_2", random_like)
    assert not found.requires_grad
    assert pixels.grad is None


def test_bfloat16_is_float32_within_its_rounding(image):
    rough, fine = (
        project(Encoder(precision=precision), image, "tiny:relu3", random_like, "deconvnet")
        for precision in (torch.bfloat16, torch.float32)
    )
    assert rough.dtype == fine.dtype == torch.float32
    assert torch.corrcoef(torch.stack([rough.flatten(), fine.flatten()]))[0, 1] > 0.99


def hooks_of(network: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in network.modules())


def test_nothing_stays_behind_whatever_goes_wrong(image):
    encoder = Encoder()
    before = encoder(image, ["pocket:relu4_1"]).popitem()[1]

    def failing(activations):
        raise ZeroDivisionError

    for seed, layer, error in ((failing, "relu4_1", ZeroDivisionError), (random_like, "relu9_9", AddressError)):
        with pytest.raises(error):
            project(encoder, image, f"pocket:{layer}", seed)
    with pytest.raises(PlanError, match="a 3x3 picture is too small for pocket:relu4_1"):
        project(encoder, image[..., :3, :3], "pocket:relu4_1", random_like)
    project(encoder, image, "pocket:relu4_1", random_like)
    assert hooks_of(encoder.networks["pocket"]) == 0
    assert torch.equal(encoder(image, ["pocket:relu4_1"]).popitem()[1], before)
    values = torch.randn(5, requires_grad=True)
    F.relu(values).backward(torch.full((5,), -1.0))
    assert torch.equal(values.grad, -(values > 0).float())


def test_two_threads_with_two_rules_do_not_disturb_each_other(image):
    alone = {rule: project(Encoder(), image, "tiny:relu3", random_like, rule) for rule in RULES}
    equal = []

    def often(rule):
        encoder = Encoder()
        found = [project(encoder, image, "tiny:relu3", random_like, rule) for _ in range(20)]
        equal.append(all(torch.equal(each, alone[rule]) for each in found))

    threads = [threading.Thread(target=often, args=(rule,)) for rule in RULES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert equal == [True] * 3


def test_what_cannot_be_projected_is_told_in_one_line(image):
    with pytest.raises(PlanError, match="unknown rule 'guide'; did you mean 'guided'"):
        project(Encoder(), image, "tiny:relu3", random_like, "guide")
    with pytest.raises(PlanError, match=r"a seed has the shape .* \(2, 6, 10, 14\) of tiny:relu3, not \(1, 6\)"):
        project(Encoder(), image, "tiny:relu3", torch.zeros(1, 6))
    register_backbone("rounded", tiny_network(), lambda picture: IMAGENET(picture.detach()))
    with pytest.raises(PlanError, match="the preprocessing of rounded lets no gradient through"):
        project(Encoder(), image, "rounded:relu3", random_like)


class Deaf(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, inputs):
        with torch.no_grad():
            return self.conv(inputs)


def test_activations_that_let_no_gradient_through_are_told(image):
    register_backbone("deaf", Deaf())
    with pytest.raises(PlanError, match="nothing comes back from deaf:conv"):
        project(Encoder(), image, "deaf:conv", random_like, "gradient")


def test_without_noise_smooth_is_plain(image, generator):
    smooth = smooth_gradient(Encoder(), image, "tiny:relu3", random_like, generator=generator, samples=2, spread=0)
    assert_close(smooth, project(Encoder(), image, "tiny:relu3", random_like, "gradient"))


@pytest.mark.parametrize("rule", RULES)
def test_smooth_is_the_mean_over_noisy_pictures(rule, image):
    image = image * torch.tensor([1.0, 0.3]).view(2, 1, 1, 1)
    seed = partial(unit, channel=1)
    found = smooth_gradient(
        Encoder(),
        image,
        "tiny:relu3",
        seed,
        rule=rule,
        generator=torch.Generator().manual_seed(5),
        samples=3,
        spread=0.2,
    )
    noise = torch.Generator().manual_seed(5)
    reach = torch.stack([picture.max() - picture.min() for picture in image]).view(2, 1, 1, 1)
    noisy = [image + 0.2 * reach * torch.randn(image.shape, generator=noise) for _ in range(3)]
    expected = sum(project(Encoder(), each, "tiny:relu3", seed, rule) for each in noisy) / 3
    assert_close(found, expected)


def test_a_smooth_gradient_needs_a_sample_and_a_spread_that_is_a_share(image, generator):
    smooth = partial(smooth_gradient, Encoder(), image, "tiny:relu3", random_like, generator=generator)
    with pytest.raises(PlanError, match="at least 1 sample, not 0"):
        smooth(samples=0)
    for spread in (-0.1, float("nan"), float("inf")):
        with pytest.raises(PlanError, match="the spread of the noise is a share"):
            smooth(spread=spread)
