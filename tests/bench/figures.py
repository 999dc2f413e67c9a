# SPDX-License-Identifier: Apache-2.0
"""What the benches share: the table, and what the kernel counts of a process."""
import os
import time


class Figures:
    """Rows of figure, bar, measured, met or not; a row without a bar is there for comparison."""

    def __init__(self):
        self.rows = []

    def add(self, figure, measured, bar="", met=None):
        verdict = "" if met is None else "met" if met else "not met"
        self.rows.append((figure, bar, measured, verdict))
        print("    %s: %s%s" % (figure, measured, verdict and "  (%s: %s)" % (bar, verdict)),
              flush=True)

    def at_most(self, figure, value, limit, form="%.1f", more=""):
        self.add(figure, form % value + more, "at most " + form % limit, value <= limit)

    def at_least(self, figure, value, limit, form="%.1f", more=""):
        self.add(figure, form % value + more, "at least " + form % limit, value >= limit)

    def broken(self, figure, why):
        self.add(figure, "broke: " + why.strip().splitlines()[-1][:100])

    def print(self):
        rows = [("figure", "bar", "measured", "met")] + self.rows
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        rows.insert(1, tuple("-" * width for width in widths))
        for row in rows:
            print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def load_average():
    return read("/proc/loadavg").split()[0]


class Sample:
    """A process at one moment."""

    def __init__(self, pid):
        self.at = time.monotonic()
        self.cpu, self.wakeups = {}, {}
        for thread in os.listdir("/proc/%d/task" % pid):
            folder = "/proc/%d/task/%s/" % (pid, thread)
            name = "main" if int(thread) == pid else read(folder + "comm").strip()
            # Nanoseconds on a processor; a clock tick would be too coarse for what sleeps.
            self.cpu[name] = int(read(folder + "schedstat").split()[0]) / 1e9
            status = dict(row.split(":\t", 1) for row in read(folder + "status").splitlines())
            self.wakeups[name] = int(status["voluntary_ctxt_switches"])
        status = dict(row.split(":", 1) for row in read("/proc/%d/status" % pid).splitlines())
        self.rss_mib = int(status["VmRSS"].split()[0]) / 1024
        self.written = int(dict(row.split(": ") for row in read("/proc/%d/io" % pid).splitlines())
                           ["write_bytes"])

    def cpu_since(self, before):
        return sum(self.cpu.values()) - sum(before.cpu.values())

    def rates(self, before, what):
        span = self.at - before.at
        return {name: (value - getattr(before, what).get(name, 0)) / span
                for name, value in getattr(self, what).items()}


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]
