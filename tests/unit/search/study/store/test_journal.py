"""Studies in a journal file: what is left by those that are killed, and who may write."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import JournalStorage, fail_stale_trials
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from seqsweep.errors import ConfigError, SearchError
from seqsweep.search.study.store import lock
from seqsweep.search.study.store.base import why_it_failed
from seqsweep.search.study.store.journal import Journal
from seqsweep.search.study.store.journal_file import JournalFile
from seqsweep.search.study.store.lock import LinkLock
from seqsweep.search.study.store.opening import open_storage, open_to_read
from seqsweep.stores import file_of_studies, found_from_anywhere, journal_file

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:Heartbeat of storage is supposed to be used with:UserWarning"
    ),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "studies.journal"


@pytest.fixture
def connect(file):
    """Opens the store as one more process would."""

    def connect(**arguments) -> Journal:
        return open_storage(f"journal:///{file}", grace_period=60, **arguments)

    return connect


@pytest.fixture
def study(connect) -> optuna.Study:
    return optuna.create_study(study_name="swept-1", storage=connect())


@pytest.fixture
def optunas(file):
    """Reads the study as Optuna alone does."""

    def read() -> optuna.Study:
        storage = JournalStorage(JournalFileBackend(str(file)))
        return optuna.load_study(study_name="swept-1", storage=storage)

    return read


COMPETES = """\
import sys, time
from pathlib import Path
import optuna
from seqsweep.search.study.store.base import AllTakenError
from seqsweep.search.study.store.opening import open_storage

place, own, go = sys.argv[1], sys.argv[2], Path(sys.argv[3])
storage = open_storage(place, grace_period=60, total=30)
study = optuna.load_study(study_name="swept-1", storage=storage)
Path(f"{go}.{own}").touch()
while not go.exists():
    time.sleep(0.001)
for before in [None, *range(9)]:
    if storage.swap(study._study_id, "taken", before, 0 if before is None else before + 1):
        print("swapped", before)
    while study.user_attrs.get("taken") == before:
        time.sleep(0.001)
try:
    while True:
        print("began", study.ask().number)
except AllTakenError:
    pass
"""


def test_of_processes_that_compete_one_swaps_and_exactly_the_total_begins(
    study, connect, file, tmp_path, optunas
):
    for _ in range(8):
        study.enqueue_trial({})
    go = tmp_path / "go"
    command = [sys.executable, "-W", "ignore", "-c", COMPETES, f"journal:///{file}"]
    processes = [
        subprocess.Popen([*command, str(i), str(go)], stdout=subprocess.PIPE, text=True)
        for i in range(4)
    ]
    end = time.monotonic() + 60
    while len(list(tmp_path.glob("go.*"))) < 4 and time.monotonic() < end:
        time.sleep(0.01)
    go.touch()
    said = "".join(process.communicate(timeout=60)[0] for process in processes).splitlines()
    swapped = [line for line in said if line.startswith("swapped")]
    assert sorted(swapped) == sorted(f"swapped {before}" for before in [None, *range(9)])
    began = sorted(int(line.split()[1]) for line in said if line.startswith("began"))
    assert began == list(range(30))
    assert [t.state for t in optunas().trials] == [TrialState.RUNNING] * 30


KILLED = """\
import os, signal, sys
import optuna
from optuna.storages.journal import JournalFileBackend
from seqsweep.search.study.store.opening import open_storage

storage = open_storage(sys.argv[1], grace_period=60)
study = optuna.load_study(study_name="swept-1", storage=storage)

def half(self, logs):
    with open(self._file_path, "a") as file:
        file.write('{"op_code":2,"worker_id":"of one that is ki')
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

