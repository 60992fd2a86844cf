"""The options of the plugin, as Hydra composes them."""

import copy
import inspect

import pytest
from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.utils import get_class

from hydra_plugins.seqsweep_sweeper import OPTIONS


def composed(*overrides: str):
    with initialize(config_path=None, version_base="1.3"):
        config = compose(overrides=["hydra/sweeper=seqsweep", *overrides], return_hydra_config=True)
    return config.hydra.sweeper


@pytest.mark.parametrize(("group", "name"), [(g, n) for g in OPTIONS for n in OPTIONS[g]])
def test_an_option_lists_arguments_that_its_class_has(group, name):
    option = composed(f"hydra/sweeper/{group}={name}")[group]
    assert option == OPTIONS[group][name]
    accepted = inspect.signature(get_class(option._target_)).parameters
    assert option.keys() - {"_target_"} <= accepted.keys()


@pytest.mark.parametrize("plus", ["", "+"])
def test_an_argument_that_the_option_does_not_list_can_be_given(plus):
    sweeper = composed(
        f"{plus}hydra.sweeper.sampler.n_ei_candidates=50",
        "hydra/sweeper/pruner=patient",
        f"{plus}hydra.sweeper.pruner.wrapped_pruner.n_warmup_steps=3",
    )
    assert sweeper.sampler.n_ei_candidates == 50
    assert sweeper.pruner.wrapped_pruner.n_warmup_steps == 3


def test_copies_of_hydras_store_share_the_options():
    """Hydra copies the store a hundred times at every start; `--help` has to stay fast."""
    repo = ConfigStore.instance().repo
    assert copy.deepcopy(repo)["hydra"]["sweeper"]["pruner"] is repo["hydra"]["sweeper"]["pruner"]


def test_what_was_composed_changes_no_option():
    sweeper = composed("hydra.sweeper.sampler.n_startup_trials=1")
    sweeper.sampler.n_startup_trials = 2
    assert composed().sampler.n_startup_trials == OPTIONS["sampler"]["tpe"]["n_startup_trials"]
