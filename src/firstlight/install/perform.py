"""Does what a plan says, so that at no moment anything is half written: new contents are complete beside the old ones before the first
name changes hands, and each name changes hands in one step."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator

from firstlight import errors
from firstlight.install import record
from firstlight.install.look import STAGED
from firstlight.install.plan import Action, Move, Plan, Put, Remove, RemoveTree, SetMode

# What a volume says whose file system knows no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF)
_OWN = os.path.dirname(record.NAME)


@contextlib.contextmanager
def alone(folder: str) -> Iterator[None]:
    """Nobody else installs into the folder meanwhile, as far as its file system can tell. What a killed one has left is removed.

    Raises:
        UsageError: somebody does.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        locked = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise errors.UsageError(f"cannot change {folder}: another firstlight install is at work there") from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            locked = False
        if locked:
            for name in os.listdir(folder):
                if name.startswith(STAGED):
                    shutil.rmtree(os.path.join(folder, name))
        yield
    finally:
        os.close(descriptor)


def perform(folder: str, plan: Plan) -> None:
    """Do it.

    Raises:
        UsageError: there is no room for it, or no right to it; nothing was changed.
        Error: something failed on the way. The same verb again goes on from there.
    """
    try:
        staged = tempfile.mkdtemp(prefix=STAGED, dir=folder)
    except OSError as error:
        raise errors.UsageError(f"cannot write into {folder}: {error.strerror}; nothing was changed") from None
    try:
        try:
            contents = _stage(staged, plan)
        except OSError as error:
            raise errors.UsageError(f"cannot write into {folder}: {error.strerror}; nothing was changed") from None
        try:
            _commit(folder, staged, plan, contents)
        except OSError as error:
            raise errors.Error(f"cannot go on in {folder}: {error.filename or ''}: {error.strerror}; run it again") from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _stage(staged: str, plan: Plan) -> dict[Put, str]:
    """Write every new content, and the record in a folder of its own; where each one lies."""
    own = os.path.join(staged, _OWN)
    os.mkdir(own)
    os.chmod(own, 0o755)  # noqa: S103 - the umask took its part of the mode, and everybody may run the tool
    if plan.record is not None:
        _write(os.path.join(staged, record.NAME), Put(record.NAME, record.encode(plan.record), 0o644))
    contents = {}
    puts = [action for change in plan.changes for action in change.actions if isinstance(action, Put)]
    for number, put in enumerate(puts):
        contents[put] = os.path.join(staged, str(number))
        _write(contents[put], put)
    return contents


def _write(path: str, put: Put) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        left = memoryview(put.data)
        while left:
            left = left[os.write(descriptor, left) :]
        if put.owner is not None:
            with contextlib.suppress(PermissionError):  # only root gives files away
                os.fchown(descriptor, *put.owner)
        os.fchmod(descriptor, put.mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _commit(folder: str, staged: str, plan: Plan, contents: dict[Put, str]) -> None:
    own = os.path.join(folder, _OWN)
    if plan.record is not None:
        if os.path.isdir(own):
            os.replace(os.path.join(staged, record.NAME), os.path.join(folder, record.NAME))
        else:
            os.rename(os.path.join(staged, _OWN), own)  # with the record in it: there is no moment without
        _settle(own, folder)
    for change in plan.changes:
        for action in change.actions:
            _do(folder, action, contents)
    _settle(folder, *([own] if os.path.isdir(own) else []))
    if plan.record is None:
        _forget(folder, staged)


def _do(folder: str, action: Action, contents: dict[Put, str]) -> None:
    place = os.path.join(folder, action.name)
    match action:
        case Put():
            os.replace(contents[action], place)
        case Move():
            os.replace(place, os.path.join(folder, action.to))
        case SetMode():
            os.chmod(place, action.mode)
        case Remove():
            os.unlink(place)
        case RemoveTree():
            shutil.rmtree(place)


def _forget(folder: str, staged: str) -> None:
    """Remove the record, and with it the folder where it lies, unless something of somebody's is in there."""
    place, own = os.path.join(folder, record.NAME), os.path.join(folder, _OWN)
    if not os.path.exists(place):
        return  # there was a journal alone
    with open(place, "rb") as file:
        made_folder = record.decode(file.read()).made_folder
    if made_folder and os.listdir(own) == [os.path.basename(record.NAME)]:
        os.rename(own, os.path.join(staged, "forgotten"))  # in one step: an empty folder would be nobody's
    else:
        os.unlink(place)
    _settle(folder)


def _settle(*folders: str) -> None:
    """See to it that the names in these folders outlive a crash of the machine."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EROFS):  # some file systems cannot, and need not
                raise
        finally:
            os.close(descriptor)