JournalFileBackend.append_logs = half
study.set_user_attr("never", "written")
"""


def test_one_that_is_killed_amid_a_line_leaves_a_whole_journal_and_a_lock_that_others_break(
    study, connect, file, optunas, monkeypatch
):
    study.enqueue_trial({})
    command = [sys.executable, "-W", "ignore", "-c", KILLED, f"journal:///{file}"]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    assert file.read_bytes()[-1:] != b"\n"
    assert file.with_name("studies.journal.lock").is_symlink()
    assert len(study.trials) == len(optunas().trials) == 1
    monkeypatch.setattr(lock, "DEAD_S", 0.3)
    study.set_user_attr("key", 1)
    connect().set_study_user_attr(study._study_id, "key", 2)
    assert optunas().user_attrs == study.user_attrs == {"key": 2}
    assert sorted(each.name for each in file.parent.iterdir()) == [file.name]


def test_one_for_which_the_disk_has_no_room_for_a_line_leaves_no_half_of_it(study, file, optunas):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 50, before[1]))
    try:
        with pytest.raises(StorageInternalError, match="File too large") as raised:
            study.set_user_attr("key", "x" * 200)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert why_it_failed(raised.value) == f"{file}: File too large"
    study.set_user_attr("key", 1)
    study.set_user_attr("key", 2)
    assert optunas().user_attrs == study.user_attrs == {"key": 2}


def test_the_lock_of_a_dead_holder_is_broken_once_by_many_that_wait(file, monkeypatch):
    monkeypatch.setattr(lock, "DEAD_S", 0.2)
    file.with_name("studies.journal.lock").symlink_to("studies.journal")
    inside, most = [], []

    def work(_number: int) -> None:
        own = LinkLock(file)
        for _ in range(20):
            with own.held():
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.pop()
                assert own.is_held

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert most == [1] * 160
    assert list(file.parent.iterdir()) == []


def test_a_lock_that_its_holder_gives_back_in_time_is_not_broken(file, monkeypatch):
    monkeypatch.setattr(lock, "DEAD_S", 0.2)
    waiting, over = LinkLock(file), threading.Event()

    def hold_in_turn() -> None:
        while not over.is_set():
            own = LinkLock(file)
            with own.held():
                time.sleep(0.05)
                assert own.is_held
            time.sleep(0.02)

    with ThreadPoolExecutor(3) as threads:
        held = [threads.submit(hold_in_turn) for _ in range(3)]
        time.sleep(0.7)
        with waiting.held():
            assert waiting.is_held
        over.set()
        for each in held:
            each.result(timeout=10)


def test_one_that_slept_until_its_lock_was_broken_writes_nothing(study, connect, file):
    slept = study._storage
    content = file.read_bytes()
    other = LinkLock(file)
    with slept._alone():
        file.with_name("studies.journal.lock").unlink()
        with other.held():
            with pytest.raises(StorageInternalError, match="its lock was broken"):
                slept.set_study_user_attr(study._study_id, "key", 1)
            assert other.is_held
    assert file.read_bytes() == content


def test_one_that_slept_until_its_lock_was_broken_cuts_no_line_of_who_writes_now(
    study, file, monkeypatch
):
    slept, other = study._storage, LinkLock(file)
    mend = JournalFile._mend

    def sleep_first(self) -> None:
        file.with_name("studies.journal.lock").unlink()
        with other.held(), file.open("ab") as opened:
            opened.write(b'{"op_code":2,"half')
            opened.flush()
            mend(self)

    monkeypatch.setattr(JournalFile, "_mend", sleep_first)
    with pytest.raises(StorageInternalError, match="its lock was broken"):
        slept.set_study_user_attr(study._study_id, "key", 1)
    assert file.read_bytes().endswith(b'{"op_code":2,"half')


INTERRUPTED = """\
import signal, sys
import optuna
from seqsweep.search.study.store.opening import open_storage

storage = open_storage(sys.argv[1], grace_period=60)
study = optuna.load_study(study_name="swept-1", storage=storage)
caught = 0
for number in range(400):
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, number / 400 * 0.002)
            for _ in range(3):
                storage.set_study_user_attr(study._study_id, "key", number)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        caught += 1
