"""Slots follow the devices that a sweep is given; no GPU is needed to see that they do."""

from types import SimpleNamespace

import pytest

from seqsweep.config import DevicesConfig, checked
from seqsweep.errors import ConfigError
from seqsweep.gpus import Gpu
from seqsweep.search.workers import allocation
from seqsweep.search.workers import slots as slots_module
from seqsweep.search.workers.allocation import given_cpus, given_gpus
from seqsweep.search.workers.slots import make_shared_slots, make_slots

LIMIT = "SEQSWEEP_GPU_MEMORY_MIB"
GPUS = (Gpu("0", "GPU-0a", 8192, "T4"), Gpu("1", "GPU-1b", 16384, "T4"))


def devices(name: str = "auto", threads: int = 1, trials_per_gpu: int = 1, **others):
    values = {"name": name, "threads": threads, "trials_per_gpu": trials_per_gpu}
    defaults = {"slots": None, "gpu_memory": "growth"}
    return checked(DevicesConfig, {**values, **defaults, **others}, prefix="devices")


@pytest.fixture(autouse=True)
def nobodys_job(monkeypatch):
    for variable in (
        "CUDA_VISIBLE_DEVICES",
        "SLURM_JOB_ID",
        "SLURM_JOB_GPUS",
        "SLURM_STEP_GPUS",
        "SLURM_GPUS_ON_NODE",
        "SLURM_CPUS_PER_TASK",
        "SLURM_CPUS_ON_NODE",
        "TF_FORCE_GPU_ALLOW_GROWTH",
        "TF_NUM_INTRAOP_THREADS",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(8)), raising=False)


def listed(monkeypatch, gpus: tuple[Gpu, ...]) -> None:
    for module in (allocation, slots_module):
        monkeypatch.setattr(module, "listed_gpus", lambda: gpus)


@pytest.fixture
def no_gpu(monkeypatch):
    listed(monkeypatch, ())


@pytest.fixture
def two_gpus(monkeypatch):
    listed(monkeypatch, GPUS)


def names(made) -> list[str]:
    return [slot.name for slot in made]


def seen(made) -> list[str]:
    return [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in made]


@pytest.mark.parametrize(("threads", "count"), [(1, 8), (3, 2), (8, 1), (64, 1)])
def test_without_a_gpu_each_set_of_cores_is_a_slot(no_gpu, threads, count):
    assert len(make_slots(devices(threads=threads), None)) == count


def test_a_cpu_slot_hides_every_gpu(two_gpus):
    assert seen(make_slots(devices("cpu"), None)) == ["-1"] * 8


