"""What a worker that a person starts refuses."""

import pickle
from pathlib import Path

import optuna
import pytest

from seqsweep.errors import SearchError
from seqsweep.search.workers.joining import FILE, join


class Opened:
    """Leaves a file where it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("opened"),)


def test_a_study_that_no_sweep_began_has_nothing_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    optuna.create_study(storage="sqlite:///studies.db", study_name="plain")
    FILE.parent.mkdir()
    FILE.write_bytes(pickle.dumps(Opened()))
    with pytest.raises(SearchError, match="plain"):
        join("studies.db", "plain")
    assert not Path("opened").exists()


def test_no_store_is_made_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SearchError, match="there is no store of studies at"):
        join("studys.db", "default-1")
    assert list(tmp_path.iterdir()) == []
