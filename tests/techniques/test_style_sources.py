"""Whose manner it is: several styles, in shares or in places, parts of them, and styles kept in files."""

import hashlib
from pathlib import Path

import pytest
import torch
from styles import DRAWN, WIDTH, artworks, changed, finished, loss_of, terms, weighted
from torch.testing import assert_close

from oneira.errors import ImageError, PlanError, StyleFileError
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.objectives import Artwork, Masked
from oneira.objectives import Style as StyleTerm
from oneira.synthesis.loop import Synthesis
from oneira.techniques.style import Style

BOTH = ("starry", "dull")
FAR = 16  # pixels that no layer here sees across


def manner(plan):
    """What is compared with the styles, and its weights."""
    return [(weight, term) for weight, term in weighted(plan) if term.name == "style"]


def manner_loss(plan, name="cat"):
    """Of one of the pictures, whose manner `plan` compares."""
    encoder = Encoder(variant=plan.variant)
    return sum(weight * loss_of(term, DRAWN[name], encoder) for weight, term in manner(plan))


class TestBlend:
    @pytest.mark.parametrize("shares", [(1, 0), (0.25, 0)])
    def test_a_style_without_a_share_changes_no_bit(self, shares, plan):
        alone = finished(plan(style="starry"))
        assert torch.equal(finished(plan(style=BOTH, blend=shares)), alone)
        assert torch.equal(finished(plan(style=BOTH[::-1], blend=shares[::-1])), alone)
        assert not torch.equal(finished(plan(style="dull")), alone)

    def test_styles_may_come_in_any_order_with_their_shares(self, plan):
        blends = [plan(style=BOTH, blend=(3, 1)), plan(style=BOTH[::-1], blend=(1, 3)), plan(style=BOTH, blend=(1, 3))]
        one, same, other = map(manner_loss, blends)
        assert_close(one, same)
        assert not torch.isclose(one, other, rtol=0.01)

    def test_all_count_alike_unless_told(self, plan):
        assert_close(manner_loss(plan(style=BOTH)), manner_loss(plan(style=BOTH, blend=(5, 5))))

    def test_twice_the_same_style_is_that_style(self, plan):
        assert_close(manner_loss(plan(style=("starry", "starry"), blend=(1, 3))), manner_loss(plan()))

    def test_every_style_is_dyed(self, plan):
        dyed = artworks(plan(content="dull", style=("starry", "cat"), colors="content-mean-cov"))
        for artwork in dyed:
            assert_close(artwork.image.mean((2, 3)), DRAWN["dull"].mean((2, 3)), atol=0.01, rtol=0)


