"""Why was this wallet refused? The verdict on an attestation, check by check, with nothing recorded.

The page in the admin and ``manage.py checkattestation`` show what :func:`inspect` returns.
"""

from .asides import Status
from .steps import EARLIEST, LATEST, Question
from .verdict import Inspection, Row, inspect

__all__ = ["EARLIEST", "LATEST", "Inspection", "Question", "Row", "Status", "inspect"]
