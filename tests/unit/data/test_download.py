import socket
import sys

import numpy as np
import pytest

from seqsweep.config import DownloadConfig
from seqsweep.data import count_training, load
from seqsweep.data.download import keras_home
from seqsweep.errors import DataError

# Stands in for Keras in the process that downloads: what load_data() does is `{act}`.
FAKE_KERAS = """
import os, pathlib, shutil, sys
class Loader:
    def load_data(self):
        home = pathlib.Path(os.environ["KERAS_HOME"])
        {act}
class datasets:
    mnist = fashion_mnist = Loader()
"""


def config(name="mnist"):
    return DownloadConfig(name=name, n_validation=6)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty Keras home, and a network that refuses at once."""
    with socket.socket() as closed_later:
        closed_later.bind(("127.0.0.1", 0))
        port = closed_later.getsockname()[1]
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras"


@pytest.fixture
def fake_keras(home, tmp_path, monkeypatch):
    """Has the download do what one line of Python says."""

    def install(act):
        (tmp_path / "modules").mkdir(exist_ok=True)
        (tmp_path / "modules" / "keras.py").write_text(FAKE_KERAS.format(act=act))

    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    return install


def cache(home, name, npz_file, idx_folder):
    (home / "datasets").mkdir(parents=True)
    if name == "mnist":
        npz_file.rename(home / "datasets" / "mnist.npz")
    else:
        idx_folder.rename(home / "datasets" / "fashion-mnist")


def test_without_a_network_the_error_says_what_works_without_one(home):
    with pytest.raises(DataError) as caught:
        count_training(config())
    message = str(caught.value)
    assert message.startswith(f"the download of data=mnist into {home / 'datasets'} failed (")
    assert "URL fetch failure on https://storage.googleapis.com/" in message
    assert "data=mnist_5k and data=idx data.dir=FOLDER work without one" in message
    assert "\n" not in message
    assert list((home / "datasets").iterdir()) == []


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_a_cache_that_is_there_is_read_without_a_network(
    home, fake_keras, npz_file, idx_folder, arrays, name
):
    fake_keras("raise SystemExit('no download was needed')")
    cache(home, name, npz_file, idx_folder)
    data = load(config(name))
    assert (data.name, len(data.train.y), len(data.validation.y)) == (name, 24, 6)
    assert (data.test.y == arrays["y_test"]).all()
    assert count_training(config(name)) == 24


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_what_keras_downloads_becomes_the_cache(home, fake_keras, npz_file, idx_folder, name):
    source = npz_file if name == "mnist" else idx_folder
    target = "mnist.npz" if name == "mnist" else "fashion-mnist"
    copy = "copy" if name == "mnist" else "copytree"
    fake_keras(
        f"(home / 'datasets').mkdir(); shutil.{copy}({str(source)!r}, home / 'datasets/{target}')"
    )
    assert count_training(config(name)) == 24
    assert [path.name for path in (home / "datasets").iterdir()] == [target]
    fake_keras("raise SystemExit('the cache was not used')")
    assert len(load(config(name)).train.y) == 24


def test_one_missing_file_is_downloaded_anew(home, fake_keras, npz_file, idx_folder):
    cache(home, "fashion_mnist", npz_file, idx_folder)
    (home / "datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz").unlink()
    fake_keras("raise OSError('asked for')")
    with pytest.raises(DataError, match=r"data=fashion_mnist into .* failed \(OSError: asked for"):
        load(config("fashion_mnist"))


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("sys.exit(3)", "returned non-zero exit status 3"),
        ("raise OSError('No space left')", "OSError: No space left"),
        ("pass", "No such file or directory"),
        ("(home / 'datasets').mkdir(); (home / 'datasets/mnist.npz').touch(); 1 / 0", "by zero"),
    ],
)
def test_a_failed_download_says_why_and_leaves_nothing(home, fake_keras, act, said):
    fake_keras(act)
    with pytest.raises(DataError, match="work without one") as caught:
        load(config())
    assert said in str(caught.value)
    assert list((home / "datasets").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(home):
    home.write_text("a file in the way")
    with pytest.raises(DataError, match=f"into {home / 'datasets'} failed .* File exists|Not a di"):
        load(config())


def test_a_damaged_cache_says_what_to_delete(home, npz_file, idx_folder):
    cache(home, "mnist", npz_file, idx_folder)
    file = home / "datasets" / "mnist.npz"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(DataError, match=f"once {file} is deleted it is downloaded anew"):
        load(config())


def test_this_process_does_not_import_keras(home, npz_file, idx_folder):
    before = "keras" in sys.modules
    cache(home, "mnist", npz_file, idx_folder)
    load(config())
    assert ("keras" in sys.modules) == before


def test_the_home_is_where_keras_looks(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_HOME", raising=False)
    assert keras_home() == tmp_path / ".keras"
    monkeypatch.setenv("KERAS_HOME", "~/elsewhere")
    assert keras_home() == tmp_path / "elsewhere"


def test_labels_of_the_cache_are_those_of_the_archive(home, npz_file, idx_folder, arrays):
    cache(home, "mnist", npz_file, idx_folder)
    data = load(config())
    together = np.sort(np.concatenate([data.train.y, data.validation.y]))
    assert (together == np.sort(arrays["y_train"])).all()