print(caught)
"""


def test_an_interrupt_at_any_moment_leaves_no_lock(study, file):
    """A timer's signal stands in for Ctrl-C."""
    as_ctrl_c = "import os, signal; signal.signal(signal.SIGALRM, "
    as_ctrl_c += "lambda *_: os.kill(os.getpid(), signal.SIGINT))\n"
    command = [sys.executable, "-W", "ignore", "-c", as_ctrl_c + INTERRUPTED, f"journal:///{file}"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert int(said.stdout) > 50
    assert sorted(each.name for each in file.parent.iterdir()) == [file.name]


@pytest.mark.parametrize("text", ['{"learning_rate": 0.1}', "[1, 2]", "trials: 3"])
def test_another_file_is_refused_and_left_as_it_is(file, text):
    file.write_text(text)
    with pytest.raises(SearchError, match="is no journal of Optuna's"):
        open_storage(f"journal:///{file}", grace_period=60)
    assert file.read_text() == text


def test_a_lock_that_is_given_back_just_as_one_looks_at_it_is_no_lock_that_is_held(file):
    LinkLock(file)._wait(0.0)


def test_a_lock_that_never_comes_free_is_told(file, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE_S", 0.2)
    file.with_name("studies.journal.lock").symlink_to("studies.journal")
    with pytest.raises(SearchError, match=r"studies\.journal\.lock was held for 0 s"):
        open_storage(f"journal:///{file}", grace_period=60)


def test_a_program_that_is_to_end_waits_for_a_lock_no_longer_than_some_seconds(
    study, file, monkeypatch
):
    monkeypatch.setattr(lock, "HURRY_S", 0.3)
    file.with_name("studies.journal.lock").symlink_to("studies.journal")
    told = threading.Timer(0.5, study._storage.hurry)
    told.start()
    began = time.monotonic()
    with pytest.raises(StorageInternalError, match="was held for"):
        study.set_user_attr("key", 1)
    assert 0.5 <= time.monotonic() - began < 10
    told.join()


def test_a_program_of_optunas_own_may_write_at_the_same_time(study, optunas):
    theirs = optunas()

    def ours(number: int) -> None:
        study.set_user_attr(f"ours {number}", number)

    def their(number: int) -> None:
        theirs.set_user_attr(f"theirs {number}", number)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda n: (ours(n), their(n)), range(30)))
    names = {f"{who} {n}": n for who in ("ours", "theirs") for n in range(30)}
    assert study.user_attrs == theirs.user_attrs == names


def test_who_is_alive_does_not_go_by_the_clocks_of_hosts(study, connect, monkeypatch):
    trial = study.ask()
    study._storage.record_heartbeat(trial._trial_id)
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 3600)
    other = connect()
    assert other.silences(study._study_id)[trial._trial_id] < 30
    assert other.silence_s(study._study_id, other.now()) < 30
    assert abs(other.now().timestamp() - study._storage.now().timestamp()) < 30


def test_a_trial_that_has_ended_leaves_no_file(study, file):
    trial = study.ask()
    study._storage.record_heartbeat(trial._trial_id)
    (beat,) = file.with_name("studies.journal.beats").glob("*/*")
    study.tell(trial, 0.0)
    assert not beat.exists()


def test_a_new_journal_in_the_place_of_an_old_one_takes_over_none_of_its_beats(
    study, connect, file, silence
):
    trial = study.ask()
    study._storage.record_heartbeat(trial._trial_id)
    silence(study._storage, trial._trial_id, 1000)
    file.unlink()
    new = optuna.create_study(storage=connect())
    running = new.ask()
    assert running._trial_id == trial._trial_id
    watcher = connect()
    assert watcher.silences(new._study_id) == {running._trial_id: None}
    fail_stale_trials(optuna.load_study(study_name=new.study_name, storage=watcher))
    assert new.trials[0].state is TrialState.RUNNING


