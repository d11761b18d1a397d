"""Measure ROCI on this machine, each figure against a yardstick of the same run: `python tests/bench`.

A command and no test: ratios of one run mean something, absolute figures of a busy machine do not.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[2]))  # for tests.e2e.bed

from table import Figure, render

CASES = ("start", "memory", "store", "intake", "lists", "commands", "deploys", "lag", "metrics", "rights", "pages")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure ROCI against yardsticks on this machine.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and agents: rougher figures")
    parser.add_argument("--only", action="append", choices=CASES, metavar="NAME", help=f"of {', '.join(CASES)}")
    options = parser.parse_args()
    figures: list[Figure] = []
    broken = []
    for name in options.only or CASES:
        began = time.monotonic()
        try:
            figures += importlib.import_module(f"cases.{name}").run(options.quick)
        except Exception:
            broken.append(name)
            traceback.print_exc()
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    print(render(figures))
    missed = [figure.what for figure in figures if figure.met is False]
    print(
        f"\n{len(missed)} of {sum(figure.met is not None for figure in figures)} goals are not met:",
        *missed,
        sep="\n- ",
    )
    if broken:
        print(f"\nnot measured, since something broke: {', '.join(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
