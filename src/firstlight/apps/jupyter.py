"""Jupyter Server, JupyterLab and Notebook 7.

`/api` gives the version to everybody, with no token. A notebook's kernel is a process of its own: that its CUDA context is broken is for its user
to see, and no reason to take the server from all others. So no line of the output means anything here.
"""

from __future__ import annotations

from firstlight.apps.app import App, Check, Kind, Level, OnFailure, Relation, Rule

_API = "http://127.0.0.1:{port}/api"

APP = App(
    name="jupyter",
    words="Jupyter Server, JupyterLab, Notebook 7",
    port=8888,
    checks=(
        Check(name="api", level=Level.READY, kind=Kind.HTTP, target=_API, status=(200,), expect=(Rule("version", Relation.PRESENT),)),
        Check(name="answers", level=Level.ALIVE, kind=Kind.HTTP, target=_API, status=(200,), threshold=6, on_failure=OnFailure.RESTART),
    ),
    defaults={"restart": "on-failure"},
)
