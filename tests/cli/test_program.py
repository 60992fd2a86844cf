"""The program around its commands: how fast it is there, and what it says of mistakes."""

import time

import pytest

HEAVY = {"tensorflow", "keras", "mlflow", "optuna", "sqlalchemy", "grpc"}
COMMANDS = ("status", "best", "compare", "doctor")


def imported(profile: str) -> set[str]:
    lines = [line for line in profile.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().split(".")[0] for line in lines}


@pytest.mark.parametrize("words", [(), *((each,) for each in (*COMMANDS, "proxy"))], ids=" ".join)
def test_the_help_loads_nothing_heavy(seqsweep, tmp_path, words):
    ended = seqsweep(*words, "--help", cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    assert ended.returncode == 0
    assert "Usage:" in ended.stdout
    assert "typer" in imported(ended.stderr)
    assert not imported(ended.stderr) & HEAVY


def test_the_help_is_there_within_a_second(seqsweep, tmp_path):
    def took() -> float:
        begin = time.perf_counter()
        assert seqsweep("--help", cwd=tmp_path).returncode == 0
        return time.perf_counter() - begin

    assert any(took() < 1.0 for _ in range(5))  # other programs may be at work


def test_the_help_names_each_command_and_that_of_completion(seqsweep, tmp_path):
    said = seqsweep("--help", cwd=tmp_path).stdout
    for word in (*COMMANDS, "--install-completion"):
        assert word in said


def test_every_command_prints_json_on_request(seqsweep, tmp_path):
    for command in COMMANDS:
        assert "--json" in seqsweep(command, "--help", cwd=tmp_path).stdout


def test_the_shell_completes_commands(seqsweep, tmp_path):
    offered = seqsweep(
        cwd=tmp_path,
        _SEQSWEEP_COMPLETE="complete_bash",
        COMP_WORDS="seqsweep st",
        COMP_CWORD="1",
    )
    assert offered.stdout.split() == ["status"]


@pytest.mark.parametrize("command", [["status"], ["best"], ["compare", "a", "b"]], ids=" ".join)
def test_a_store_that_is_missing_is_one_sentence_and_stays_missing(seqsweep, tmp_path, command):
    ended = seqsweep(*command, "--storage", "nowhere/studies.db", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"error: there is no store of studies at {tmp_path}/nowhere/studies.db")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_store_is_one_sentence(seqsweep, tmp_path):
    (tmp_path / "text.db").write_text("this is no database, whatever its name says\n" * 100)
    ended = seqsweep("status", "--storage", "text.db", cwd=tmp_path)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "file is not a database; seqsweep doctor looks closer" in line


def test_a_password_in_an_address_is_not_printed(seqsweep, tmp_path):
    place = "postgresql+nothing://me:hunter22@localhost/x"
    ended = seqsweep("status", "--storage", place, cwd=tmp_path)
    assert ended.returncode == 1
    assert "hunter22" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
