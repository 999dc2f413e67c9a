# SPDX-License-Identifier: Apache-2.0
"""The whole bridge: devices on TCP, scripts, signatures that the cloud verifies, the echo."""
import contextlib
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from fieldsim import FieldSim
from figures import Sample, percentile
from gateway import Broker, CloudSim, Gateway, wait_until

LISTENERS = 100

TEN_REGISTERS = """
return {
  polls = { { name = "live", period = %s, read = "holding_registers", address = 0, count = 10 } },
  decode = function(reading)
    local clock, a, b, c, d, e, f = string.unpack(">I8I2I2I2I2I2I2", reading.bytes)
    return { points = { clock = clock, p0 = a / 10, p1 = b, p2 = c / 10, p3 = d, p4 = e / 100,
                        p5 = f, p6 = a, p7 = b / 10, p8 = c } }
  end,
}
"""

# Ten registers; the first four tell how old they are.
MAP = [{"table": "holding", "address": 0, "count": 4, "number": "uint64", "rule": "clock",
        "period": 1e-6},
       {"table": "holding", "address": 4, "count": 6, "rule": "counter", "base": 2301, "period": 1}]


def lines(units):
    return {"lines": [{"name": "net", "type": "tcp", "listeners": LISTENERS,
                       "units": [{"id": 1 + i, "map": MAP} for i in range(units)]}]}


# What a process that does nothing else sees of the machine's load.
TIMERS = """
import sys, time
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    due = time.monotonic() + 0.01
    time.sleep(0.01)
    print(1000 * (time.monotonic() - due))
"""


class Load:
    """A running bridge with so many devices, so many units to a connection, and what it talks to."""

    def __init__(self, devices, period, mqtt=True, enos="", name="gw", bridge="", units=1):
        self.devices, self.units = devices, units
        with contextlib.ExitStack() as parts:
            self.folder = tempfile.mkdtemp(prefix="enos-bridge-bench-")
            parts.callback(shutil.rmtree, self.folder)
            self.field = FieldSim(description=lines(units), transcript=False)
            parts.callback(self.field.stop)
            self.cloud = CloudSim(self.folder, transcript=False)
            parts.callback(self.cloud.stop)
            self.broker = Broker(self.folder, bridge) if mqtt else None
            if mqtt:
                parts.callback(self.broker.stop)
            self.gateway = Gateway(self.folder)
            self.gateway.name = name
            self.configure(period, enos)
            self.parts = parts.pop_all()

    def configure(self, period, enos):
        self.gateway.script("ten.lua", TEN_REGISTERS % period)
        with open(self.field.path("ports"), encoding="ascii") as file:
            ports = [int(row.split()[1]) for row in file]
        for i in range(self.devices):
            bus, unit = divmod(i, self.units)
            if unit == 0:
                self.gateway.bus("b%d" % bus, 'type = "tcp"; host = "127.0.0.1"; port = %d;'
                                 % ports[bus % len(ports)])
            self.gateway.device("d%d" % i, "b%d" % bus, 1 + unit, "d%d" % i, "ten.lua")
        self.gateway.write('host = "127.0.0.1"; port = %d; %s' % (self.cloud.port, enos),
                           self.broker and 'host = "127.0.0.1"; port = %d;' % self.broker.port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.parts.close()

    @property
    def pid(self):
        return self.gateway.process.child.pid

    def subscribe(self, name, topic, *more):
        """Writes to the file when each message came (seconds since 1970), and the message."""
        with open(self.gateway.path(name), "w", encoding="utf-8") as file:
            return subprocess.Popen(
                ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.broker.port), "-t", topic,
                 "-F", "%U %p", *more], stdout=file, stderr=subprocess.DEVNULL)

    def received(self, name):
        with open(self.gateway.path(name), encoding="utf-8") as file:
            for row in file:
                came, message = row.split(" ", 1)
                yield float(came), message

    def start(self):
        self.gateway.start()
        self.parts.callback(self.gateway.stop)
        wait_until("every device is logged in",
                   lambda: self.cloud.stats()["authentications"] >= self.devices)

    def start_timed(self):
        """Seconds until an MQTT subscriber saw the first reading, and one of each device."""
        watcher = self.subscribe("first", "enos-bridge/gw/device/+/reading/#", "-C",
                                 str(self.devices), "-W", "60")
        time.sleep(0.5)  # it connects
        begun = time.time()
        self.start()
        watcher.wait()
        came = [at - begun for at, _ in self.received("first")]
        return came[0], came[-1]

    def settle(self):
        """Until what piled up in the start is through."""
        seen = self.cloud.stats()["readings"]
        wait_until("as many readings as devices came",
                   lambda: self.cloud.stats()["readings"] >= seen + min(self.devices, 5000))
        time.sleep(2)

    def peers(self):
        """What else runs here, and takes its share of the machine."""
        parts = {"field simulator": self.field.process, "cloud simulator": self.cloud.process.child}
        if self.broker:
            parts["mosquitto"] = self.broker.process.child
        return {name: Sample(part.pid) for name, part in parts.items()}

    def measure(self, seconds):
        peers, before, cloud_before = self.peers(), Sample(self.pid), self.cloud.stats()
        time.sleep(seconds)
        run = Run(before, Sample(self.pid), cloud_before, self.cloud.stats())
        run.peers = ", ".join("%s %.4f" % (name, 1000 * after.cpu_since(peers[name]) /
                                           max(1, run.readings))
                              for name, after in self.peers().items())
        return run

    def ages_ms(self, seconds):
        """How old values were when MQTT and when the cloud had them; how late idle timers were."""
        offset_us = (time.time_ns() - time.monotonic_ns()) / 1000
        mqtt = self.subscribe("reports", "enos-bridge/gw/device/+/report", "-W", str(seconds))
        with open(self.gateway.path("followed"), "w", encoding="utf-8") as file:
            cloud = subprocess.Popen(
                ["./enos-cloud-sim", "--control", self.cloud.socket, "readings", "--follow"],
                stdout=file)
        timers = subprocess.run([sys.executable, "-c", TIMERS, str(seconds)], check=True,
                                capture_output=True, text=True)
        mqtt.wait()
        cloud.terminate()
        cloud.wait()
        local = [(came * 1e6 - offset_us - json.loads(message)["points"]["clock"]) / 1000
                 for came, message in self.received("reports")]
        remote = []
        with open(self.gateway.path("followed"), encoding="utf-8") as file:
            for row in file:
                if row.endswith("\n"):
                    remote += ages_of_report(json.loads(row), offset_us)
        return local, remote, [float(row) for row in timers.stdout.splitlines()]


