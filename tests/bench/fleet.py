# SPDX-License-Identifier: Apache-2.0
"""What grows with devices and with gateways: the figures of docs/scale.md."""
import contextlib
import subprocess
import tempfile
import time

from end_to_end import Load
from figures import Sample
from gateway import Broker, bridge_to, wait_until

GATEWAYS = 2
DEVICES = 100


def per_device(figures, seconds):
    """The same work per device, with ten times as many each time."""
    before = None
    for devices in (10, 100, 1000):
        with Load(devices, 1) as load:
            load.start()
            load.settle()
            run = load.measure(seconds)
            figures.add("%d devices at 1 s" % devices, "RSS %.1f MiB, CPU %.4f ms per reading (%s)"
                        % (run.after.rss_mib, run.cpu_ms, run.threads()))
            if before:
                figures.add("memory of each further device, from %d to %d [KiB]" % (before[0], devices),
                            "%.1f" % (1024 * (run.after.rss_mib - before[1]) / (devices - before[0])))
            before = devices, run.after.rss_mib


def counted(broker):
    """Messages and bytes that the broker has taken so far."""
    rows = []
    for topic in ("publish/messages/received", "bytes/received"):
        done = subprocess.run(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-C", "1", "-W", "10",
                               "-t", "$SYS/broker/" + topic], capture_output=True, text=True, check=True)
        rows.append(int(done.stdout))
    return rows


def brokers(figures, seconds):
    """Gateways whose brokers are bridged into one more, which nobody reads."""
    with contextlib.ExitStack() as parts:
        folder = parts.enter_context(tempfile.TemporaryDirectory())
        central = Broker(folder, "sys_interval 1\n")
        parts.callback(central.stop)
        loads = []
        for i in range(GATEWAYS):
            name = "gw-%d" % i
            own = parts.enter_context(tempfile.TemporaryDirectory())
            loads.append(parts.enter_context(Load(DEVICES, 1, name=name, bridge=bridge_to(central, name, own))))
        for load in loads:
            load.start()
        for load in loads:
            load.settle()
        wait_until("the central broker counts", lambda: counted(central)[0] > DEVICES * GATEWAYS)
        before, local = Sample(central.process.child.pid), Sample(loads[0].broker.process.child.pid)
        first = counted(central)
        time.sleep(seconds)
        last = counted(central)
        after = Sample(central.process.child.pid)
        local_after = Sample(loads[0].broker.process.child.pid)
        messages = max(1, last[0] - first[0])
        figures.add("%d gateways with %d devices at 1 s: central broker" % (GATEWAYS, DEVICES),
                    "%.0f messages/s, %.0f bytes and %.4f ms CPU a message, RSS %.1f MiB"
                    % (messages / (after.at - before.at), (last[1] - first[1]) / messages,
                       1000 * after.cpu_since(before) / messages, after.rss_mib))
        figures.add("the same: a gateway's own broker",
                    "%.4f ms CPU a message, taken and passed on, RSS %.1f MiB"
                    % (1000 * GATEWAYS * local_after.cpu_since(local) / messages, local_after.rss_mib))


PARTS = (per_device, brokers)
