"""A model that someone else has written is plain Keras or refused; its code never runs."""

import json
import pickle
import shutil
import sys
import zipfile
from pathlib import Path

import keras
import mlflow.tensorflow
import numpy as np
import pytest

from seqsweep.config import LstmConfig
from seqsweep.errors import DataError
from seqsweep.models import build, portable
from seqsweep.tracking.models import KERAS_FILE, load_model, save_model

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),  # MLflow's own
]
X = np.zeros((2, 4, 3), np.float32)


@pytest.fixture(scope="module")
def honest(tmp_path_factory) -> Path:
    config = LstmConfig(
        name="lstm",
        n_hidden=2,
        n_layers=1,
        bidirectional=False,
        forget_bias=1.0,
        products="float32",
        dropout=0.0,
    )
    folder = tmp_path_factory.mktemp("honest") / "model"
    save_model(portable(build(config, input_shape=(4, 3), n_classes=2, seed=1)), folder, example=X)
    return folder


@pytest.fixture
def folder(honest, tmp_path) -> Path:
    return Path(shutil.copytree(honest, tmp_path / "model"))


def rewrite(path: Path, change) -> None:
    """Lets `change` have the description of the model in its file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    description = json.loads(members["config.json"])
    change(description)
    members["config.json"] = json.dumps(description).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def test_an_honest_model_is_loaded(folder):
    assert load_model(folder).predict(X, verbose=0).shape == (2, 2)


def test_a_layer_with_code_of_its_own_is_refused_and_the_code_does_not_run(folder, tmp_path):
    mark = tmp_path / "mark"
    code = eval(f"lambda x: (__import__('pathlib').Path({str(mark)!r}).touch(), x)[1]")
    inputs = keras.Input((4, 3))
    model = keras.Model(inputs, keras.layers.Lambda(code, output_shape=(4, 3))(inputs))
    model.save(folder / KERAS_FILE)
    mark.unlink(missing_ok=True)
    with pytest.raises(DataError, match="plain Keras layers are expected") as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    assert not mark.exists()
    # the file is what it claims to be: without the safe mode it does run
    loaded = keras.saving.load_model(folder / KERAS_FILE, safe_mode=False)
    loaded.predict(X, verbose=0)
    assert mark.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "exec"), ("subprocess", "run"), ("posix", "system")],
)
def test_a_layer_that_names_a_function_of_python_is_refused(folder, tmp_path, module, name):
    mark = tmp_path / "mark"

    def change(description):
        layer = description["config"]["layers"][-1]
        layer.update(module=module, class_name=name, registered_name=None)
        layer["config"] = {"command": f"touch {mark}", "args": ["touch", str(mark)]}

    rewrite(folder / KERAS_FILE, change)
    with pytest.raises(DataError, match="plain Keras layers are expected"):
        load_model(folder)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["custom_objects", "global_custom_objects"])
def test_pickled_objects_beside_the_model_are_never_read(folder, tmp_path, name):
    mark = tmp_path / "mark"

    class Touch:
        def __reduce__(self):
            return Path.touch, (mark,)

    (folder / "data" / f"{name}.cloudpickle").write_bytes(pickle.dumps(Touch()))
    load_model(folder)
    assert not mark.exists()


def test_a_module_that_the_description_names_is_not_imported(folder, tmp_path, monkeypatch):
    mark = tmp_path / "mark"
    (folder / "code").mkdir()
    (folder / "code" / "hostile_models.py").write_text(
        f"import pathlib; pathlib.Path({str(mark)!r}).touch()"
    )
    text = (folder / "MLmodel").read_text()
    assert "  tensorflow:\n    code: null\n" in text
    hostile = "  tensorflow:\n    code: code\n    keras_module: hostile_models\n"
    (folder / "MLmodel").write_text(text.replace("  tensorflow:\n    code: null\n", hostile))
    monkeypatch.setattr(sys, "path", [*sys.path])
    load_model(folder)
    assert not mark.exists()
    with pytest.raises(
        ModuleNotFoundError
    ):  # the folder is what it claims to be: to MLflow it does
        mlflow.tensorflow.load_model(str(folder))
    assert mark.exists()


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06", b"\x89HDF\r\n\x1a\n", b"{}"])
def test_a_file_that_is_no_model_is_told_of(folder, data):
    (folder / KERAS_FILE).write_bytes(data)
    with pytest.raises(DataError, match=r"cannot be loaded .*plain Keras layers are expected$"):
        load_model(folder)


def test_a_model_that_is_not_there_is_told_of(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        load_model(tmp_path)
