import pytest
import torch
from torch import nn

from oneira.errors import DataError
from oneira.features.training import Accuracy, Confusion, LabelledPictures, confusions, evaluate


class Reader(nn.Module):
    """Prefers the class that the red of the first pixel says, then the next, and so on around."""

    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def forward(self, pictures):
        first = (pictures[:, 0, 0, 0] * 255).round()
        return -((torch.arange(self.classes) - first[:, None]) % self.classes)


def seen(guesses, labels):
    pictures = torch.zeros(len(guesses), 3, 2, 2, dtype=torch.uint8)
    pictures[:, 0] = torch.tensor(guesses)[:, None, None]
    return LabelledPictures(pictures, torch.tensor(labels))


def as_it_is(pictures):
    return pictures


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_accuracy_is_the_exact_share_of_first_guesses_and_of_first_five(batch):
    # Guessed 2: the first five are 2, 3, 4, 5, 6.
    data = seen([2] * 7, [2, 2, 3, 6, 7, 1, 0])
    accuracy = evaluate(Reader(8), data, preprocessing=as_it_is, batch=batch)
    assert accuracy == Accuracy(top1=2 / 7, top5=4 / 7, count=7)


def test_with_fewer_than_five_classes_all_are_among_the_first_five():
    assert evaluate(Reader(3), seen([0, 1, 2], [0, 0, 0]), preprocessing=as_it_is).top5 == 1


def test_confusions_are_counted_and_the_most_frequent_come_first():
    data = seen([0, 1, 1, 1, 2, 2, 0], [0, 0, 0, 2, 1, 1, 1])
    expected = [Confusion("ape", "bee", 2), Confusion("bee", "cow", 2), Confusion("bee", "ape", 1)]
    names = ("ape", "bee", "cow")
    assert confusions(Reader(3), data, names, preprocessing=as_it_is, most=3) == expected
    assert Confusion("2", "bee", 1) in confusions(Reader(3), data, names[:2], preprocessing=as_it_is)


def test_a_label_that_the_network_does_not_know_is_refused():
    with pytest.raises(DataError, match="a class 3, but the network tells 0 to 2"):
        evaluate(Reader(3), seen([0], [3]), preprocessing=as_it_is)


def test_the_network_is_left_as_it_was():
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(12, 3))
    for training in (True, False):
        network.train(training)
        twice = [evaluate(network, seen([0, 9, 30, 4], [0, 1, 2, 0])) for _ in range(2)]
        assert twice[0] == twice[1]
        assert network[1].training is training
    assert network[2].weight.grad is None


def test_progress_counts_pictures():
    told = []
    evaluate(Reader(3), seen([0] * 5, [0] * 5), batch=2, progress=lambda *pair: told.append(pair))
    assert told == [(2, 5), (4, 5), (5, 5)]
