"""The proxy: a database's store, served to processes that have no connection of their own.

It offers what Optuna's proxy offers, which Optuna's clients understand, and beside that what a
sweep needs of a store, see `seqsweep.search.study.store.wire`. It waits for no database that is
away: whoever asks is told, and asks again.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import grpc
from optuna.storages._grpc import servicer
from optuna.storages._grpc.auto_generated import api_pb2
from optuna.storages._grpc.auto_generated.api_pb2_grpc import add_StorageServiceServicer_to_server
from optuna.trial import FrozenTrial, TrialState

from seqsweep.errors import SearchError, first_line
from seqsweep.search.study.store import wire
from seqsweep.search.study.store.base import STORE_ERRORS, why_it_failed
from seqsweep.search.study.store.database import Database
from seqsweep.search.study.store.opening import open_storage
from seqsweep.search.study.store.remote import RemoteDatabase, passes
from seqsweep.search.study.store.shared import SharedCache

N_THREADS = 64  # most wait, for a connection or for a reading that they share
OPTIONS = [
    ("grpc.so_reuseport", 0),  # else two proxies share a port, each unknown to the other
    ("grpc.max_receive_message_length", -1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),  # clients look whether it lives
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
]
GRACE_S = 2.0  # for calls that run when it ends
LEAVE_S = 1.0  # to let go of those that are cut then; one may hang in its database for ever
SECONDS = 60  # a grace period that serving does not use: each worker has its own


@contextmanager
def served(place: str, host: str, port: int) -> Iterator[str]:
    """Serves the store while in this block; gives its address, at a free port for 0.

    Raises:
        SearchError: the store cannot be opened or served, or the port is taken.
    """
    storage = open_storage(place, grace_period=SECONDS)
    try:
        if not isinstance(storage, Database):
            raise SearchError(
                f"{place} cannot stand behind a proxy: the path of an SQLite file and the URL of a "
                "database are accepted"
            )
        if isinstance(storage, RemoteDatabase):
            storage.is_patient = False
        server, bound = _server(storage, host, port)
        server.start()
        try:
            yield f"grpc://{wire.target(host, bound)}"
        finally:
            server.stop(GRACE_S).wait(GRACE_S + LEAVE_S)
    finally:
        storage.close()


def _server(storage: Database, host: str, port: int) -> tuple[grpc.Server, int]:
    threads = ThreadPoolExecutor(N_THREADS, "call")
    server = grpc.server(threads, interceptors=[_Failures(storage)], options=OPTIONS)
    cache = SharedCache(storage)
    add_StorageServiceServicer_to_server(_OptunasService(cache), server)
    server.add_generic_rpc_handlers([_our_service(storage, cache)])
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()  # gRPC would not say why not
        return server, server.add_insecure_port(wire.target(host, port))
    except (OSError, RuntimeError) as error:  # the socket's, and gRPC's
        why = re.split(r" \(|; set GRPC_VERBOSITY", first_line(error))[0]
        raise SearchError(
            f"{wire.target(host, port)} cannot be listened at: {why}; --host and --port take others"
        ) from error


def _our_service(storage: Database, cache: SharedCache) -> grpc.GenericRpcHandler:
    calls: dict[str, Callable[..., Any]] = {
        "beat": storage.beat,
        "silences": lambda study_id: list(storage.silences(study_id).items()),
        "silence_s": lambda study_id, since: storage.silence_s(
            study_id, datetime.fromisoformat(since)
        ),
        "now": lambda: storage.now().isoformat(),
        "swap": storage.swap,
        "begin": cache.begin,
        "begin_waiting": lambda trial_id, total: storage.within(total).set_trial_state_values(
            trial_id, TrialState.RUNNING
        ),
    }
    handlers = {name: _handler(calls[name]) for name in wire.CALLS}
    return grpc.method_handlers_generic_handler(wire.SERVICE, handlers)


def _handler(call: Callable[..., Any]) -> grpc.RpcMethodHandler:
    return grpc.unary_unary_rpc_method_handler(
        lambda arguments, _context: [call(*arguments)],
        request_deserializer=wire.decoded,
        response_serializer=wire.encoded,
    )


class _OptunasService(servicer.OptunaStorageProxyService):
    def __init__(self, storage: SharedCache) -> None:
        super().__init__(storage)
        self._written: dict[int, tuple[FrozenTrial, bytes]] = {}  # by the trial's id

    def GetTrials(  # noqa: N802 - the name is Optuna's
        self, request: api_pb2.GetTrialsRequest, context: grpc.ServicerContext
    ) -> api_pb2.GetTrialsReply:
        """Gives what has changed, without a look at each trial of the study."""
        known = set(request.included_trial_ids)
        trials = self._backend.changed(request.study_id, known, request.trial_id_greater_than)
        return api_pb2.GetTrialsReply.FromString(b"".join(map(self._reply, trials)))

    def _reply(self, trial: FrozenTrial) -> bytes:
        """Gives a trial as a reply of one, written once; joined they are a reply of all."""
        of, reply = self._written.get(trial._trial_id, (None, b""))
        if of is not trial:  # read anew
            message = api_pb2.GetTrialsReply(trials=[servicer._to_proto_trial(trial)])
            reply = message.SerializeToString()
            self._written[trial._trial_id] = trial, reply
        return reply


class _Failures(grpc.ServerInterceptor):
    """Lets whoever asks hear what a store raises, and whether it may pass."""

    def __init__(self, storage: Database) -> None:
        self._storage = storage

    def intercept_service(
        self, continuation: Callable, details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler | None:
        handler = continuation(details)
        if handler is None:  # there is no such call
            return None

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return handler.unary_unary(request, context)
            except tuple(wire.CODES) as error:
                context.abort(wire.CODES[type(error)], str(error))
            except Exception as error:
                if passes(self._storage, error):
                    context.abort(grpc.StatusCode.UNAVAILABLE, why_it_failed(error))
                if isinstance(error, STORE_ERRORS):
                    context.abort(grpc.StatusCode.INTERNAL, why_it_failed(error))
                raise  # how Optuna's service ends a call is one too

        return handler._replace(unary_unary=answer)