class TestPlaces:
    def test_each_place_knows_nothing_of_the_others(self, plan):
        halves = [term for _, term in manner(plan(style=BOTH, place=("left", "right")))]
        encoder = Encoder()
        beyond = changed(DRAWN["cat"], slice(WIDTH // 2 + FAR, None))
        before, after = ([loss_of(half, image, encoder) for half in halves] for image in (DRAWN["cat"], beyond))
        assert_close(before[0], after[0])
        assert not torch.isclose(before[1], after[1], rtol=0.01)

    def test_each_has_its_own_style(self, plan):
        places = plan(style=BOTH, place=("left", "right"))
        for artwork, name in zip(artworks(places), BOTH, strict=True):
            assert torch.equal(artwork.image, DRAWN[name])
        swapped = plan(style=BOTH, place=("right", "left"))
        assert not torch.isclose(manner_loss(places), manner_loss(swapped), rtol=0.01)

    @pytest.mark.parametrize(("place", "areas"), [(("left", "right"), [0.5, 0.5]), (("quarter", "rest"), [0.25, 0.75])])
    def test_a_weight_is_the_places_share_of_the_picture(self, place, areas, plan):
        assert [weight for weight, _ in manner(plan(style=BOTH, place=place))] == pytest.approx(areas)
        twice = plan(style=BOTH, place=place, style_weight=2)
        assert [weight for weight, _ in manner(twice)] == pytest.approx([2 * area for area in areas])

    def test_shares_weigh_the_places(self, plan):
        firm = plan(style=BOTH, place=("left", "right"), blend=(3, 1))
        assert [weight for weight, _ in manner(firm)] == pytest.approx([0.75, 0.25])
        (only,) = manner(plan(style=BOTH, place=("left", "right"), blend=(1, 0)))
        assert only[0] == pytest.approx(1)

    def test_everywhere_is_as_without_a_place(self, plan):
        assert_close(manner_loss(plan(place="white")), manner_loss(plan()))

    def test_only_what_may_be_painted_counts(self, plan):
        whole, masked = (plan(style=BOTH, place=("white", "right"), **mask) for mask in ({}, {"mask": "rest"}))
        encoder, outside = Encoder(), changed(DRAWN["cat"], slice(0, WIDTH // 4 - 8))
        for places, same in ((whole, False), (masked, True)):
            term = manner(places)[0][1]
            assert isinstance(term, Masked)
            losses = [loss_of(term, image, encoder) for image in (DRAWN["cat"], outside)]
            assert torch.isclose(*losses, rtol=1e-4) == same

    def test_a_picture_is_painted_differently_on_both_sides(self, plan):
        options = {"optimiser": "adam", "rate": 0.05, "steps": 10, "smallest": 48, "content_weight": 0}
        placed = finished(plan(style=BOTH, place=("left", "right"), **options))
        for name, side in (("starry", slice(0, WIDTH // 2 - FAR)), ("dull", slice(WIDTH // 2 + FAR, None))):
            alone = {other: finished(plan(style=other, **options))[..., side] for other in BOTH}
            distances = {other: (placed[..., side] - image).abs().mean() for other, image in alone.items()}
            assert min(distances, key=distances.get) == name


class TestParts:
    def test_what_is_masked_out_may_be_anything(self, plan):
        whole, half = (
            [plan(style=name, **mask) for name in ("starry", "starry-changed")]
            for mask in ({}, {"style_mask": "starry-mask"})
        )
        assert_close(*map(manner_loss, half), rtol=1e-4, atol=0)
        assert not torch.isclose(*map(manner_loss, whole), rtol=0.01)

    def test_what_is_transparent_is_masked_out(self, plan):
        glass, masked, whole = (manner_loss(plan(**o)) for o in ({"style": "glass"}, {"style_mask": "starry-mask"}, {}))
        assert_close(glass, masked)
        assert not torch.isclose(glass, whole, rtol=0.01)

    @pytest.mark.parametrize("mask", ["starry-mask", "starry-small-mask"])
    def test_of_a_mask_and_transparency_both_count(self, mask, plan):
        assert_close(
            manner_loss(plan(style="glass", style_mask=mask)), manner_loss(plan(style="glass")), rtol=0.02, atol=0
        )

    def test_each_style_has_its_own_mask(self, plan):
        first, second = artworks(plan(style=BOTH, style_mask=("starry-mask", "right")))
        assert torch.equal(first.mask, DRAWN["starry-mask"][:, :1])
        assert torch.equal(second.mask, DRAWN["right"][:, :1])


class TestSizes:
    def test_a_size_of_the_styles_own_holds_at_every_canvas(self, plan):
        sized = plan(style=BOTH, style_size=20)
        assert [artwork.long_side for artwork in artworks(sized)] == [20, 20]
        (artwork,) = artworks(plan(style_size=20))
        (term,) = [term for term in terms(plan()) if isinstance(term, StyleTerm)]
        by_hand = StyleTerm(artwork, term.layers, term.statistics, term.normalization)
        assert_close(manner_loss(plan(style_size=20)), loss_of(by_hand, DRAWN["cat"], Encoder()))
        assert not torch.isclose(manner_loss(plan(style_size=20)), manner_loss(plan()), rtol=0.01)

    def test_it_takes_the_place_of_a_scale(self, style):
        with pytest.raises(PlanError, match=r"^--style-size stands in place of --style-scale; give one of the two$"):
            style(style_size=20, style_scale=2)
        hvass = style("hvass", style_scale=2)
        assert (hvass.style_size, hvass.style_scale) == (None, 2)

    def test_a_style_of_a_few_pixels_ends_in_a_picture(self, plan):
        assert finished(plan(style="tiny")).isfinite().all()


class TestSavedStyles:
    @pytest.fixture
    def saved(self, style, tmp_path):
        """Keep the styles of a small style transfer, for results of 48 pixels a side."""

        def save(*names, largest=48, **options):
            configured = style(style=names, **options)
            path = tmp_path / f"{'-'.join(names)}.style"
            configured.kept(Encoder(variant=configured.variant()), largest).write(path)
            return str(path)

        return save

    def test_at_a_size_that_was_kept_its_targets_are_the_artworks(self, saved, plan, style):
        kept = style(style=saved("starry"))
        encoder, layers = Encoder(variant=kept.variant()), [resolve(layer) for layer in kept.style_layers()]
        (saved_style,), (artwork,) = kept.sources(), artworks(plan())
        seen, expected = (source.look(encoder, layers, 48**2, ("gram",)) for source in (saved_style, artwork))
        for layer in layers:
            assert_close(seen[layer].summary.mean, expected[layer].summary.mean)
            # Correlations are kept in half precision; none is above 1.
            deviation = expected[layer].summary.deviation
            rounding = 2**-11 * deviation.unsqueeze(1) * deviation.unsqueeze(2) + 1e-5
            assert ((seen[layer].summary.second - expected[layer].summary.second).abs() <= rounding).all()
            assert seen[layer].positions == expected[layer].positions

    def test_it_paints_what_the_artwork_paints(self, saved, plan):
        options = {"content": "square", "smallest": 48, "steps": 5}
        by_file, by_picture = (finished(plan(style=style, **options)) for style in (saved("starry"), "starry"))
        other = finished(plan(style="dull", **options))
        assert (by_file - by_picture).abs().mean() < (other - by_picture).abs().mean() / 20

    def test_between_and_beyond_sizes_it_is_near(self, saved, plan):
        kept = saved("starry", largest=96)
        for size, smallest in ((48, 24), (80, 80)):
            losses = [manner_loss(plan(style=s, size=size, smallest=smallest)) for s in (kept, "starry")]
            assert_close(*losses, rtol=0.25, atol=0)
            assert abs(losses[0] - losses[1]) < abs(manner_loss(plan(style="dull", size=size)) - losses[1]) / 4

    def test_parts_of_several_are_kept_as_they_are_blended(self, saved, plan):
        options = {"style_mask": ("starry-mask", "left"), "blend": (3, 1), "style_size": 30}
        kept, blended = plan(style=saved(*BOTH, **options)), plan(style=BOTH, **options)
        assert_close(manner_loss(kept), manner_loss(blended), rtol=2e-3, atol=0)

    def test_it_blends_with_pictures_and_has_places(self, saved, plan):
        options = {"content": "square", "smallest": 48}
        kept = saved("starry")
        for more in ({"blend": (1, 3)}, {}):
            losses = [
                manner_loss(plan(style=(first, "dull"), **options, **more), "square") for first in (kept, "starry")
            ]
            assert_close(*losses, rtol=2e-3, atol=0)
        placed = plan(style=(kept, "dull"), place=("left", "right"))
        assert finished(placed).isfinite().all()

    def test_it_has_no_colours_to_change_but_the_results_can(self, saved, plan):
        kept = saved("starry")
        for colours in ("content-mean-cov", "content-histogram", "content-lab"):
            with pytest.raises(PlanError, match=f"^--colors {colours} dyes a style picture; a saved style has none"):
                plan(style=(kept, "dull"), colors=colours)
        assert finished(plan(style=kept, colors="content-luma")).isfinite().all()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"start": "style"}, "^--start style begins with a style picture; a saved style has none"),
            ({"style_mask": "starry-mask"}, "^--style-mask is for pictures; .* holds statistics only"),
            ({"style_size": 20}, "^--style-size is for pictures; .* holds statistics only"),
        ],
    )
    def test_what_needs_a_picture_is_refused(self, options, message, saved, plan):
        with pytest.raises(PlanError, match=message):
            plan(style=saved("starry"), **options)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"pooling": "max"}, r"pooling avg, .* not pooling max"),
            ({"padding": "reflect"}, r"padding zeros, .* padding reflect"),
            ({"style_layer": "relu3"}, r"knows nothing of tiny:relu3, but of tiny:relu1, tiny:relu2"),
            ({"statistics": "histogram"}, r"has no histograms; save it anew with --statistics histogram"),
            (
                {"model": "pocket", "style_layer": "relu1_1", "content_layer": "relu1_1"},
                "knows nothing of pocket:relu1_1",
            ),
        ],
    )
    @pytest.mark.parametrize("beside", [(), ("dull",)], ids=["alone", "behind a picture"])
    def test_another_look_is_refused_before_anything_is_computed(self, options, message, beside, saved, plan):
        with pytest.raises(PlanError, match=message) as told:
            Synthesis(plan(style=(*beside, saved("starry")), **options))
        assert len(str(told.value).splitlines()) == 1

    def test_a_damaged_one_among_several_is_named(self, saved, plan, tmp_path):
        damaged = tmp_path / "damaged.style"
        damaged.write_bytes(b"\xff" * 64)
        with pytest.raises(StyleFileError, match=r"damaged\.style' is no style that was saved here, or it is damaged"):
            plan(style=(saved("starry"), str(damaged), "dull"))

    def test_its_bytes_are_in_the_recipe(self, saved, style):
        path = saved("starry")
        made = style(style=(path, "dull"))
        recipe = made.recipe(Synthesis(made.plan()))
        assert recipe.inputs["style"][0].path == path
        assert recipe.inputs["style"][0].sha256 == hashlib.sha256(Path(path).read_bytes()).hexdigest()
        assert Style.from_recipe(recipe).plan().fingerprint == made.plan().fingerprint


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"style": ()}, PlanError, r"^--style cannot be \(\); allowed: at least this many: 1$"),
        ({"style": BOTH, "blend": (1,)}, PlanError, r"^--blend needs one number per style: 2, not 1$"),
        ({"style": BOTH, "blend": (1, 2, 3)}, PlanError, r"^--blend needs one number per style: 2, not 3$"),
        ({"style": BOTH, "blend": (0, 0)}, PlanError, "^--blend leaves no style anything: give at least one"),
        ({"style": BOTH, "blend": (1, -1)}, PlanError, r"^--blend cannot be -1.*; allowed: at least 0$"),
        ({"style": BOTH, "blend": (1, float("nan"))}, PlanError, r"^--blend cannot be nan; allowed: finite numbers$"),
        ({"style": BOTH, "place": "left"}, PlanError, r"^--place needs one picture per style: 2, not 1$"),
        ({"style": BOTH, "place": ("left", "long")}, PlanError, r"^--place .*long\.png' is 80x20, the picture 48x40: "),
        (
            {"style": BOTH, "place": ("white", "dark")},
            PlanError,
            r"^--place .*dark\.png' is black everywhere: white marks",
        ),
        ({"style": BOTH, "place": ("left", "right"), "mask": "left"}, PlanError, "black everywhere"),
        ({"style": BOTH, "style_mask": "starry-mask"}, PlanError, r"^--style-mask needs one mask per style: 2, not 1$"),
        ({"style_mask": "long"}, PlanError, r"^--style-mask .*long\.png' is 80x20, the picture 60x30: "),
        ({"style_mask": "dark", "style": "cat"}, PlanError, r"^--style-mask .*dark\.png' is black everywhere"),
        ({"style": ("starry", "clear")}, PlanError, r"^all of the style .*clear\.png' that would count is transparent"),
        ({"style": ("starry", "nowhere.png")}, ImageError, r"^no picture 'nowhere\.png'"),
        ({"style": ("starry", "nowhere.style")}, ImageError, r"^no picture 'nowhere\.style'"),
        ({"style_size": 3}, PlanError, r"^--style-size cannot be 3; allowed: at least 16 and at most 16384$"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(options, error, message, plan):
    with pytest.raises(error, match=message) as told:
        Synthesis(plan(**options))
    assert len(str(told.value).splitlines()) == 1


def test_a_picture_of_the_style_is_an_artwork(plan):
    (artwork,) = artworks(plan())
    assert isinstance(artwork, Artwork)
    assert artwork.mask is None
