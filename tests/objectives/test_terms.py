"""Laws of terms: what they measure, how they add up, where they act."""

import math
from typing import get_args

import pytest
import torch
from networks import TINY, tiny_network
from torch.testing import assert_close

from oneira.errors import AddressError, PlanError
from oneira.features.encoder import Encoder
from oneira.features.preprocessing import IMAGENET
from oneira.features.registry import register_backbone, resolve
from oneira.images import resize
from oneira.objectives import (
    AlphaNorm,
    BoundObjective,
    Channel,
    ClassLogit,
    Content,
    Direction,
    Dream,
    Logarithm,
    Masked,
    Neuron,
    Relative,
    Style,
    TotalVariation,
    View,
)
from oneira.objectives.restraint import VariationForm
from oneira.objectives.style import StyleNormalization
from oneira.synthesis.augmentation import Pad

LAYERS = (f"{TINY}:relu1", f"{TINY}:relu3")
SIZE = (20, 28)


@pytest.fixture
def encoder():
    return Encoder()


@pytest.fixture
def other():
    return torch.rand(1, 3, 17, 13, generator=torch.Generator().manual_seed(9))


def loss_of(term, image, encoder):
    return BoundObjective(term, encoder, tuple(image.shape[2:]))(image).total


def features_of(image, layer):
    features = IMAGENET(image)
    for name, module in tiny_network().named_children():
        features = module(features)
        if name == layer:
            return features
    raise AssertionError(layer)


def test_a_picture_has_its_own_content_and_style(image, encoder):
    for normalization in ("average", "relative", "gatys"):
        assert loss_of(Content(image, LAYERS, normalization), image, encoder) == 0
    for normalization in get_args(StyleNormalization):
        style = loss_of(Style(image, LAYERS, "gram", normalization), image, encoder)
        assert style.item() == pytest.approx(0, abs=1e-8)


def test_content_is_the_mean_squared_difference(image, other, encoder):
    theirs = torch.rand_like(image)
    expected = (features_of(image, "relu3") - features_of(theirs, "relu3")).square().mean()
    assert_close(loss_of(Content(theirs, f"{TINY}:relu3"), image, encoder), expected)
    halved_sum = loss_of(Content(theirs, f"{TINY}:relu3", "gatys"), image, encoder)
    assert_close(halved_sum, (features_of(image, "relu3") - features_of(theirs, "relu3")).square().sum() / 2)


def test_style_with_gatys_normalization_is_equation_4(image, encoder):
    theirs = torch.rand_like(image)
    total = torch.zeros(())
    for layer in ("relu1", "relu3"):
        f, a = (features_of(x, layer).flatten(2)[0] for x in (image, theirs))
        n, m = f.shape
        total = total + 0.5 * ((f @ f.T - a @ a.T) ** 2).sum() / (4 * n**2 * m**2)
    assert_close(loss_of(Style(theirs, LAYERS, "gram", "gatys"), image, encoder), total)


def test_relative_losses_do_not_change_when_a_layer_is_louder(image, encoder):
    loud = tiny_network()
    with torch.no_grad():
        loud.conv3.weight.mul_(5)
        loud.conv3.bias.mul_(5)
    register_backbone("loud", loud)
    theirs = torch.rand_like(image)
    for make in (
        lambda name: Content(theirs, f"{name}:relu3", "relative"),
        lambda name: Style(theirs, f"{name}:relu3", ("gram", "moments"), "relative"),
    ):
        assert_close(loss_of(make("loud"), image, encoder), loss_of(make(TINY), image, encoder), rtol=1e-3, atol=1e-6)


def test_a_relative_term_is_in_units_of_what_it_comes_to_for_its_picture(image, other, encoder):
    mask = torch.zeros(1, 1, *SIZE)
    mask[..., :7] = 1
    # A sum has parts that see the picture in different ways; a mask confines both sides.
    for term in (
        Dream(LAYERS, "norm"),
        2 * Dream(LAYERS) + 0.5 * TotalVariation(),
        Masked(mask, Content(image, LAYERS)),
    ):
        there = loss_of(term, resize(other, SIZE), encoder)
        assert_close(loss_of(Relative(other, term), image, encoder), loss_of(term, image, encoder) / there.abs())


