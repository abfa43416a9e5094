"""Laws of batches: every picture has a term of its own, pictures that are to differ, and neighbours that share."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import TINY
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.objectives import (
    Alignment,
    BoundObjective,
    Channel,
    Content,
    Diversity,
    Dream,
    Masked,
    Neuron,
    Only,
    Sum,
    TotalVariation,
    View,
    parse_place,
)

LAYER = f"{TINY}:conv2"
SIZE = (20, 28)
TERMS = [
    Channel(LAYER, 3),
    Channel(LAYER, (1, 4)),
    Neuron(f"{TINY}:conv3", 2),
    Dream(f"{TINY}:relu1", "norm"),
    TotalVariation(),
    0.5 * Channel(LAYER, 1) - 2 * Channel(LAYER, 2),
]
FEATURES = torch.randn(4, 6, 5, 7, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def encoder():
    return Encoder(offline=True)


@pytest.fixture
def images():
    """As many pictures as there are terms."""
    return torch.rand(len(TERMS), 3, *SIZE, generator=torch.Generator().manual_seed(1))


def gradient(term, images, encoder, augment=None):
    images = images.clone().requires_grad_()
    losses = BoundObjective(term, encoder, SIZE)(images, augment)
    (found,) = torch.autograd.grad(losses.total, images)
    return found, losses


def all_of(terms):
    return Sum(tuple((1.0, Only(index, term)) for index, term in enumerate(terms)))


def on(features, term):
    """The loss, as the term sees these activations."""
    bound = term.bind(Encoder(), SIZE)
    return bound.evaluate(View(torch.zeros(len(features), 3, *SIZE), {resolve(LAYER): features}))


class TestOnly:
    def test_every_picture_has_the_gradient_of_a_run_of_its_own(self, images, encoder):
        together, losses = gradient(all_of(TERMS), images, encoder)
        for index, term in enumerate(TERMS):
            alone, own = gradient(term, images[index : index + 1], encoder)
            assert alone.any()
            assert_close(together[index : index + 1], alone, rtol=1e-4, atol=1e-7)
            assert losses.by_term[f"{term.name}@{index}"].item() == pytest.approx(own.total.item(), rel=1e-4)

    def test_the_others_have_none(self, images, encoder):
        for index, term in enumerate(TERMS):
            found, _ = gradient(Only(index, term), images, encoder)
            assert [bool(each.any()) for each in found] == [other == index for other in range(len(images))]

    def test_its_name_says_which(self):
        assert Only(12, Channel(LAYER, 3)).name == "channel@12"
        assert Only(0, Channel(LAYER, 1) + Channel(LAYER, 2)).name == "sum@0"

    def test_a_mask_confines_it_from_inside_and_from_outside(self, images, encoder):
        left = torch.zeros(1, 1, *SIZE)
        left[..., :10] = 1
        expected, _ = gradient(Masked(left, Channel(LAYER, 3)), images[2:3], encoder)
        assert not expected[..., 16:].any()
        for term in (Only(2, Masked(left, Channel(LAYER, 3))), Masked(left, Only(2, Channel(LAYER, 3)))):
            found, _ = gradient(term, images, encoder)
            assert_close(found[2:3], expected, rtol=1e-4, atol=1e-7)
            assert not found[:2].any()

    def test_what_a_picture_goes_through_masks_go_through_too(self, images, encoder):
        left = torch.zeros(1, 1, *SIZE)
        left[..., :10] = 1

        def rolled(image):
            return image.roll(6, 3)

        found, _ = gradient(Only(1, Masked(left, Channel(LAYER, 3))), images, encoder, rolled)
        expected, _ = gradient(Masked(left, Channel(LAYER, 3)), images[1:2], encoder, rolled)
        assert_close(found[1:2], expected, rtol=1e-4, atol=1e-7)
        still, _ = gradient(Masked(left, Channel(LAYER, 3)), images[1:2], encoder)
        assert (found[1:2] - still).abs().max() > 0.01 * still.abs().max()

    def test_what_compares_positions_sees_the_picture_unmoved(self, images, encoder):
        term = Content(images[3:4], LAYER)
        assert Only(3, term).bind(encoder, SIZE).aligned
        _, losses = gradient(Only(3, term), images, encoder, lambda image: image.roll(5, 2))
        assert losses.total.item() == pytest.approx(0, abs=1e-9)

    def test_pictures_are_counted_from_0(self):
        with pytest.raises(PlanError, match=r"^pictures of a batch are counted from 0; there is no picture -1$"):
            Only(-1, TotalVariation())

    def test_one_that_the_batch_has_not_is_refused(self, images, encoder):
        last = len(images) - 1
        gradient(Only(last, TotalVariation()), images, encoder)
        with pytest.raises(PlanError, match=rf"^there is no picture {last + 1} in a batch of {last + 1}$"):
            gradient(Only(last + 1, TotalVariation()), images, encoder)


def grams_differ(features):
    """Olah et al. 2017, over the number of others: the cosine of every picture's Gram matrix with every other's."""
    grams = [torch.einsum("cyx,dyx->cd", each, each) for each in features.double()]
    total = 0.0
    for i, one in enumerate(grams):
        for j, other in enumerate(grams):
            if i != j:
                total += float((one * other).sum() / (one.norm() * other.norm())) / (len(grams) - 1)
    return total


def neighbours_differ(features, reach):
    """lucid's alignment, its decay 2 counted from the first neighbour; relative to the mean square of all."""
    features = features.double()
    total = 0.0
    for d in range(1, reach + 1):
        for i in range(len(features) - d):
            total += float((features[i] - features[i + d]).square().mean()) / 2.0 ** (d - 1)
    return total / float(features.square().mean())


