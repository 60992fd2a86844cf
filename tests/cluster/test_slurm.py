"""Workers that a real SLURM of one node runs; the tests start it on loopback and end it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("submitit")
pytestmark = pytest.mark.cluster
TWO = ["hydra/launcher=submitit_slurm", "hydra.sweeper.n_workers=2"]

CONFIG = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=100000
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
KillWait=5
"""
# Without accounting there is none that answers; submitit asks it which jobs have ended.
SACCT = """\
#!{python}
import subprocess, sys

print("JobID|State|NodeList")
for flag, job in zip(sys.argv, sys.argv[1:]):
    shown = ["scontrol", "-o", "show", "job", job] if flag == "-j" else ["true"]
    for line in subprocess.run(shown, capture_output=True, text=True).stdout.splitlines():
        has = dict(word.split("=", 1) for word in line.split() if "=" in word)
        array = has.get("ArrayJobId")
        name = f"{{array}}_{{has['ArrayTaskId']}}" if array else has["JobId"]
        print(f"{{name}}|{{has['JobState']}}|{{has.get('NodeList', '')}}")
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[dict[str, str]]:
    """Starts a cluster of one node; gives the environment in which its commands work."""
    if shutil.which("slurmctld") is None or shutil.which("munged") is None or os.getuid() != 0:
        pytest.skip("needs slurm-wlm and munge of Debian, and root")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    (folder / "slurm.conf").write_text(CONFIG.format(folder=folder, ports=free_ports(2)))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    sacct = folder / "bin" / "sacct"
    sacct.write_text(SACCT.format(python=sys.executable))
    sacct.chmod(0o755)
    own = {"SLURM_CONF": f"{folder}/slurm.conf", "PATH": f"{sacct.parent}:{os.environ['PATH']}"}
    places = {"key-file": key, "socket": folder / "munge.sock", "pid-file": folder / "munged.pid"}
    places |= {"log-file": folder / "munged.log", "seed-file": folder / "munged.seed"}
    munge = [f"--{name}={place}" for name, place in places.items()]
    daemons = [
        ["munged", "--force", "--num-threads=2", *munge],
        ["slurmctld", "-f", own["SLURM_CONF"]],
        ["slurmd", "-f", own["SLURM_CONF"], "-N", "localhost"],
    ]
    for daemon in daemons:
        subprocess.run(daemon, env={**os.environ, **own}, check=True, timeout=30)
    try:
        wait_until(lambda: ask(own, "sinfo", "-h", "-o", "%T").strip() == "idle", seconds=30)
        yield own
    finally:
        ask(own, "scancel", "--user=root")
        for name in ("slurmd", "slurmctld", "munged"):
            os.kill(int((folder / f"{name}.pid").read_text()), signal.SIGTERM)


def ask(slurm: dict[str, str], *command: str) -> str:
    environment = {**os.environ, **slurm}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return ended.stdout


def wait_until(holds, *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to be in time"
        time.sleep(0.2)


def jobs(slurm: dict[str, str], state: str) -> list[str]:
    return ask(slurm, "squeue", "-h", "-t", state, "-o", "%i").split()


def test_twelve_trials_by_two_workers_outlast_an_scancel_of_one(slurm, sweep, whole):
    two = sweep(*TWO, "seconds=2", **slurm)
    two.wait_for_trials(3)
    assert len(jobs(slurm, "RUNNING")) == 2
    worker = two.worker_at_step(3)
    (job,) = [job for job in jobs(slurm, "RUNNING") if job.endswith(f"_{worker}")]
    ask(slurm, "scancel", job)
    assert two.wait() == 0, two.output
    whole(two)
    reasons = [trial.user_attrs.get("reason") for trial in two.trials()]
    assert reasons.count("interrupted") == 1, "the cancelled worker handed its trial back"
    assert min(two.steps_before_retries()) >= 3


def test_ctrl_c_takes_the_jobs_back_from_the_queue(slurm, sweep):
    two = sweep(*TWO, "hydra.launcher.cpus_per_task=2", "seconds=60", **slurm)
    two.wait_until(lambda: two.states()["RUNNING"] == 1)
    assert len(jobs(slurm, "PENDING")) == 1
    two.ctrl_c()
    assert two.wait(seconds=40) == 130, two.output
    wait_until(lambda: jobs(slurm, "PENDING,RUNNING") == [], seconds=10)


def test_a_job_whose_time_is_up_hands_its_trial_back_and_is_queued_again(slurm, sweep, whole):
    two = sweep(*TWO, "seconds=1", **slurm)
    two.wait_for_trials(3)
    last = sorted(jobs(slurm, "RUNNING"))[1]
    ask(slurm, "scancel", "--signal=USR2", last)  # as SLURM does before the limit
    wait_until(lambda: jobs(slurm, "PENDING") == [last], seconds=15)
    assert two.wait() == 0, two.output
    whole(two)
    reasons = [trial.user_attrs.get("reason") for trial in two.trials()]
    assert reasons.count("interrupted") == 1
    wait_until(lambda: jobs(slurm, "PENDING") == [], seconds=10)


def test_a_killed_worker_of_which_slurm_tells_nothing_holds_nobody_up(slurm, sweep, whole, soon):
    """Without accounting `sacct` fails, and the launcher waits on; the study has its trials."""
    blind = {**slurm, "PATH": os.environ["PATH"]}
    two = sweep(*TWO, soon, "seconds=1", "hydra.sweeper.tracking.wait=1", **blind)
    two.wait_for_trials(3)
    os.kill(two.workers()["1"], signal.SIGKILL)
    assert two.wait() == 0, two.output
    whole(two)
