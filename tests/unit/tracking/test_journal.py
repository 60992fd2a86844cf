"""The journal of unsent records outlives the program, however it ended."""

import json
import resource
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqsweep.errors import TrackingError
from seqsweep.tracking.journal import Entry, Journal

HEADER = {"uri": "http://127.0.0.1:5000", "dir": "here", "experiment": "e"}
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
entries = st.lists(
    st.builds(Entry, st.text(), st.text(), st.dictionaries(st.text(), plain)), max_size=4
)


def written(path: Path, *some: Entry) -> Journal:
    path.unlink(missing_ok=True)
    journal = Journal(path, HEADER)
    for entry in some:
        journal.append(entry)
    return journal


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("journal") / "unsent.jsonl"


@settings(max_examples=60, deadline=None)
@given(entries)
def test_what_was_written_is_read_by_the_next_program_in_order(path, some):
    written(path, *some)
    assert Journal(path, HEADER).load() == some
    if some:
        assert Journal.header(path) == HEADER


@settings(max_examples=60, deadline=None)
@given(entries.filter(bool), st.data())
def test_cut_anywhere_it_holds_what_was_whole_and_goes_on(path, some, data):
    written(path, *some)
    content = path.read_bytes()
    cut = content[: data.draw(st.integers(0, len(content)))]
    path.write_bytes(cut)
    journal = Journal(path, HEADER)
    whole = journal.load()
    assert whole == some[: max(0, cut.count(b"\n") - 1)]
    journal.append(Entry("run", "tag", {"tags": {}}))
    assert Journal(path, HEADER).load() == [*whole, Entry("run", "tag", {"tags": {}})]
    assert Journal.header(path) == HEADER


def test_it_exists_only_while_something_waits(path):
    journal = written(path, Entry("run", "log", {}))
    assert path.exists()
    journal.clear()
    assert not path.exists()
    assert Journal(path, HEADER).load() == []
    journal.append(Entry("run", "tag", {}))
    assert Journal(path, HEADER).load() == [Entry("run", "tag", {})]


def test_only_its_owner_may_read_it(path):
    written(path, Entry("run", "log", {}))
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"run": 1}', b"\xff\xfe"])
def test_a_damaged_line_is_named(path, line):
    path.write_bytes(json.dumps(HEADER).encode() + b"\n" + line + b"\n")
    with pytest.raises(TrackingError, match=r"line 2 of .* is damaged"):
        Journal(path, HEADER).load()


@pytest.mark.parametrize("content", [b"", b"not json\n", b"[]\n", b"{}\n", b"\xff\n"])
def test_another_file_is_no_journal(path, content):
    path.write_bytes(content)
    with pytest.raises(TrackingError, match="journal of unsent records"):
        Journal.header(path)


def test_where_the_disk_takes_no_more_it_says_so_and_stays_as_it_was(path):
    journal = written(path, Entry("run", "log", {}))
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))
    try:
        with pytest.raises(TrackingError, match=r"unsent\.jsonl cannot be written"):
            journal.append(Entry("run", "add_text", {"text": "x" * 100}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    journal.append(Entry("run", "end", {}))
    assert [entry.what for entry in Journal(path, HEADER).load()] == ["log", "end"]


def test_a_folder_that_is_gone_is_told_in_one_sentence(tmp_path):
    with pytest.raises(TrackingError, match="cannot be written: No such file"):
        Journal(tmp_path / "gone" / "unsent.jsonl", HEADER).append(Entry("run", "log", {}))
    assert list(tmp_path.iterdir()) == []


def test_what_is_for_another_store_is_not_taken_for_this_one(path):
    written(path, Entry("run", "log", {}))
    with pytest.raises(TrackingError, match=r"for another MLflow store.*tracking\.send"):
        Journal(path, {**HEADER, "uri": "http://127.0.0.1:6000"}).load()
    assert Journal(path, HEADER).load() == [Entry("run", "log", {})]