def ages_of_report(row, offset_us):
    params = row["payload"]["params"]
    for element in params if isinstance(params, list) else [params]:
        yield row["time"] - (element["measurepoints"]["clock"] + offset_us) / 1000


class Run:
    """What happened between two moments."""

    def __init__(self, before, after, cloud_before, cloud):
        self.before, self.after = before, after
        self.span = after.at - before.at
        self.readings = cloud["readings"] - cloud_before["readings"]
        self.messages = cloud["messages"] - cloud_before["messages"]
        self.violations = cloud["violations"]
        self.cpu_s = after.cpu_since(before)

    @property
    def rate(self):
        return self.readings / self.span

    @property
    def cpu_ms(self):
        return 1000 * self.cpu_s / max(1, self.readings)

    def threads(self):
        each = self.after.rates(self.before, "cpu")
        return ", ".join("%s %.4f" % (name, 1000 * share * self.span / max(1, self.readings))
                         for name, share in each.items() if share > 1e-6)


def thousand(figures, seconds):
    with Load(1000, 1) as load:
        first_s, all_s = load.start_timed()
        figures.at_most("start to first reading on MQTT, 1,000 devices [s]", first_s, 0.5, "%.2f",
                        "; 1,000 readings %.2f" % all_s)
        load.settle()
        run = load.measure(seconds)
        figures.at_most("CPU per reading, 1,000 devices at 1 s [ms]", run.cpu_ms, 0.10, "%.4f",
                        " (%s)" % run.threads())
        figures.add("readings acknowledged per second, 1,000 devices at 1 s", "%.0f" % run.rate,
                    "1000", run.rate > 995)
        figures.at_most("RSS, 1,000 devices [MiB]", run.after.rss_mib, 16)
        local, remote, timers = load.ages_ms(int(seconds))
        for name, ages, bar in (("MQTT", local, 10), ("acknowledged by the cloud", remote, 20)):
            figures.at_most("change to %s, p99 above the wait for the poll [ms]" % name,
                            percentile(ages, 0.99), bar, "%.1f",
                            " (p50 %.1f, %d values)" % (percentile(ages, 0.5), len(ages)))
        figures.add("for comparison: how late an idle process's timers were, p99 [ms]",
                    "%.1f (p50 %.1f)" % (percentile(timers, 0.99), percentile(timers, 0.5)))
        violations = load.cloud.stats()["violations"]
        figures.at_most("violations that the cloud saw, 1,000 devices", violations, 0, "%d")


def fastest(figures, seconds):
    for period, batch, mqtt in ((0.005, True, True), (0.005, True, False), (0.005, False, True),
                                (0.005, False, False), (0, True, True), (0, True, False)):
        with Load(100, period, mqtt, "" if batch else "batch = false;") as load:
            load.start()
            load.settle()
            run = load.measure(seconds)
            figures.at_least(
                "100 devices, %s, %s, %s: acknowledged readings/s"
                % ("5 ms" if period else "period 0", "batches" if batch else "no batches",
                   "MQTT" if mqtt else "no MQTT"), run.rate, 15000, "%.0f",
                " (%.1f a message; CPU ms %.4f: %s; %s)"
                % (run.readings / max(1, run.messages), run.cpu_ms, run.threads(), run.peers))


