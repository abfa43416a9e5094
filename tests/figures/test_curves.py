"""Curves of trainings: what their tables say, where it is drawn, and what is refused."""

import math

import pytest
import torch
from drawn_figures import drawn
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oneira.errors import DataError, PlanError
from oneira.feedforward.training.log import StylizerLog
from oneira.feedforward.training.step import StylizerStep
from oneira.figures import Curves
from oneira.figures.chart import BORDER, COLOURS, Axis, Line, chart, trace
from oneira.figures.curves import Curve, labels_of


@pytest.fixture
def log(tmp_path):
    """Write the table of a training whose losses are told, one every ten steps; None: nothing to report."""

    def write(name, losses):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "log.csv"
        with StylizerLog(path, step=0) as table:
            for number, loss in enumerate(losses, 1):
                terms = {} if loss is None else {"style": loss / 2}
                table.write(StylizerStep(10 * number, 10 * len(losses), 16, 0.1, loss, terms, "" if loss else "note"))
        return path

    return write


def columns_of(image, colour):
    """The highest row in which each column has a colour, -1 where it has none."""
    near = (image[0] - torch.tensor(colour)[:, None, None]).abs().amax(0) < 0.02
    rows = torch.arange(near.shape[0])[:, None].expand_as(near)
    first = torch.where(near, rows, near.shape[0]).amin(0)
    return torch.where(first < near.shape[0], first, -1)


