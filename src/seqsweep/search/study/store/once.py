"""Trials that are made of a template once, also where the store is asked for them again."""

from __future__ import annotations

import copy
import uuid

from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy.orm import Session

MADE_BY = "seqsweep:made_by"  # a trial's attribute: tells which request has made it


def marked(template: FrozenTrial | None) -> FrozenTrial | None:
    """Gives the template with a mark by which a store knows it when it comes again."""
    if template is None:
        return None
    template = copy.deepcopy(template)
    template._system_attrs[MADE_BY] = uuid.uuid4().hex
    return template


def find_made(session: Session, study_id: int, template: FrozenTrial) -> models.TrialModel | None:
    """Gives the trial that was made of the template before, None where there is none.

    Nothing is missed while the session holds the lock on the study under which trials are made.
    """
    if (mark := template._system_attrs.get(MADE_BY)) is None:
        return None
    trials, attributes = models.TrialModel, models.TrialSystemAttributeModel
    of_mark = (attributes.key == MADE_BY, attributes.value_json == f'"{mark}"')
    made = session.query(trials).join(attributes, attributes.trial_id == trials.trial_id)
    return made.filter(trials.study_id == study_id, *of_mark).first()
