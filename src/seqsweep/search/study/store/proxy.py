"""Studies behind a proxy, `seqsweep proxy`, which lends its few connections to many workers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import grpc
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import GrpcStorageProxy
from optuna.storages._grpc.auto_generated.api_pb2_grpc import StorageServiceStub
from optuna.storages._grpc.client import GrpcClientCache
from optuna.trial import FrozenTrial, TrialState

from seqsweep.errors import SearchError
from seqsweep.search.study.store import once, wire
from seqsweep.search.study.store.base import OnLost, Store
from seqsweep.search.study.store.patience import REPEATABLE, Patient, repeat

CONNECT_S = 10  # to a proxy, after which it counts as away
OPTIONS = [
    ("grpc.max_receive_message_length", -1),  # all trials of a study come as one
    ("grpc.enable_http_proxy", 0),  # which a network has for the web
    ("grpc.keepalive_time_ms", 30_000),  # a proxy that is gone without a word is away
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]
AWAY = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,  # by a proxy that ends
    grpc.StatusCode.DEADLINE_EXCEEDED,
)


class ProxyAwayError(StorageInternalError):
    """The proxy, or the database behind it, is away, starts, or has cut a call."""


class Connection(Store, GrpcStorageProxy):
    """A store behind a proxy, each call asked once.

    Args:
        host: where the proxy runs, with the next one.
        port: where it listens.
        grace_period: see `Store`, with the next two.
        on_lost: what hears of lost trials.
        total: how many trials may begin.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        grace_period: int,
        on_lost: OnLost | None = None,
        total: int | None = None,
    ) -> None:
        Store.__init__(self, grace_period=grace_period, on_lost=on_lost, total=total)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            GrpcStorageProxy.__init__(self, host=host, port=port)

    def _setup(self) -> None:
        self._channel = grpc.insecure_channel(wire.target(self._host, self._port), OPTIONS)
        heard = grpc.intercept_channel(self._channel, _Failures())
        self._stub = StorageServiceStub(heard)
        self._cache = _Cache(self._stub)
        self._calls = {
            name: heard.unary_unary(wire.path(name), wire.encoded, wire.decoded)
            for name in wire.CALLS
        }

    def close(self) -> None:
        """Closes what is open."""
        GrpcStorageProxy.close(self)

    def ask(self, call: str, *arguments: Any, timeout: float | None = None) -> Any:
        """Gives the answer of our own service.

        Raises:
            AllTakenError: as `Store` has it, with all that a store raises.
        """
        try:
            (given,) = self._calls[call](arguments, timeout=timeout)
        except grpc.RpcError as error:
            raise wire.ERRORS[error.code()](error.details()) from None
        return given

    def beat(self, trial_id: int) -> None:
        """Says that the trial's worker is alive."""
        self.ask("beat", trial_id)

    def silences(self, study_id: int) -> dict[int, float | None]:
        """Gives the seconds since the last beat of each trial that runs, None where it has none."""
        return dict(self.ask("silences", study_id))

    def silence_s(self, study_id: int, since: datetime) -> float:
        """Gives the seconds since the last beat of any trial of the study, or since `since`."""
        return self.ask("silence_s", study_id, since.isoformat())

    def now(self) -> datetime:
        """Gives the time by the store's clock, which all hosts share."""
        return datetime.fromisoformat(self.ask("now"))

    def swap(self, study_id: int, key: str, old: Any, new: Any) -> bool:
        """Sets an attribute of the study where it is `old`; says whether it was."""
        return self.ask("swap", study_id, key, old, new)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Makes a trial; one that is to wait has a template, and always has room."""
        if template_trial is None and self.total is not None:
            return self.ask("begin", study_id, self.total)
        return super().create_new_trial(study_id, template_trial)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Sets a trial's state; of several that would begin one that waits, one does."""
        if state is TrialState.RUNNING and self.total is not None:
            return self.ask("begin_waiting", trial_id, self.total)
        return super().set_trial_state_values(trial_id, state, values)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Gives the trial."""
        return _ordered(super().get_trial(trial_id))


class Proxy(Patient, Connection):
    """A store behind a proxy, asked again where that or its database is away."""

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Makes a trial; one with a template once, however often it is asked for."""
        ask, template = super().create_new_trial, once.marked(template_trial)
        return self._repeated(lambda: ask(study_id, template))

    def passes(self, error: Exception) -> bool:
        """Says whether it is of a proxy that is away, starts, or has cut a call."""
        return isinstance(error, ProxyAwayError)


repeat(Proxy, REPEATABLE)
repeat(Proxy, ("set_trial_param", "get_trial", "get_all_trials"))


def open_proxy(url: str, **arguments: Any) -> Proxy:
    """Opens the store behind a proxy.

    Args:
        url: as `grpc://HOST:PORT`.
        arguments: what `Connection` takes else.

    Raises:
        SearchError: that is no address, or no proxy of ours answers there.
    """
    storage = Proxy(*_host_and_port(url), **arguments)
    try:
        storage.ask("now", timeout=CONNECT_S)
    except StorageInternalError as error:
        storage.close()
        raise SearchError(
            f"hydra.sweeper.storage={url}: {error}; start a proxy there by seqsweep proxy "
            "--storage=URL"
        ) from error
    return storage


def _host_and_port(url: str) -> tuple[str, int]:
    try:
        read = urlsplit(url)
        host, port = read.hostname, read.port
    except ValueError:  # of a port that is none
        host = port = None
    if not host or not port or read.netloc.count("@") or read.path.strip("/") or read.query:
        raise SearchError(
            f"hydra.sweeper.storage={url} is no address of a proxy: grpc://HOST:PORT is accepted, "
            "as grpc://127.0.0.1:13000, and nothing beside it"
        )
    return host, port


class _Failures(grpc.UnaryUnaryClientInterceptor):
    """Raises Optuna's own error for all that neither service means to say."""

    def intercept_unary_unary(
        self, continuation: Callable, details: grpc.ClientCallDetails, request: Any
    ) -> Any:
        answer = continuation(details, request)
        code, said = answer.code(), answer.details()
        if code is grpc.StatusCode.OK or code in wire.ERRORS or code in wire.OPTUNAS:
            return answer
        if code in AWAY:
            raise ProxyAwayError(said)
        if code is grpc.StatusCode.UNIMPLEMENTED:
            said = "what answers there is no proxy of seqsweep, as Optuna's own is none"
        raise StorageInternalError(said)


class _Cache(GrpcClientCache):
    def _add_trial_to_cache(self, study_id: int, trial: FrozenTrial) -> None:
        super()._add_trial_to_cache(study_id, _ordered(trial))


def _ordered(trial: FrozenTrial) -> FrozenTrial:
    """Gives the trial with its maps in order, which they lose on the way."""
    for name in ("_params", "_distributions", "user_attrs", "_system_attrs"):
        setattr(trial, name, dict(sorted(getattr(trial, name).items())))
    trial.intermediate_values = dict(sorted(trial.intermediate_values.items()))
    return trial
