"""Whoever takes part in a run is called through here: where one of them fails, that one stops, and PID 1 lives on with the app."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    News = TypeVar("News")


class Guard:
    """Between the loop and those whom it calls.

    Attributes:
        failed: told who has failed, and how; None to let the failure through, as a command must that has no app to keep.
    """

    __slots__ = ("failed",)

    def __init__(self) -> None:
        self.failed: Callable[[str, str], object] | None = None

    def call(self, what: Callable[[], object]) -> bool:
        """Call `what`. False when it has failed."""
        try:
            what()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no reason for PID 1 to end
            self._report(what, error)
            return False
        return True

    def tell(self, listeners: list[Callable[[News], None]], news: News) -> None:
        """Tell all of them. One that fails is told no more."""
        for listener in list(listeners):
            try:
                listener(news)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is no reason for PID 1 to end
                if listener in listeners:  # before anybody is told of the failure: that can be news for it as well
                    listeners.remove(listener)
                self._report(listener, error)

    def _report(self, what: Callable[..., object], error: Exception) -> None:
        if self.failed is None:
            raise error
        self.failed(getattr(what, "__qualname__", repr(what)), f"{type(error).__name__}: {error} ({_place(error)})")


def _place(error: Exception) -> str:
    """The file and the line where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace is not None else "nowhere"
