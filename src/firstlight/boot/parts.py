"""What a whole run is made of. Built by entrypoint.py before the first probe, so it imports nothing."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` has the same name, and costs two milliseconds before the first probe
if TYPE_CHECKING:
    from collections.abc import Callable

    from firstlight.journal.journal import Journal
    from firstlight.settings import Settings
    from firstlight.system.loop import Loop


class Parts:
    """What a whole run is made of; `conduct.Boot` is one bringing-up of CUDA, of which a run can have many.

    Attributes:
        environment: the app's; remedies change it on the way.
        started: when the run began, in monotonic seconds.
        seen: the fingerprint of the devices from before the first probe.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        environment: dict[str, str],
        loop: Loop,
        journal: Journal,
        tell: Callable[[str], None],
        started: float,
        seen: tuple[object, ...],
    ) -> None:
        self.settings = settings
        self.environment = environment
        self.loop = loop
        self.journal = journal
        self.tell = tell
        self.started = started
        self.seen = seen