def test_a_logarithm_is_of_whatever_the_term_inside_comes_to_and_sees(image, other, encoder):
    mask = torch.zeros(1, 1, *SIZE)
    mask[..., :7] = 1
    term = 2 * Style(other, LAYERS) + Masked(mask, Content(torch.rand_like(image), LAYERS))
    assert_close(loss_of(Logarithm(term), image, encoder), loss_of(term, image, encoder).log())
    # Aligned as the term inside is, it sees the picture before that is blackened.
    losses = BoundObjective(Logarithm(Content(image, LAYERS)), encoder, SIZE)(image, torch.zeros_like)
    assert losses.by_term["content"].item() == pytest.approx(math.log(1e-10))


def test_statistics_add_up(image, other, encoder):
    both = loss_of(Style(other, LAYERS, ("gram", "moments")), image, encoder)
    each = [loss_of(Style(other, LAYERS, s), image, encoder) for s in ("gram", "moments")]
    assert_close(both, sum(each))


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (Dream(LAYERS[1]), lambda f: -f.square().mean() / 2),
        (Dream(LAYERS[1], "mean"), lambda f: -f.mean()),
        (Channel(LAYERS[1], 2), lambda f: -f[:, 2].mean()),
        (Channel(LAYERS[1], (2, 4)), lambda f: -f[:, [2, 4]].mean()),
        (Neuron(LAYERS[1], 1, 3, 5), lambda f: -f[0, 1, 3, 5]),
        (Neuron(LAYERS[1], 1), lambda f: -f[0, 1, 5, 7]),
        (Direction(LAYERS[1], torch.tensor([3.0, 4, 0, 0, 0, 0])), lambda f: -(0.6 * f[:, 0] + 0.8 * f[:, 1]).mean()),
    ],
)
def test_activity_is_what_its_formula_says(term, expected, image, encoder):
    assert_close(loss_of(term, image, encoder), expected(features_of(image, "relu3")))


def test_the_gradient_of_an_l2_dream_is_the_activation_itself(image, encoder):
    # google/deepdream: "objective_L2: dst.diff[:] = dst.data", up to the averaging over positions.
    address = resolve(LAYERS[1])
    features = features_of(image, "relu3").detach().requires_grad_()
    Dream(LAYERS[1]).bind(encoder, SIZE).evaluate(View(image, {address: features})).backward()
    assert_close(-features.grad * features.numel(), features.detach())


