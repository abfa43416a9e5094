"""Jobs: what comes of items that fail, that take their worker along, that are dropped."""

import pytest
from hands import AtHand, written
from serving import POISON, serve_by_name, serve_nothing

from oneira.batch.job import work_off
from oneira.batch.manifest import Manifest, State
from oneira.batch.outcomes import Faulted, Halted, Refused
from oneira.batch.workers import Crew, serve_items
from oneira.errands import Errand
from oneira.errors import BatchError, WeightsError

NAMES = ("a", "b", "c")


@pytest.fixture
def manifest(tmp_path):
    yield from opened(tmp_path, NAMES)


def opened(tmp_path, names):
    folder = tmp_path / "out"
    folder.mkdir()
    for name in names:
        (tmp_path / name).write_text(name)
    with Manifest.at_work(folder) as manifest:
        manifest.enlist([Errand(tmp_path / name, folder / name) for name in names], "1", retry_failed=False)
        yield manifest


def worked(manifest, hands, *, tries=3, stopping=lambda: False):
    return [
        (settled.item.errand.source.name, settled.state)
        for settled in work_off(manifest, hands, tries=tries, stopping=stopping)
    ]


def test_one_that_fails_does_not_keep_the_others(manifest):
    hands = AtHand(None, make=lambda errand: Refused("bad") if errand.source.name == "b" else written(errand))
    assert worked(manifest, hands) == [("a", State.DONE), ("b", State.FAILED), ("c", State.DONE)]
    assert [entry.error for entry in manifest.entries()] == [None, "bad", None]


def test_one_that_takes_its_worker_along_is_tried_last_and_then_left(manifest):
    hands = AtHand(None, make=lambda errand: Faulted("died") if errand.source.name == "a" else written(errand))
    told = worked(manifest, hands)
    assert hands.given == ["a", "b", "c", "a", "a"]
    assert [state for name, state in told if name == "a"] == [State.WAITING, State.WAITING, State.FAILED]


def test_what_concerns_all_ends_the_job_and_nothing_has_failed(manifest):
    error = WeightsError("no weights")
    hands = AtHand(None, make=lambda errand: written(errand) if errand.source.name == "a" else Halted(error))
    with pytest.raises(WeightsError, match="no weights"):
        worked(manifest, hands)
    tally = manifest.tally()
    assert (tally[State.DONE], tally[State.WAITING]) == (1, 2)


def test_stopping_finishes_what_is_begun(manifest):
    hands = AtHand(None, make=written)
    assert worked(manifest, hands, stopping=lambda: bool(hands.given)) == [("a", State.DONE)]
    assert worked(manifest, AtHand(None, make=written)) == [("b", State.DONE), ("c", State.DONE)]


def test_whether_to_stop_is_asked_while_they_are_busy(manifest):
    asked = []

    def stopping():
        asked.append(bool(hands.items))
        return False

    class Slow(AtHand):
        def wait(self, seconds):
            return [] if asked.count(True) < 3 else super().wait(seconds)

    hands = Slow(None, make=written)
    assert len(worked(manifest, hands, stopping=stopping)) == 3
    assert asked.count(True) >= 3


def test_closed_early_what_is_begun_waits_again(manifest):
    def interrupted(errand):
        (errand.target.parent / f".{errand.target.name}.x.part").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        worked(manifest, AtHand(None, make=interrupted))
    assert manifest.tally()[State.WAITING] == 3
    assert not list((manifest.entries()[0].source.parent / "out").glob(".*.part"))
    assert len(worked(manifest, AtHand(None, make=written))) == 3


def test_workers_that_are_killed_lose_one_item_each_time(tmp_path):
    names = [POISON, *(f"{number:02}" for number in range(20))]
    for manifest in opened(tmp_path, names):
        told = worked(manifest, Crew(None, 1, serve_by_name), tries=2)
        assert [state for name, state in told if name == POISON] == [State.WAITING, State.FAILED]
        assert sorted(name for name, state in told if state is State.DONE) == names[1:]
        [failed] = manifest.entries(State.FAILED)
        assert failed.error == "its worker was killed by SIGKILL, for want of memory perhaps"
        assert {path.name for path in (tmp_path / "out").glob("[!.]*")} == set(names[1:])
        assert not list((tmp_path / "out").glob(".*.part"))


def test_where_no_worker_lives_nothing_has_failed(manifest):
    with pytest.raises(BatchError, match="no worker can be started: ended with status 3"):
        worked(manifest, Crew(None, 1, serve_nothing))
    assert manifest.tally()[State.WAITING] == 3


def test_workers_that_are_not_needed_say_nothing(capfd):
    with Crew(None, 1, serve_items) as crew:
        assert crew.idle == 0
    assert capfd.readouterr() == ("", "")


def test_nothing_to_do_needs_nobody(tmp_path):
    with Manifest.at_work(tmp_path) as manifest:
        manifest.enlist([], "1", retry_failed=False)
        assert worked(manifest, Crew(None, 0, serve_nothing)) == []
