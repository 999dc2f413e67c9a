# SPDX-License-Identifier: Apache-2.0
"""Serial lines and TCP: ours beside a blocking libmodbus client that does the same work at the same time."""
import json
import random
import re
import subprocess
import threading
import time

from fieldsim import FieldSim

BAUDS, REGISTERS, UNITS = (9600, 19200, 115200), (1, 10, 125), 10
TIMEOUT_MS = 500
DEAD = "unit=4 silence"


class Line:
    """A paced pseudo-terminal and a master on it; the simulator counts."""

    def __init__(self, baud):
        self.baud = baud
        self.sim = FieldSim("--pty", "DIR/wire", "--baud", str(baud), "--units", "1-%d" % UNITS,
                            transcript=False)
        self.master = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.master:
            self.master.kill()
            self.master.communicate()
        self.sim.stop()

    def run(self, ours, registers, seconds):
        path = self.sim.path("wire")
        program = ["tests/bench/field-load", "serial", path, self.baud, UNITS, registers, seconds] \
            if ours else ["tests/bench/libmodbus-client", "serial", path, self.baud, UNITS, registers, TIMEOUT_MS,
                          seconds]
        self.master = subprocess.Popen([str(word) for word in program], stdout=subprocess.PIPE,
                                       text=True)

    def share(self, seconds):
        """Of the line's limit in the next seconds, by the whole time and not that of good answers."""
        self.sim.ask("mark serial-1")
        begun = time.monotonic()
        time.sleep(seconds)
        window = self.sim.ask("stats serial-1")["window"]
        return window.get("limit_share", 0) * window["seconds"] / (time.monotonic() - begun)

    def violations(self):
        stats = self.sim.ask("stats serial-1")
        return stats["violations"], stats["violations"] / max(1, stats["requests"])


def in_virtual_time(figures, _):
    """Exact, whatever else the machine does."""
    done = subprocess.run(["tests/bench/field-engine", "share"], check=True, capture_output=True,
                          text=True, timeout=600)
    for row in map(json.loads, done.stdout.splitlines()):
        name = "virtual time, %d baud, %d registers: " % (row["baud"], row["registers"])
        figures.at_least(name + "share of the limit", row["healthy"], 0.97, "%.3f",
                         "; t3.5 kept" if not row["violations"] else "; t3.5 NOT kept")
        figures.at_least(name + "1 of 10 dead, after ten seconds", row["dead"], 0.90, "%.3f")
        figures.at_least(name + "1 of 10 dead, in the long run, of that when healthy",
                         row["dead_long"] / row["healthy"], 0.97, "%.3f")


