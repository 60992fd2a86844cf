"""A GPU that fails takes its slots with it; a trial that fails takes nothing."""

import itertools

import pytest

from seqsweep.gpus import Gpu
from seqsweep.outcome import INTERRUPTED, Completed, DeviceFailed, Failed, Pruned
from seqsweep.search.workers import health as health_module
from seqsweep.search.workers.health import Health
from seqsweep.search.workers.slots import Slot

GPUS = (Gpu("0", "GPU-0a", 8192, "T4"), Gpu("1", "GPU-1b", 8192, "T4"))
DIED = Failed("the trial process was ended by SIGABRT", again=True)
ILLEGAL = "CUDA_ERROR_ILLEGAL_ADDRESS"
ECC = "CUDA_ERROR_ECC_UNCORRECTABLE"


@pytest.fixture
def of_slots(monkeypatch):
    """Makes slots by name with their health, where nvidia-smi lists what `now` holds."""
    now = list(GPUS)
    monkeypatch.setattr(health_module, "listed_gpus", lambda: GPUS)
    monkeypatch.setattr(health_module, "list_gpus", lambda: tuple(now))

    def make(*names: str):
        gpus = [name.removeprefix("gpu:") if name != "cpu:0" else "-1" for name in names]
        slots = [
            Slot(name, {"CUDA_VISIBLE_DEVICES": gpu}) for name, gpu in zip(names, gpus, strict=True)
        ]
        return Health(slots), slots

    make.now = now
    return make


@pytest.fixture
def wrote(tmp_path):
    """Gives the folders of a job that has written a text."""

    def write(text: str):
        (tmp_path / "output.log").write_text(text)
        return [tmp_path, tmp_path / "nosuch"]

    return write


number = itertools.count()


def judged(health: Health, slot: Slot, outcome, folders, values=None):
    """The outcome of a trial whose values are its own."""
    return health.judge(slot, outcome, folders, values or {"x": next(number)})


def test_a_trial_that_dies_of_its_gpu_is_no_failure_of_its_own(of_slots, wrote):
    health, (slot, other) = of_slots("gpu:0", "gpu:1")
    outcome = judged(health, slot, DIED, wrote(f"x\n{ECC}: y\n"))
    assert outcome == DeviceFailed(f"gpu:0 has failed: {ECC}", again=True)
    assert health.leave(other) is None
    said = f"gpu:0 has failed: {ECC}; its slot is out of use, 1 slot is left"
    assert health.leave(slot) == said
    assert health.slots == [other]


def test_all_shares_of_a_gpu_leave_and_none_is_left(of_slots, wrote):
    health, (first, second) = of_slots("gpu:0", "gpu:0")
    judged(health, first, DIED, wrote(ECC))
    assert isinstance(judged(health, second, Failed("ValueError"), []), DeviceFailed)
    assert health.leave(second).endswith("1 slot is left")
    assert health.stop is None
    assert health.leave(first).endswith("no slot is left")
    assert health.stop.reason == (
        f"ended by devices: no slot is left, as GPUs have failed: gpu:0 ({ECC}); devices=cpu "
        "takes the CPU"
    )
    assert health.slots == []


@pytest.mark.parametrize("outcome", [Completed((1.0,)), Pruned(3), Failed(INTERRUPTED)])
def test_a_trial_that_did_not_fail_tells_nothing_of_its_gpu(of_slots, wrote, outcome):
    health, (slot,) = of_slots("gpu:0")
    assert judged(health, slot, outcome, wrote(ECC)) is outcome
    assert health.leave(slot) is None


def test_the_cpu_never_fails(of_slots, wrote):
    health, (slot,) = of_slots("cpu:0")
    assert judged(health, slot, DIED, wrote(ECC)) is DIED
    assert health.leave(slot) is None


def test_an_error_that_a_program_may_cause_is_the_gpus_where_it_comes_twice_in_a_row(
    of_slots, wrote
):
    health, (slot, other) = of_slots("gpu:0", "gpu:1")
    assert judged(health, slot, DIED, wrote(ILLEGAL)) is DIED
    assert judged(health, other, DIED, wrote(ILLEGAL)) is DIED
    judged(health, slot, Completed((1.0,)), [])
    assert judged(health, slot, DIED, wrote(ILLEGAL)) is DIED
    assert judged(health, slot, Failed("ValueError"), wrote("")) == Failed("ValueError")
    assert judged(health, slot, DIED, wrote(ILLEGAL)) is DIED
    again = judged(health, slot, DIED, wrote(ILLEGAL))
    assert again.reason == f"gpu:0 has failed: {ILLEGAL}, in two trials in a row"
    assert health.leave(other) is None


def test_values_that_fail_wherever_they_run_are_not_the_gpus_fault(of_slots, wrote):
    health, (slot,) = of_slots("gpu:0")
    for _ in range(3):  # it is tried again
        assert judged(health, slot, DIED, wrote(ILLEGAL), {"x": 1}) is DIED
    assert isinstance(judged(health, slot, DIED, wrote(ILLEGAL), {"x": 2}), DeviceFailed)


def test_a_gpu_that_is_listed_no_more_beside_others_has_failed(of_slots, wrote):
    health, (slot, other) = of_slots("gpu:0", "gpu:1")
    del of_slots.now[0]
    assert judged(health, other, DIED, wrote("")) is DIED
    outcome = judged(health, slot, DIED, wrote(""))
    assert outcome.reason == "gpu:0 has failed: nvidia-smi lists it no more"


def test_where_nvidia_smi_says_nothing_no_gpu_is_blamed(of_slots, wrote):
    health, (slot, mig) = of_slots("gpu:0", "gpu:MIG-5c")
    assert judged(health, mig, DIED, wrote("")) is DIED  # of which it has never told
    of_slots.now.clear()
    assert judged(health, slot, DIED, wrote("")) is DIED


def test_of_a_long_output_its_end_counts(of_slots, wrote):
    health, (slot,) = of_slots("gpu:0")
    assert judged(health, slot, DIED, wrote(ECC + "x" * 70_000)) is DIED
    assert judged(health, slot, DIED, wrote("é" * 70_000 + ECC)).reason.endswith(ECC)
