"""NetCDF-4 files, written and read with h5py alone, because h5netcdf takes several times as long.

The files are like those that `Dataset.to_netcdf` writes, and any reader of NetCDF-4 can read them.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import h5py
import numpy as np
import xarray as xr
from xarray.conventions import cf_encoder, encode_dataset_coordinates

TEXT = h5py.string_dtype()
BARE = "This is a netCDF dimension but not a netCDF variable."
"""Name that the NetCDF-4 specification demands of a scale that only holds the length of a dimension."""
STRUCTURE = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"}
"""Attributes by which HDF5 itself ties a dimension to its variables."""
INTERNAL = ("_Netcdf4", "_nc3_", "_NCProperties")
"""Prefixes of the attributes that NetCDF-4 adds for its own use."""


def encode(dataset: xr.Dataset) -> BytesIO:
    """Return a dataset as the bytes of a NetCDF-4 file."""
    variables, attributes = cf_encoder(*encode_dataset_coordinates(dataset))
    buffer = BytesIO()
    with h5py.File(buffer, "w", track_order=True) as file:
        _set_attributes(file, attributes)
        written = {name: _write(file, str(name), variable) for name, variable in variables.items()}
        scales = _make_scales(file, written, {dim: n for each in variables.values() for dim, n in each.sizes.items()})
        for name, variable in variables.items():
            if name not in scales:
                for axis, dim in enumerate(variable.dims):
                    h5py.h5ds.attach_scale(written[name].id, scales[dim].id, axis)
    return buffer


def decode(content: bytes) -> xr.Dataset:
    """Return the dataset that the bytes of a NetCDF-4 file without groups hold.

    Raises:
        Exception: an exception of any kind, if the bytes are no such file.
    """
    with h5py.File(h5py.h5f.open_file_image(content)) as file:
        variables = {name: _read(file, name, each) for name, each in file.items() if not _is_bare(each)}
        return xr.decode_cf(xr.Dataset(variables, attrs=_attributes(file))).load()


def _write(file: h5py.File, name: str, variable: xr.Variable) -> h5py.Dataset:
    values, is_text = variable.values, variable.dtype.kind in "OU"
    made = file.create_dataset(
        name,
        data=values.astype(object) if is_text else values,
        dtype=TEXT if is_text else None,
        fillvalue=variable.attrs.get("_FillValue"),
        track_order=True,
    )
    _set_attributes(made, variable.attrs)
    return made


def _make_scales(file: h5py.File, written: Mapping[Any, h5py.Dataset], sizes: Mapping[Any, int]) -> dict:
    """Return the scale of each dimension: its coordinate variable, or an empty dataset if it has none."""
    scales = {}
    for number, (dim, size) in enumerate(sizes.items()):
        scale = written[dim] if dim in written else file.create_dataset(str(dim), (size,), ">f4", track_order=True)
        scale.make_scale(str(dim) if dim in written else f"{BARE}{size:10}")
        scale.attrs["_Netcdf4Dimid"] = np.int32(number)
        scales[dim] = scale
    return scales


def _set_attributes(owner: h5py.File | h5py.Dataset, attributes: Mapping[Any, Any]) -> None:
    for name, value in attributes.items():
        owner.attrs[str(name)] = value if isinstance(value, str | list | tuple) else np.atleast_1d(value)


def _read(file: h5py.File, name: str, stored: h5py.Dataset) -> xr.Variable:
    if h5py.h5ds.is_scale(stored.id):
        dims = [name]
    else:
        axes: Any = stored.attrs["DIMENSION_LIST"] if stored.ndim else []
        dims = [h5py.h5r.get_name(scales[0], file.id).decode().removeprefix("/") for scales in axes]
    is_text = h5py.check_string_dtype(stored.dtype) is not None
    return xr.Variable(dims, np.asarray(stored.asstr()[()], str) if is_text else stored[()], _attributes(stored))


def _is_bare(stored: h5py.Dataset) -> bool:
    """Return whether a stored dataset only gives the length of a dimension."""
    return h5py.h5ds.is_scale(stored.id) and h5py.h5ds.get_scale_name(stored.id).startswith(BARE.encode())


def _attributes(owner: h5py.File | h5py.Dataset) -> dict[str, Any]:
    names = [name for name in owner.attrs if name not in STRUCTURE and not name.startswith(INTERNAL)]
    return {name: _plain(owner.attrs[name]) for name in names}


def _plain(value: Any) -> Any:
    """Return an attribute in the form of xarray: a single value without its array, and texts as a list."""
    if np.ndim(value) == 0:
        return value
    values = value.tolist() if value.dtype.kind == "O" else value
    return values[0] if len(values) == 1 else values
