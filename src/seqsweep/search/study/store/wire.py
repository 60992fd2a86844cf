"""What a proxy of a store and those who ask it agree on, beside what Optuna's own proxy offers.

The messages are lists in JSON: of a call all of its arguments, of an answer what it gives.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import grpc
from optuna.exceptions import UpdateFinishedTrialError

from seqsweep.search.study.store.base import AllTakenError

SERVICE = "seqsweep.Store"
CALLS = ("beat", "silences", "silence_s", "now", "swap", "begin", "begin_waiting")
# Optuna's service says the last two so as well.
CODES = {
    AllTakenError: grpc.StatusCode.OUT_OF_RANGE,
    KeyError: grpc.StatusCode.NOT_FOUND,
    UpdateFinishedTrialError: grpc.StatusCode.FAILED_PRECONDITION,
}
ERRORS = {code: kind for kind, code in CODES.items()}
OPTUNAS = (grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.INVALID_ARGUMENT)  # what else it says


def target(host: str, port: int) -> str:
    """Gives a host and its port as gRPC and a URL have them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def path(call: str) -> str:
    """Gives the name of a call as gRPC has it."""
    return f"/{SERVICE}/{call}"


def encoded(values: Sequence[Any]) -> bytes:
    """Writes arguments, or an answer."""
    return json.dumps(values).encode()


def decoded(message: bytes) -> list[Any]:
    """Reads them."""
    return json.loads(message)
