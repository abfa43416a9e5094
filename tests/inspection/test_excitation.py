"""The pictures that excite channels most: what is shown, what is kept, and what is not measured twice."""

import pytest
import torch
from networks import TINY

from oneira import Encoder
from oneira.errors import DataError, PlanError
from oneira.images import save
from oneira.inspection import Examination, Excitation, remembering
from oneira.inspection import excitation as module
from oneira.inspection.watching import SIDE
from oneira.techniques import Deconvolution

LAYER = f"{TINY}:relu2"


@pytest.fixture
def data(tmp_path):
    """A folder of five pictures, each of its own strength of noise."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    for number in range(5):
        noise = torch.rand(1, 3, 40, 48, generator=generator) - 0.5
        save(folder / f"{number}.png", 0.5 + 0.2 * (number + 1) * noise)
    return folder


@pytest.fixture
def study(data, tmp_path, monkeypatch):
    monkeypatch.setenv("ONEIRA_CACHE", str(tmp_path / "cache"))
    return lambda **options: Excitation(**{"data": data, "layer": LAYER, "channels": (0, 1, 2), "top": 3, **options})


def examined(study):
    run = Examination(study)
    return run, list(run)


def test_all_pictures_are_watched_and_then_the_channels_are_drawn(study):
    run, steps = examined(study())
    assert (steps[-1].done, steps[-1].total) == (8, 8)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert run.image.shape[:2] == (1, 3)
    assert min(run.image.shape[2:]) > 2 * module.SHOWN_SIDE


def test_the_patches_are_those_of_the_strongest_responses(study, data, monkeypatch):
    shown = []
    monkeypatch.setattr(module, "_grid", lambda squares, places: shown.append(squares) or torch.zeros(1, 3, 8, 8))
    examined(study(channels=(2,)))
    patches = shown[0]
    pictures = module.PictureSet.open(data)
    squares = [pictures.square(number, SIDE) for number in range(5)]
    answers = torch.stack([Encoder()(square, [LAYER]).popitem()[1][0, 2].amax() for square in squares])
    strongest = answers.argsort(descending=True)[:3].tolist()
    for patch, number in zip(patches, strongest, strict=True):
        found = squares[number].unfold(2, patch.shape[2], 1).unfold(3, patch.shape[3], 1)
        assert bool((found == patch[:, :, None, None]).flatten(4).all(4).all(1).any())


def test_what_was_measured_is_not_measured_again(study, monkeypatch):
    first, _ = examined(study())
    asked = []
    one = remembering.watch
    monkeypatch.setattr(
        remembering, "watch", lambda *given, **options: asked.append(options["begun"]) or one(*given, **options)
    )
    second, _ = examined(study(rule="guided"))
    assert asked[0] is not None
    assert asked[0].complete
    assert second.image.shape == first.image.shape
    examined(study(layer=f"{TINY}:relu3"))
    assert asked[1] is None


def test_what_is_damaged_is_measured_anew(study, tmp_path):
    first, _ = examined(study())
    (kept,) = (tmp_path / "cache" / "responses").iterdir()
    kept.write_bytes(b"nonsense")
    second, _ = examined(study())
    assert torch.equal(first.image, second.image)


def test_what_cannot_be_is_told_before_any_network_is_read(study, tmp_path):
    with pytest.raises(PlanError, match="at least one channel"):
        study(channels=())
    with pytest.raises(DataError, match="nowhere"):
        Examination(study(data=tmp_path / "nowhere"))


class TestTechnique:
    def test_data_stands_in_place_of_a_picture(self, data):
        plan = Deconvolution.configured(data=str(data), model=TINY, layer="relu2", channels="1,3", top=2).plan()
        assert (plan.layer, plan.channels, plan.top) == (LAYER, (1, 3), 2)

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"image": "sample:cat"}, "name IMAGE or --data"),
            ({"whole": True}, "--whole is for one picture"),
            ({"samples": 3}, "--samples is for one picture"),
        ],
    )
    def test_what_means_one_picture_is_refused(self, options, says, data):
        with pytest.raises(PlanError, match=says):
            Deconvolution.configured(data=str(data), **options)

    def test_one_of_both_is_needed(self):
        with pytest.raises(PlanError, match="deconv needs IMAGE, or --data"):
            Deconvolution.configured().plan()
