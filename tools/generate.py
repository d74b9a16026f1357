"""Write every file that is made from the code, or check (--check) that each is what the code says now.

A page's module in tools/pages offers `pages() -> dict[str, str]`: texts by path from the root of the project.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pages import benchmark, command_line, completions, exit_codes, facts, faults, readme, recipes, scenarios, settings, soak

ROOT = Path(__file__).resolve().parent.parent
SOURCES = (exit_codes, command_line, settings, facts, faults, scenarios, recipes, completions, benchmark, soak, readme)
# Everything in these folders is generated: what no page claims is left over from something that is gone.
WHOLE_FOLDERS = ("docs/reference/faults", "src/firstlight/cli/completions")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file would change")
    check = parser.parse_args().check

    texts = {path: text for source in SOURCES for path, text in source.pages().items()}
    stale = [path for path, text in texts.items() if not (ROOT / path).is_file() or (ROOT / path).read_text() != text]
    left_over = [
        str(path.relative_to(ROOT))
        for folder in WHOLE_FOLDERS
        for path in sorted((ROOT / folder).glob("*"))
        if path.is_file() and str(path.relative_to(ROOT)) not in texts
    ]
    if check:
        for path in stale + left_over:
            print(f"{path} is not what the code says: run `make docs`", file=sys.stderr)
        return 1 if stale or left_over else 0
    for path in stale:
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(texts[path])
        print(f"wrote {path}")
    for path in left_over:
        (ROOT / path).unlink()
        print(f"removed {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
