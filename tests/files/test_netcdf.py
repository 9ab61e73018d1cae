"""Claim: what we write is NetCDF-4 as xarray reads it, and what xarray wrote we read; h5netcdf is the judge."""

from io import BytesIO
from itertools import combinations

import numpy as np
import pytest
import xarray as xr

from attn_dynamics.files import netcdf

CASES = {
    "a run": xr.Dataset(
        {"score": (("epoch", "word"), np.eye(2, 3)), "loss": ("epoch", [1.0, np.nan], {"units": "nats"})},
        {"epoch": [0, 1], "time": ("epoch", [0.0, 0.1]), "word": ["ν", "a", ""], "best": 3},
        {"title": "a run", "seed": 5, "rate": np.float64(0.1), "versions": ["numpy 2", "python 3"]},
    ),
    "lists of one and of none": xr.Dataset(
        attrs={"one": ["a"], "none": [], "empty": "", "numbers": [1, 2], "nan": np.nan}
    ),
    "no words": xr.Dataset({"score": (("epoch", "word"), np.empty((2, 0)))}, {"word": np.array([], "U4")}),
    "axes without values": xr.Dataset({"a": (("x", "y"), np.eye(2)), "b": ("y", [True, False])}),
    "no axes": xr.Dataset({"number": 2.5, "text": "ν", "count": np.int32(7)}),
    "the same numbers, of another kind": xr.Dataset({"number": 2.5, "text": "ν", "count": np.int64(7)}),
    "labels that stand in no variable": xr.Dataset(coords={"x": [0, 1], "label": ("y", ["a", "b"])}),
    "nothing": xr.Dataset(),
}


def by_xarray(dataset: xr.Dataset) -> bytes:
    """A file as xarray writes it."""
    buffer = BytesIO()
    dataset.to_netcdf(buffer, engine="h5netcdf")
    return buffer.getvalue()


def said(dataset: xr.Dataset) -> str:
    """All that a dataset holds, with kinds of numbers, but for the order of variables."""
    each = [(name, name in dataset.coords, v.dims, v.dtype, v.values, v.attrs) for name, v in dataset.variables.items()]
    return repr((sorted(each, key=lambda one: str(one[0])), dataset.attrs))


@pytest.mark.parametrize("dataset", CASES.values(), ids=CASES)
def test_either_reads_what_the_other_wrote(dataset: xr.Dataset) -> None:
    ours, theirs = netcdf.encode(dataset).getvalue(), by_xarray(dataset)
    meant = xr.load_dataset(BytesIO(theirs), engine="h5netcdf")
    assert meant.identical(dataset)
    for found in (xr.load_dataset(BytesIO(ours), engine="h5netcdf"), netcdf.decode(ours), netcdf.decode(theirs)):
        assert found.identical(dataset)
        assert said(found) == said(meant)


def test_the_cases_are_told_from_each_other() -> None:
    """Negative control."""
    assert all(said(one) != said(other) for one, other in combinations(CASES.values(), 2))


def test_bytes_behind_the_file_are_ignored() -> None:
    content = netcdf.encode(CASES["a run"]).getvalue() + b"a digest"
    assert netcdf.decode(content).identical(CASES["a run"])


@pytest.mark.parametrize("value", [{"a": 1}, None, object()], ids=["a mapping", "nothing", "an object"])
def test_an_attribute_that_no_file_holds_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        netcdf.encode(xr.Dataset(attrs={"a": value}))
