"""Claim: each public name has an example in its docstring, which prints what it says."""

import doctest

import numpy as np
import pytest

import attn_dynamics

NAMES = sorted(set(attn_dynamics.__all__) - {"__version__"})


def wrong(name: str, docstring: str) -> int:
    """Return how many lines of an example print something else; readers have numpy and the name itself at hand."""
    known = {"np": np, name: getattr(attn_dynamics, name)}
    test = doctest.DocTestParser().get_doctest(docstring, known, name, None, 0)
    assert any(each.want for each in test.examples), f"{name} has no example that prints something"
    return doctest.DocTestRunner(verbose=False).run(test).failed


@pytest.mark.parametrize("name", NAMES)
def test_the_example_prints_what_it_says(name: str) -> None:
    assert wrong(name, getattr(attn_dynamics, name).__doc__) == 0


def test_a_wrong_example_and_none_are_told() -> None:
    """Negative control."""
    docstring = attn_dynamics.sen_norm.__doc__ or ""
    assert wrong("sen_norm", docstring.replace("nan]", "0.0]")) == 1
    with pytest.raises(AssertionError, match="no example"):
        wrong("sen_norm", docstring.split("Example:")[0])
