"""Claim: a file in which one bit is flipped is refused, or read as what was written."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from attn_dynamics.commands.sweep.table import Table, row
from attn_dynamics.errors import InputError
from attn_dynamics.files.storage import Damaged, read_netcdf, read_parquet, write_netcdf, write_parquet
from attn_dynamics.training.checkpoint import Checkpoint, CheckpointMismatch
from attn_dynamics.training.corpus_config import Config

RNG = np.random.default_rng(0)
RUN = xr.Dataset(
    {"loss": ("epoch", RNG.random(200)), "score": (("epoch", "word"), RNG.random((200, 3)))},
    {"epoch": np.arange(200), "word": ["ν", "good", "film"]},
    {"title": "a run", "seed": 5, "versions": ["numpy 2", "python 3"]},
)
FRAME = pd.DataFrame({"loss": RNG.random(300), "word": [f"w{k % 7}" for k in range(300)], "seed": np.arange(300)})
ARRAYS = {"keys": RNG.random((30, 4)), "epoch": np.array(7), "losses": RNG.random(100)}
CONFIGS = [Config(seed=seed) for seed in range(20)]
ROWS = [row(each, {"train_loss": float(RNG.random()), "ended": "epochs", "versions": ["a 1"]}) for each in CONFIGS]


class Format(NamedTuple):
    """How something is written, and read as what can be compared."""

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], Any]
    damaged: type[Exception]


def _write_table(path: Path) -> None:
    Table(path.parent, CONFIGS).write(ROWS)


def _read_table(path: Path) -> Any:
    table = Table(path.parent, CONFIGS)
    table.resume()
    return table.rows


def _arrays(path: Path) -> dict[str, bytes]:
    found = Checkpoint(path).load("identity")
    assert found is not None
    return {name: array.dtype.str.encode() + array.tobytes() for name, array in found.items()}


FORMATS = [
    Format("run.nc", lambda path: write_netcdf(path, RUN), lambda path: read_netcdf(path).to_dict(), Damaged),
    Format("rows.parquet", lambda path: write_parquet(path, FRAME), lambda path: read_parquet(path).to_dict(), Damaged),
    Format("results.parquet", _write_table, _read_table, InputError),
    Format("checkpoint.npz", lambda path: Checkpoint(path).save("identity", ARRAYS), _arrays, CheckpointMismatch),
]


@pytest.mark.parametrize("flips", [40, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_no_flipped_bit_changes_what_is_read(format: Format, flips: int, tmp_path: Path) -> None:
    """Negative control: most flips are refused, for most bytes are numbers."""
    path, rng, refused = tmp_path / format.name, random.Random(flips), []
    format.write(path)
    good = path.read_bytes()
    meant = repr(format.read(path))
    for _ in range(flips):
        place, bit = rng.randrange(len(good)), rng.randrange(8)
        path.write_bytes(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :])
        try:
            found = repr(format.read(path))
        except format.damaged as error:
            refused.append(str(error))
        else:
            assert found == meant, f"bit {bit} of byte {place}"
    assert len(refused) > flips / 4
    assert not any("\n" in each for each in refused)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_a_file_that_was_cut_off_is_refused(format: Format, kept: float, tmp_path: Path) -> None:
    path = tmp_path / format.name
    format.write(path)
    good = path.read_bytes()
    path.write_bytes(good[: int(kept * len(good))])
    with pytest.raises(format.damaged, match="expected"):
        format.read(path)


def test_what_has_no_digest_yet_is_read(tmp_path: Path) -> None:
    """Runs of earlier versions; and the negative control of the digest: without it a flip goes by."""
    RUN.to_netcdf(tmp_path / "old.nc", engine="h5netcdf")
    assert read_netcdf(tmp_path / "old.nc").identical(RUN)
    content = bytearray((tmp_path / "old.nc").read_bytes())
    place = content.index(RUN.loss.values.tobytes())
    content[place] ^= 1
    (tmp_path / "old.nc").write_bytes(content)
    assert not read_netcdf(tmp_path / "old.nc").identical(RUN)