def test_a_slot_tells_tensorflow_what_its_share_is_unless_the_user_has(two_gpus, monkeypatch):
    (gpu, _), (cpu, *_) = make_slots(devices(), None), make_slots(devices("cpu", 3), None)
    assert gpu.environment["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert cpu.environment["TF_NUM_INTRAOP_THREADS"] == "3"
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    (cpu, *_) = make_slots(devices("cpu", 3), None)
    assert "TF_NUM_INTRAOP_THREADS" not in cpu.environment


@pytest.mark.parametrize("name", ["auto", "gpu"])
def test_each_gpu_is_a_slot_that_shows_that_gpu_alone(two_gpus, name):
    made = make_slots(devices(name), None)
    assert seen(made) == ["0", "1"]
    assert [slot.gpu for slot in made] == ["0", "1"]


def test_as_many_trials_share_each_gpu_as_are_to_and_none_more_is_on_a_cpu(two_gpus):
    made = make_slots(devices(trials_per_gpu=3), None)
    assert sorted(names(made)) == ["gpu:0"] * 3 + ["gpu:1"] * 3
    assert len(make_slots(devices("cpu", trials_per_gpu=3), None)) == 8
    assert len(make_slots(devices(trials_per_gpu=3), 1)) == 1  # n_jobs has the last word


def test_more_slots_than_gpus_share_them_evenly(two_gpus):
    assert names(make_slots(devices(), 5)) == ["gpu:0", "gpu:1", "gpu:0", "gpu:1", "gpu:0"]


def test_a_gpu_that_is_asked_for_and_missing_is_an_error(no_gpu):
    with pytest.raises(ConfigError, match="devices=cpu"):
        make_slots(devices("gpu"), None)


def test_an_index_of_nvidia_smis_is_one_to_cuda_too(two_gpus, monkeypatch):
    (first, _) = make_slots(devices(), None)
    assert first.environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")  # by whatever order the user has
    (first,) = make_slots(devices(), None)
    assert "CUDA_DEVICE_ORDER" not in first.environment


def test_listed_slots_are_those_devices_in_that_order(two_gpus):
    made = make_slots(devices(slots=["gpu:1", "cpu", "gpu:0", "gpu:1", "cpu"]), None)
    assert names(made) == ["gpu:1", "cpu:0", "gpu:0", "gpu:1", "cpu:1"]
    assert seen(made) == ["1", "-1", "0", "1", "-1"]
    assert names(make_slots(devices(slots=["gpu:1", "cpu"]), 1)) == ["gpu:1"]
    assert names(make_slots(devices(slots="cpu"), None)) == ["cpu:0"]


@pytest.mark.parametrize(
    ("slots", "says"),
    [
        (["gpu:2"], "devices.slots names gpu:2, which this process is not given; accepted here: "),
        (["gpu:GPU-0a"], "accepted here: cpu, gpu:0, gpu:1"),
    ],
)
def test_a_gpu_that_is_not_given_is_no_slot(two_gpus, slots, says):
    with pytest.raises(ConfigError) as caught:
        make_slots(devices(slots=slots), None)
    assert says in str(caught.value)


def test_more_slots_than_are_listed_are_refused(two_gpus):
    with pytest.raises(ConfigError, match=r"n_jobs=3, but devices\.slots lists 2"):
        make_slots(devices(slots=["cpu", "cpu"]), 3)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"slots": ["gpu"]}, "devices.slots: 'gpu' is no device: accepted are cpu and gpu: with"),
        ({"slots": [0]}, "devices.slots: 0 is no device"),
        ({"slots": []}, "slots=[] names no device"),
        ({"slots": ["gpu:0"], "name": "gpu"}, "name=gpu has no meaning; leave it at auto"),
        ({"slots": ["gpu:0"], "trials_per_gpu": 2}, "trials_per_gpu=2 has no meaning"),
        ({"gpu_memory": "all"}, "devices.gpu_memory='all'"),
    ],
)
def test_a_list_that_says_nothing_or_too_much_is_refused(values, says):
    with pytest.raises(ConfigError) as caught:
        devices(**values)
    assert says in str(caught.value)


def test_those_that_share_a_gpu_split_its_memory_where_they_are_to(two_gpus, monkeypatch):
    made = make_slots(devices(trials_per_gpu=2, gpu_memory="split"), None)
    assert [slot.environment[LIMIT] for slot in made] == ["3072", "7168"] * 2
    made = make_slots(devices(slots=["gpu:0", "gpu:1", "cpu"], gpu_memory="split"), None)
    assert [slot.environment.get(LIMIT) for slot in made] == ["7168", "15360", None]
    assert all(LIMIT not in slot.environment for slot in make_slots(devices(), None))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1b")
    (alone,) = make_slots(devices(gpu_memory="split"), None)
    assert alone.environment[LIMIT] == "15360"


