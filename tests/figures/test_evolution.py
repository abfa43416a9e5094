"""Channels while a network is trained: a column for each snapshot, and in it the strongest picture's projection."""

from pathlib import Path

import pytest
import torch
from drawn_figures import drawn
from safetensors.torch import save_file
from torch.testing import assert_close
from training_toys import toy_trainer

from oneira import Encoder
from oneira.errors import AddressError, DataError, PlanError, WeightsError
from oneira.features import resolve
from oneira.features.backbones.pocket import pocket
from oneira.features.training import TrainingFolder
from oneira.figures import Equipment, Evolution
from oneira.figures import evolution as module
from oneira.figures.evolution import labels_of
from oneira.images import load, save
from oneira.inspection.picture_set import PictureSet
from oneira.inspection.watching import watch

SIDE = 48
LAYERS = ("relu1_2", "relu3_1")
SILENT = 3  # of relu1_2


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ONEIRA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path):
    """A folder of five pictures, each of its own strength of noise."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    for number in range(5):
        noise = torch.rand(1, 3, SIDE, SIDE, generator=generator) - 0.5
        save(folder / f"{number}.png", 0.5 + 0.2 * (number + 1) * noise)
    return folder


@pytest.fixture
def snapshots(tmp_path):
    """Two networks of the embedded one's depth, of four channels everywhere; one channel can never fire."""
    paths = []
    for number in range(2):
        torch.manual_seed(number)
        network = pocket(widths=(4, 4, 4, 4, 4))
        with torch.no_grad():
            network.conv1_2.weight[SILENT] = 0
            network.conv1_2.bias[SILENT] = -1
        paths.append(tmp_path / f"snapshot-{number}.safetensors")
        save_file(network.state_dict(), paths[-1])
    return paths


@pytest.fixture
def evolution(data):
    def make(checkpoints, **options):
        return Evolution(**{"checkpoints": checkpoints, "data": data, "size": SIDE, "layer": LAYERS, **options})

    return make


@pytest.fixture
def cells(monkeypatch):
    """The rows of the sheet that was last drawn."""
    seen = {}
    one = module.sheet
    monkeypatch.setattr(module, "sheet", lambda rows, **labels: seen.update(labels, rows=rows) or one(rows, **labels))
    return seen


def test_the_same_snapshot_twice_has_two_equal_columns(evolution, snapshots, cells):
    drawn(evolution([snapshots[0], snapshots[1], snapshots[0]], channels="0-3"))
    for row in cells["rows"]:
        first, _, again = (cell.image for cell in row)
        assert torch.equal(first, again)
    assert any(not torch.equal(row[0].image, row[1].image) for row in cells["rows"])


def test_the_order_of_pictures_makes_no_difference(evolution, snapshots, data, tmp_path):
    finished, _ = drawn(evolution(snapshots, channels="0-3"))
    order = [3, 0, 4, 1, 2]
    other = tmp_path / "permuted"
    other.mkdir()
    for place, number in enumerate(order):
        save(other / f"{place}.png", load(data / f"{number}.png"))
    permuted, _ = drawn(evolution(snapshots, channels="0-3", data=other))
    assert torch.equal(finished.image, permuted.image)
    for name, row in finished.numbers.items():
        for column, value in row.items():
            there = permuted.numbers[name][column]
            assert value == (order[int(there)] if column.endswith("picture") else there)


def test_each_cell_is_of_the_strongest_picture(evolution, snapshots, data):
    finished, _ = drawn(evolution(snapshots[:1], channels="0-2"))
    pictures = PictureSet.open(data)
    encoder = Encoder(weights={"pocket": snapshots[0]})
    squares = [pictures.square(number, SIDE) for number in range(5)]
    for layer in LAYERS:
        answers = torch.stack([encoder(each, [layer]).popitem()[1][0].flatten(1).amax(1) for each in squares])
        for channel in range(3):
            row = finished.numbers[f"{layer} {channel}"]
            assert_close(row["snapshot-0 response"], max(0.0, float(answers[:, channel].max())))
            if row["snapshot-0 response"]:
                assert row["snapshot-0 picture"] == int(answers[:, channel].argmax())


def test_what_is_silent_is_a_plain_tile(evolution, snapshots, cells):
    finished, _ = drawn(evolution(snapshots, layer=("relu1_2",), channels=str(SILENT)))
    for cell in cells["rows"][0]:
        assert cell.caption == "silent"
        assert float(cell.image.amin()) == float(cell.image.amax())
    assert finished.numbers[f"relu1_2 {SILENT}"] == {"snapshot-0 response": 0, "snapshot-1 response": 0}


def test_channels_are_drawn_by_the_seed_from_those_that_answer(evolution, snapshots, cells):
    drawn_sets = set()
    for seed in range(6):
        drawn(evolution(snapshots, layer=("relu1_2",), per_layer=2), seed=seed)
        rows = tuple(cells["row_labels"])
        assert f"relu1_2 {SILENT}" not in rows
        drawn_sets.add(rows)
        assert len(rows) == 2
        assert rows == tuple(sorted(rows))
        drawn(evolution(snapshots, layer=("relu1_2",), per_layer=2), seed=seed)
        assert tuple(cells["row_labels"]) == rows
    assert len(drawn_sets) > 1
    drawn(evolution(snapshots, layer=("relu1_2",), per_layer=64))
    assert cells["row_labels"] == [
        f"relu1_2 {channel}" for channel in range(4)
    ]  # the silent one where there are no others


