"""Whether a store of studies behind a server can be read."""

from __future__ import annotations

from seqsweep.cli.checks import Check, fail, ok
from seqsweep.errors import UserError


def check_studies(place: str) -> Check:
    """Opens the store and counts its studies."""
    from seqsweep.search.study.reading import open_for_reading, readable
    from seqsweep.search.study.store.base import NoStudiesError

    try:
        with readable(place):
            count = len(open_for_reading(place).get_all_studies())
    except NoStudiesError as error:
        return ok("studies", str(error))
    except UserError as error:
        return fail("studies", str(error), "mend the address, start the server, install its driver")
    return ok("studies", f"{count} in {place}")