def many(figures, seconds):
    """9,500: two descriptors each, and 20,000 is a usual hard limit."""
    with Load(9500, 10) as load:
        load.start()
        load.settle()
        run = load.measure(max(seconds, 20))
        figures.at_most("CPU of 9,500 devices at 10 s [% of a core]", 100 * run.cpu_s / run.span,
                        25, "%.1f", " (%.4f ms per reading: %s)" % (run.cpu_ms, run.threads()))
        figures.at_most("RSS, 9,500 devices [MiB]", run.after.rss_mib, 64)
        figures.add("readings acknowledged per second, 9,500 devices at 10 s", "%.0f" % run.rate,
                    "950", run.rate > 945)
        figures.at_most("violations that the cloud saw, 9,500 devices", run.violations, 0, "%d")


def forgotten(figures, seconds):
    """10,000 sessions: how their logins are spread at the start, and when a cloud has forgotten them."""
    spread_s = 10
    with Load(10000, 10, mqtt=False, enos="start_spread = %d;" % spread_s, units=100) as load:
        begun = time.monotonic()
        load.gateway.start()
        load.parts.callback(load.gateway.stop)
        most, before, seen = 0, begun, 0
        while seen < load.devices:
            time.sleep(0.5)
            now, logins = time.monotonic(), load.cloud.stats()["authentications"]
            most, before, seen = max(most, (logins - seen) / (now - before)), now, logins
        figures.at_most("10,000 devices, start_spread %d s: all are logged in [s]" % spread_s,
                        time.monotonic() - begun, spread_s + 5, "%.1f",
                        "; most logins in half a second: %.0f/s" % most)
        load.settle()
        run = load.measure(max(seconds, 20))
        figures.add("10,000 devices at 10 s: readings acknowledged per second", "%.0f" % run.rate,
                    "1000", run.rate > 995)
        figures.at_most("10,000 devices at 10 s, 100 to a connection: RSS [MiB]", run.after.rss_mib, 64)
        figures.at_most("CPU of 10,000 devices at 10 s [% of a core]", 100 * run.cpu_s / run.span,
                        25, "%.1f", " (%.4f ms per reading: %s)" % (run.cpu_ms, run.threads()))
        before = load.cloud.stats()
        begun = time.monotonic()
        load.cloud.ask("restart")
        wait_until("every device is logged in again", lambda: load.cloud.stats()["authentications"]
                   >= before["authentications"] + load.devices)
        over = time.monotonic() - begun
        load.settle()
        after = load.cloud.stats()
        figures.at_most("a cloud restart that forgets 10,000 tokens: all are logged in again [s]", over,
                        60, "%.1f", "; %.2f logins a device" %
                        ((after["authentications"] - before["authentications"]) / load.devices))
        figures.at_most("violations that the cloud saw, 10,000 devices", after["violations"], 0, "%d")


def wakeups(figures, seconds):
    """Both at once: they sleep nearly always."""
    with Load(100, 60, enos="command_poll = 100;") as slow, Load(100, 60) as usual:
        for load in (slow, usual):
            load.start()
        time.sleep(5)
        before = [Sample(load.pid) for load in (slow, usual)]
        time.sleep(max(seconds, 60))
        for name, load, first, bar in (("command_poll 100 s", slow, before[0], 5),
                                       ("the defaults", usual, before[1], None)):
            rates = Sample(load.pid).rates(first, "wakeups")
            text = ", ".join("%s %.2f" % rate for rate in rates.items())
            figures.add("wake-ups per second and thread, 100 devices at 60 s, " + name, text,
                        "at most 5 each" if bar else "", max(rates.values()) <= bar if bar else None)


def disk(figures, seconds):
    with Load(100, 1, mqtt=False) as load:
        load.start()
        load.settle()
        run = load.measure(seconds)
        figures.at_most("written to disk per reading, cloud up [bytes]",
                        (run.after.written - run.before.written) / max(1, run.readings), 0, "%.0f")
        if not glob.glob(load.gateway.path("state") + "/*"):
            figures.add("written to disk per reading, cloud down [bytes]", "nothing is stored yet",
                        "at most 1000")
            return
        load.cloud.stop()
        time.sleep(5)
        before = Sample(load.pid)
        time.sleep(seconds)
        after = Sample(load.pid)
        written = (after.written - before.written) / (100 * (after.at - before.at))
        figures.at_most("written to disk per reading, cloud down [bytes]", written, 1000, "%.0f")


def size(figures, _):
    """As a package has them: without symbols."""
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    with tempfile.TemporaryDirectory() as folder:
        for program in ["enos-bridged", *glob.glob("plugins/.libs/*.so")]:
            subprocess.run(["strip", "-o", os.path.join(folder, os.path.basename(program)), program],
                           check=True)
        shutil.copytree(os.path.join(top, "scripts"), os.path.join(folder, "scripts"))
        total = sum(os.path.getsize(os.path.join(where, name))
                    for where, _, names in os.walk(folder) for name in names)
    figures.at_most("size of the daemon, its plugins and scripts [KiB]", total / 1024, 2048, "%.0f")


PARTS = (size, thousand, fastest, many, forgotten, disk, wakeups)