def test_patches_stand_beside_their_projections(evolution, snapshots, cells, data):
    finished, _ = drawn(evolution(snapshots[:1], channels="0", layer=("relu1_2",)))
    bare = cells["rows"][0][0].image
    drawn(evolution(snapshots[:1], channels="0", layer=("relu1_2",), patches=True))
    both = cells["rows"][0][0].image
    side = bare.shape[3]
    assert torch.equal(both[..., -side:], bare)
    factor = side // 5  # relu1_2 sees 5 x 5 pixels
    patch = both[..., ::factor, :side:factor]
    square = PictureSet.open(data).square(int(finished.numbers["relu1_2 0"]["snapshot-0 picture"]), SIDE)
    found = square.unfold(2, 5, 1).unfold(3, 5, 1)
    assert bool((found == patch[:, :, None, None]).flatten(4).all(4).all(1).any())


def test_what_was_measured_is_not_measured_again(evolution, snapshots, monkeypatch):
    _, steps = drawn(evolution(snapshots))
    asked = []
    one = watch
    monkeypatch.setattr(
        "oneira.inspection.remembering.watch",
        lambda *given, **options: asked.append(options["begun"]) or one(*given, **options),
    )
    drawn(evolution(snapshots, rule="guided"))
    assert [each is not None and each.complete for each in asked] == [True, True]
    drawn(evolution(snapshots[1:], size=SIDE + 16))
    assert asked[2] is None
    assert {step.stage for step in steps} == {
        f"{what}, snapshot-{number}" for what in ("watching pictures", "projecting") for number in (0, 1)
    }


def test_stopped_it_keeps_what_it_has_measured(evolution, snapshots, monkeypatch):
    monkeypatch.setattr("oneira.inspection.remembering.SAVED_EVERY", 1000)
    monkeypatch.setattr(
        "oneira.inspection.remembering.watch", lambda *given, **options: watch(*given, **options, batch=2)
    )
    course = evolution(snapshots).draw(Equipment())
    assert next(course).done == 2
    assert next(course).done == 4
    course.close()
    _, steps = drawn(evolution(snapshots))
    assert steps[0].done == 5  # after the four that were kept


def test_columns_are_called_by_the_epochs_that_training_wrote(tmp_path):
    folder = TrainingFolder(tmp_path / "run")
    for _ in folder.record(toy_trainer(), snapshots=(0, 2)):
        pass
    paths = [folder.snapshot(0), folder.snapshot(2)]
    assert labels_of(paths) == ["epoch 0", "epoch 2"]
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(paths[1].read_bytes())
    assert labels_of([*paths, copy, paths[0]]) == ["epoch 0", str(paths[1]), str(copy), "epoch 0"]


def test_files_that_tell_no_epoch_are_called_by_their_names(tmp_path, snapshots):
    (tmp_path / "text.pth").write_text("nothing")
    assert labels_of([*snapshots, tmp_path / "text.pth", Path("nowhere.pt")]) == [
        "snapshot-0",
        "snapshot-1",
        "text",
        "nowhere",
    ]


def test_layers_are_spread_over_the_network_where_none_are_named(snapshots, data):
    figure = Evolution(checkpoints=snapshots, data=data)
    named = [address.written for address in figure._addresses(Equipment())]
    assert named == ["relu1_1", "relu2_2", "relu3_3", "relu4_2", "relu5_2"]


REFUSED = {
    "a layer of another network": ({"layer": ("vgg19:relu1_1",)}, PlanError, "is not of pocket"),
    "no such layer": ({"layer": ("relu9_9",)}, AddressError, "relu9_9"),
    "no such channel": ({"channels": "256", "layer": ("relu4_1",)}, PlanError, "256"),
    "a channel that these weights have not": ({"channels": "9"}, AddressError, "no channel 9 .* has 4"),
    "no pictures": ({"data": Path("nowhere")}, DataError, "nowhere"),
    "no weights": ({"checkpoints": [Path("none.safetensors")]}, WeightsError, "none.safetensors"),
}


@pytest.mark.parametrize(("options", "error", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_told(options, error, says, evolution, snapshots):
    with pytest.raises(error, match=says):
        drawn(evolution(**{"checkpoints": snapshots, **options}))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"checkpoints": []}, "name weights with --checkpoints"),
        ({"channels": "1", "per_layer": 3}, "in place of --per-layer"),
        ({"model": "tiny"}, "registered module"),
    ],
)
def test_options_that_do_not_go_together_are_told(options, says, evolution, snapshots):
    with pytest.raises(ValueError, match=says):
        evolution(**{"checkpoints": snapshots, **options})


def test_layers_are_addresses_of_the_network(evolution, snapshots):
    figure = evolution(snapshots, layer=("pocket:relu1_2", "relu1_2"))
    assert figure._addresses(Equipment()) == [resolve("pocket:relu1_2")]
