"""GPUs are listed by nvidia-smi, and one that has failed is told from a program at fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqsweep.gpus import (
    Gpu,
    failure_in,
    gpu_of,
    gpu_of_slot,
    gpus_in,
    list_gpus,
    suspicion_in,
)

T4 = Gpu("0", "GPU-0a1b", 15360, "Tesla T4")
ODD = Gpu("1", "GPU-2c3d", None, "An odd, new one")


@pytest.fixture
def smi(monkeypatch, tmp_path):
    """Makes a program nvidia-smi that prints a text and exits with a code."""

    def make(prints: str, code: int = 0) -> None:
        script = tmp_path / "nvidia-smi"
        script.write_text(f"#!/bin/sh\ncat <<'END'\n{prints}\nEND\nexit {code}\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return make


@pytest.mark.parametrize(
    ("prints", "code", "gpus"),
    [
        ("0, GPU-0a1b, 15360, Tesla T4", 0, (T4,)),
        ("0, GPU-0a1b, 15360, Tesla T4\n1, GPU-2c3d, [N/A], An odd, new one", 0, (T4, ODD)),
        ("", 0, ()),
        ("NVIDIA-SMI has failed because it couldn't communicate, so, as it is", 9, ()),
        (
            "Unable to determine the device handle: GPU is lost\n0, GPU-0a1b, 15360, Tesla T4",
            15,
            (T4,),
        ),
        ("No devices were found", 6, ()),
    ],
    ids=["one", "two", "nothing", "no driver", "one is lost", "none"],
)
def test_the_gpus_are_those_that_nvidia_smi_lists(smi, prints, code, gpus):
    smi(prints, code)
    assert list_gpus() == gpus


def test_without_nvidia_smi_there_is_no_gpu(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list_gpus() == ()


@pytest.mark.parametrize(
    ("name", "is_it"),
    [("0", True), ("1", False), ("GPU-0a1b", True), ("GPU-0a", True), ("GPU-2c3d", False)],
)
def test_a_gpu_is_called_by_its_index_or_by_the_first_part_of_its_uuid(name, is_it):
    assert T4.is_called(name) == is_it


@pytest.mark.parametrize(
    ("variable", "gpus"),
    [
        ("0,1", ["0", "1"]),
        (" 3 ", ["3"]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0,-1,1", ["0"]),
        ("1,1", ["1"]),
        ("GPU-8f, 2", ["GPU-8f", "2"]),
        ("MIG-GPU-8f/1/0", ["MIG-GPU-8f/1/0"]),
    ],
)
def test_of_cuda_visible_devices_counts_what_stands_before_the_first_that_is_no_gpu(variable, gpus):
    assert gpus_in(variable) == gpus
    assert gpu_of({"CUDA_VISIBLE_DEVICES": variable}) == (gpus[0] if gpus else None)


def test_a_process_without_that_variable_has_no_gpu_of_its_own():
    assert gpu_of({}) is None


indices = st.integers(0, 10**6).map(str)
uuids = st.from_regex(r"(GPU|MIG)-[0-9a-f]{1,8}(-[0-9a-f]{1,4})*", fullmatch=True)
names = st.one_of(indices, uuids)


@given(names)
def test_a_slot_of_any_gpu_names_that_gpu(name):
    assert gpu_of_slot(f"gpu:{name}") == name
    assert gpus_in(name) == [name]


@given(st.one_of(st.text(), st.text().map("gpu:{}".format), st.integers(), st.none()))
def test_a_slot_names_the_cpu_or_a_gpu_that_cuda_may_be_told_of_or_is_refused(slot):
    try:
        gpu = gpu_of_slot(slot)
    except ValueError as error:
        said = str(error)
    else:
        said = None
        assert slot == ("cpu" if gpu is None else f"gpu:{gpu}")
        assert gpu is None or gpus_in(gpu) == [gpu]
    assert said is None or said.startswith(f"{slot!r} is no device: accepted are cpu and gpu: ")


@given(st.lists(names, unique=True))
def test_a_list_of_gpus_is_read_back_as_it_was_written(gpus):
    assert gpus_in(",".join(gpus)) == gpus


CUINIT = (
    "E cuda_platform.cc:51] failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit:"
)
ILLEGAL = "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered"
OOM = "CUDA_ERROR_OUT_OF_MEMORY: out of memory"


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        (
            f"{CUINIT} CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",
            "failed call to cuInit",
        ),
        (f"{CUINIT} UNKNOWN ERROR (303)", None),
        (
            f"{CUINIT} UNKNOWN ERROR (303)\nno CUDA-capable device is detected",
            "no CUDA-capable device is detected",
        ),
        (
            "x\nRuntimeError: CUDA error: uncorrectable ECC error encountered",
            "uncorrectable ECC error",
        ),
        ("RuntimeError: No CUDA GPUs are available", "No CUDA GPUs are available"),
        ("NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.", "fallen off the bus"),
        ("InternalError: CUDA_ERROR_ECC_UNCORRECTABLE", "CUDA_ERROR_ECC_UNCORRECTABLE"),
        (ILLEGAL, None),
        (OOM, None),
        ("CUDA_ERROR_INVALID_DEVICE: invalid device ordinal", None),
        ("ValueError: n_hidden", None),
        ("", None),
    ],
)
def test_only_what_no_program_can_cause_is_a_failure_of_the_gpu(text, failure):
    assert failure_in(text) == failure


@pytest.mark.parametrize(
    ("text", "suspicion"),
    [
        (ILLEGAL, "CUDA_ERROR_ILLEGAL_ADDRESS"),
        (
            "RuntimeError: CUDA error: unspecified launch failure",
            "CUDA error: unspecified launch failure",
        ),
        ("DNN library: CUDNN_STATUS_EXECUTION_FAILED", "CUDNN_STATUS_EXECUTION_FAILED"),
        ("CUDNN_STATUS_NOT_SUPPORTED", None),
        ("CUDNN_STATUS_BAD_PARAM: x", None),
        ("CUDA_ERROR_INVALID_VALUE", None),
        (
            "CUBLAS_STATUS_INVALID_VALUE then CUBLAS_STATUS_EXECUTION_FAILED",
            "CUBLAS_STATUS_EXECUTION_FAILED",
        ),
        (OOM, None),
        (f"{OOM}\nCUDNN_STATUS_INTERNAL_ERROR", None),
        ("ResourceExhaustedError: OOM when allocating tensor\nCUBLAS_STATUS_ALLOC_FAILED", None),
        ("CUDA error: out of memory", None),
        (f"{CUINIT} UNKNOWN ERROR (303)", None),
        ("KeyError: 'x'", None),
    ],
)
def test_running_out_of_memory_raises_no_suspicion(text, suspicion):
    assert suspicion_in(text) == suspicion
