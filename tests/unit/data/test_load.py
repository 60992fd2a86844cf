import gzip
import subprocess
import sys

import numpy as np
import pytest

from seqsweep.config import IdxConfig, NpzConfig
from seqsweep.data import count_training, load
from seqsweep.errors import ConfigError, DataError

HEAVY = ("tensorflow", "keras", "mlflow", "optuna", "sklearn", "pandas", "matplotlib", "mlxtend")


def idx(folder, n_validation=6):
    return IdxConfig(name="idx", dir=str(folder), n_validation=n_validation)


def npz(path, n_validation=6):
    return NpzConfig(name="npz", path=str(path), n_validation=n_validation)


def same(first, second):
    return all(
        (getattr(first, name).x == getattr(second, name).x).all()
        and (getattr(first, name).y == getattr(second, name).y).all()
        for name in ("train", "validation", "test")
    )


def test_a_folder_and_an_archive_of_the_same_arrays_are_the_same_data(idx_folder, npz_file):
    from_idx, from_npz = load(idx(idx_folder)), load(npz(npz_file))
    assert same(from_idx, from_npz)
    assert (from_idx.name, from_npz.name) == ("idx", "npz")


def test_the_count_is_the_number_of_images_that_are_loaded(idx_folder, npz_file):
    for config in (idx(idx_folder, 7), npz(npz_file, 7)):
        assert count_training(config) == len(load(config).train.y) == 23


@pytest.mark.parametrize("act", [count_training, load])
def test_validation_cannot_take_every_image(idx_folder, npz_file, act):
    for config in (idx(idx_folder, 30), npz(npz_file, 31)):
        with pytest.raises(ConfigError, match="leaves no training image of the 30 in"):
            act(config)


@pytest.mark.parametrize("is_dotted", [True, False])
@pytest.mark.parametrize("is_gzipped", [True, False])
def test_files_go_by_either_spelling_gzipped_or_not(idx_folder, is_dotted, is_gzipped):
    expected = load(idx(idx_folder))
    for path in list(idx_folder.iterdir()):
        content = path.read_bytes() if is_gzipped else gzip.decompress(path.read_bytes())
        name = path.name if is_gzipped else path.stem
        path.unlink()
        (idx_folder / (name.replace("-idx", ".idx") if is_dotted else name)).write_bytes(content)
    assert same(load(idx(idx_folder)), expected)
    assert count_training(idx(idx_folder)) == 24


def test_a_file_that_a_browser_unpacked_but_named_gz_is_read(idx_folder):
    expected = load(idx(idx_folder))
    for path in idx_folder.iterdir():
        path.write_bytes(gzip.decompress(path.read_bytes()))
    assert same(load(idx(idx_folder)), expected)


@pytest.mark.parametrize("act", [count_training, load])
def test_a_missing_file_is_named_with_every_accepted_spelling(idx_folder, act):
    (idx_folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError) as caught:
        act(idx(idx_folder))
    assert str(caught.value) == (
        f"{idx_folder} holds no t10k-labels-idx1-ubyte: one of t10k-labels-idx1-ubyte, "
        "t10k-labels-idx1-ubyte.gz, t10k-labels.idx1-ubyte, t10k-labels.idx1-ubyte.gz is expected"
    )


@pytest.mark.parametrize("act", [count_training, load])
def test_a_missing_folder_is_named_with_what_it_should_hold(tmp_path, act):
    with pytest.raises(DataError, match="nowhere is no folder: a folder with train-images-"):
        act(idx(tmp_path / "nowhere"))


@pytest.mark.parametrize("act", [count_training, load])
def test_images_and_labels_of_different_files_are_refused(idx_folder, act):
    labels = (idx_folder / "t10k-labels-idx1-ubyte.gz").read_bytes()
    (idx_folder / "train-labels-idx1-ubyte.gz").write_bytes(labels)
    with pytest.raises(DataError, match="30 training images and 9 training labels: equal counts"):
        act(idx(idx_folder))


@pytest.mark.parametrize("act", [count_training, load])
def test_labels_in_place_of_images_are_refused(idx_folder, act):
    labels = (idx_folder / "train-labels-idx1-ubyte.gz").read_bytes()
    (idx_folder / "train-images-idx3-ubyte.gz").write_bytes(labels)
    with pytest.raises(DataError, match=r"training images have shape \(30,\): \(images, steps"):
        act(idx(idx_folder))


def test_paths_are_relative_to_here_and_know_the_home(idx_folder, npz_file, monkeypatch):
    monkeypatch.chdir(npz_file.parent)
    monkeypatch.setenv("HOME", str(npz_file.parent))
    for folder, file in (("idx", "data.npz"), ("~/idx", "~/data.npz")):
        assert count_training(idx(folder)) == count_training(npz(file)) == 24


@pytest.mark.parametrize("act", [count_training, load])
@pytest.mark.parametrize("path", ["~no-such-user-here/x", "nul\0byte", "long" * 99])
def test_a_path_that_cannot_be_is_a_data_error(act, path):
    for config in (idx(path), npz(path)):
        with pytest.raises(DataError):
            act(config)


def test_a_label_out_of_range_is_found_when_the_labels_are_read(idx_folder, npz_file, arrays):
    np.savez(npz_file, **{**arrays, "y_test": np.full(9, 3)})
    assert count_training(npz(npz_file)) == 24
    with pytest.raises(DataError, match="the test labels are from 3 to 3: 0 to 2"):
        load(npz(npz_file))


def test_neither_importing_nor_loading_pulls_in_heavy_packages():
    code = (
        "import sys, seqsweep.data as data, seqsweep.config as config\n"
        "data.load(config.Mnist5kConfig(name='mnist_5k', n_validation=500))\n"
        "print({name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & eval(done.stdout)