class TestDiversity:
    @given(count=st.integers(2, 4), scale=st.sampled_from([1e-3, 1.0, 1e3]))
    def test_it_is_the_cosines_of_gram_matrices(self, count, scale):
        features = FEATURES[:count]
        assert on(features * scale, Diversity(LAYER)).item() == pytest.approx(grams_differ(features), rel=1e-4)

    def test_pictures_that_are_alike_come_to_1_each_for_any_number(self):
        for count in (2, 3, 8):
            alike = FEATURES[:1].expand(count, -1, -1, -1)
            assert on(alike, Diversity(LAYER)).item() == pytest.approx(count, rel=1e-5)

    def test_a_weight_means_the_same_for_any_number(self):
        """Of a picture among others that are alike, the gradient does not depend on how many they are."""
        pulls = []
        for others in (1, 2, 7):
            batch = torch.cat([FEATURES[:1], FEATURES[1:2].repeat(others, 1, 1, 1)]).requires_grad_()
            (found,) = torch.autograd.grad(on(batch, Diversity(LAYER)), batch)
            pulls.append(found[0] / 2)
        assert pulls[0].any()
        # Every pair counts in both of its pictures.
        assert_close(pulls[1], pulls[0])
        assert_close(pulls[2], pulls[0])

    def test_where_things_are_does_not_count(self):
        moved = torch.stack([each.roll(index, -1) for index, each in enumerate(FEATURES)])
        assert_close(on(moved, Diversity(LAYER)), on(FEATURES, Diversity(LAYER)))

    def test_layers_without_positions_count_as_one(self):
        flat = FEATURES[..., 0, 0]
        assert_close(on(flat, Diversity(LAYER)), on(flat[..., None, None], Diversity(LAYER)))

    def test_what_is_silent_has_a_finite_gradient(self):
        silent = torch.zeros(3, 6, 5, 7, requires_grad=True)
        loss = on(silent, Diversity(LAYER))
        loss.backward()
        assert loss == 0
        assert silent.grad.isfinite().all()


class TestAlignment:
    @given(count=st.integers(2, 4), reach=st.integers(1, 5), scale=st.sampled_from([1e-3, 1.0, 1e3]))
    def test_it_is_the_squared_differences_of_neighbours(self, count, reach, scale):
        features = FEATURES[:count]
        expected = neighbours_differ(features, min(reach, count - 1))
        assert on(features * scale, Alignment(LAYER, reach)).item() == pytest.approx(expected, rel=1e-4)

    def test_pictures_that_are_alike_come_to_0(self):
        assert on(FEATURES[:1].expand(3, -1, -1, -1), Alignment(LAYER)) == 0

    def test_a_weight_means_the_same_for_any_number(self):
        """In a row that goes on the same way, a picture far from its ends is pulled as in any other."""
        pulls = []
        for periods in (2, 3, 5):
            batch = FEATURES.repeat(periods, 1, 1, 1).requires_grad_()
            (found,) = torch.autograd.grad(on(batch, Alignment(LAYER)), batch)
            pulls.append(found[4])
        assert pulls[0].any()
        assert_close(pulls[1], pulls[0])
        assert_close(pulls[2], pulls[0])

    def test_layers_without_positions_count_as_one(self):
        flat = FEATURES[..., 0, 0]
        assert_close(on(flat, Alignment(LAYER)), on(flat[..., None, None], Alignment(LAYER)))

    def test_what_is_silent_comes_to_0(self):
        assert on(torch.zeros(3, 6, 5, 7), Alignment(LAYER)) == 0

    @pytest.mark.parametrize("reach", [0, -1])
    def test_there_is_at_least_one_neighbour(self, reach):
        with pytest.raises(PlanError, match=f"^at least the next picture is a neighbour, not {reach}$"):
            Alignment(LAYER, reach)


@pytest.mark.parametrize("term", [Diversity(LAYER), Alignment(LAYER)])
class TestBoth:
    def test_a_batch_of_one_comes_to_0_with_a_gradient(self, term, images, encoder):
        found, losses = gradient(term, images[:1], encoder)
        assert losses.total == 0
        assert not found.any()

    def test_their_gradients_change_every_picture(self, term, images, encoder):
        found, _ = gradient(term, images[:3], encoder)
        assert all(each.any() for each in found)

    def test_bfloat16_activations_are_compared_in_float32(self, term):
        coarse = on((FEATURES + 3).bfloat16(), term)
        assert coarse.dtype == torch.float32
        assert_close(coarse, on((FEATURES + 3).bfloat16().float(), term))


class TestPlace:
    @given(st.integers(0, 10**6), st.integers(0, 10**6))
    def test_a_row_and_a_column(self, row, column):
        assert parse_place(f"{row},{column}") == parse_place(f" {row} , {column} ") == (row, column)

    def test_the_middle_is_none(self):
        assert parse_place("middle") == (None, None)

    @pytest.mark.parametrize("text", ["", "3", "3,", ",4", "3,4,5", "-1,2", "1.5,2", "center", "3;4", "²,1"])
    def test_anything_else_is_refused(self, text):
        with pytest.raises(PlanError, match=r"^--at takes ROW,COLUMN such as 3,4, or middle; not "):
            parse_place(text)
