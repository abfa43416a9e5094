"""Checkpoints: newest first, the one before if it is damaged, never code."""

import pickle

import pytest
import torch

from oneira.errors import CheckpointError
from oneira.synthesis.checkpoints import checkpoint_of, load_checkpoint, remove_checkpoint, save_checkpoint


def test_the_newest_is_read_and_both_are_removed(tmp_path):
    path = checkpoint_of(tmp_path / "a.png")
    for index in range(3):
        save_checkpoint(path, {"index": index, "values": [torch.ones(2)]})
    state, note = load_checkpoint(path)
    assert state["index"] == 2
    assert note is None
    remove_checkpoint(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"x" * 99])
def test_a_damaged_newest_gives_way_to_the_one_before(tmp_path, damage):
    path = checkpoint_of(tmp_path / "a.png")
    save_checkpoint(path, {"index": 0})
    save_checkpoint(path, {"index": 1})
    path.write_bytes(damage(path.read_bytes()))
    state, note = load_checkpoint(path)
    assert state["index"] == 0
    assert "damaged" in note
    path.with_name(path.name + ".before").unlink()
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


def test_killed_between_renaming_and_writing_the_one_before_is_found(tmp_path):
    path = checkpoint_of(tmp_path / "a.png")
    save_checkpoint(path, {"index": 0})
    path.rename(path.with_name(path.name + ".before"))
    assert load_checkpoint(path)[0]["index"] == 0


def test_none_at_all_is_said(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_checkpoint(tmp_path / "a.png.checkpoint")


class Code:
    def __reduce__(self):
        return (print, ("run",))


def test_a_checkpoint_with_code_is_not_run(tmp_path, capsys):
    path = tmp_path / "a.checkpoint"
    path.write_bytes(pickle.dumps(Code()))
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    torch.save({"index": Code()}, path)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert capsys.readouterr().out == ""
