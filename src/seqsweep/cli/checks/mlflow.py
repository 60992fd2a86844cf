"""Whether the MLflow store can be used by this MLflow, and whether its port is free."""

from __future__ import annotations

import base64
import os
import socket
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from seqsweep.cli.checks import Check, fail, ok, warn
from seqsweep.secrets import masked

TIMEOUT_S = 5
HOST = "127.0.0.1"
ANY = urllib.request.build_opener()  # by way of the proxy that the environment names
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def check_schema(file: Path) -> list[Check]:
    """Holds the tables of an SQLite store against those that the installed MLflow needs."""
    from seqsweep.tracking.inspect import how_to_upgrade, schema_of

    name = "MLflow store, schema"
    try:
        schema = schema_of(file)
    except sqlite3.Error:
        return []  # which another row says
    if schema.found is None:
        return [warn(name, f"{file} holds no tables of MLflow's", "delete it if it is empty")]
    if schema.found == schema.wanted:
        return [ok(name, schema.found)]
    if schema.is_known:
        return [
            fail(
                name,
                f"{schema.found} is old, this MLflow needs {schema.wanted}",
                f"copy {file.name}, then {how_to_upgrade(file)}",
            )
        ]
    return [
        fail(
            name,
            f"{schema.found} is not known to this MLflow, whose own is {schema.wanted}",
            "install the MLflow that made it, or a newer one",
        )
    ]


def check_server(uri: str) -> Check:
    """Asks the server that `MLFLOW_TRACKING_URI` or `--tracking-uri` names whether it is well."""
    if "://" not in uri and uri != "databricks":
        what = "a folder, MLflow's older file store," if Path(uri).is_dir() else "no address"
        return fail(
            "MLflow store",
            f"{uri} is {what} which seqsweep does not read",
            "give sqlite:///FILE or http://HOST:PORT",
        )
    if not uri.startswith("http"):
        return ok("MLflow store", f"{masked(uri)}, not looked at")
    try:
        why = _unhealthy(_request(uri.rstrip("/")))
    except ValueError as error:  # of an address that is none
        why = str(error)
    if why is None:
        return ok("MLflow store", f"{masked(uri)} answers")
    return fail("MLflow store", f"{masked(uri)} does not answer: {masked(why)}", "start it")


def check_port(port: int) -> Check:
    """Says whether the port of `mlflow ui` is free, or an MLflow answers there already."""
    name = f"port {port}"
    with socket.socket() as probe:
        probe.settimeout(TIMEOUT_S)
        if probe.connect_ex((HOST, port)) != 0:
            return ok(name, "free for mlflow ui")
    if _unhealthy(urllib.request.Request(f"http://{HOST}:{port}"), DIRECT) is None:
        return ok(name, f"an MLflow server answers at http://{HOST}:{port}")
    return warn(
        name,
        "another program listens there, which is no MLflow",
        f"mlflow ui --port {port + 1}, or end that program",
    )


def _request(address: str) -> urllib.request.Request:
    """Gives a request, with the name and password that the address or MLflow's variables hold."""
    parts = urllib.parse.urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(parts._replace(netloc=host).geturl())
    if "@" in parts.netloc:
        said = urllib.parse.unquote(parts.netloc.rpartition("@")[0])
    elif user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
        said = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
    else:
        said = ""
    if said:
        request.add_header("Authorization", f"Basic {base64.b64encode(said.encode()).decode()}")
    elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        request.add_header("Authorization", f"Bearer {token}")
    return request


def _unhealthy(
    request: urllib.request.Request, opener: urllib.request.OpenerDirector = ANY
) -> str | None:
    """Gives why no MLflow answers at the request's address, None where one does."""
    request.full_url += "/health"
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            said = answer.read(16)
    except urllib.error.HTTPError as error:
        return f"it answers {error.code}"
    except (OSError, ValueError) as error:  # also what is no HTTP
        return str(getattr(error, "reason", error)) or type(error).__name__
    except Exception as error:  # http.client's own, which are no OSError
        return str(error) or type(error).__name__
    return None if said == b"OK" else "what answers is no MLflow"
