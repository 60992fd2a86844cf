"""What commands say of sweeps in a journal file, against Optuna's own reading of it."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

PLACE = "journal:///shared/studies.journal"
WORDS = [f"hydra.sweeper.storage={PLACE}", "hydra/sweeper/sampler=grid", "x=range(0,3)"]


def files(folder: Path) -> dict[Path, tuple[int, bytes | None]]:
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in (folder, *folder.rglob("*"))
    }


@pytest.fixture(scope="module")
def kept(sweep, tmp_path_factory) -> Path:
    """A folder in which a sweep has ended whose study is in a journal."""
    folder = tmp_path_factory.mktemp("kept")
    sweep("curves", *WORDS, "hydra.sweeper.repeats=2", "+seed=1", cwd=folder)
    return folder


def test_commands_tell_of_it_as_optuna_reads_it_and_write_nothing(kept, asked, seqsweep):
    storage = JournalStorage(JournalFileBackend(str(kept / "shared" / "studies.journal")))
    (name,) = optuna.get_all_study_names(storage)
    study = optuna.load_study(study_name=name, storage=storage)
    before = files(kept)
    (told,) = asked("status", "--storage", PLACE, cwd=kept)["sweeps"]
    assert (told["name"], told["state"], told["n_settled"]) == (name, "ended", 3)
    told = asked("status", name, "--storage", PLACE, cwd=kept)["trials"]
    assert [t["values"] for t in told] == [t.values for t in study.trials]
    for words in (["best", name], ["compare", f"{name}/0", f"{name}/1"]):
        assert seqsweep(*words, "--storage", PLACE, cwd=kept).returncode == 0
    assert files(kept) == before


def test_a_sweep_that_is_only_planned_reads_it_and_writes_nothing(kept, sweep):
    before = files(kept)
    said = sweep("curves", *WORDS, "hydra.sweeper.dry_run=true", cwd=kept).stdout
    assert "curves-2, a new one" in said
    assert "as a trial of curves-1 took" in said
    assert files(kept) == before


def test_two_trials_under_seeds_are_compared_and_nothing_is_written(kept, program):
    before = files(kept)
    module = ["seqsweep.search.difference", PLACE, "curves-1", "0", "1"]
    ended = program(Path("-m"), *module, cwd=kept)
    assert ended.returncode == 0, ended.stderr
    assert "2 pairs of seeds" in ended.stdout
    assert files(kept) == before