def everything(folder: Path) -> dict[Path, tuple[int, bytes | None]]:
    return {
        path: (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in (folder, *folder.rglob("*"))
    }


def test_reading_writes_nothing_whoever_holds_the_lock(study, file, tmp_path):
    study._storage.record_heartbeat(study.ask()._trial_id)
    with study._storage._alone():
        before = everything(tmp_path)
        reader = open_to_read(f"journal:///{file}")
        assert len(reader.get_all_trials(study._study_id)) == 1
        assert 0 <= reader.silence_s(study._study_id, reader.now()) < 30
        assert everything(tmp_path) == before


def test_a_damaged_line_is_told_with_the_file(study, file, connect):
    with file.open("a") as opened:
        opened.write("no json\n")
    study._storage._backend.append_logs([{"op_code": 1}])
    with pytest.raises(StorageInternalError, match="is damaged") as raised:
        study.trials  # noqa: B018
    assert str(file) in why_it_failed(raised.value)
    with pytest.raises(SearchError, match=r"cannot be opened: .*studies\.journal is damaged"):
        connect()


class TestAnAddress:
    @pytest.mark.parametrize(
        ("place", "file"),
        [
            ("journal:///studies.journal", "FOLDER/studies.journal"),
            ("journal:///a/b c.log", "FOLDER/a/b c.log"),
            ("journal:////shared/studies.journal", "/shared/studies.journal"),
            ("journal:///~/studies.journal", "HOME/studies.journal"),
        ],
    )
    def test_names_a_file_as_those_of_sqlite_do(self, place, file, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", "/home/of-somebody")
        found = journal_file(place)
        expected = file.replace("FOLDER", str(tmp_path)).replace("HOME", "/home/of-somebody")
        assert str(found) == expected
        assert file_of_studies(place) == found
        assert journal_file(found_from_anywhere(place)) == found
        assert found_from_anywhere(place) == f"journal:///{expected}"

    @pytest.mark.parametrize("place", ["mlruns/optuna.db", "sqlite:///a.db", "postgresql://a/b"])
    def test_of_another_kind_names_no_journal(self, place):
        assert journal_file(place) is None

    @pytest.mark.parametrize(
        "place", ["journal://host/studies.journal", "journal://", "journal:///", "journal:///a/"]
    )
    def test_that_names_no_file_is_told(self, place):
        for read in (journal_file, open_to_read, lambda it: open_storage(it, grace_period=60)):
            with pytest.raises(ConfigError, match="is no address of a journal file") as raised:
                read(place)
            assert str(raised.value).startswith(f"{place} is no address")
            assert "journal:///FILE is accepted" in str(raised.value)


class TestWhatIsNoJournal:
    def says(self, file: Path) -> str:
        with pytest.raises((SearchError, ConfigError)) as raised:
            open_storage(f"journal:///{file}", grace_period=60)
        return str(raised.value)

    def test_a_folder(self, tmp_path):
        assert f"{tmp_path} is no file" in self.says(tmp_path)

    def test_another_file_which_stays_as_it_was(self, file):
        file.write_text("of one line")
        assert "is no journal of Optuna's" in self.says(file)
        with pytest.raises(SearchError, match="is no journal of Optuna's"):
            open_to_read(f"journal:///{file}")
        assert file.read_text() == "of one line"

    def test_a_folder_that_cannot_be_made(self, file):
        file.write_text("")
        assert "cannot be made: Not a directory" in self.says(file / "below" / "studies.journal")

    def test_a_folder_that_cannot_be_written(self, file, monkeypatch):
        monkeypatch.setattr(os, "access", lambda *_arguments: False)
        assert "cannot be written" in self.says(file)

    def test_a_file_system_without_symbolic_links(self, file, monkeypatch):
        def refuse(*_arguments, **_named) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "symlink", refuse)
        assert "cannot be opened" in self.says(file)
        assert "Operation not permitted" in self.says(file)

    def test_a_file_that_is_not_there_is_not_made_by_reading(self, file):
        with pytest.raises(SearchError, match="there is no store of studies at"):
            open_to_read(f"journal:///{file}")
        assert not file.exists()
