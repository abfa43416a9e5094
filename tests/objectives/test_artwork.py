"""Where a manner comes from: pictures, parts of them, and styles kept in files."""

import contextlib
import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import TINY, tiny_network
from torch.testing import assert_close

from oneira import register_backbone
from oneira.errors import ImageError, PlanError, StyleFileError
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.features.variant import Variant
from oneira.images import fit_area
from oneira.objectives import Artwork, SavedStyle, Style, View, read_style
from oneira.objectives.artwork import StyleTarget
from oneira.objectives.histogram import quantiles, resampled
from oneira.objectives.statistics import summarise

LAYERS = (f"{TINY}:relu1", f"{TINY}:relu2")
EVERYTHING = ("gram", "moments", "wasserstein", "histogram")
AREAS = (16.0**2, 24.0**2, 32.0**2)
CANVAS = (24, 24)


@pytest.fixture
def encoder():
    register_backbone(TINY, tiny_network())
    return Encoder()


def drawn(seed, height=40, width=32):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def looked(source, encoder, area=AREAS[1], statistics=EVERYTHING):
    addresses = [resolve(layer) for layer in LAYERS]
    return [source.look(encoder, addresses, area, statistics)[address] for address in addresses]


def kept(encoder, *pictures, shares=None, areas=AREAS, statistics=EVERYTHING):
    sources = [Artwork(picture) for picture in pictures]
    shares = shares or [1 / len(sources)] * len(sources)
    return SavedStyle.of(sources, shares, encoder, [resolve(layer) for layer in LAYERS], areas, statistics)


def loss(style, encoder, seen, size=CANVAS, layers=LAYERS, statistics=EVERYTHING):
    term = Style(style, layers, statistics).bind(encoder, size)
    return term.evaluate(View(seen, encoder(seen, layers)))


class TestParts:
    def test_a_mask_of_one_half_sees_what_that_half_alone_would_show_to_a_point_by_point_network(self, encoder):
        features = torch.rand(1, 4, 8, 10, generator=torch.Generator().manual_seed(1))
        mask = torch.zeros(1, 1, 8, 10)
        mask[..., :5] = 1
        half = features[..., :5]
        assert_close(summarise(features, mask / mask.mean()).second, summarise(half).second)
        assert_close(quantiles(features, mask), quantiles(half), atol=0, rtol=0)

    def test_what_is_masked_out_may_be_anything(self, encoder):
        mask = torch.zeros(1, 1, 40, 32)
        mask[..., :16] = 1
        picture, other = drawn(1), drawn(1)
        other[..., 24:] = 0.0  # farther from the mask than the network sees
        for one, two in zip(
            looked(Artwork(picture, mask), encoder, 40 * 32),
            looked(Artwork(other, mask), encoder, 40 * 32),
            strict=True,
        ):
            assert_close(one.summary.second, two.summary.second)
            assert_close(one.measured["histogram"], two.measured["histogram"])

    def test_a_white_mask_is_no_mask(self, encoder):
        whole, masked = (looked(Artwork(drawn(1), mask), encoder) for mask in (None, torch.ones(1, 1, 40, 32)))
        for one, two in zip(whole, masked, strict=True):
            assert_close(one.summary.second, two.summary.second)
            assert_close(one.measured["histogram"], two.measured["histogram"])

    @given(st.integers(2, 30), st.integers(0, 1000))
    @settings(deadline=None)
    def test_weighted_quantiles_are_those_of_values_as_often_as_they_weigh(self, count, seed):
        generator = torch.Generator().manual_seed(seed)
        values = torch.rand(1, 2, 1, count, generator=generator)
        often = torch.randint(0, 4, (count,), generator=generator)
        often[0] += 1
        repeated = values.repeat_interleave(often, dim=3)
        weighted = quantiles(values, often.float()[None, None, None])
        # Both are steps, smoothed between their middles: they are at most one step apart.
        widest = values.sort(dim=3).values.diff(dim=3).max() if count > 1 else 0.0
        expected = resampled(quantiles(repeated), weighted.shape[2])
        assert ((weighted - expected).abs() <= widest + 1e-6).all()
        assert (weighted.diff(dim=2) >= -1e-7).all()

    def test_a_long_side_of_its_own_is_kept_at_every_canvas(self, encoder):
        small, large = (looked(Artwork(drawn(1), long_side=20), encoder, area)[0].positions for area in AREAS[::2])
        assert small == large == 20 * 16
        assert (
            looked(Artwork(drawn(1)), encoder, AREAS[0])[0].positions
            < looked(Artwork(drawn(1)), encoder, AREAS[2])[0].positions
        )

    @given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 5000 * 5000))
    def test_what_covers_its_own_share_of_the_canvas_has_its_own_size_to_the_pixel(self, height, width, area):
        assert fit_area(height, width, area * (height * width / area)) == (height, width)

    @pytest.mark.parametrize("canvas", [(40, 32), (64, 96), (13, 17)])
    def test_a_sample_that_covers_its_own_share_of_the_full_canvas_is_looked_at_as_it_is(self, canvas, encoder):
        sample, area = drawn(1), canvas[0] * canvas[1]
        source = Artwork(sample, covers=40 * 32 / area)
        for address, target in zip(LAYERS, looked(source, encoder, area), strict=True):
            assert torch.equal(target.summary.second, summarise(encoder(sample, LAYERS)[resolve(address)]).second)
        at_half = looked(source, encoder, area / 4)[0]
        assert at_half.positions == 20 * 16
        assert looked(Artwork(sample, long_side=20, covers=9.0), encoder, area)[0].positions == 20 * 16

    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ({"image": torch.rand(3, 8, 8)}, r"\(1, 3, height, width\), not \(3, 8, 8\)"),
            ({"mask": torch.rand(1, 3, 8, 8)}, r"mask is \(1, 1, height, width\)"),
            ({"mask": torch.zeros(1, 1, 8, 8)}, "black everywhere"),
            ({"long_side": 0}, "at least 1 pixel, not 0"),
            *(({"covers": covers}, f"above 0, not {covers}") for covers in (0.0, -1.0, math.inf, math.nan)),
        ],
    )
    def test_bad_parts_are_refused(self, parts, message):
        with pytest.raises(PlanError, match=message):
            Artwork(**{"image": drawn(1), **parts})