def test_memory_that_cannot_be_split_is_told(two_gpus, monkeypatch):
    with pytest.raises(ConfigError, match="8192 MiB of gpu:0 are too few for 8 trials"):
        make_slots(devices(trials_per_gpu=8, gpu_memory="split"), None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-5c")
    with pytest.raises(ConfigError, match="does not say how much memory gpu:MIG-5c has"):
        make_slots(devices(gpu_memory="split"), None)


@pytest.mark.parametrize(
    ("variable", "gpus"),
    [("0,1", ["0", "1"]), ("3", ["3"]), ("", []), ("-1", []), ("GPU-8f, 2", ["GPU-8f", "2"])],
)
def test_the_gpus_that_the_environment_allows_are_respected(two_gpus, monkeypatch, variable, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert given_gpus() == gpus


FOUR = tuple(Gpu(str(i), f"GPU-{i}", 8192, "T4") for i in range(4))


@pytest.mark.parametrize(
    ("slurm", "n_listed", "gpus"),
    [
        ({}, 4, []),
        ({"SLURM_JOB_GPUS": "1,3"}, 4, ["1", "3"]),
        ({"SLURM_JOB_GPUS": "1,3", "SLURM_STEP_GPUS": "3"}, 4, ["3"]),
        ({"SLURM_JOB_GPUS": "2,3"}, 2, ["0", "1"]),  # it shows the job its own two alone
        ({"SLURM_JOB_GPUS": "5"}, 4, []),
        ({"SLURM_GPUS_ON_NODE": "2"}, 2, ["0", "1"]),
        ({"SLURM_GPUS_ON_NODE": "2"}, 4, []),
        ({"SLURM_GPUS_ON_NODE": "2", "SLURM_JOB_GPUS": "0,1"}, 4, ["0", "1"]),
    ],
)
def test_a_job_of_slurms_takes_no_gpu_that_it_was_not_given(monkeypatch, slurm, n_listed, gpus):
    listed(monkeypatch, FOUR[:n_listed])
    for name, value in {"SLURM_JOB_ID": "7", **slurm}.items():
        monkeypatch.setenv(name, value)
    assert given_gpus() == gpus


@pytest.mark.parametrize(
    ("slurm", "cpus"),
    [
        ({"SLURM_CPUS_PER_TASK": "2"}, 8),  # no job's
        ({"SLURM_JOB_ID": "7"}, 8),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "2", "SLURM_CPUS_ON_NODE": "6"}, 2),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "6"}, 6),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "64"}, 8),
    ],
)
def test_a_job_of_slurms_takes_no_cpu_that_it_was_not_given(no_gpu, monkeypatch, slurm, cpus):
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    assert given_cpus() == len(make_slots(devices(), None)) == cpus


class Context:
    """Of Ray's context what is asked of it, in a task or in the program that starts tasks."""

    def __init__(self, gpus: list[str], cpus: float, *, in_a_task: bool = True) -> None:
        self._gpus, self._cpus, self._in_a_task = gpus, cpus, in_a_task

    def get_assigned_resources(self) -> dict[str, float]:
        assert self._in_a_task
        return {"CPU": self._cpus, "memory": 1.0}

    def get_accelerator_ids(self) -> dict[str, list[str]]:
        return {"GPU": self._gpus, "TPU": []}


@pytest.mark.parametrize(
    ("context", "gpus", "cpus"),
    [
        (Context([], 2.0), [], 2),
        (Context(["1"], 0.5), ["1"], 1),
        (Context([], 2.0, in_a_task=False), ["0", "1"], 8),
    ],
    ids=["a task without a GPU", "a task with one", "the program"],
)
def test_a_task_of_rays_takes_what_ray_assigned(two_gpus, monkeypatch, context, gpus, cpus):
    ray = SimpleNamespace(is_initialized=lambda: True, get_runtime_context=lambda: context)
    monkeypatch.setitem(allocation.sys.modules, "ray", ray)
    assert (given_gpus(), given_cpus()) == (gpus, cpus)


class TestWorkersOfOneHost:
    def test_share_its_slots(self, two_gpus):
        assert names(make_shared_slots(devices(), None, 2)) == ["gpu:0", "gpu:1"]
        assert names(make_shared_slots(devices(), 2, 2)) == ["gpu:0", "gpu:1"] * 2

    def test_split_a_gpus_memory_among_all_of_them(self, two_gpus):
        split = devices(gpu_memory="split")
        made = make_shared_slots(split, None, 4)
        assert names(made) == ["gpu:0", "gpu:1"] * 2
        assert [slot.environment[LIMIT] for slot in made] == ["3072", "7168"] * 2

    def test_have_one_each_at_least(self, no_gpu):
        assert len(make_shared_slots(devices(), None, 12)) == 12

    @pytest.mark.parametrize(
        ("n_jobs", "n_workers", "says"),
        [
            (None, 3, r"hydra.sweeper.n_workers=3, but devices.slots lists 2: "),
            (2, 2, r"hydra.sweeper.n_workers=2 with hydra.sweeper.n_jobs=2 each, but devices.slo"),
        ],
    )
    def test_are_refused_where_they_need_more_slots_than_are_listed(
        self, two_gpus, n_jobs, n_workers, says
    ):
        listed = devices(slots=["gpu:0", "cpu"])
        assert names(make_shared_slots(listed, None, 2)) == ["gpu:0", "cpu:0"]
        with pytest.raises(ConfigError, match=says):
            make_shared_slots(listed, n_jobs, n_workers)
