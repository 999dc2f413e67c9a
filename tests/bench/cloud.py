# SPDX-License-Identifier: Apache-2.0
"""The cloud plane alone: sessions that always have something to send."""
import json
import shutil
import subprocess
import tempfile

from figures import Sample
from gateway import CloudSim


def run(figures, devices, waiting, what, seconds, bar):
    folder = tempfile.mkdtemp(prefix="enos-bridge-bench-")
    cloud = CloudSim(folder, "--secret-rule", "pk1=s", transcript=False)
    try:
        before = Sample(cloud.process.child.pid)
        done = subprocess.run(
            ["tests/bench/bench-cloud", "127.0.0.1", str(cloud.port), str(devices),
             str(int(seconds)), str(waiting)], check=True, capture_output=True, text=True,
            timeout=120 + seconds)
        result = json.loads(done.stdout)
        spent = Sample(cloud.process.child.pid).cpu_since(before)
        stats = cloud.stats()
    finally:
        cloud.stop()
        shutil.rmtree(folder)
    name = "cloud: %d sessions, %s: " % (devices, what)
    measured = "%.1f (%.0f messages/s, %.0f reports/s, %.1f us a report; the simulator %.1f us a " \
        "message)" % (result["cpu_us_per_message"], result["messages_per_s"],
                      result["reports_per_s"], result["cpu_us_per_report"],
                      1e6 * spent / max(1, stats["messages"]))
    figures.add(name + "CPU per message [us]", measured)
    if bar:
        figures.at_least(name + "acknowledged readings/s", result["reports_per_s"], bar, "%.0f")
    figures.at_most(name + "violations", stats["violations"], 0, "%d")


def hundred(figures, seconds):
    run(figures, 100, 1, "one report waits", seconds, 15000)
    run(figures, 100, 10, "ten wait", seconds, 15000)


def thousands(figures, seconds):
    run(figures, 9000, 1, "one report waits", seconds, None)


PARTS = (hundred, thousands)