class TestSavedStyles:
    def test_at_a_size_that_was_kept_it_is_the_picture(self, encoder):
        saved, picture = kept(encoder, drawn(1)), Artwork(drawn(1))
        for one, two in zip(looked(saved, encoder), looked(picture, encoder), strict=True):
            assert_close(one.summary.second, two.summary.second)
            assert_close(one.measured["histogram"], two.measured["histogram"])
            assert one.positions == two.positions

    def test_a_file_gives_back_what_was_written_but_for_half_precisions_rounding(self, encoder, tmp_path):
        saved = kept(encoder, drawn(1))
        saved.write(tmp_path / "one.style")
        read, digest = read_style(tmp_path / "one.style")
        assert len(digest) == 64
        assert read.variant == saved.variant
        for one, two in zip(looked(read, encoder), looked(saved, encoder), strict=True):
            largest = float(two.summary.second.abs().max())
            assert_close(one.summary.second, two.summary.second, rtol=0, atol=5e-4 * largest)
            assert_close(one.summary.mean, two.summary.mean)
            assert_close(one.summary.deviation, two.summary.deviation)
            assert one.measured["histogram"].shape[:2] == two.measured["histogram"].shape[:2]

    def test_painting_with_the_file_is_painting_with_the_picture(self, encoder, tmp_path):
        kept(encoder, drawn(1)).write(tmp_path / "one.style")
        read, _ = read_style(tmp_path / "one.style")
        seen = drawn(2, 24, 24)
        from_file, from_picture = (loss(style, encoder, seen) for style in (read, drawn(1)))
        assert_close(from_file, from_picture, rtol=2e-3, atol=0)

    def test_between_two_sizes_moments_lie_between_theirs(self, encoder):
        saved = kept(encoder, drawn(1))
        low, middle, high = (looked(saved, encoder, area)[0].summary.mean for area in (16**2, 20**2, 24**2))
        assert ((middle >= torch.minimum(low, high) - 1e-6) & (middle <= torch.maximum(low, high) + 1e-6)).all()

    @pytest.mark.parametrize(("area", "rung"), [(1.0, 0), (16.0**2, 0), (32.0**2, 2), (4096.0**2, 2)])
    def test_beyond_the_ends_the_ends_stand_in(self, encoder, area, rung):
        saved = kept(encoder, drawn(1))
        assert_close(
            looked(saved, encoder, area)[0].summary.second, looked(saved, encoder, AREAS[rung])[0].summary.second
        )

    def test_one_size_is_enough(self, encoder):
        assert_close(
            looked(kept(encoder, drawn(1), areas=AREAS[:1]), encoder, 99.0**2)[0].summary.mean,
            looked(Artwork(drawn(1)), encoder, AREAS[0])[0].summary.mean,
        )

    def test_several_pictures_are_kept_as_they_are_blended(self, encoder):
        together = kept(encoder, drawn(1), drawn(2, 20, 60), shares=[0.25, 0.75])
        apart = [looked(Artwork(picture), encoder) for picture in (drawn(1), drawn(2, 20, 60))]
        for layer, target in enumerate(looked(together, encoder)):
            expected = StyleTarget.average([looks[layer] for looks in apart], [0.25, 0.75])
            assert_close(target.summary.second, expected.summary.second)

    def test_saved_styles_blend_with_each_other_and_with_pictures(self, encoder):
        seen, saved = drawn(3, 24, 24), kept(encoder, drawn(1))
        mixed = Style([saved, drawn(2)], LAYERS, EVERYTHING, shares=(0.5, 0.5)).bind(encoder, CANVAS)
        plain = Style([drawn(1), drawn(2)], LAYERS, EVERYTHING, shares=(0.5, 0.5)).bind(encoder, CANVAS)
        view = View(seen, encoder(seen, LAYERS))
        assert_close(mixed.evaluate(view), plain.evaluate(view))

    def test_histograms_that_nobody_asks_for_are_not_in_the_way(self, encoder):
        seen, with_histograms = drawn(3, 24, 24), kept(encoder, drawn(1))
        without = kept(encoder, drawn(1), statistics=("gram",))
        mixed = [loss([saved, drawn(2)], encoder, seen, statistics="gram") for saved in (with_histograms, without)]
        assert torch.equal(*mixed)

    def test_other_layers_networks_and_weights_are_refused(self, encoder):
        saved = kept(encoder, drawn(1), statistics=("gram",))
        with pytest.raises(PlanError, match=f"knows nothing of {TINY}:relu3, but of {TINY}:relu1, {TINY}:relu2"):
            loss(saved, encoder, drawn(2), layers=(f"{TINY}:relu3",))
        with pytest.raises(PlanError, match="has no histograms; save it anew"):
            loss(saved, encoder, drawn(2))
        with pytest.raises(PlanError, match=r"pooling max, .* not pooling avg"):
            loss(saved, Encoder(variant=Variant("avg")), drawn(2), statistics="gram")
        other = SavedStyle(saved.rungs, {TINY: "0" * 64}, saved.variant)
        with pytest.raises(PlanError, match=f"other weights of {TINY}; save it anew"):
            loss(other, encoder, drawn(2), statistics="gram")


