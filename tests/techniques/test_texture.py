"""What options of a texture mean: its size, its samples, what is compared, and what goes where."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import TINY
from pydantic import TypeAdapter, ValidationError
from styles import begun, terms, weighted
from textures import ALPHA, COPYING, LEFT, PICTURES, RAMP, RIGHT, SIDE
from torch.testing import assert_close

from oneira.errors import AddressError, ImageError, PlanError
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.images import resize, rgb_to_lab, save
from oneira.objectives import Masked, Shades, Style, TotalVariation
from oneira.objectives.statistics import summarise
from oneira.patches import EfrosLeung, Quilting, WeiLevoy
from oneira.synthesis.fingerprint import fingerprint
from oneira.techniques.layers import STRUCTURE_LAYERS, every_layer, layers_for, texture_layers
from oneira.techniques.refusals import option_name
from oneira.techniques.texture import FOLLOWING, OWNERS, Texture
from oneira.techniques.texturing.extent import Extent, sides_of
from oneira.techniques.texturing.samples import STATISTICAL

# Of every option that belongs to some methods: a value that is not its default.
OTHERWISE = {
    "model": "vgg11",
    "blend": (1.0,),
    "labels": "numbers",
    "layer": ("relu3",),
    "layer_weight": (1.0, 2.0),
    "normalization": "average",
    "structure": 7.0,
    "structure_layer": ("relu2",),
    "like_weight": 0.7,
    "like_detail": 5,
    "smoothness": 0.1,
    "pooling": "max",
    "pooling_gain": 1.25,
    "padding": "reflect",
    "normalised": True,
    "start": "grey",
    "spread": 0.1,
    "optimiser": "adam",
    "rate": 0.5,
    "smallest": 17,
    "ratio": 3.0,
    "steps": (7,),
    "match_histogram": True,
    "like": "grain",
    "window": 5,
    "tolerance": 0.2,
    "largest_error": 0.2,
    "levels": 1,
    "search": "tree",
    "block": 8,
    "overlap": 2,
    "passes": 2,
    "alpha": 0.2,
    "seamless": True,
    "sheet": True,
}


def extent(value):
    return TypeAdapter(Extent).validate_python(value)


def artwork(texture):
    """What its statistics are taken from."""
    (source,) = terms(texture.plan())[0].image
    return source


def styles(texture):
    return [term for term in terms(texture.plan()) if isinstance(term, Style)]


class TestSize:
    @given(width=st.integers(16, 16384), height=st.integers(16, 16384))
    def test_every_way_to_say_it_means_the_same(self, width, height):
        said = (f"{width}x{height}", f" {width} X {height} ", (width, height), [width, height])
        assert {sides_of(extent(each)) for each in said} == {(width, height)}
        assert {sides_of(extent(each)) for each in (width, str(width))} == {(width, None)}

    @pytest.mark.parametrize(
        ("size", "result"), [("64x48", (48, 64)), ((64, 48), (48, 64)), (64, (64, 64)), ("64", (64, 64))]
    )
    def test_it_is_the_results(self, size, result, texture):
        assert texture(size=size).result_size() == result
        assert begun(texture(size=size).plan()).shape[2:] == result
        assert texture(size=size, method="quilting").plan().size == result

    def test_unless_told_it_is_usual_whatever_the_samples(self, texture):
        assert texture(size=None).result_size() == (512, 512)
        assert texture(size=None, sample="wide").result_size() == (512, 512)

    @pytest.mark.parametrize(
        "size", ["0", "12", "a", "64x", "x64", "64x8", "20000x20000", "64x48x32", "-64", "", True, 64.5, (64, 48, 32)]
    )
    def test_what_is_no_size(self, size, texture):
        with pytest.raises(PlanError, match=r"^--size cannot be .*; allowed: pixels as WIDTHxHEIGHT, .*16 to 16384$"):
            texture(size=size)
        with pytest.raises(ValidationError):
            extent(size)

    def test_with_a_layout_one_number_is_the_long_side(self, texture):
        assert texture(size=96, like="ramp").result_size() == (48, 96)
        assert texture(size=None, like="ramp").result_size() == (256, 512)
        assert texture(size="96x48", like="ramp").result_size() == (48, 96)
        # What differs by rounding alone is as good.
        assert texture(size="97x48", like="ramp").result_size() == (48, 97)

    @pytest.mark.parametrize("method", ["gram", "quilting"])
    def test_other_proportions_than_the_layouts(self, method, texture):
        with pytest.raises(PlanError, match=r"is 48x24, the result 64x48: give one number as --size, or the proport"):
            texture(size="64x48", like="ramp", method=method).plan()


class TestSamples:
    @pytest.mark.parametrize("size", ["48x48", "64x40", "100x100"])
    @pytest.mark.parametrize("method", STATISTICAL)
    def test_it_is_looked_at_pixel_by_pixel_however_large_the_result(self, method, size, texture):
        options = {"structure_layer": ("relu1",)} if method == "autocorrelation" else {}
        made = texture(size=size, sample="wide", method=method, **options)
        encoder, address = Encoder(), resolve(f"{TINY}:relu2")
        height, width = made.result_size()
        assert artwork(made).covers == 24 * 40 / (height * width)
        seen = artwork(made).look(encoder, [address], height * width, ())[address].summary
        expected = summarise(encoder(PICTURES["wide"], [address])[address], None)
        assert_close(seen.second, expected.second)

    def test_at_half_the_size_it_is_half_as_large(self, texture):
        address = resolve(f"{TINY}:relu1")
        made = texture(size=64)
        assert artwork(made).look(Encoder(), [address], 64 * 64, ())[address].positions == SIDE**2
        assert artwork(made).look(Encoder(), [address], 32 * 32, ())[address].positions == (SIDE // 2) ** 2

    @pytest.mark.parametrize(
        ("sample", "told", "size"),
        [("wide", None, (24, 40)), ("wide", 20, (12, 20)), ("wide", 80, (48, 80)), ("large", None, (256, 512))],
    )
    @pytest.mark.parametrize("method", ["gram", "quilting"])
    def test_its_own_size_is_kept_up_to_512_unless_told(self, method, sample, told, size, texture):
        made = texture(sample=sample, sample_size=told, method=method)
        expected = resize(PICTURES[sample], size)
        assert_close(made.samples()[0].image, expected, rtol=0, atol=1e-6)
        seen = artwork(made).image if method == "gram" else made.plan().sample
        assert torch.equal(seen, made.samples()[0].image)

    def test_what_is_transparent_or_masked_does_not_count(self, texture):
        top, left = PICTURES["top"][:, :1], ALPHA["glass"]
        assert texture().samples()[0].mask is None
        assert torch.equal(artwork(texture(sample="glass")).mask, left)
        assert torch.equal(artwork(texture(sample_mask="top")).mask, top)
        both = texture(sample="glass", sample_mask="top")
        assert torch.equal(artwork(both).mask, top * left)
        assert torch.equal(texture(sample="glass", sample_mask="top", method="quilting").plan().mask, top * left)
        (sample,) = both.samples()
        assert torch.equal(sample.pixels, PICTURES["glass"][..., : SIDE // 2, LEFT].flatten(2).unsqueeze(2))

    @pytest.mark.parametrize("options", [{"sample": "clear"}, {"sample_mask": "dark"}])
    def test_something_has_to_count(self, options, texture):
        with pytest.raises(PlanError, match=r"^nothing of the sample '.*' would count; give another picture or mask$"):
            texture(**options).plan()

    def test_several_count_by_their_shares(self, texture):
        (alike,) = styles(texture(sample=("grain", "other")))
        assert alike.shares == (0.5, 0.5)
        (blended,) = styles(texture(sample=("grain", "other"), blend=(3, 1)))
        assert blended.shares == (0.75, 0.25)
        assert [source.covers for source in blended.image] == [SIDE**2 / 48**2] * 2

    def test_a_mask_for_each(self, texture):
        (alike,) = styles(texture(sample=("grain", "other"), sample_mask=("top", "left")))
        assert [torch.equal(s.mask, PICTURES[n][:, :1]) for s, n in zip(alike.image, ("top", "left"), strict=True)]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"sample": ("grain", "other"), "blend": (1,)}, "^--blend needs one number per sample: 2, not 1$"),
            ({"blend": (1, 2)}, "^--blend needs one number per sample: 1, not 2$"),
            ({"sample": ("grain", "other"), "blend": (0, 0)}, "^--blend leaves no sample anything"),
            ({"blend": (-1,)}, "^--blend cannot be -1; allowed: at least 0$"),
            ({"sample_mask": ("top", "left")}, "^--sample-mask needs one mask per sample: 1, not 2$"),
            ({"sample_mask": "long"}, r"^--sample-mask '.*' is 80x20, the picture 32x32: give a mask"),
            ({"sample": ()}, "^--sample cannot be .*; allowed: at least this many: 1$"),
        ],
    )
    def test_what_does_not_go_with_them(self, options, message, texture):
        with pytest.raises(PlanError, match=message):
            texture(**options).plan()

    def test_a_figure_or_texture_is_opaque(self, texture):
        assert texture(sample="glass").transparency(torch.zeros(1, 3, 4, 4)) is None


class TestMethods:
    @pytest.mark.parametrize("method", ["gram", "moments", "wasserstein"])
    def test_statistics_are_compared_in_the_layers(self, method, texture):
        ((weight, alike),) = weighted(texture(method=method).plan())
        assert (weight, alike.statistics, alike.normalization) == (1.0, (method,), "relative")
        assert alike.layers == (f"{TINY}:relu1", f"{TINY}:relu2")

    def test_autocorrelation_is_a_second_term_in_layers_of_its_own(self, texture):
        made = texture(method="autocorrelation", structure=0.5, structure_layer=("relu3",))
        (first, alike), (second, structure) = weighted(made.plan())
        assert (first, alike.statistics, second, structure.statistics) == (1.0, ("gram",), 0.5, "autocorrelation")
        assert structure.layers == (f"{TINY}:relu3",)
        assert structure.image == alike.image

    def test_layers_by_model(self, texture):
        usual, weights = texture_layers("pocket")
        (alike, structure) = styles(texture(model="pocket", layer=(), method="autocorrelation"))
        assert alike.layers == tuple(f"pocket:{layer}" for layer in usual)
        assert alike.weights == weights
        assert structure.layers == tuple(f"pocket:{layer}" for layer in layers_for("pocket", STRUCTURE_LAYERS))
        (named,) = styles(texture(model="pocket", layer=usual))
        assert named.weights is None

    def test_layer_weights(self, texture):
        (alike,) = styles(texture(layer_weight=(1, 3)))
        assert alike.weights == (1, 3)
        with pytest.raises(PlanError):
            texture(layer_weight=(1, 2, 3)).plan()

    def test_all_means_every_layer_that_has_positions(self, texture):
        (alike,) = styles(texture(model="pocket", layer="all"))
        names = [address.removeprefix("pocket:") for address in alike.layers]
        assert names == list(every_layer("pocket", positions=True))
        assert set(names) < set(every_layer("pocket"))
        assert {"relu1_1", "relu5_1"} < set(names)
        assert not any(name.startswith(("fc", "conv", "pool")) for name in names)
        assert alike.weights is None

    def test_nobody_has_chosen_layers_of_a_network_of_ones_own(self, texture):
        for layer in ((), "all"):
            with pytest.raises(PlanError, match=r"^no layers are chosen for 'tiny' here; name them"):
                texture(layer=layer).plan()
        with pytest.raises(PlanError, match=r"^no layers are chosen for 'tiny' here; name them"):
            texture(method="autocorrelation").plan()

    def test_a_layer_that_is_not_there(self, texture):
        made = texture(layer="rule1")
        with pytest.raises(AddressError, match="did you mean 'relu1'"):
            made.run()

    def test_smoothness_is_total_variation(self, texture):
        (_, alike), (weight, smooth) = weighted(texture(smoothness=0.25).plan())
        assert isinstance(alike, Style)
        assert isinstance(smooth, TotalVariation)
        assert (weight, smooth.wraps) == (0.25, False)

    @pytest.mark.parametrize("normalization", ["gatys", "sums"])
    def test_sums_are_compared_of_as_many_pixels_alone(self, normalization, texture):
        texture(normalization=normalization, size=SIDE).plan()
        with pytest.raises(
            PlanError, match=f"^--normalization {normalization} compares sums .* 48x48 .*: take average$"
        ):
            texture(normalization=normalization, size=48).plan()
        texture(normalization="elements", size=48).plan()

    def test_copying_methods_have_their_classics_settings(self, texture):
        told = {"window": 5, "tolerance": 0.5, "largest_error": 0.2}
        efros, wei, quilt = (texture(method=method).plan() for method in COPYING)
        assert isinstance(efros, EfrosLeung)
        assert (efros.window, efros.tolerance, efros.largest_error) == (11, 0.1, 0.3)
        assert isinstance(wei, WeiLevoy)
        assert (wei.window, wei.levels, wei.search) == (7, None, "exact")
        assert isinstance(quilt, Quilting)
        assert (quilt.block, quilt.overlap, quilt.tolerance, quilt.like) == (None, None, 0.1, None)
        efros = texture(method="efros-leung", **told).plan()
        assert {name: getattr(efros, name) for name in told} == told
        wei = texture(method="wei-levoy", window=5, levels=2, search="tree").plan()
        assert (wei.window, wei.levels, wei.search) == (5, 2, "tree")
        quilt = texture(method="quilting", block=9, overlap=3, tolerance=0, like="ramp", passes=2, alpha=0.3).plan()
        assert (quilt.block, quilt.overlap, quilt.tolerance, quilt.passes, quilt.alpha) == (9, 3, 0, 2, 0.3)
        assert torch.equal(quilt.like, RAMP)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"method": "efros-leung", "window": 33}, "^a window of 33 pixels does not fit a sample of 32x32 pixels"),
            ({"method": "efros-leung", "window": 6}, "^a window is an odd number of pixels"),
            ({"method": "wei-levoy", "window": 17}, "^a window of 17 pixels does not fit a sample of 32x32 pixels"),
            ({"method": "wei-levoy", "levels": 8}, "^8 levels do not fit this sample"),
            ({"method": "quilting", "block": 33}, "^a block of 33 pixels does not fit a sample of 32x32 pixels"),
            ({"method": "quilting", "block": 17, "sample_mask": "top"}, "does not fit inside the mask of a sample"),
            ({"method": "quilting", "block": 8, "overlap": 5}, "^an overlap of 5 pixels does not fit blocks of 8"),
            ({"method": "weaving"}, "^--method cannot be 'weaving'; allowed: .*'quilting'"),
            ({"sample": "nowhere.png"}, r"nowhere\.png"),
        ],
    )
    def test_what_cannot_be_is_told_in_one_line(self, options, message, texture):
        with pytest.raises((PlanError, ImageError), match=message) as told:
            texture(**options).plan()
        assert len(str(told.value).splitlines()) == 1


class TestOwners:
    def test_all_of_them_are_tried_here(self):
        assert set(OTHERWISE) == set(OWNERS) <= set(Texture.model_fields)
        for name, value in OTHERWISE.items():
            assert Texture.model_fields[name].default != value

    @pytest.mark.parametrize("method", [*STATISTICAL, *COPYING])
    @pytest.mark.parametrize("name", OWNERS)
    def test_an_option_of_other_methods_is_refused(self, name, method, grains):
        options = {"sample": grains["grain"], "method": method, name: OTHERWISE[name]}
        if method in OWNERS[name]:
            with_it = {"like": grains["grain"]} if name in FOLLOWING else {}
            assert Texture.configured(**options, **with_it).method == method
            return
        owners = " or ".join(OWNERS[name])
        with pytest.raises(PlanError, match=f"^{option_name(name)} belongs to --method {owners}, not to {method}$"):
            Texture.configured(**options)

    @pytest.mark.parametrize("method", [*STATISTICAL, *COPYING])
    def test_what_all_methods_share(self, method, texture):
        assert set(Texture.model_fields) - set(OWNERS) == {"sample", "method", "size", "sample_mask", "sample_size"}
        structure = {"structure_layer": ("relu1",)} if method == "autocorrelation" else {}
        plain = texture(method=method, **structure)
        for told in ({"size": "40x48"}, {"sample_mask": "top"}, {"sample_size": 40}):
            assert fingerprint(texture(method=method, **structure, **told).plan()) != fingerprint(plain.plan())

    @pytest.mark.parametrize("method", COPYING)
    def test_one_sample_is_copied_from(self, method, texture):
        with pytest.raises(PlanError, match=f"^{method} copies from one sample, not 2: take gram to mix them$"):
            texture(method=method, sample=("grain", "other"))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"sheet": True, "like": "ramp"}, "^--sheet shows what layers hold .*: leave --like out$"),
            ({"match_histogram": True, "like": "ramp"}, "^--match-histogram gives the whole .*: choose one$"),
            ({"sample": ("red", "blue"), "blend": (1, 2), "like": "swapped"}, "^--blend mixes samples .*: choose one$"),
            ({"like_detail": 7}, "^--like-weight and --like-detail say how .*: name one, --like$"),
        ],
    )
    def test_what_means_all_of_the_picture_does_not_go_with_a_layout(self, options, message, texture):
        with pytest.raises(PlanError, match=message):
            texture(**options)

    def test_labels_need_a_layout_and_one_sample(self, texture):
        for options in ({}, {"sample": ("red", "blue"), "like": "swapped"}):
            with pytest.raises(PlanError, match=r"^--labels say what one sample shows, for a --like to follow"):
                texture(labels="numbers", **options).plan()


class TestStart:
    def test_a_plain_colour_or_noise_on_grey(self, texture):
        assert torch.equal(begun(texture(start="white").plan()), torch.ones(1, 3, 48, 48))
        noise = begun(texture(spread=0.1).plan())
        assert noise.mean().item() == pytest.approx(0.5, abs=0.02)
        assert noise.std().item() == pytest.approx(0.1, abs=0.01)

    def test_sizes_and_steps(self, texture):
        scales = texture(size=64, smallest=32, ratio=2, steps=(5, 3)).plan().schedule.scales
        assert [(scale.size, scale.steps) for scale in scales] == [(32, 5), (64, 3)]
        scales = texture(size=64, smallest=512, steps=4).plan().schedule.scales
        assert [(scale.size, scale.steps) for scale in scales] == [(64, 4)]

    def test_optimiser_and_variant(self, texture):
        plan = texture(optimiser="adam", rate=0.1, pooling="max", padding="reflect").plan()
        assert (plan.optimiser.name, plan.optimiser.rate) == ("adam", 0.1)
        assert (plan.variant.pooling, plan.variant.padding) == ("max", "reflect")


class TestPlaces:
    def regions(self, texture):
        return texture.regions(texture.samples(), texture.layout(texture.result_size()))

    def test_one_sample_follows_shades_in_its_own_tones(self, texture):
        (_, alike), (weight, shades) = weighted(texture(like="ramp", like_weight=0.5, like_detail=7).plan())
        assert isinstance(alike, Style)
        assert isinstance(shades, Shades)
        assert (weight, shades.cells) == (0.5, 7)
        assert_close(shades.image.mean((2, 3)), PICTURES["grain"].mean((2, 3)), rtol=0, atol=0.02)

    @pytest.mark.parametrize("labels", [None, "numbers"])
    def test_every_place_belongs_to_the_nearest_colour(self, labels, texture):
        # The layout is blue at the left and red at the right.
        made = texture(sample="split" if labels else ("red", "blue"), labels=labels, like="swapped", size=SIDE)
        found = self.regions(made)
        assert_close(sum(place for _, place in found), torch.ones(1, 1, SIDE, SIDE))
        for part, place in found:
            red, _, blue = part.pixels.mean((0, 2, 3))
            assert torch.equal(place, PICTURES["left"][:, :1] if blue > red else 1 - PICTURES["left"][:, :1])
        assert len(found) == 2

    @given(seed=st.integers(0, 99))
    def test_places_are_a_partition_by_distance_in_lab(self, seed, grains):
        names = ("red", "blue", "grain")
        made = Texture(sample=tuple(grains[name] for name in names))
        layout = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(seed))
        means = [PICTURES[name].mean((2, 3), keepdim=True) for name in names]
        far = torch.stack([(rgb_to_lab(layout) - rgb_to_lab(mean)).square().sum(1)[0] for mean in means])
        samples = made.samples()
        found = {id(part): place[0, 0] for part, place in made.regions(samples, layout)}
        for index, sample in enumerate(samples):
            place = found.get(id(sample), torch.zeros(6, 8))
            assert torch.equal(place, (far[index] == far.amin(0)).float())

    def test_a_sample_that_no_place_is_like_is_left_out(self, texture):
        (only,) = self.regions(texture(sample=("red", "blue"), like="red", size=SIDE))
        assert bool(only[1].all())
        assert only[0].pixels[:, 0].mean() > only[0].pixels[:, 2].mean()

    @pytest.mark.parametrize("method", STATISTICAL)
    def test_places_count_by_their_area(self, method, texture):
        structure = {"structure_layer": ("relu1",)} if method == "autocorrelation" else {}
        parts = weighted(texture(sample=("red", "blue"), like="swapped", size=SIDE, method=method, **structure).plan())
        assert all(isinstance(term, Masked) for _, term in parts)
        assert [weight for weight, _ in parts] == pytest.approx([0.5, 0.05, 0.5, 0.05] if structure else [0.5, 0.5])

    def test_labels_are_parts_of_the_sample(self, texture):
        made = texture(sample="split", labels="numbers", like="swapped", size=SIDE)
        for part, place in self.regions(made):
            assert torch.equal(part.image, PICTURES["split"])
            assert torch.equal(part.mask, 1 - place)  # the layout has exchanged the two

    def test_of_a_label_only_what_counts_of_the_sample(self, texture):
        made = texture(sample="split", labels="numbers", like="swapped", size=SIDE, sample_mask="top")
        for part, place in self.regions(made):
            assert torch.equal(part.mask, (1 - place) * PICTURES["top"][:, :1])

    def test_borders_between_labels_are_no_labels(self, texture, tmp_path):
        blurred = PICTURES["numbers"].clone()
        blurred[..., :3, SIDE // 2] = torch.tensor([0.4, 0.0, 0.4])[:, None]
        save(tmp_path / "blurred.png", blurred)
        made = texture(sample="split", labels=str(tmp_path / "blurred.png"), like="swapped", size=SIDE)
        assert len(self.regions(made)) == 2

    def test_labels_that_are_none(self, texture):
        with pytest.raises(PlanError, match=r"^--labels are flat areas of up to 16 colours, not of \d+: draw them pla"):
            texture(sample="split", labels="noise", like="swapped").plan()
        with pytest.raises(PlanError, match=r"^--labels '.*' is 80x20, the picture 32x32"):
            texture(sample="split", labels="long", like="swapped").plan()

    def test_it_begins_with_every_place_in_its_colour(self, texture):
        start = begun(texture(sample=("red", "blue"), like="swapped", size=SIDE, start="grey").plan())
        assert_close(start[..., LEFT].mean((2, 3)), PICTURES["blue"].mean((2, 3)), rtol=0, atol=1e-4)
        assert_close(start[..., RIGHT].mean((2, 3)), PICTURES["red"].mean((2, 3)), rtol=0, atol=1e-4)

    def test_a_quilt_follows_the_layout_itself(self, texture):
        quilt = texture(method="quilting", like="ramp", size=96).plan()
        assert torch.equal(quilt.like, resize(RAMP, (48, 96)))


def test_every_preset_makes_a_plan(texture, grains):
    for name, preset in Texture.presets.items():
        made = Texture.configured(name, sample=grains["grain"], size=SIDE)
        assert made.method == preset.options.get("method", "gram")
        made.plan()
    # Averages, so that a sample of any proportions can be taken.
    Texture.configured("gatys", sample=grains["wide"]).plan()
