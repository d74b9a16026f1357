"""The operations that this cloud has. A test holds them against the document."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

_TABLE = """
GET    /v2/pods                    listPods
POST   /v2/pods                    createPod
GET    /v2/pods/{id}               getPod
PATCH  /v2/pods/{id}               updatePod
DELETE /v2/pods/{id}               deletePod
GET    /v2/pods/{id}/logs          getPodLogs
POST   /v2/pods/{id}/action        podAction
GET    /v2/templates               listTemplates
POST   /v2/templates               createTemplate
GET    /v2/templates/{id}          getTemplate
PATCH  /v2/templates/{id}          updateTemplate
DELETE /v2/templates/{id}          deleteTemplate
GET    /v2/network-volumes         listNetworkVolumes
POST   /v2/network-volumes         createNetworkVolume
GET    /v2/network-volumes/{id}    getNetworkVolume
GET    /v2/catalog/gpus            listGpuTypes
GET    /v2/catalog/gpus/{id}       getGpuType
GET    /v2/account/ssh-keys        getSshKeys
PUT    /v2/account/ssh-keys        updateSshKeys
"""


@dataclass(frozen=True)
class Route:
    """One operation."""

    method: str
    path: str
    operation: str

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.method != "GET"


ROUTES = tuple(Route(*line.split()) for line in _TABLE.strip().splitlines())
_PATTERNS = [(re.compile(re.sub(r"\{id\}", "([^/]+)", route.path)), route) for route in ROUTES]


def find(method: str, raw_path: str) -> tuple[Route, str] | int:
    """The operation of a request and the id in its path, which comes still quoted; or 404, or 405."""
    found = 404
    for pattern, route in _PATTERNS:
        match = pattern.fullmatch(raw_path)
        if match:
            if route.method == method:
                return route, unquote(match[1]) if match.groups() else ""
            found = 405
    return found
