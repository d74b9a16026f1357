r"""Write the app's environment down where SSH sessions get it: theirs is sshd's, which has nothing of the container's.

    publish_environment.py        on stdin: {"variables": {NAME: value, …}, "absent": [NAME, …]}; a character of a text is a byte

/etc/firstlight/environment.sh, for root's eyes alone, exports the variables and unsets those that are absent: those that the container was
started with, and that the app does without. Every value stands in single quotes, so that a shell takes it for itself, byte for byte.
Sessions come to it by a line at both ends of ~/.bashrc (at the beginning, since Ubuntu's own leaves at once where nobody types, and
sshd's commands are run so; at the end, since RunPod's own line there brings back what was cured), and by /etc/profile.d.
~/.ssh/environment is left alone: sshd would have to be told to read it, and no value there can hold a newline.

Answers, one line of JSON: file (what was written), count (variables), hooks (files that lead to it), troubles (words for what cannot be done).
"""

import contextlib
import json
import os
import pwd
import re
import signal
import stat
import sys
import tempfile
from typing import Dict, Iterable, List, Mapping, Tuple

FILE = "/etc/firstlight/environment.sh"
PROFILE = "/etc/profile.d/firstlight.sh"

MARK = "# firstlight: the environment of the app"
LINE = "if [ -r {0} ]; then . {0}; fi {1}".format(FILE, MARK)

# A home can lie on a volume that hangs.
PATIENCE = 30

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

# The session's own; and variables by which a shell works: some of them may not be set, others would change what it reads.
SESSIONS = frozenset("HOME USER LOGNAME SHELL TERM MAIL DISPLAY XAUTHORITY COLUMNS LINES HUSHLOGIN".split())
SHELLS = frozenset(
    (
        "PWD OLDPWD SHLVL _ IFS PS0 PS1 PS2 PS3 PS4 PROMPT_COMMAND PROMPT_DIRTRIM BASH_ENV ENV CDPATH OPTIND OPTARG OPTERR RANDOM SRANDOM SECONDS"
        " EPOCHSECONDS EPOCHREALTIME LINENO HISTCMD HISTFILE HISTSIZE HISTFILESIZE UID EUID GID EGID PPID GROUPS DIRSTACK FUNCNAME SHELLOPTS"
        " BASHOPTS BASH BASHPID BASH_VERSINFO BASH_VERSION BASH_ALIASES BASH_ARGC BASH_ARGV BASH_ARGV0 BASH_CMDS BASH_COMMAND BASH_COMPAT"
        " BASH_EXECUTION_STRING BASH_LINENO BASH_LOADABLES_PATH BASH_REMATCH BASH_SOURCE BASH_SUBSHELL BASH_XTRACEFD POSIXLY_CORRECT TMOUT"
        " GLOBIGNORE EXECIGNORE FIGNORE FUNCNEST IGNOREEOF INPUTRC MAILCHECK MAILPATH HOSTTYPE MACHTYPE OSTYPE PIPESTATUS REPLY COPROC"
    ).split()
)


def wanted(name: str) -> bool:
    """Whether a variable of this name is one for sessions."""
    return NAME.fullmatch(name) is not None and name not in SESSIONS and name not in SHELLS and not name.startswith("SSH_")


def quoted(value: bytes) -> bytes:
    """A value as every shell of sh's kind reads it back."""
    return b"'" + value.replace(b"'", b"'\\''") + b"'"


def script(variables: Mapping[str, str], absent: Iterable[str]) -> Tuple[bytes, int]:
    """The file, and how many variables it exports."""
    chosen = {name: value.encode("latin-1") for name, value in sorted(variables.items()) if wanted(name) and "\0" not in value}
    gone = sorted(name for name in absent if wanted(name) and name not in chosen)
    lines = [b"# Written by firstlight when it starts the app: changes are lost. What a session gets is the app's own environment."]
    lines += [b"unset " + name.encode("ascii") for name in gone]
    lines += [b"export " + name.encode("ascii") + b"=" + quoted(value) for name, value in chosen.items()]
    return b"\n".join(lines) + b"\n", len(chosen)


def hooked(content: bytes) -> bytes:
    """A shell's own file with our line at both ends; one that is there already is moved to where it belongs."""
    line = LINE.encode("ascii") + b"\n"
    rest = b"".join(piece for piece in content.splitlines(keepends=True) if MARK.encode("ascii") not in piece)
    if not rest:
        return line
    return line + rest + (b"" if rest.endswith(b"\n") else b"\n") + line


def replace(path: str, content: bytes, mode: int) -> None:
    """Give a file another content, whole or not at all. What it is a link to is replaced, and keeps its owner and mode."""
    path = os.path.realpath(path)
    before = None
    with contextlib.suppress(FileNotFoundError):
        before = os.stat(path)
        with open(path, "rb") as file:
            if stat.S_ISREG(before.st_mode) and file.read() == content and (mode & 0o077 or stat.S_IMODE(before.st_mode) == mode):
                return
    descriptor, fresh = tempfile.mkstemp(prefix=".firstlight-", dir=os.path.dirname(path))
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            if before is None or not mode & 0o077:
                os.fchmod(descriptor, mode)
            else:
                os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
                os.fchown(descriptor, before.st_uid, before.st_gid)
        os.replace(fresh, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise


def hook_bash(path: str) -> None:
    """Put our line into ~/.bashrc."""
    content = b""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        content = file.read()
    replace(path, hooked(content), 0o644)


def publish(variables: Mapping[str, str], absent: Iterable[str], home: str) -> Dict[str, object]:
    """Write all of it; what came of that."""
    content, count = script(variables, absent)
    hooks: List[str] = []
    troubles: List[str] = []
    try:
        os.makedirs(os.path.dirname(FILE), mode=0o755, exist_ok=True)
        replace(FILE, content, 0o600)
    except OSError as error:
        return {"step": "environment", "file": None, "count": 0, "hooks": [], "troubles": [cannot(FILE, error)]}
    bashrc = os.path.join(home, ".bashrc")
    try:
        hook_bash(bashrc)
        hooks.append(bashrc)
    except OSError as error:
        troubles.append(cannot(bashrc, error))
    try:
        if os.path.isdir(os.path.dirname(PROFILE)):  # an image without it reads no such files
            replace(PROFILE, LINE.encode("ascii") + b"\n", 0o644)
            hooks.append(PROFILE)
    except OSError as error:
        troubles.append(cannot(PROFILE, error))
    return {"step": "environment", "file": FILE, "count": count, "hooks": hooks, "troubles": troubles}


def cannot(path: str, error: OSError) -> str:
    """Words for what could not be written."""
    return "cannot write {}: {}".format(path, error.strerror or error)


def main() -> int:
    """Publish what standard input tells."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(PATIENCE)
    orders = json.load(sys.stdin)
    try:
        home = pwd.getpwuid(os.geteuid()).pw_dir  # where sshd takes it from
    except KeyError:
        home = os.path.expanduser("~")
    print(json.dumps(publish(orders["variables"], orders["absent"], home)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
