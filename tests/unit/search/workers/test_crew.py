"""What the workers of a sweep share, and when one of them has to end."""

import os
import re
import signal
import stat
from dataclasses import asdict, replace
from types import SimpleNamespace

import optuna
import pytest
from omegaconf import OmegaConf

from seqsweep.errors import ConfigError, SearchError
from seqsweep.search.study.claim import OWN_FILE, _locked
from seqsweep.search.study.holder import HOLDER, Holder, machine
from seqsweep.search.workers import crew as crew_module
from seqsweep.search.workers import launcher as launcher_module
from seqsweep.search.workers import slots as slots_module
from seqsweep.search.workers.crew import (
    ORPHANED,
    Crew,
    refusal_of_workers,
    send_what_workers_left,
    tell_all,
    told,
    why_to_end,
)
from seqsweep.search.workers.launcher import (
    adapted,
    cancel,
    connect,
    has_jobs,
    kept_private,
    kind_of,
    seen_by_workers,
)
from seqsweep.search.workers.stops import Stop
from seqsweep.signals import TIME_IS_UP, ended_by_its_host
from seqsweep.tracking import JOURNAL

EIGHT = [f"cpu:{number}" for number in range(8)]
HERE = Holder(os.uname().nodename, machine(), "token", "2026-01-01T00:00:00", 60)


def crew(**fields) -> Crew:
    values = {
        "size": 2,
        "shares_host": True,
        "is_watched": True,
        "chance": 1,
        "ends_at": None,
        "points": None,
        "environment": {},
    }
    return Crew(**{**values, **fields})


@pytest.fixture
def plan(tmp_path, settings):
    return SimpleNamespace(
        settings=settings(),
        study_name="study-1",
        folder=tmp_path,
        holder=HERE,
        storage="studies.db",
        slots=[None] * 8,
    )


@pytest.fixture
def eight_slots(monkeypatch):
    monkeypatch.setattr(slots_module, "given_gpus", list)
    monkeypatch.setattr(slots_module, "given_cpus", lambda: 8)


def dealt(crew: Crew, plan) -> list[list[str]]:
    return [names(crew.slots(plan, number)) for number in range(crew.size)]


def names(slots) -> list[str]:
    return [slot.name for slot in slots]


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_workers_of_one_host_share_its_slots_each_once(plan, eight_slots, size):
    slots = dealt(crew(size=size), plan)
    assert sorted(slot for own in slots for slot in own) == EIGHT
    assert max(map(len, slots)) - min(map(len, slots)) <= 1


def test_more_workers_than_slots_have_one_each(plan, eight_slots):
    assert dealt(crew(size=10), plan) == [[f"cpu:{number}"] for number in range(10)]


def test_n_jobs_counts_the_slots_of_each_worker(plan, eight_slots, settings):
    plan.settings = settings(n_jobs=3)
    assert [len(slots) for slots in dealt(crew(size=4), plan)] == [3] * 4


def test_a_worker_elsewhere_has_all_slots_of_its_own_allocation(plan, eight_slots):
    assert dealt(crew(shares_host=False), plan) == [EIGHT] * 2
    assert names(crew().slots(plan, None)) == EIGHT


@pytest.mark.parametrize(
    ("gpus", "devices"), [(["0"], {}), ([], {"slots": ["cpu", "cpu"]})], ids=["GPU", "listed"]
)
def test_a_worker_that_a_person_starts_beside_others_takes_no_device_twice(
    plan, settings, monkeypatch, gpus, devices
):
    monkeypatch.setattr(slots_module, "given_gpus", lambda: gpus)
    plan.settings = settings(devices={**asdict(plan.settings.devices), **devices})
    with pytest.raises(ConfigError, match="have these devices, so that another one runs no trial"):
        crew().slots(plan, None)
    assert crew(shares_host=False).slots(plan, None)
    plan.holder = replace(HERE, host="front", machine="other")
    assert crew().slots(plan, None)


@pytest.fixture
def study():
    study = optuna.create_study()
    study.set_user_attr(HOLDER, asdict(HERE))
    return study


@pytest.fixture
def lock(plan):
    with (plan.folder / OWN_FILE).open("a") as file:
        assert _locked(file)
        yield file


def test_a_worker_whose_sweep_runs_goes_on(plan, study, lock):
    assert why_to_end(plan, crew(), study.user_attrs) is None


def test_a_worker_ends_when_the_lock_of_its_sweep_is_free_on_its_host(plan, study, lock):
    lock.close()
    assert why_to_end(plan, crew(), study.user_attrs) == ORPHANED
    assert why_to_end(plan, crew(is_watched=False), study.user_attrs) is None


