"""Which channels are meant, as it is typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import TINY

from oneira.errors import AddressError, PlanError
from oneira.features.description import describe
from oneira.features.registry import find_backbone
from oneira.techniques.channel_numbers import count_channels, parse_channels

LAYER = f"{TINY}:relu3"  # of which nothing is known before it runs
KNOWN = "vgg19:relu1_1"  # 64 channels


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("17", [17]),
        ("3,7,32-34", [3, 7, 32, 33, 34]),
        (" 3 , 7 - 9 ", [3, 7, 8, 9]),
        ("5-5", [5]),
        ("9,3", [9, 3]),
        ("3,3,2-4", [3, 2, 4]),
        ("007", [7]),
        ("0-63", list(range(64))),
    ],
)
@pytest.mark.parametrize("layer", [LAYER, KNOWN])
def test_numbers_and_ranges_in_their_order_each_once(text, numbers, layer):
    assert parse_channels(text, layer) == numbers


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), min_size=1))
def test_what_is_written_is_what_is_read(ranges):
    text = ",".join(f"{first}-{first + more}" if more else str(first) for first, more in ranges)
    numbers = [number for first, more in ranges for number in range(first, first + more + 1)]
    assert parse_channels(text, KNOWN) == sorted(set(numbers), key=numbers.index)


def test_all_are_all_of_the_layer():
    assert parse_channels("all", KNOWN) == list(range(64))
    with pytest.raises(PlanError, match=rf"^how many channels {LAYER} has is not known: say which, such as --channels"):
        parse_channels("all", LAYER)


@pytest.mark.parametrize(
    "text", ["", "x", "3,", ",3", "3,,4", "-1", "3-", "-3", "5-3", "3 4", "1.5", "1e2", "ALL", "3-4-5"]
)
def test_what_is_no_number_is_told_with_what_is_taken(text):
    with pytest.raises(PlanError) as told:
        parse_channels(text, KNOWN)
    assert str(told.value) == f"--channels takes numbers such as 3,7,32-47, or all; not {text!r}"


@pytest.mark.parametrize(("text", "worst"), [("64", 64), ("3,100,70", 100), ("60-999999", 999999)])
def test_what_the_layer_has_not_is_told(text, worst):
    with pytest.raises(PlanError) as told:
        parse_channels(text, KNOWN)
    assert str(told.value) == f"there is no channel {worst} in vgg19:relu1_1, which has 64: 0 to 63"
    assert max(parse_channels("500", LAYER)) == 500  # the run will tell


def test_a_layer_that_is_not_there_is_told():
    with pytest.raises(AddressError, match="unknown layer 'relu1_9' of vgg19"):
        parse_channels("1", "vgg19:relu1_9")


def test_they_are_counted_without_weights():
    for layer in describe(find_backbone("pocket")):
        assert count_channels(f"pocket:{layer.layer}") == layer.channels
    assert count_channels(LAYER) is None