class TestTables:
    def test_a_column_is_read_as_it_was_written(self, log):
        curve = Curve.of(log("a", [3.0, None, 2.0]), "loss")
        assert curve.steps.tolist() == [10, 30]  # the row in between has a note and no loss
        assert curve.values.tolist() == [3, 2]
        assert Curve.of(log("b", [3.0, 2.0]), "style").values.tolist() == [1.5, 1]

    @given(
        values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20),
        rows=st.integers(1, 30),
    )
    def test_running_means(self, values, rows):
        smooth = Curve(torch.arange(len(values)).double(), torch.tensor(values, dtype=torch.float64)).smoothed(rows)
        for place, mean in enumerate(smooth.values.tolist()):
            window = values[max(0, place - (rows - 1) // 2) : place + rows // 2 + 1]
            assert mean == pytest.approx(sum(window) / len(window), abs=1e-9)

    def test_one_row_is_its_own_mean(self, log):
        curve = Curve.of(log("a", [3.0, 1.0, 2.0]), "loss")
        assert torch.equal(curve.smoothed(1).values, curve.values)

    def test_they_are_called_by_their_folders(self, log, tmp_path, monkeypatch):
        paths = [log("batch", [1.0]), log("instance", [1.0])]
        assert labels_of(paths) == ["batch", "instance"]
        assert labels_of([paths[0], paths[0]]) == [str(paths[0])] * 2
        monkeypatch.chdir(paths[0].parent)
        assert labels_of([paths[0].relative_to(paths[0].parent)]) == ["batch"]

    @pytest.mark.parametrize(
        ("text", "error", "told"),
        [
            (None, DataError, "cannot read"),
            (b"\xff\xfe", DataError, "is no table"),
            (b"", DataError, "no log of a training"),
            (b"epoch,loss\n1,2\n", DataError, "with a column 'step'"),
            (b"step,loss\n", DataError, "no log of a training"),
            (b"step,los\n1,2\n", PlanError, "did you mean 'los'"),
            (b"step,loss\n1,cat\n", DataError, "no number"),
            (b"step,loss\n1\n", PlanError, "no numbers in column"),
            (b"step,loss\n1,nan\n", PlanError, "no numbers in column"),
        ],
    )
    def test_what_is_no_log_is_refused(self, text, error, told, tmp_path):
        path = tmp_path / "log.csv"
        if text is not None:
            path.write_bytes(text)
        with pytest.raises(error, match=told):
            Curve.of(path, "loss")


class TestAxes:
    @given(
        low=st.floats(1e-6, 1e6),
        factor=st.floats(1.001, 1e9),
        logarithmic=st.booleans(),
    )
    def test_ticks_are_round_on_the_axis_and_not_too_many(self, low, factor, logarithmic):
        axis = Axis.around(torch.tensor([low, low * factor], dtype=torch.float64), 500, logarithmic=logarithmic)
        ticks = axis.ticks()
        assert 2 <= len(ticks) <= 9
        assert ticks == sorted(ticks)
        slack = 1e-9 * axis.high
        assert all(axis.low - slack <= tick <= axis.high + slack for tick in ticks)
        places = axis.place(torch.tensor(ticks, dtype=torch.float64))
        assert float(places.min()) > -1
        assert float(places.max()) < 501

    def test_equal_factors_are_equal_lengths(self):
        axis = Axis(0.01, 100.0, 400, logarithmic=True)
        assert_close(
            axis.place(torch.tensor([0.01, 0.1, 1.0, 10.0, 100.0], dtype=torch.float64)), torch.arange(5).double() * 100
        )

    def test_equal_differences_are_equal_lengths(self):
        assert_close(Axis(-1.0, 3.0, 400).place(torch.tensor([-1.0, 0.0, 3.0])), torch.tensor([0.0, 100, 400]).double())

    @pytest.mark.parametrize("value", [0.0, 5.0, -3.0])
    def test_a_single_value_is_in_the_middle(self, value):
        axis = Axis.around(torch.tensor([value, value]), 100, margin=0.1)
        assert float(axis.place(torch.tensor(value))) == pytest.approx(50)
        assert axis.ticks()


class TestLines:
    def test_a_line_covers_its_width_and_nothing_else(self):
        picture = torch.ones(1, 3, 20, 30)
        trace(picture, torch.tensor([[10.0, 5.0], [10.0, 25.0]]), (0.0, 0.0, 0.0), width=2.0)
        column = 1 - picture[0, 0, :, 15]
        assert column.nonzero().flatten().tolist() == [9, 10]
        assert_close(column[9:11], torch.ones(2))
        assert float(picture[..., :3].min()) == 1

    def test_it_may_leave_the_picture(self):
        picture = torch.ones(1, 3, 20, 30)
        trace(picture, torch.tensor([[-50.0, -50.0], [10.0, 15.0], [400.0, 15.0]]), (0.0, 0.0, 0.0))
        assert float(picture[0, 0, 19, 15]) < 0.5
        trace(picture, torch.tensor([[-50.0, -50.0], [-60.0, 15.0]]), (0.0, 0.0, 0.0))

    def test_a_single_point_is_a_dot(self):
        picture = torch.ones(1, 3, 20, 30)
        trace(picture, torch.tensor([[10.0, 15.0]]), (0.0, 0.0, 0.0), width=4.0)
        assert 8 < float((1 - picture[0, 0]).sum()) < 20

    @pytest.mark.parametrize("logarithmic", [True, False])
    def test_a_line_is_where_its_values_are(self, logarithmic):
        x = torch.linspace(0, 1, 50).double()
        y = 10 ** (2 * x) if logarithmic else 5 * x
        image = chart(
            [Line(x, y, (1.0, 0.0, 0.0), level=float(y[25]))],
            title="",
            below="",
            size=(300, 400),
            logarithmic=logarithmic,
        )
        assert image.shape == (1, 3, 300, 400)
        assert float(image[..., :BORDER, :].min()) == 1
        rows = columns_of(image, (1.0, 0.0, 0.0))
        seen = rows[rows >= 0]
        # A straight line from the lower left to the upper right, and the level half way.
        assert int(seen[-2]) < 100
        assert int(seen[1]) < 170
        steps = (seen[len(seen) // 2 + 10 :].diff().double()).unique()
        assert set(steps.tolist()) <= {-1.0, 0.0}

    def test_a_line_without_a_label_has_no_place_in_the_legend(self):
        line = Line(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0]), COLOURS[0])
        other = Line(line.x, line.y, COLOURS[0], "named")
        images = [chart([each], title="", below="", size=(200, 300), logarithmic=False) for each in (line, other)]
        legends = [columns_of(image, COLOURS[0])[BORDER : BORDER + 20] for image in images]
        assert (legends[0] == -1).all()
        assert (legends[1] >= 0).all()


class TestFigure:
    def test_a_line_for_every_training(self, log):
        paths = (log("batch", [4.0, 2.0, 1.0]), log("instance", [4.0, 1.0, 0.5, 0.25]))
        figure, _ = drawn(Curves(log=paths, size=480))
        assert figure.image.shape[3] == 480
        for colour in COLOURS[:2]:
            assert (columns_of(figure.image, colour) >= 0).sum() > 200
        assert (columns_of(figure.image, COLOURS[2]) >= 0).sum() == 0
        assert figure.numbers["batch"] == {"steps": 30, "first": 4, "lowest": 1, "highest": 4, "last": 1}
        assert figure.numbers["instance"]["last"] == 0.25

    def test_smoothed_the_rows_stay_pale(self, log):
        path = log("a", [4.0, 1.0, 4.0, 1.0, 4.0])
        plain, smooth = (drawn(Curves(log=(path,), smooth=rows))[0] for rows in (1, 3))
        assert smooth.numbers["a"]["highest"] < 4
        assert smooth.numbers["a"]["first"] == 4
        assert not torch.equal(plain.image, smooth.image)

    def test_what_has_no_logarithm_needs_a_linear_axis(self, log):
        path = log("a", [4.0, -1.0, 2.0])
        with pytest.raises(PlanError, match="give --linear"):
            drawn(Curves(log=(path,)))
        assert math.isfinite(float(drawn(Curves(log=(path,), linear=True))[0].image.sum()))

    def test_weights_are_of_no_use(self, log, tmp_path):
        with pytest.raises(PlanError, match="takes none"):
            drawn(Curves(log=(log("a", [1.0]),)), weights={"pocket": tmp_path})
