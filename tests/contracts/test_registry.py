"""A champion gives way only to a better model on the same data, as MLflow's client sees it."""

import json
import math
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from seqsweep.config import TrackingConfig
from seqsweep.errors import SearchError
from seqsweep.evaluation import FILE, Evaluation
from seqsweep.tracking import Run, RunRecord, Tracking, new_key, open_tracking

NAME = "digits"

pytestmark = pytest.mark.usefixtures("mlflow_store")


def evaluation(value: float, **changes) -> Evaluation:
    values = {"score": "test_accuracy", "higher_is_better": True, "data": "d1", "card": "# A card"}
    return Evaluation(value=value, **{**values, **changes})


@pytest.fixture(params=["mlflow", "none"])
def any_tracking(request, tmp_path) -> Tracking:
    return opened(tmp_path, request.param)


@pytest.fixture
def tracking(tmp_path) -> Tracking:
    return opened(tmp_path)


@pytest.fixture
def client(tmp_path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")


def opened(folder: Path, name: str = "mlflow") -> Tracking:
    values = {"uri": None, "experiment": "e", "log_model": True, "wait": 60.0, "hidden": []}
    values |= {"system_metrics_every_s": None, "pictures": False}
    config = TrackingConfig(name=name, dir=str(folder), registered_model=NAME, **values)
    return open_tracking(config, folder)


def with_model(tracking: Tracking, folder: Path) -> Run:
    """Gives a run that has a model of MLflow's, as far as a registry looks at one."""
    run = tracking.start(RunRecord("a run"), new_key())
    place = folder / f"model-{run.key}"
    place.mkdir()
    Model(flavors={"python_function": {"loader_module": "json"}}).save(place / "MLmodel")
    run.add_model(place, [])
    return run


def register(tracking: Tracking, folder: Path, looked: Evaluation) -> Run:
    run = with_model(tracking, folder)
    run.register(NAME, looked)
    assert tracking.flush(60) is None
    assert tracking.refusal() is None
    return run


def champion(client: MlflowClient) -> int:
    return int(client.get_model_version_by_alias(NAME, "champion").version)


def test_any_store_takes_a_winner(any_tracking, tmp_path):
    register(any_tracking, tmp_path, evaluation(0.9))


def test_the_first_winner_is_the_champion_with_its_card_and_its_run(tracking, client, tmp_path):
    run = register(tracking, tmp_path, evaluation(0.9))
    version = client.get_model_version_by_alias(NAME, "champion")
    assert version.description == "# A card"
    assert version.run_id == run.id
    assert version.tags["seqsweep.value"] == "0.9"
    assert run.registered == f"models:/{NAME}@champion is now version 1"


@pytest.mark.parametrize(
    ("first", "second", "winner", "said"),
    [
        (evaluation(0.9), evaluation(0.91), 2, "test_accuracy 0.9100, before 0.9000"),
        (evaluation(0.9), evaluation(0.9), 1, "with test_accuracy 0.9000 against 0.9000"),
        (evaluation(0.9), evaluation(0.89), 1, "with test_accuracy 0.9000 against 0.8900"),
        (evaluation(0.9), evaluation(0.99, data="d2"), 1, "its score is of other data"),
        (evaluation(0.9), evaluation(0.99, score="f1"), 1, "it is not known by its f1"),
        (
            evaluation(0.9, score="test_loss", higher_is_better=False),
            evaluation(0.8, score="test_loss", higher_is_better=False),
            2,
            "test_loss 0.8000, before 0.9000",
        ),
    ],
)
def test_only_a_better_winner_on_the_same_data_becomes_the_champion(
    tracking, client, tmp_path, first, second, winner, said
):
    register(tracking, tmp_path, first)
    run = register(tracking, tmp_path, second)
    assert champion(client) == winner
    assert said in run.registered
    assert len(client.search_model_versions(f"name = '{NAME}'")) == 2


def test_a_champion_that_someone_else_named_stays(tracking, client, tmp_path):
    first = register(tracking, tmp_path, evaluation(0.9))
    client.delete_model_version_tag(NAME, "1", "seqsweep.value")
    run = register(tracking, tmp_path, evaluation(0.99))
    assert champion(client) == 1
    assert "its score is not known" in run.registered
    assert first.registered != run.registered


def test_a_winner_that_is_registered_again_stays_one_version(tracking, client, tmp_path):
    run = register(tracking, tmp_path, evaluation(0.9))
    again = opened(tmp_path).run(run.key)
    again.register(NAME, evaluation(0.9))
    again.settle()
    assert again.registered == f"models:/{NAME}@champion is version 1 already"
    assert len(client.search_model_versions(f"name = '{NAME}'")) == 1


def test_a_run_without_a_model_is_refused_and_registers_nothing(tracking, client):
    run = tracking.start(RunRecord("a run"), new_key())
    run.register(NAME, evaluation(0.9))
    tracking.flush(60)
    assert "has no model that could be registered" in tracking.refusal()
    with pytest.raises(MlflowException):
        client.get_registered_model(NAME)


def test_an_evaluation_is_read_as_it_was_written(tmp_path):
    assert Evaluation.read(tmp_path) is None
    evaluation(0.9).write(tmp_path)
    assert Evaluation.read(tmp_path) == evaluation(0.9)


WHOLE = {"score": "s", "value": 1, "higher_is_better": True, "data": "d", "card": "c"}
WRONG = [{"value": "0.9"}, {"value": True}, {"value": math.nan}, {"value": math.inf}]
WRONG += [{"score": 1}, {"higher_is_better": "yes"}, {"data": None}, {"card": ["c"]}]
BROKEN = ["{", "[]", '{"score": "x"}', *(json.dumps(WHOLE | wrong) for wrong in WRONG)]


@pytest.mark.parametrize("text", BROKEN)
def test_anything_else_in_its_place_is_told_in_one_sentence(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(
        SearchError, match=r"a JSON object of score \(str\), value \(float\), higher_is_better"
    ):
        Evaluation.read(tmp_path)


def test_a_whole_number_is_a_score_too(tmp_path):
    (tmp_path / FILE).write_text(json.dumps(WHOLE))
    assert Evaluation.read(tmp_path).value == 1


def test_a_card_is_registered_without_secrets(tracking, client, tmp_path):
    url = "postgresql://me:hunter22@host/x"
    run = register(tracking, tmp_path, evaluation(0.9, card=f"read from {url}"))
    version = client.get_model_version_by_alias(NAME, "champion")
    assert version.description == "read from postgresql://me:***@host/x"
    assert run.registered
