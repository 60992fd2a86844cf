"""Whether Python and the packages are those that this project asks for."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from seqsweep.cli.checks import Check, fail, ok, warn

NAME = "seqsweep"
SET_UP = "make .venv, or pip install --require-hashes -r requirements.lock"


def check_python() -> Check:
    """Holds the running Python against what the package's metadata asks."""
    found = platform.python_version()
    try:
        wanted = metadata(NAME)["Requires-Python"]
    except PackageNotFoundError:
        return warn("Python", f"{found}; {NAME} is not installed", "pip install --editable .")
    if wanted is None or SpecifierSet(wanted).contains(found, prereleases=True):
        return ok("Python", found)
    return fail("Python", f"{found}, asked for is {wanted}", "make .venv with such a Python")


def check_packages() -> Check:
    """Holds each installed package against what the metadata asks, extras left out."""
    try:
        wanted = [Requirement(line) for line in requires(NAME) or ()]
    except PackageNotFoundError:
        return warn("packages", f"{NAME} is not installed", "pip install --editable .")
    needed = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    problems = list(_problems(needed))
    if not problems:
        return ok("packages", f"{len(needed)} as asked for")
    return fail("packages", "; ".join(problems), SET_UP)


def _problems(needed: list[Requirement]) -> Iterator[str]:
    for each in needed:
        try:
            found = version(each.name)
        except PackageNotFoundError:
            yield f"{each.name} is not installed, asked for is {each.specifier or 'any'}"
            continue
        if not each.specifier.contains(found, prereleases=True):
            yield f"{each.name} {found}, asked for is {each.specifier}"
