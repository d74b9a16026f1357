"""Where a Python process becomes firstlight."""

# The C part of `signal`: the rest of that module costs milliseconds in which a signal is lost.
import _signal  # type: ignore[import-not-found]

# First of all: until every signal is blocked, PID 1 loses those that arrive. The mask before is what children get back.
INHERITED_MASK = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())

import sys  # noqa: E402 - the signals come first


def main() -> int:
    """Run the command line; give the exit code."""
    from firstlight.cli import main as command_line

    return command_line.main(sys.argv[1:], INHERITED_MASK)


if __name__ == "__main__":
    sys.exit(main())