def test_gatys_closed_form_derivative_equals_autograd(image, encoder):
    # Gatys et al. 2016, equation 6: dE/dF = F^T (G - A) / (N^2 M^2) where F > 0, else 0.
    theirs = torch.rand_like(image)
    before = torch.randn(features_of(image, "relu3").shape, generator=torch.Generator().manual_seed(3)).requires_grad_()
    term = Style(theirs, LAYERS[1], "gram", "gatys").bind(encoder, SIZE)
    term.evaluate(View(image, {resolve(LAYERS[1]): before.relu()})).backward()
    f, a = before.detach().relu().flatten(2)[0], features_of(theirs, "relu3").flatten(2)[0]
    n, m = f.shape
    closed = (f @ f.T - a @ a.T) @ f / (n**2 * m**2) * (f > 0)
    assert_close(before.grad.flatten(2)[0], closed, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("statistic", ["gram", "moments", "wasserstein", "histogram", "autocorrelation"])
def test_layers_count_by_their_weights(statistic, image, other, encoder):
    each = [loss_of(Style(other, layer, statistic, weights=(1.0,)), image, encoder) for layer in LAYERS]
    both = loss_of(Style(other, LAYERS, statistic, weights=(0.25, 3.0)), image, encoder)
    assert_close(both, 0.25 * each[0] + 3 * each[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("normalization", ["average", "relative", "gatys"])
def test_content_layers_count_by_their_weights_and_alike_by_default(normalization, image, encoder):
    theirs = torch.rand_like(image)
    each = [loss_of(Content(theirs, layer, normalization), image, encoder) for layer in LAYERS]
    weighted = loss_of(Content(theirs, LAYERS, normalization, weights=(0.25, 3.0)), image, encoder)
    assert_close(weighted, 0.25 * each[0] + 3 * each[1])
    assert_close(loss_of(Content(theirs, LAYERS, normalization), image, encoder), (each[0] + each[1]) / 2)


def test_a_style_at_twice_the_scale_is_that_of_the_enlarged_picture(image, encoder):
    style = torch.rand(1, 3, 10, 14, generator=torch.Generator().manual_seed(8))
    enlarged = resize(style, (40, 56))
    from_statistics = Style(enlarged, LAYERS, scale=2.0)
    assert_close(loss_of(Style(style, LAYERS, scale=2.0), image, encoder), loss_of(from_statistics, image, encoder))
    assert not torch.isclose(loss_of(Style(style, LAYERS), image, encoder), loss_of(from_statistics, image, encoder))


def test_terms_add_scale_and_negate(image, other, encoder):
    style, content = Style(other, LAYERS), Content(torch.rand_like(image), LAYERS)
    s, c = loss_of(style, image, encoder), loss_of(content, image, encoder)
    assert_close(loss_of(2 * style + content * 0.5, image, encoder), 2 * s + 0.5 * c)
    assert_close(loss_of(style - content, image, encoder), s - c)
    assert_close(loss_of(-(style + content), image, encoder), -s - c)
    assert_close(loss_of(3 * (style + 2 * content), image, encoder), 3 * s + 6 * c)


def test_every_term_reports_its_own_loss_under_its_own_name(image, other, encoder):
    objective = 2 * Style(other, LAYERS) + Style(image, LAYERS) + 0.1 * TotalVariation()
    losses = BoundObjective(objective, encoder, SIZE)(image)
    assert list(losses.by_term) == ["style", "style.2", "tv"]
    assert_close(losses.by_term["style"], loss_of(Style(other, LAYERS), image, encoder))


def test_the_gradient_reaches_the_picture_as_float64_finite_differences_say(image, other):
    term = (
        Style(other.double(), LAYERS, ("gram", "moments")) + Content(torch.rand(1, 3, 6, 8), LAYERS) - Dream(LAYERS[0])
    )
    bound = BoundObjective(term, Encoder(precision=torch.float64), (6, 8))
    picture = torch.rand(
        1, 3, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True
    )
    loss = bound(picture).total
    (gradient,) = torch.autograd.grad(loss, picture)
    direction = torch.randn(picture.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    direction /= direction.norm()
    reach = 1e-3
    with torch.no_grad():
        slope = (bound(picture + reach * direction).total - bound(picture - reach * direction).total) / (2 * reach)
    # Terms sum in float32, which the tolerance allows for.
    assert slope.item() == pytest.approx((gradient * direction).sum().item(), rel=2e-2, abs=1e-5)


def test_total_variation_of_beta_2_is_mahendrans_and_of_l1_is_the_mean_of_differences(image, encoder):
    x = image[0]
    padded = torch.nn.functional.pad(image, (0, 1, 0, 1), mode="replicate")[0]
    right, down = padded[:, :-1, 1:] - x, padded[:, 1:, :-1] - x
    assert_close(loss_of(TotalVariation(), image, encoder), (right**2 + down**2).mean())
    assert_close(loss_of(TotalVariation(beta=3.0), image, encoder), ((right**2 + down**2) ** 1.5).mean())
    assert_close(loss_of(TotalVariation(form="l1"), image, encoder), (right.abs() + down.abs()).mean())
    summed = loss_of(TotalVariation(form="l1-sum"), image, encoder)
    assert_close(summed, (x[:, 1:] - x[:, :-1]).abs().sum() + (x[:, :, 1:] - x[:, :, :-1]).abs().sum())
    assert loss_of(TotalVariation(), torch.full((1, 3, 4, 4), 0.3), encoder) == 0


@pytest.mark.parametrize("columns", [(0, 60), (0, 30), (59, 60)])
def test_on_a_slope_squares_are_the_slopes_own_through_any_mask(columns, encoder):
    across, down = torch.linspace(0, 1, 60), torch.linspace(0, 1, 40).unsqueeze(1)
    slope = (across / 3 + down / 2).expand(1, 3, 40, 60)
    mask = torch.zeros(1, 1, 40, 60)
    mask[..., slice(*columns)] = 1
    loss = loss_of(Masked(mask, TotalVariation(form="squares")), slope, encoder)
    assert_close(loss, torch.tensor((1 / 59 / 3) ** 2 + (1 / 39 / 2) ** 2), rtol=1e-3, atol=0)


def test_total_variation_of_nine_points_is_style_transfer_pytorchs(image, encoder):
    # crowsonkb/style-transfer-pytorch, "L2 total variation loss (nine point stencil)".
    x = torch.nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")
    middle = x[..., 1:-1, 1:-1]
    right = (x[..., 1:-1, 2:] - middle).square().mean() / 3
    down = (x[..., 2:, 1:-1] - middle).square().mean() / 3
    falling = (x[..., 1:, 1:] - x[..., :-1, :-1]).square().mean() / 12
    rising = (x[..., 1:, :-1] - x[..., :-1, 1:]).square().mean() / 12
    assert_close(loss_of(TotalVariation(form="nine-point"), image, encoder), 2 * (right + down + falling + rising))


@pytest.mark.parametrize(("dy", "dx"), [(0, 1), (1, 0), (1, 1), (2, -3)])
def test_on_a_slope_nine_points_are_as_two(dy, dx, encoder):
    rows, columns = torch.meshgrid(torch.arange(60.0), torch.arange(60.0), indexing="ij")
    slope = ((dy * rows + dx * columns) / 200).expand(1, 3, 60, 60)
    losses = [loss_of(term, slope, encoder) for term in (TotalVariation(form="nine-point"), TotalVariation())]
    # The border, where differences end, is a thirtieth of the picture.
    assert_close(losses[0], losses[1], rtol=1 / 30, atol=0)


def test_the_gradient_of_total_variation_equals_finite_differences(encoder):
    picture = torch.rand(1, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    forms = [TotalVariation(form=form) for form in get_args(VariationForm)]
    for term in (TotalVariation(beta=1.5), *forms):
        bound = term.bind(encoder, (4, 5))
        assert torch.autograd.gradcheck(lambda x, b=bound: b.evaluate(View(x, {})), (picture,), atol=1e-4)
        # A white mask leads another way to the same.
        masked = bound.evaluate(View(picture, {}, torch.ones(1, 1, 4, 5, dtype=torch.float64)))
        assert_close(masked, bound.evaluate(View(picture, {})))


def test_restraints_are_finite_on_one_colour_and_on_one_pixel(encoder):
    for shape in ((1, 3, 4, 4), (1, 3, 1, 1), (1, 3, 1, 9)):
        picture = torch.full(shape, 0.5, requires_grad=True)
        variations = TotalVariation(beta=1.0) + AlphaNorm()
        for form in get_args(VariationForm):
            variations += TotalVariation(form=form)
        loss = loss_of(variations, picture, encoder)
        loss.backward()
        assert loss.isfinite()
        assert picture.grad.isfinite().all()


def test_the_alpha_norm_is_the_mean_power(image, encoder):
    assert_close(loss_of(AlphaNorm(4.0), image, encoder), ((image - 0.5) ** 4).mean())


@pytest.mark.parametrize(
    "term",
    [
        lambda other, image: Style(other, LAYERS, ("gram", "moments")),
        lambda other, image: Style(other, LAYERS, "histogram"),
        lambda other, image: Content(torch.zeros_like(image), LAYERS),
        lambda other, image: Dream(LAYERS),
        lambda other, image: TotalVariation(),
        lambda other, image: TotalVariation(form="nine-point"),
        lambda other, image: TotalVariation(form="squares"),
        lambda other, image: TotalVariation(form="l1-sum"),
        lambda other, image: Style(other, LAYERS, "gram", "sums"),
        lambda other, image: Logarithm(Style(other, LAYERS)),
    ],
)
def test_a_mask_confines_a_term_to_its_region(term, image, other, encoder):
    mask = torch.zeros(1, 1, *SIZE)
    mask[..., :10] = 1
    picture = image.clone().requires_grad_()
    loss_of(Masked(mask, term(other, image)), picture, encoder).backward()
    reach = 10 + 6  # the mask, and as far as three convolutions and a pool see
    assert picture.grad[..., reach:].abs().max() == 0
    assert picture.grad[..., :8].abs().max() > 0


def test_a_white_mask_changes_nothing(image, other, encoder):
    term = Style(other, LAYERS, ("gram", "moments")) + Dream(LAYERS)
    white = torch.ones(1, 1, *SIZE)
    assert_close(loss_of(Masked(white, term), image, encoder), loss_of(term, image, encoder))


def test_a_masked_term_does_not_depend_on_the_masks_area_where_the_picture_repeats(encoder):
    tile = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(4))
    picture = tile.repeat(1, 1, 4, 8)
    narrow, wide = torch.zeros(1, 1, 32, 64), torch.zeros(1, 1, 32, 64)
    narrow[..., 8:24, 16:32] = 1
    wide[..., 8:24, 16:48] = 1
    for term in (Dream(LAYERS[1]), *(TotalVariation(form=form) for form in get_args(VariationForm))):
        losses = [loss_of(Masked(mask, term), picture, encoder) for mask in (narrow, wide)]
        assert_close(losses[0], losses[1])


def test_aligned_terms_see_the_picture_before_it_is_moved(image, other, encoder):
    bound = BoundObjective(Content(image, LAYERS) + Dream(LAYERS[0]), encoder, SIZE)
    seen = []

    def move(picture):
        seen.append(1)
        return torch.zeros_like(picture)

    losses = bound(image, move)
    assert losses.by_term["content"] == 0
    assert_close(losses.by_term["dream"], loss_of(Dream(LAYERS[0]), torch.zeros_like(image), encoder))
    assert seen == [1]


def test_a_batch_is_a_sum_over_its_pictures(image, encoder):
    flipped = image.flip(3)
    variations = [TotalVariation(form=form) for form in get_args(VariationForm)]
    logarithm = Logarithm(Style(torch.rand_like(image), LAYERS) + TotalVariation())
    for term in (Dream(LAYERS), Style(image, LAYERS), Channel(LAYERS[1], 0), *variations, logarithm):
        together = loss_of(term, torch.cat([image, flipped]), encoder)
        assert_close(together, loss_of(term, image, encoder) + loss_of(term, flipped, encoder))


@pytest.mark.parametrize(
    ("term", "error", "says"),
    [
        (lambda: Channel(LAYERS[1], 6), AddressError, "channels 0 to 5, not 6"),
        (lambda: Neuron(LAYERS[1], 0, 99, 0), AddressError, "outside"),
        (lambda: Direction(LAYERS[1], torch.ones(5)), PlanError, "6 numbers, not 5"),
        (lambda: Dream(()), PlanError, "no layer"),
        (lambda: Dream(f"{TINY}:relu4"), AddressError, "relu"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(term, error, says, image, encoder):
    with pytest.raises(error, match=says) as caught:
        loss_of(term(), image, encoder)
    assert "\n" not in str(caught.value)


def test_masked_sums_keep_their_terms_names_and_needs(image, encoder):
    mask = torch.ones(1, 1, *SIZE)
    bound = BoundObjective(Masked(mask, 2 * Content(image, LAYERS) + Dream(LAYERS[0])), encoder, SIZE)
    losses = bound(image, lambda x: x.flip(3))
    assert list(losses.by_term) == ["content", "dream"]
    assert losses.by_term["content"] == 0
    assert_close(losses.by_term["dream"], loss_of(Dream(LAYERS[0]), image.flip(3), encoder))


def test_what_a_move_brings_in_from_outside_is_not_in_a_mask(image, encoder):
    mask = torch.zeros(1, 1, *SIZE)
    mask[..., :8] = 1
    picture = image.clone().requires_grad_()
    BoundObjective(Masked(mask, Dream(LAYERS[0])), encoder, SIZE)(
        picture, Pad(6).draw(torch.Generator())
    ).total.backward()
    assert picture.grad[..., 10:].abs().max() == 0
    assert picture.grad[..., :8].abs().max() > 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda image: Style(image, normalization="gaty"), "did you mean 'gatys'"),
        (lambda image: Style(image, statistics="gramm"), "did you mean 'gram'"),
        (lambda image: Style(image, statistics=()), "no statistic is named"),
        (lambda image: Content(image, normalization="rel"), "unknown normalization"),
        (lambda image: TotalVariation(form="L1"), "did you mean 'l1'|unknown form"),
        (lambda image: Dream(loss="L2"), "unknown loss"),
    ],
)
def test_unknown_words_are_told(make, says, image):
    with pytest.raises(PlanError, match=says):
        make(image)


@pytest.mark.parametrize(
    "term",
    [Masked(torch.ones(1, 1, 4, 4), Neuron(LAYERS[1], 1)), Masked(torch.ones(1, 1, 4, 4), ClassLogit(3))],
)
def test_a_mask_that_cannot_confine_is_refused(term, encoder):
    with pytest.raises(PlanError, match="mask cannot confine"):
        loss_of(term, torch.rand(1, 3, 32, 32), encoder)


def test_style_needs_positions(image, encoder):
    with pytest.raises(PlanError, match="no positions"):
        loss_of(Style(image, "pocket:fc"), torch.rand(1, 3, 32, 32), encoder)


def test_a_class_is_its_logit(encoder):
    picture = torch.rand(1, 3, 32, 32)
    logits = encoder(picture, ["pocket:fc"])[resolve("pocket:fc")]
    assert_close(loss_of(ClassLogit(7), picture, encoder), -logits[0, 7])
    with pytest.raises(AddressError, match="0 to 199, not 200"):
        loss_of(ClassLogit(200), picture, encoder)


def test_a_silent_layer_has_a_finite_relative_style(encoder):
    black = torch.zeros(1, 3, 20, 28)
    quiet = tiny_network()
    with torch.no_grad():
        quiet.conv1.bias.fill_(-9)
    register_backbone("quiet", quiet)
    assert loss_of(Style(black, "quiet:relu1", normalization="relative"), black, encoder).isfinite()


def test_declarations_that_contradict_themselves_are_refused(image):
    for normalization in ("elements", "gatys", "sums"):
        with pytest.raises(PlanError, match=f"'{normalization}' belongs to Gram matrices, not to gram, moments; take"):
            Style(image, LAYERS, ("gram", "moments"), normalization)
    with pytest.raises(PlanError, match="one weight per layer"):
        Style(image, LAYERS, weights=(1.0,))
    with pytest.raises(PlanError, match="one weight per layer: 2 here, not 1"):
        Content(image, LAYERS, weights=(1.0,))
    with pytest.raises(PlanError, match=r"a beta of 3\.0 belongs to the form 'beta', not to 'l1'"):
        TotalVariation(3.0, "l1")
    with pytest.raises(PlanError, match="black everywhere"):
        Masked(torch.zeros(1, 1, 4, 4), TotalVariation())
    with pytest.raises(PlanError, match="a mask is"):
        Masked(torch.ones(4, 4), TotalVariation())


def test_a_mask_moves_with_the_picture(image, encoder):
    # Rolling the whole world, picture and mask together, changes nothing about a mean over the mask.
    mask = torch.zeros(1, 1, *SIZE)
    mask[..., 6:14, 8:18] = 1
    picture = torch.full_like(image, 0.5)
    picture[..., 8:12, 10:16] = image[..., 8:12, 10:16]
    term = Masked(mask, Dream(LAYERS[0]))
    bound = BoundObjective(term, encoder, SIZE)
    still = bound(picture).total
    assert_close(bound(picture, lambda x: x.roll((3, -4), (2, 3))).total, still)
    assert not torch.isclose(bound(picture, lambda x: x.roll((9, -9), (2, 3)) if x.shape[1] == 3 else x).total, still)
