"""Compiled loops on plain arrays, independent of the rest of the project."""

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba

# Numba's default is off. The option turns the four columns of the sparse products into one vector.
numba.config.SLP_VECTORIZE = 1  # pyright: ignore


def _forget_stale() -> None:
    """Remove cached code older than any source here, because numba checks a function against its own file only."""
    folder = Path(__file__).parent
    newest = min(time.time(), max(source.stat().st_mtime for source in folder.glob("*.py")))
    for index in folder.glob("__pycache__/*.nbi"):
        with suppress(OSError):
            if index.stat().st_mtime < newest:
                index.unlink()


def _probe() -> None:
    """Do nothing: if numba can cache this, it can cache the compiled loops."""


def _own_folder() -> str:
    """Return a temporary folder that only this user can write to, the same in every process."""
    folder = Path(tempfile.gettempdir()) / f"attn-dynamics-{os.getuid() if hasattr(os, 'getuid') else 'numba'}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if folder.is_dir() and not folder.is_symlink() and found.st_uid == os.getuid() and not found.st_mode & 0o022:
            return str(folder)
    except (AttributeError, OSError):
        pass
    return tempfile.mkdtemp()


_forget_stale()
try:
    numba.njit(cache=True)(_probe)
except RuntimeError:  # neither the package nor the home folder is writable
    numba.config.CACHE_DIR = _own_folder()  # pyright: ignore

# A function takes over options that it does not state from the function whose compilation compiles it. So `_nrt` is
# stated, because a function that a leaf calls could make no arrays, and `fastmath`, because its sums would be fused.
OPTIONS: dict[str, Any] = {
    "cache": True,
    "error_model": "numpy",
    "nogil": True,
    "no_cfunc_wrapper": True,
    "_nrt": True,
    "fastmath": False,
}
kernel = numba.njit(**OPTIONS)
"""Compile a function."""
LEAF: dict[str, Any] = OPTIONS | {"_nrt": False}
FUSING: dict[str, Any] = LEAF | {"fastmath": {"contract"}}
leaf = numba.njit(**FUSING)
"""Compile a function that creates no arrays, without reference counts of its arguments; a·b + c is rounded once.

If a function is called for each sentence or word, the counts would cost as much as its sums."""
rounding = numba.njit(**LEAF)
"""Compile a leaf that rounds each product before it is added.

If products of a sum become one vector, as in some compilations of a function, they cannot be fused with the sum. The
last bits would then depend on which compilation runs: that of this process or one from the cache."""
