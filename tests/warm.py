"""What the server of forked children does once for all of them: it imports, and prepares the compiler and xarray.

It runs no kernel of several threads, because a thread does not come along into a forked child.
"""

import numba
import xarray as xr

import tests.commands.driving  # noqa: F401

numba.njit(lambda: None)()  # the compiler reads its tables at its first use
xr.Variable("x", [0])  # xarray looks for other kinds of arrays, and imports dask