@pytest.mark.parametrize(
    ("holder", "says"),
    [
        (None, "the sweep has let the study go"),
        (replace(HERE, token="another", host="front"), "another sweep went on .* host front"),
    ],
)
@pytest.mark.parametrize("crew_or_none", [crew(), None], ids=["worker", "the sweep itself"])
def test_who_runs_trials_ends_when_the_sweep_has_no_study_any_more(
    plan, study, lock, holder, says, crew_or_none
):
    study.set_user_attr(HOLDER, holder and asdict(holder))
    stop = why_to_end(plan, crew_or_none, study.user_attrs)
    assert stop.field == "grace_period"
    assert re.match(says, stop.says)


def test_what_ends_a_sweep_is_told_to_its_own_workers_alone(study):
    stop = Stop("interrupt", "interrupted", is_failure=True)
    assert told(study.user_attrs, HERE) is None
    tell_all(study, HERE, stop)
    assert told(study.user_attrs, HERE) == stop
    assert told(study.user_attrs, replace(HERE, token="of the next sweep")) is None


@pytest.mark.parametrize("store", ["studies.db", "sqlite:///studies.db"])
def test_a_worker_on_another_host_refuses_an_sqlite_file(plan, store):
    plan.storage, plan.holder = store, replace(HERE, host="front", machine="other")
    with pytest.raises(SearchError, match=r"SQLite file of the host front.*postgresql"):
        crew_module._refuse_a_distant_file(plan)
    plan.storage = "postgresql+psycopg://user@db/studies"
    crew_module._refuse_a_distant_file(plan)


def test_workers_on_other_hosts_have_what_the_stores_are_opened_by(plan, study, monkeypatch):
    plan.launcher, plan.tries_all = kind_of({"_target_": "RayLauncher"}), False
    carried = {"MLFLOW_TRACKING_TOKEN": "a", "PGPASSWORD": "b", "PGSSLMODE": "require"}
    for name, value in {**carried, "OF_THIS_HOST": "c"}.items():
        monkeypatch.setenv(name, value)
    made = Crew.of(plan, study)
    assert carried.items() <= made.environment.items()
    assert "OF_THIS_HOST" not in made.environment
    assert "PGPASSWORD" not in repr(made)


def test_many_workers_look_at_the_sweep_less_often():
    assert crew(size=8).look_s == crew(size=50).look_s == 1.0
    assert crew(size=1000).look_s == 20.0


def test_the_time_that_is_left_is_counted_from_the_sweeps_begin(monkeypatch):
    monkeypatch.setattr(crew_module.time, "time", lambda: 100.0)
    assert crew().timeout_s is None
    assert crew(ends_at=130.0).timeout_s == 30.0
    assert crew(ends_at=90.0).timeout_s == 0.0


@pytest.mark.parametrize(
    ("target", "name", "is_local", "ends_all"),
    [
        ("hydra._internal.core_plugins.basic_launcher.BasicLauncher", "basic", True, True),
        ("hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher", "ray", False, False),
        ("somebody.elses.Launcher", "Launcher", False, False),
    ],
)
def test_a_launcher_is_known_by_its_class(target, name, is_local, ends_all):
    kind = kind_of({"_target_": target})
    assert (kind.name, kind.is_local, kind.ends_all) == (name, is_local, ends_all)
    assert kind.is_basic == (name == "basic")


def test_a_folder_of_the_users_own_for_submitit_stays_as_it_is(tmp_path):
    pytest.importorskip("submitit")
    users = tmp_path / "logs"
    users.mkdir(mode=0o755)
    config = OmegaConf.create({"hydra": {"launcher": {"submitit_folder": f"{users}/%j"}}})
    with kept_private(config, tmp_path / "swept"):
        (users / "1_submitted.pkl").touch()
    assert stat.S_IMODE(users.stat().st_mode) == 0o755
    assert (users / "1_submitted.pkl").exists()


