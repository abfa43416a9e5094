"""No rectifier goes by unseen: it is caught, or refused by name."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.features.registry import register_backbone
from oneira.inspection.projection import project

RULED = ("deconvnet", "guided")

RELUS = {
    "functional": F.relu,
    "functional in place": lambda values: F.relu(values, inplace=True),
    "torch": torch.relu,
    "torch in place": lambda values: torch.relu_(values),
    "method": lambda values: values.relu(),
    "method in place": lambda values: values.relu_(),
    "module": nn.ReLU(),
    "module in place": nn.ReLU(inplace=True),
    "clamp": lambda values: values.clamp(min=0),
    "clamp in place": lambda values: values.clamp_(min=0.0),
    "torch clamp": lambda values: torch.clamp(values, 0),
    "clamp_min": lambda values: torch.clamp_min(values, 0),
    "clamp_min in place": lambda values: values.clamp_min_(0),
    "hardtanh without end": lambda values: F.hardtanh(values, 0, 1e9),
}
OTHERS = {
    "LeakyRelu": F.leaky_relu,
    "PreluKernel": nn.PReLU(),
    "RreluWithNoise": lambda values: torch.rrelu(values),
    "Elu": F.elu,
    "Celu": F.celu,
    "Gelu": F.gelu,
    "Silu": nn.SiLU(inplace=True),
    "Mish": F.mish,
    "Softplus": F.softplus,
    "Sigmoid": torch.sigmoid,
    "Tanh": lambda values: values.tanh_(),
    "Softmax": lambda values: values.softmax(1),
    "Hardswish": F.hardswish,
    "Hardsigmoid": F.hardsigmoid,
    "Hardtanh": F.hardtanh,
    "Clamp": lambda values: values.clamp(-1, 1),
    "ClampMax": lambda values: values.clamp_max(0),
    "ClampMin": lambda values: values.clamp_min(0.1),
    "Threshold": lambda values: F.threshold(values, 0, 0),
    "Maximum": lambda values: torch.maximum(values, torch.zeros(())),
    "Where": lambda values: torch.where(values > 0, values, 0),
    "MaskedFill": lambda values: values.masked_fill(values < 0, 0),
    "IndexPut": lambda values: values.index_put((values < 0,), torch.zeros(())),
    "Abs": lambda values: (values + values.abs()) / 2,
    "Logaddexp": lambda values: torch.logaddexp(values, torch.zeros(())),
    "Mul": lambda values: values * (values > 0),
    "Mul ": lambda values: (values > 0).float() * values,
    "Mul  ": lambda values: values * torch.where(values > 0, 1.0, 0.2),
    "Mul   ": lambda values: values * values,
    "Div": lambda values: values / (10 + values),
    "Reciprocal": lambda values: 1 / (10 + values),
    "Bmm": lambda values: values.flatten(0, 1) @ values.flatten(0, 1).mT,
    "ForeachClampMinBackward0Scalar": lambda values: torch._foreach_clamp_min([values], 0)[0],
    "writing into a part of a tensor": lambda values: (values[:, :2].relu_(), values)[1],
}
FOLLOWED = {
    "shapes": lambda x: x.permute(0, 2, 3, 1).reshape(2, 100, 4).transpose(1, 2).unflatten(2, (10, 10)),
    "a matrix": lambda x: x.flatten(0, 2).t().t().view(2, 4, 10, 10),
    "axes": lambda x: x.unsqueeze(0).expand(2, -1, -1, -1, -1).sum(0).squeeze(),
    "turned": lambda x: x.flip(3).roll(2, 2).repeat(1, 1, 2, 1),
    "shuffled": lambda x: F.channel_shuffle(F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2), 2),
    "pieces": lambda x: torch.cat([*x.split([1, 3], 1)[:1], *x.chunk(2, 1), x[:, 3:]], 1)[:, :4],
    "stacked": lambda x: torch.stack([*x.unbind(1)[:3], x.select(1, 3)], 1),
    "chosen": lambda x: x.index_select(1, torch.tensor([2, 0, 0, 1])),
    "framed": lambda x: F.pad(F.pad(F.pad(x, (1, 2, 0, 1)), (1, 1, 1, 1), "reflect"), (1, 1, 1, 1), "replicate"),
    "arithmetic": lambda x: (1 - x - 2) / 3 + -x * 0.5 + x.mean((2, 3), keepdim=True),
    "averages": lambda x: F.adaptive_avg_pool2d(F.avg_pool2d(x, 3, 1), 6),
    "maxima": lambda x: F.adaptive_max_pool2d(F.max_pool2d(x, 2, 1), 5),
    "larger": lambda x: sum(F.interpolate(x, scale_factor=2, mode=mode) for mode in ("nearest", "bilinear", "bicubic")),
    "exactly larger": lambda x: F.interpolate(x, scale_factor=1.5, mode="nearest-exact"),
    "normalised": lambda x: F.group_norm(F.layer_norm(F.instance_norm(x), (10,)), 2),
    "products": lambda x: F.linear(x, torch.ones(6, 10), torch.ones(6)) @ torch.ones(6, 6).expand(2, 4, 6, 6),
    "another precision": lambda x: x.double().clone().float().contiguous(memory_format=torch.channels_last),
}


class Behind(nn.Module):
    """A convolution, `activation`, another convolution."""

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 4, 3, bias=False)
        self.activation = activation
        self.second = nn.Conv2d(4, 5, 3, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        rectified = self.activation(self.first(inputs))
        return self.second(rectified if rectified.ndim == 4 else self.first(inputs) * 2 + rectified.sum())


@pytest.fixture
def image(generator):
    """One half of it black, so that unbiased convolutions give exactly 0 there."""
    image = torch.rand(2, 3, 12, 12, generator=generator)
    image[..., 6:] = 0
    return image


def through(activation: Callable[[Tensor], Tensor], image: Tensor, rule: str, layer: str = "second") -> Tensor:
    register_backbone("behind", Behind(activation), lambda picture: picture)

    def seed(activations: Tensor) -> Tensor:
        return torch.randn(activations.shape, generator=torch.Generator().manual_seed(1))

    return project(Encoder(), image, f"behind:{layer}", seed, rule)


@pytest.mark.parametrize("rule", RULED)
@pytest.mark.parametrize("name", RELUS)
def test_a_relu_is_a_relu_whoever_asks_for_it(name, rule, image):
    expected = through(nn.ReLU(), image, rule)
    assert (expected != through(nn.Identity(), image, rule)).any()
    assert torch.equal(through(RELUS[name], image, rule), expected)


@pytest.mark.parametrize("rule", RULED)
@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_relu_is_refused_by_name(name, rule, image):
    with pytest.raises(PlanError) as told:
        through(OTHERS[name], image, rule)
    message = str(told.value)
    assert message.startswith(f"the {rule} rule is for ReLUs, and between behind:second and the picture there is ")
    assert f": {name.strip()};" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", OTHERS)
def test_the_rule_gradient_takes_whatever_torch_differentiates(name, image):
    assert through(OTHERS[name], image, "gradient").isfinite().all()


@pytest.mark.parametrize("rule", RULED)
@pytest.mark.parametrize("name", FOLLOWED)
def test_where_there_is_no_relu_every_rule_is_the_gradient(name, rule, image):
    expected = through(FOLLOWED[name], image, "gradient")
    assert expected.any()
    assert torch.equal(through(FOLLOWED[name], image, rule), expected)


@pytest.mark.parametrize("rule", RULED)
def test_what_lies_behind_the_layer_does_not_matter(rule, image):
    assert torch.equal(through(F.gelu, image, rule, "first"), through(F.relu, image, rule, "first"))


@pytest.mark.parametrize("rule", RULED)
def test_a_relu_with_an_end_is_a_relu_until_it_ends(rule, image):
    high, low = 1e3, 0.05
    assert torch.equal(through(lambda values: values.clamp(0, high), image, rule), through(F.relu, image, rule))
    ends = [through(ends, image, rule) for ends in (lambda x: F.hardtanh(x, 0, low), lambda x: x.clamp(0, low))]
    assert torch.equal(*ends)
    # Where it ended, the deconvnet goes on, and guided does not.
    assert torch.equal(ends[0], through(F.relu, image, rule)) == (rule == "deconvnet")


@pytest.mark.parametrize("rule", RULED)
def test_constant_factors_are_no_masks(rule, image):
    scale = torch.tensor([0.5, 2.0, 1.0, 3.0]).view(4, 1, 1)
    found = through(lambda values: (values * 2 * scale).relu(), image, rule)
    assert torch.isfinite(found).all()
    assert found.abs().sum() > 0


class Doubled(nn.Module):
    def forward(self, values):
        return (values.relu() * 2 + 1).relu()


class Halved(torch.autograd.Function):
    """A user's own, whose gradient may be anything."""

    @staticmethod
    def forward(ctx, values):
        return values / 2

    @staticmethod
    def backward(ctx, *gradients):
        return gradients[0] / 2


def test_an_operation_of_a_user_s_own_is_refused_by_its_name(image):
    with pytest.raises(PlanError, match="something else: Halved; take the rule gradient"):
        through(lambda values: Halved.apply(values).relu(), image, "guided")


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("rule", RULED)
def test_compiled_code_is_caught_or_refused(rule, image):
    module = Doubled()
    register_backbone("plain", Behind(module), lambda picture: picture)
    register_backbone("scripted", Behind(torch.jit.script(module)), lambda picture: picture)
    expected = project(Encoder(), image, "plain:second", torch.ones_like, rule)
    encoder, told = Encoder(), []
    for _ in range(4):  # it is compiled after some runs
        try:
            assert torch.equal(project(encoder, image, "scripted:second", torch.ones_like, rule), expected)
        except PlanError as error:
            told.append(str(error))
    assert told
    assert all("something else: compiled code;" in message for message in told)
