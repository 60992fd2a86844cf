"""What a database does beyond what every store must."""

from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
import sqlalchemy

from seqsweep.search.study.store.base import why_it_failed
from seqsweep.search.study.store.database import Database
from seqsweep.search.study.store.opening import open_storage


def test_reading_sqlite_does_not_wait_for_who_writes(tmp_path):
    writer, reader = (open_storage(str(tmp_path / "studies.db"), grace_period=60) for _ in "ab")
    study = optuna.create_study(storage=writer)
    study.enqueue_trial({})
    with writer.engine.begin(), ThreadPoolExecutor(1) as pool:  # holds the write lock
        read = pool.submit(reader.get_all_trials, study._study_id)
        assert len(read.result(timeout=20)) == 1  # else it would wait for 60 s


@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed to be used with:UserWarning")
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_what_a_store_has_failed_by_is_told_although_optuna_raises_another_error(
    tmp_path, monkeypatch
):
    study = optuna.create_study(storage=open_storage(str(tmp_path / "studies.db"), grace_period=60))

    def fail(*_arguments) -> None:
        raise sqlalchemy.exc.OperationalError("UPDATE", {}, OSError("the server is gone"))

    def objective(_trial: optuna.Trial) -> float:
        for name in ("set_trial_state_values", "get_trial"):
            monkeypatch.setattr(Database, name, fail)
        return 0.0

    with pytest.raises(Exception, match="updated_state") as raised:
        study.optimize(objective, n_trials=1)
    assert "the server is gone" in why_it_failed(raised.value)
    assert why_it_failed(ValueError("of no store")) == "of no store"