def test_workers_find_the_modules_beside_the_program(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with seen_by_workers():
        folders = os.environ["PYTHONPATH"].split(os.pathsep)
    assert folders[0] == str(tmp_path)
    assert not [folder for folder in folders if "site-packages" in folder]
    assert "PYTHONPATH" not in os.environ


def test_only_jobs_of_slurm_are_cancelled(monkeypatch):
    ran = []
    monkeypatch.setattr(launcher_module.subprocess, "run", lambda words, **_: ran.append(words))
    watcher = SimpleNamespace(_registered={"7_0"})
    submitit = SimpleNamespace(SlurmJob=SimpleNamespace(watcher=watcher))
    monkeypatch.setitem(launcher_module.sys.modules, "submitit", submitit)
    for name in ("JoblibLauncher", "SlurmLauncher"):
        cancel(kind_of({"_target_": name}), only_waiting=True)
    assert ran == [["scancel", "--state=PENDING", "7_0"]]


@pytest.mark.parametrize("shown", [b"", b"7_1\n"])
def test_squeue_is_asked_for_the_jobs_of_this_sweep_alone(monkeypatch, shown):
    asked = []

    def run(words: list[str], **_) -> SimpleNamespace:
        asked.append(words)
        return SimpleNamespace(stdout=shown)

    monkeypatch.setattr(launcher_module.subprocess, "run", run)
    watcher = SimpleNamespace(_registered={"7_1", "7_0"})
    submitit = SimpleNamespace(SlurmJob=SimpleNamespace(watcher=watcher))
    monkeypatch.setitem(launcher_module.sys.modules, "submitit", submitit)
    assert has_jobs(kind_of({"_target_": "SlurmLauncher"})) is bool(shown)
    assert not has_jobs(kind_of({"_target_": "JoblibLauncher"}))
    assert asked == [["squeue", "--noheader", "--format=%i", "--jobs=7_0,7_1"]]


class TestTheEndOfOneWorker:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_comes_by_either_signal(self, number):
        calls = []
        with ended_by_its_host() as ended:
            ended.calls(lambda: calls.append(number))
            signal.raise_signal(number)
        assert calls == [number]

    def test_by_a_time_limit_is_told_to_the_launcher_once_the_worker_is_done(self):
        order = []
        before = signal.signal(TIME_IS_UP, lambda *_: order.append("submitit"))
        try:
            with ended_by_its_host() as ended:
                ended.calls(lambda: order.append("worker"))
                signal.raise_signal(TIME_IS_UP)
                order.append("done")
        finally:
            signal.signal(TIME_IS_UP, before)
        assert order == ["worker", "done", "submitit"]

    def test_that_comes_before_it_has_begun_is_heard_once_it_has(self):
        calls = []
        with ended_by_its_host() as ended:
            signal.raise_signal(signal.SIGTERM)
            ended.calls(lambda: calls.append("worker"))
        assert calls == ["worker"]


def test_joblib_starts_all_workers_at_once_unless_the_user_says_how_many():
    target = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
    for given, expected in ((-1, 4), (2, 2)):
        launcher = {"_target_": target, "n_jobs": given}
        config = OmegaConf.create({"hydra": {"launcher": launcher}})
        assert adapted(config, 4).hydra.launcher.n_jobs == expected


@pytest.mark.parametrize("runs_already", [False, True])
def test_a_ray_cluster_that_runs_is_told_nothing_of_a_store_of_objects(monkeypatch, runs_already):
    given = []

    def init(**arguments) -> None:
        if runs_already and "object_store_memory" in arguments:
            raise ValueError("object_store_memory must not be provided")
        given.append(arguments)

    ray = SimpleNamespace(is_initialized=lambda: bool(given), init=init)
    monkeypatch.setitem(launcher_module.sys.modules, "ray", ray)
    launcher = {"_target_": "RayLauncher", "ray": {"init": {"address": None}}}
    for _ in range(2):
        connect(kind_of(launcher), OmegaConf.create({"hydra": {"launcher": launcher}}))
    (arguments,) = given
    assert ("object_store_memory" in arguments) is not runs_already
    assert arguments["address"] is None


class StubTracking(SimpleNamespace):
    def flush(self, _patience_s: float, *, in_all_s: float) -> str | None:
        return self.unsent

    def refusal(self) -> str | None:
        return self.refused


def test_what_a_store_has_not_or_refused_of_workers_is_told(plan, monkeypatch):
    stores = {
        "0": StubTracking(unsent="2 records could not be sent", refused=None),
        "1": StubTracking(unsent=None, refused="the records of 1 run are not whole"),
        "2": StubTracking(unsent=None, refused=None),
    }
    for name in stores:
        (plan.folder / "workers" / name).mkdir(parents=True)
        (plan.folder / "workers" / name / JOURNAL).touch()
    monkeypatch.setattr(crew_module, "open_tracking", lambda _config, folder: stores[folder.name])
    assert refusal_of_workers(plan) is None
    assert send_what_workers_left(plan, in_all_s=1.0) == "2 records could not be sent"
    assert refusal_of_workers(plan) == "worker 1: the records of 1 run are not whole"
    assert refusal_of_workers(plan) is None, "told once"
