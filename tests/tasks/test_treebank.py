"""One place says where SST is: a folder, nothing, or an error in words; what is measured there is told."""

from pathlib import Path

import pytest

from attn_dynamics.claims import drawn
from attn_dynamics.errors import InputError
from attn_dynamics.tasks import Options, load_task
from attn_dynamics.tasks.treebank import ABSENT, VARIABLE, sst_folder
from tests.support import needs_sst


def test_a_folder_is_found_and_nothing_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert sst_folder() == tmp_path
    for unset in ("", None):
        monkeypatch.setenv(VARIABLE, unset) if unset is not None else monkeypatch.delenv(VARIABLE)
        assert sst_folder() is None
        assert drawn.treebank_in_words(quick=False, measured="sentences") == ABSENT


def test_what_is_no_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=f"{VARIABLE}: expected a folder, got .*nowhere"):
        sst_folder()


@needs_sst
def test_sentences_of_sst_are_among_what_the_exact_laws_are_measured_on() -> None:
    _, some = drawn.corpora(quick=False)
    assert some.n_sentences == drawn.SENTENCES
    assert {"the", "movie"} < set(some.vocabulary)
    assert (some.counts.sum(axis=0) > 0).all()
    assert drawn.where(quick=False).endswith(f"{drawn.SENTENCES} sentences of SST-2")
    assert len(drawn.corpora(quick=True)) == 1


@needs_sst
@pytest.mark.parametrize("name", ["sst2", "sst5"])
def test_the_published_data_have_the_published_sizes(name: str) -> None:
    assert load_task(name, Options(data_dir=sst_folder())).notes == ()