class Network:
    """Devices over TCP behind connections of their own, and a master that reads them."""

    def __init__(self):
        self.sim = FieldSim("--tcp", "127.0.0.1:0", "--name", "net", "--units", "1", transcript=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sim.stop()

    def run(self, ours, devices, period, seconds):
        """Readings a second, and the master's microseconds of CPU for each."""
        port = self.sim.port("net")
        program = ["tests/bench/field-load", "tcp", port, devices, 10, period, seconds, 1] if ours else [
            "tests/bench/libmodbus-client", "tcp", port, devices, 10, period, TIMEOUT_MS, seconds + 5]
        done = subprocess.run([str(word) for word in program], check=True, capture_output=True,
                              text=True, timeout=600).stdout.splitlines()[-1]
        if ours:
            rate, cpu = re.match(r"([0-9.]+) readings/s, .* ([0-9.]+) us CPU", done).groups()
            return float(rate), float(cpu)
        said = json.loads(done)
        if said["wrong"] or not said["good"]:
            raise RuntimeError("libmodbus-client: " + done)
        return said["good"] / said["seconds"], said["cpu"] * 1e6 / said["good"]


def side_by_side(make, work):
    """What work(line, ours) says for both masters, at the same time on what make() gives for each."""
    results, lines = {}, {True: make(), False: make()}
    with lines[True], lines[False]:
        threads = [threading.Thread(target=lambda which=which: results.update(
            {which: work(lines[which], which)})) for which in lines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return results[True], results[False]


def healthy(figures, seconds):
    for baud in BAUDS:
        for registers in REGISTERS:
            def work(line, ours):
                line.run(ours, registers, 3 * seconds)
                time.sleep(2)
                return (line.share(seconds), *line.violations())
            ours, theirs = side_by_side(lambda: Line(baud), work)
            name = "%d baud, %d registers, real time: " % (baud, registers)
            figures.at_least(name + "share of the limit", ours[0], 0.97, "%.3f",
                             "; libmodbus %.3f, ratio %.2f" % (theirs[0], ours[0] / theirs[0]))
            figures.at_most(name + "t3.5 violations", ours[1], 0, "%d",
                            "; libmodbus %.0f %% of its requests" % (100 * theirs[2]))


def one_dead(figures, seconds):
    for baud in (9600, 115200):
        def work(line, ours):
            line.run(ours, 10, 5 * seconds + 40)
            time.sleep(3)
            before = line.share(seconds)
            line.sim.ask("fault " + DEAD)
            time.sleep(10)
            return before, line.share(seconds), time.sleep(10), line.share(2 * seconds)
        ours, theirs = side_by_side(lambda: Line(baud), work)
        name = "%d baud, 1 of 10 dead, real time: share of the limit " % baud
        figures.at_least(name + "ten seconds later", ours[1], 0.90, "%.3f",
                         "; libmodbus %.3f, ratio %.2f" % (theirs[1], ours[1] / theirs[1]))
        figures.add(name + "after %d s" % (20 + seconds), "%.3f, of that when healthy %.3f; libmodbus "
                    "%.3f" % (ours[3], ours[3] / ours[0], theirs[3]), "of that when healthy at least "
                    "0.97", ours[3] / ours[0] >= 0.97)


def over_tcp(figures, seconds):
    for devices, period in ((100, 1), (1000, 1), (100, 0), (1000, 0)):
        ours, theirs = side_by_side(Network, lambda network, which: network.run(
            which, devices, period, seconds))
        name = "%d devices over TCP, %s: " % (devices, "%g s" % period if period else "fastest")
        figures.add(name + "readings/s", "%.0f; libmodbus %.0f, ratio %.2f" % (
            ours[0], theirs[0], ours[0] / theirs[0]))
        figures.add(name + "CPU per reading", "%.1f us; libmodbus %.1f us, ratio %.2f" % (
            ours[1], theirs[1], ours[1] / theirs[1]))


def listen_in_a_row(count):
    """A simulator on so many successive ports, below those that the system gives to clients."""
    for _ in range(20):
        first = random.randrange(10000, 30000)
        try:
            return first, FieldSim("--tcp", "127.0.0.1:%d" % first, "--listeners", str(count),
                                   transcript=False)
        except RuntimeError:
            continue
    raise RuntimeError("found no %d free ports in a row" % count)


def many_connections(figures, seconds):
    """CPU and memory of the field alone, each unit behind a connection of its own."""
    for connections, period in ((1000, 1), (9000, 10)):
        first, sim = listen_in_a_row(1000)
        with sim:
            done = subprocess.run(
                ["tests/bench/field-load", "tcp", str(first), str(connections), "10", str(period),
                 str(max(seconds, 2 * period))], check=True, capture_output=True, text=True)
        figures.add("field: %d connections at %d s" % (connections, period),
                    re.sub(r" \(.*\)", "", done.stdout.splitlines()[-1]))


def engine(figures, _):
    done = subprocess.run(["tests/bench/field-engine"], check=True, capture_output=True, text=True)
    for row in done.stdout.splitlines():
        what, measured = row.split(": ", 1)
        figures.add("field: CPU per transaction without the kernel, " + what,
                    measured.split(", ")[1].replace(" each", ""))


PARTS = (in_virtual_time, healthy, one_dead, over_tcp, many_connections, engine)
