"""Whether a sweep runs in a folder is seen from outside, and seeing it disturbs none."""

import fcntl
import subprocess
import sys
import threading
import time

from seqsweep.search.study.claim import OWN_FILE, _locked, is_run_in

HOLDS = """
import fcntl, sys, time
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(600)
"""


def test_a_folder_is_run_in_while_a_process_holds_its_file_and_no_longer(tmp_path):
    file = tmp_path / OWN_FILE
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(file)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "locked\n"
        assert is_run_in(tmp_path)
        assert is_run_in(tmp_path)
        with file.open("a") as own:
            assert not _locked(own)
    finally:
        holder.kill()
        holder.communicate()
    assert not is_run_in(tmp_path)


def test_a_folder_without_the_file_is_not_run_in_and_gets_none(tmp_path):
    assert not is_run_in(tmp_path)
    assert not is_run_in(tmp_path / "gone")
    assert list(tmp_path.iterdir()) == []


def test_who_only_looks_keeps_no_sweep_from_its_folder(tmp_path):
    file = tmp_path / OWN_FILE
    file.touch()
    with file.open() as looks:
        fcntl.flock(looks, fcntl.LOCK_SH)

        def look_away():
            time.sleep(0.005)
            fcntl.flock(looks, fcntl.LOCK_UN)

        thread = threading.Thread(target=look_away)
        thread.start()
        with file.open("a") as own:
            assert _locked(own)
            assert is_run_in(tmp_path)  # by another open file, as of another process
        thread.join()
