"""What Optuna notices only once trials have ended is found before the first trial trains."""

import pytest

from hydra_plugins.seqsweep_sweeper import OPTIONS
from seqsweep.errors import SearchError
from seqsweep.search.space.space import Space
from seqsweep.search.study.study import make_pruner, make_sampler, silence_optuna
from seqsweep.search.workers.rehearsal import rehearse

Chosen = tuple[dict, dict]


def sampler(name: str, **arguments) -> Chosen:
    return {**OPTIONS["sampler"][name], **arguments}, OPTIONS["pruner"]["none"]


def pruner(name: str, **arguments) -> Chosen:
    return OPTIONS["sampler"]["random"], {**OPTIONS["pruner"][name], **arguments}


def try_out(chosen: Chosen, space: Space, *directions: str) -> None:
    by, judged_by = make_sampler(chosen[0], space, seed=None), make_pruner(chosen[1])
    rehearse(by, judged_by, directions or ("maximize",), space.suggest)


@pytest.fixture
def space() -> Space:
    silence_optuna()
    return Space.read({}, ["x=interval(0,1)", "y=choice(a,b)"], None)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (sampler("tpe", n_ei_candidates=0), "hydra.sweeper.sampler TPESampler cannot choose"),
        (sampler("cmaes", popsize=0), "hydra.sweeper.sampler CmaEsSampler cannot choose values: "),
        (sampler("tpe", nothing=1), "hydra.sweeper.sampler.nothing=1"),
        (sampler("grid"), "x=interval(0,1) has no end of values, and as hydra.sweeper.sampler"),
        (sampler("grid", seed=1), "hydra.sweeper.sampler.seed=1: a grid takes no argument"),
        (
            sampler("brute_force"),
            "x=interval(0,1) has no end of values, and as hydra.sweeper.sampler",
        ),
        (pruner("hyperband", min_resource=0), "hydra.sweeper.pruner HyperbandPruner cannot judge"),
        (pruner("hyperband", reduction_factor=1), "hydra.sweeper.pruner HyperbandPruner cannot"),
        (pruner("asha", reduction_factor=1), "hydra.sweeper.pruner SuccessiveHalvingPruner"),
        (pruner("threshold"), "hydra.sweeper.pruner ThresholdPruner cannot be built: Either lower"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence_that_names_the_key(space, given, says):
    with pytest.raises(SearchError) as caught:
        try_out(given, space)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["tpe", "random", "cmaes", "qmc", "nsgaii"])
def test_what_works_is_not_refused(space, name):
    try_out(sampler(name), space)


def test_a_sampler_of_one_objective_is_refused_for_two(space):
    with pytest.raises(SearchError, match="CmaEsSampler cannot choose values"):
        try_out(sampler("cmaes"), space, "minimize", "maximize")
    try_out(sampler("nsgaii"), space, "minimize", "maximize")
