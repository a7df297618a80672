"""Every way in which a site may handle refresh tokens, as settings of its host."""

from __future__ import annotations

from typing import Any

ROTATION = {"REFRESH_TOKEN_REUSE_PROTECTION": False}
REUSE_PROTECTION = {"REFRESH_TOKEN_REUSE_PROTECTION": True}
GRACE = {"REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 120}
NO_ROTATION = {"ROTATE_REFRESH_TOKEN": False}
HASHED = {"COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True}
SITES: dict[str, dict[str, Any]] = {
    "rotation": ROTATION,
    "reuse protection": REUSE_PROTECTION,
    "grace": {**ROTATION, **GRACE},
    "grace, reuse protection": {**REUSE_PROTECTION, **GRACE},
    "no rotation": NO_ROTATION,
    "hashed": {**ROTATION, **HASHED},
    "hashed, reuse protection": {**REUSE_PROTECTION, **HASHED},
    "hashed, grace": {**ROTATION, **GRACE, **HASHED},
    "hashed, no rotation": {**NO_ROTATION, **HASHED},
}
