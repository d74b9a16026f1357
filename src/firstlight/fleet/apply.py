"""Do what a plan says, and look whether it is done.

RunPod knows no condition on a write, so two that write at once cannot be kept apart for sure. What can be done is done: the
container is read again right before the write, and right after it.
"""

from __future__ import annotations

from firstlight import errors
from firstlight.fleet import plan
from firstlight.fleet.plan import Plan
from firstlight.providers.runpod.client import Client, CloudError
from firstlight.providers.runpod.shapes import Container, Pod, Template

# What RunPod restarts a container by, in place and with its GPU.
_RESTART = "restart"


class NotDoneError(errors.Error):
    """It was not done, or somebody has undone it."""

    exit_code = errors.ExitCode.CLOUD


async def apply(cloud: Client, wanted: Plan) -> Container:
    """Change the container; what it is afterwards.

    Raises:
        NotDoneError: somebody changed it since it was read, and nothing was done; or it is not as it was asked to be.
        CloudError: RunPod refused.
    """
    body = wanted.body
    if not body:
        return wanted.before
    now = await read(cloud, wanted.before)
    if not plan.same(now, wanted.before):
        raise NotDoneError(f"cannot change {wanted.title}: somebody else has just changed it; nothing was done, look at it again")
    try:
        await _write(cloud, wanted.before, body)
    except CloudError as error:
        # An answer that was lost may have been a yes.
        if not error.done or wanted.differs(await read(cloud, wanted.before)):
            raise
    now = await read(cloud, wanted.before)
    if wrong := wanted.differs(now):
        raise NotDoneError(
            f"cannot say that {wanted.title} is as it should be: after the change, RunPod has something else for {', '.join(wrong)}; "
            "somebody may have changed it at the same time"
        )
    return now


async def restart(cloud: Client, now: Container) -> bool:
    """Restart the container of a running pod in place; whether there was one to restart."""
    if not isinstance(now, Pod) or _RESTART not in now.actions:
        return False
    await cloud.act(now.id, _RESTART)
    return True


async def read(cloud: Client, container: Container) -> Container:
    """The container as it is now, asked for alone: what a list holds may be older, and is not what it is compared with later."""
    return await (cloud.template(container.id) if isinstance(container, Template) else cloud.pod(container.id))


async def _write(cloud: Client, container: Container, body: dict[str, object]) -> None:
    await (cloud.update_template(container.id, body) if isinstance(container, Template) else cloud.update_pod(container.id, body))
