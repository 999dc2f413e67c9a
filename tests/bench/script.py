# SPDX-License-Identifier: Apache-2.0
"""What one typical reading costs in Lua, and what a state holds."""
import os
import subprocess

GENERIC = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                       "scripts", "generic.lua")


def decoding(figures, _):
    done = subprocess.run(["tests/bench/bench-script", GENERIC], check=True, capture_output=True, text=True)
    how = ""
    for row in done.stdout.splitlines():
        words = row.split()
        if row.startswith("with "):
            how = row
        elif row.startswith("reading to report to JSON"):
            figures.at_most("script: reading to JSON, %s [us]" % how, float(words[-2]), 10,
                            "%.2f")
        else:
            figures.add("script: %s, %s" % (" ".join(words[:-2]), how), " ".join(words[-2:]))


PARTS = (decoding,)
