"""Claim: a file is either whole or as it was, whatever goes wrong while it is written."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from attn_dynamics import storage
from attn_dynamics.errors import StorageError
from attn_dynamics.storage import read_arrays, write_arrays, write_json, write_netcdf, write_whole

OLD = b"what was there before"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "kept").write_bytes(OLD)
    return tmp_path / "kept"


def assert_untouched(path: Path) -> None:
    assert path.read_bytes() == OLD
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def fails_with(error: BaseException):
    def write(file) -> None:
        file.write(b"half of what")
        raise error

    return write


def test_a_file_is_replaced_whole(path: Path) -> None:
    write_whole(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_write_that_fails_leaves_the_old_file_and_says_why(path: Path) -> None:
    with pytest.raises(
        StorageError, match=r"kept: expected to write this file, got: No space left on device\. .*free some space"
    ):
        write_whole(path, fails_with(OSError(28, "No space left on device")))
    assert_untouched(path)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("not to be written"), SystemExit(1)], ids=repr)
def test_what_is_no_matter_of_storage_passes_through_and_leaves_the_old_file(path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        write_whole(path, fails_with(error))
    assert caught.value is error
    assert_untouched(path)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_after_the_last_byte_leaves_the_old_file(
    path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments) -> None:
        raise OSError(5, "Input/output error")

    if step == "fsync":
        monkeypatch.setattr(storage.os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StorageError, match="Input/output error"):
        write_whole(path, lambda file: file.write(b"new"))
    assert_untouched(path)


def test_nothing_is_replaced_before_all_is_on_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(storage.os, "fsync", lambda descriptor: seen.append(path.read_bytes()))
    write_whole(path, lambda file: file.write(b"new"))
    assert seen == [OLD]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for place in (tmp_path / "missing" / "file", Path("/proc/no/such/place")):
        with pytest.raises(StorageError, match=f"{place}: expected to write this file, got: No such file"):
            write_json(place, {})


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np, xarray as xr
from attn_dynamics.errors import StorageError
from attn_dynamics.storage import write_arrays, write_json, write_netcdf

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
large = np.arange(100_000.0)
folder = Path(sys.argv[1])
for write, content in (
    (write_arrays, {"a": large[:100], "large": large}),
    (write_json, large.tolist()),
    (write_netcdf, xr.Dataset({"large": ("x", large)})),
):
    try:
        write(folder / write.__name__, content)
    except StorageError as error:
        print(error)
"""


def test_a_full_disk_leaves_every_kind_of_file_as_it_was(tmp_path: Path) -> None:
    """A limit on the size of files, in a process of its own, stands for the disk."""
    names = "write_arrays", "write_json", "write_netcdf"
    for name in names:
        (tmp_path / name).write_bytes(OLD)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert done.stdout.count("got: File too large") == 3
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(names)
    assert all((tmp_path / name).read_bytes() == OLD for name in names)


# --- what is in the files


def test_numbers_that_json_cannot_say_become_null(tmp_path: Path) -> None:
    content = {
        "nan": float("nan"),
        "deep": [np.float64("inf"), {"minus": -float("inf"), "pair": (1.5, float("nan"))}],
        "kept": [0.1, -0.0, 1e-300, 2**60, True, None, "ν"],
    }
    write_json(tmp_path / "x.json", content)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert "ν" in text
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name)) == {
        "nan": None,
        "deep": [None, {"minus": None, "pair": [1.5, None]}],
        "kept": [0.1, -0.0, 1e-300, 2**60, True, None, "ν"],
    }


def test_what_json_cannot_hold_leaves_the_old_file(path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(path, {"a": {1, 2}})
    assert_untouched(path)


def test_arrays_come_back_to_the_bit(tmp_path: Path) -> None:
    arrays = {
        "floats": np.array([[0.1, -0.0, np.nan, np.inf, 5e-324]]),
        "deep.name": np.arange(3, dtype=np.int64),
        "empty": np.empty((0, 3)),
        "scalar": np.array(1.5),
        "text": np.array("digest"),
    }
    write_arrays(tmp_path / "x.npz", arrays)
    again = read_arrays(tmp_path / "x.npz")
    assert list(again) == list(arrays)
    for name, array in arrays.items():
        assert (again[name].dtype, again[name].shape) == (array.dtype, array.shape)
        assert again[name].tobytes() == array.tobytes()


def test_no_object_that_could_run_code_is_written_or_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pickle"):
        write_arrays(tmp_path / "x.npz", {"a": np.array([object()])})
    assert not list(tmp_path.iterdir())
    np.savez(tmp_path / "y.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        read_arrays(tmp_path / "y.npz")


def test_a_dataset_comes_back_as_it_was(tmp_path: Path) -> None:
    dataset = xr.Dataset(
        {"loss": ("epoch", np.array([1.0, 0.1, np.nan]), {"units": "nats"})},
        {"epoch": [0, 1, 2], "word": ["ν", "a"]},
        {"title": "a run"},
    )
    write_netcdf(tmp_path / "x.nc", dataset)
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as again:
        assert again.load().identical(dataset)