class TestFilesThatAreNone:
    @pytest.fixture
    def data(self, encoder, tmp_path):
        kept(encoder, drawn(1)).write(tmp_path / "one.style")
        return (tmp_path / "one.style").read_bytes()

    @given(where=st.floats(0, 1), bit=st.integers(0, 7), cut=st.floats(0, 1))
    @settings(deadline=None, max_examples=60)
    def test_damage_is_refused_or_does_no_harm(self, data_once, where, bit, cut):
        damaged = bytearray(data_once)
        damaged[int(where * (len(damaged) - 1))] ^= 1 << bit
        for some in (bytes(damaged), data_once[: int(cut * (len(data_once) - 1))]):
            with contextlib.suppress(StyleFileError):
                style = SavedStyle.decode(some, "one.style")
                targets = [target for rung in style.rungs for target in rung.targets.values()]
                assert targets
                assert all(target.summary.second.isfinite().all() for target in targets)

    def test_a_file_of_another_kind(self, tmp_path):
        for number, content in enumerate((b"", b"GIF89a", b"\xff" * 100, json.dumps({}).encode())):
            path = tmp_path / f"{number}.style"
            path.write_bytes(content)
            with pytest.raises(StyleFileError, match="no style that was saved here"):
                read_style(path)

    def test_of_another_version(self, data):
        length = 8 + int.from_bytes(data[:8], "little")
        version = rb"\"version\": "
        assert data[:length].count(version + b"1") == 1
        later = data[:length].replace(version + b"1", version + b"2") + data[length:]
        with pytest.raises(StyleFileError, match="no style that was saved here"):
            SavedStyle.decode(later, "one.style")

    def test_no_file(self, tmp_path):
        with pytest.raises(ImageError, match=r"missing\.style"):
            read_style(tmp_path / "missing.style")

    def test_a_folder_that_is_not_there(self, encoder, tmp_path):
        with pytest.raises(StyleFileError, match="cannot write the style"):
            kept(encoder, drawn(1)).write(tmp_path / "nowhere" / "one.style")


@pytest.fixture(scope="module")
def data_once(tmp_path_factory):
    """The bytes of a style that is whole."""
    register_backbone(TINY, tiny_network())
    path = tmp_path_factory.mktemp("styles") / "one.style"
    kept(Encoder(), drawn(1)).write(path)
    return path.read_bytes()
