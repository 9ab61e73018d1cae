"""Files opened as text, with compression and byte order marks recognised."""

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, TextIO, cast

from attn_dynamics.check import instance
from attn_dynamics.errors import InputError

UTF_8 = "utf-8"
_PEEK = 1 << 16
_COMPRESSED: dict[bytes, Callable[[IO[bytes]], object]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}
"""Functions that open a compressed file, by the bytes at its start."""
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is a prefix of this one
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Encodings by byte order mark."""


class TextFile(NamedTuple):
    """A file open for reading once."""

    stream: TextIO
    """Stream of the whole text, with line ends as in the file."""
    head: str
    """Beginning of the text, up to 65,536 bytes."""


def check_encoding(encoding: str) -> None:
    """Check that Python knows a text encoding of this name.

    Raises:
        InputError: the encoding is unknown or not a text encoding.
    """
    fix = "Python's names are utf-8, utf-16, latin-1, cp1252 and so on."
    instance("encoding", encoding, str, fix=fix)
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    except (LookupError, ValueError) as error:
        raise InputError("encoding", expected="the name of a text encoding", given=error, fix=fix) from None


@contextmanager
def open_text(path: Path, encoding: str = UTF_8) -> Iterator[TextFile]:
    """Open a file as text, compressed or not; a byte order mark overrides the named encoding.

    Raises:
        InputError: within the block, if the bytes do not match the encoding or the compression is damaged.
        OSError: the file cannot be read.
    """
    encoding, marked = codecs.lookup(encoding).name, None  # one name for utf8, UTF-8 and U8
    with path.open("rb", _PEEK) as file:
        try:
            content = _decompressed(cast(io.BufferedReader, file))
            beginning = content.peek(_PEEK)
            marked = next((name for mark, name in _MARKS.items() if beginning.startswith(mark)), None)
            encoding = marked or encoding
            head = codecs.getincrementaldecoder(encoding)(errors="replace").decode(beginning)
            if b"\0" in beginning and not encoding.startswith(("utf-16", "utf-32")):
                raise _binary(path)
            with io.TextIOWrapper(content, encoding=encoding, newline="") as stream:
                yield TextFile(stream, head)
        except UnicodeError as error:
            raise _undecodable(path, encoding, error, marked=marked is not None) from error
        except _DAMAGED as error:
            fix = "Download or compress it again."
            raise InputError(str(path), expected="a whole compressed file", given=error, fix=fix) from error


def _decompressed(file: io.BufferedReader) -> io.BufferedReader:
    beginning = file.peek(_PEEK)
    for magic, opened in _COMPRESSED.items():
        if beginning.startswith(magic):
            return io.BufferedReader(cast(io.RawIOBase, opened(file)), _PEEK)
    return file


def _binary(path: Path) -> InputError:
    fix = "Save it as text, CSV, TSV or JSON lines. UTF-16 without a byte order mark needs --encoding utf-16-le."
    return InputError(str(path), expected="text", given="binary data (it holds NUL bytes)", fix=fix)


def _undecodable(path: Path, encoding: str, error: UnicodeError, *, marked: bool) -> InputError:
    if marked:
        fix = "Its byte order mark names that encoding. Save it again, for example as UTF-8."
    elif encoding == UTF_8:
        fix = "Name the encoding of the file, for example --encoding latin-1, or save it as UTF-8."
    else:
        fix = f"The file is not in {encoding}: try --encoding utf-8 or --encoding latin-1."
    where = f"{path}, line {_line_of_error(path, encoding)}"
    return InputError(where, expected=f"text encoded in {encoding}", given=error, fix=fix)


def _line_of_error(path: Path, encoding: str) -> int:
    """Return the number of the first line that cannot be decoded, which the stream, decoding blocks, does not know."""
    decoder, number = codecs.getincrementaldecoder(encoding)(), 1
    with path.open("rb", _PEEK) as file:
        for line in _decompressed(cast(io.BufferedReader, file)):
            try:
                text = decoder.decode(line)
            except UnicodeError:
                break
            number += text.count("\n")
    return number
