"""The picture of a belief: its file, and every way in which it cannot be one."""

import os
import stat
import subprocess
import sys
import warnings

import pytest

from belief.errors import BeliefError, UsageError
from belief_tools.picture import check_picture, write_picture

SIGNATURES = {".png": b"\x89PNG", ".PDF": b"%PDF", ".svg": b"<?xml"}


@pytest.mark.parametrize("ending", SIGNATURES)
def test_the_ending_names_the_kind_and_the_same_belief_gives_the_same_bytes(tool, tmp_path, ending):
    path, again = tmp_path / f"one{ending}", tmp_path / f"two{ending}"
    for target in (path, again):
        check_picture(target)
        write_picture(target, tool)
    assert path.read_bytes().startswith(SIGNATURES[ending])
    assert path.read_bytes() == again.read_bytes()
    assert sorted(tmp_path.iterdir()) == [path, again]


@pytest.mark.parametrize(
    "name", ["picture", "picture.docx", "picture.png.", ".png", "a.pgf", "a.eps"]
)
def test_an_unknown_ending_names_those_that_are_known(tmp_path, name):
    with pytest.raises(UsageError, match=r"no kind of picture; use one of .*\.pdf, \.png") as error:
        check_picture(tmp_path / name)
    assert name in str(error.value) and "\n" not in str(error.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"there is no folder .*missing; create it first"):
        check_picture(tmp_path / "missing" / "picture.png")
    assert not (tmp_path / "missing").exists()


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("folder.png", "pipe.png"):
        with pytest.raises(UsageError, match="is not a file"):
            check_picture(tmp_path / name)


def test_a_name_that_no_file_can_have_is_one_line(tmp_path):
    with pytest.raises(BeliefError, match=r"cannot write .*: File name too long"):
        check_picture(tmp_path / f"{'x' * 300}.png")


def test_a_place_without_permission_is_refused_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # tests may run as root
    with pytest.raises(BeliefError, match="permission denied") as error:
        check_picture(tmp_path / "picture.png")
    assert error.value.exit_code == 1


def test_a_write_that_fails_leaves_the_old_picture_and_nothing_else(tool, tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")

    def no_space(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(BeliefError, match=r"cannot write .*picture\.png: No space left"):
        write_picture(path, tool)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_new_picture_has_the_permissions_of_new_files_and_a_link_stays_one(tool, tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "picture.png"
    link.symlink_to(tmp_path / "real" / "file.png")
    mask = os.umask(0o027)
    try:
        write_picture(link, tool)
    finally:
        os.umask(mask)
    assert link.is_symlink()
    assert stat.S_IMODE((tmp_path / "real" / "file.png").stat().st_mode) == 0o640


def test_no_window_system_no_pyplot_and_no_settings_are_needed(tool, tmp_path):
    code = (
        "import sys; from pathlib import Path; from belief_tools.picture import check_picture\n"
        f"check_picture(Path({str(tmp_path / 'x.png')!r}))\n"
        "import matplotlib; assert 'matplotlib.pyplot' not in sys.modules"
    )
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={"PYTHONPATH": ":".join(sys.path), "MPLBACKEND": "nonsense"},
        capture_output=True,
        text=True,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_picture(tmp_path / "y.png", tool)
