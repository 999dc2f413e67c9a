# SPDX-License-Identifier: Apache-2.0
"""A gateway for a test: the real daemon, both simulators and a broker, in a directory of its own."""
import ctypes
import glob
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from fieldsim import FieldSim

PROGRAMS = os.path.abspath(".")
GUARD = 90  # seconds after which a test that waits has hung

METER = """
return {
  polls = { { name = "live", period = 0.2, read = "holding_registers", address = 0, count = 2 } },
  decode = function(reading, device)
    local address, count = string.unpack(">I2I2", reading.bytes)
    return { points = { first = address, second = count } }
  end,
  encode = function(command, device, results)
    if command.raw then return { { write = "holding_registers", address = 20, bytes = command.raw } } end
    local value = command.params and command.params.setpoint
    if not value then return nil, "setpoint is missing" end
    return { { write = "holding_registers", address = 10, values = { value } } }
  end,
}
"""


def wait_until(what, condition):
    """Looks again and again; the guard is there to end a test that hangs, not to judge time."""
    end = time.monotonic() + GUARD
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain: " + what)


def first_ephemeral():
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        return int(file.read().split()[0])


class Port:
    """
    A port that stays free for one server of this test while that is down: it is none that the system
    gives to clients, and its namesake in the other protocol is held against other tests.
    """

    def __init__(self, kind):
        other = socket.SOCK_DGRAM if kind == socket.SOCK_STREAM else socket.SOCK_STREAM
        while True:
            self.number = random.randrange(10000, first_ephemeral())
            self.held = socket.socket(socket.AF_INET, other)
            try:
                self.held.bind(("127.0.0.1", self.number))
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("127.0.0.1", self.number))
                return
            except OSError:
                self.held.close()

    def close(self):
        self.held.close()


PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def die_with_the_test():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Process:
    """A child whose output goes to a file of its own."""

    def __init__(self, folder, name, command, environment=None):
        self.log_path = os.path.join(folder, name + ".log")
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(command, stdout=log, stderr=log,
                                          preexec_fn=die_with_the_test,
                                          env={**os.environ, **(environment or {})})

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self, how=signal.SIGTERM):
        """Its exit status; a sanitizer's report, or that it did not end, makes it another than 0."""
        if self.child.poll() is None:
            self.child.send_signal(how)
        try:
            return self.child.wait(GUARD)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()


class CloudSim:
    def __init__(self, folder, *options, transcript=True):
        self.folder = folder
        if transcript:
            options += ("--transcript", os.path.join(folder, "cloud.jsonl"))
        self.socket = os.path.join(folder, "cloud.sock")
        self.held = Port(socket.SOCK_DGRAM)
        self.port = self.held.number
        self.options = options
        self.start()

    def start(self):
        ready = os.path.join(self.folder, "cloud.port")
        if os.path.exists(ready):
            os.unlink(ready)
        self.process = Process(self.folder, "cloud", [
            PROGRAMS + "/enos-cloud-sim", "--listen", "127.0.0.1:%d" % self.port, "--port-file", ready,
            "--secret-rule", "pk=secret-", "--control-socket", self.socket, *self.options])
        wait_until("the cloud simulator listens", lambda: os.path.exists(ready))

    def ask(self, *command):
        done = subprocess.run([PROGRAMS + "/enos-cloud-sim", "--control", self.socket, *command],
                              capture_output=True, text=True, timeout=GUARD + 30, check=False)
        if done.returncode:
            raise AssertionError("cloud: %s: %s%s" % (command, done.stdout, done.stderr))
        return json.loads(done.stdout)

    def stats(self):
        return self.ask("stats")

    def wait_reading(self, device, point, *more):
        return self.ask("wait-reading", "pk/" + device, point, *more, "--new", "--timeout", str(GUARD))

    def queue(self, device, topic, *payload):
        """Gives the command; its number."""
        return self.ask("command", "pk/" + device, topic, *payload)

    def wait(self, number):
        return self.ask("wait", str(number), "--timeout", str(GUARD))

    def command(self, device, topic, *payload):
        """Gives the command and waits for its result."""
        return self.wait(self.queue(device, topic, *payload))

    def events(self, kind=None):
        """The transcript so far."""
        self.stats()  # any command writes it out
        with open(os.path.join(self.folder, "cloud.jsonl"), encoding="utf-8") as file:
            events = [json.loads(row) for row in file]
        return [event for event in events if kind in (None, event["event"])]

    def stop(self):
        status = self.process.stop()
        self.held.close()
        return status


class Broker:
    def __init__(self, folder, more=""):
        self.folder = folder
        self.more = more
        self.held = Port(socket.SOCK_STREAM)
        self.port = self.held.number
        self.start()

    def start(self):
        path = os.path.join(self.folder, "mosquitto.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write("listener %d 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n%s" % (self.port, self.more))
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.process = Process(self.folder, "mosquitto", [program, "-c", path])

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        wait_until("mosquitto listens", listens)

    def messages(self, topic, count=1):
        """That many messages on the topic, retained ones first."""
        done = subprocess.run(
            ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-t", topic, "-C", str(count),
             "-F", "%t %p", "-W", str(GUARD)], capture_output=True, text=True, check=False)
        rows = [row.split(" ", 1) for row in done.stdout.splitlines()]
        if len(rows) < count:
            raise AssertionError("mqtt %s: %s %s" % (topic, done.stdout, done.stderr))
        return [(row[0], json.loads(row[1])) for row in rows]

    def stop(self):
        status = self.process.stop()
        self.held.close()
        return status


BRIDGE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "..", "..", "etc", "mosquitto", "enos-bridge-site.conf")
# Else mosquitto leaves root's rights, and with them the test's folder.
AS_ROOT = "user root\n" if os.getuid() == 0 else ""


def bridge_to(central, name, folder):
    """The bridge's file as it is shipped, filled in as its head says; mosquitto's own goes to the folder."""
    with open(BRIDGE, encoding="ascii") as file:
        text = file.read()
    for word, value in (("GATEWAY", name), ("CENTRAL_HOST", "127.0.0.1"),
                        ("CENTRAL_PORT", str(central.port))):
        text = text.replace(word, value)
    return text + "persistence_location %s/\n%s" % (folder, AS_ROOT)


class Gateway:
    """Writes the configuration and runs the daemon."""

    def __init__(self, folder, program="/enos-bridged"):
        self.folder = folder
        self.program = program
        self.environment = {}
        self.name = "gw"
        for name in ("plugins", "scripts", "state"):
            os.mkdir(os.path.join(folder, name), 0o755)
        for plugin in glob.glob(PROGRAMS + "/plugins/.libs/*.so"):
            shutil.copy(plugin, os.path.join(folder, "plugins"))
        self.buses, self.devices, self.extra = [], [], ""
        self.process = None
        self.script("meter.lua", METER)

    def path(self, name):
        return os.path.join(self.folder, name)

    def script(self, name, text):
        with open(os.path.join(self.folder, "scripts", name), "w", encoding="utf-8") as file:
            file.write(text)

    def bus(self, name, link, more="", plugin="modbus"):
        self.buses.append('{ name = "%s"; plugin = "%s"; link = { %s }; %s }' % (name, plugin, link, more))

    def device(self, name, bus, unit, key, script="meter.lua", more="", secret=None):
        """unit: of Modbus, or the whole address in the words of another plugin."""
        address = unit if isinstance(unit, str) else "unit = %d;" % unit
        self.devices.append(
            '{ name = "%s"; bus = "%s"; %s script = "%s"; product_key = "pk"; '
            'device_key = "%s"; %s %s }'
            % (name, bus, address, script, key, secret or 'device_secret = "secret-%s";' % key, more))

    def write(self, enos, mqtt=None):
        text = ('gateway = { name = "%s"; state_dir = "%s"; plugin_dir = "%s"; script_dirs = [ "%s" ]; '
                'control_socket = "%s"; };\n' % (self.name, self.path("state"), self.path("plugins"),
                                                self.path("scripts"), self.path("control")))
        text += "enos = { %s };\n" % enos
        if mqtt:
            text += "mqtt = { %s };\n" % mqtt
        text += "buses = (\n  %s );\n" % ",\n  ".join(self.buses)
        text += "devices = (\n  %s );\n" % ",\n  ".join(self.devices)
        with open(self.path("bridge.conf"), "w", encoding="utf-8") as file:
            file.write(text + self.extra)
        os.chmod(self.path("bridge.conf"), 0o600)

    def check(self):
        return subprocess.run([PROGRAMS + self.program, "-c", self.path("bridge.conf"), "-t"],
                              capture_output=True, text=True, timeout=GUARD, check=False)

    def start(self):
        self.process = Process(self.folder, "bridge",
                               [PROGRAMS + self.program, "-f", "-c", self.path("bridge.conf")],
                               self.environment)
        wait_until("the daemon answers", lambda: self.process.child.poll() is not None or
                   self.tool("status").returncode == 0)
        if self.process.child.poll() is not None:
            raise AssertionError("the daemon ended:\n" + self.process.log())

    def tool(self, *arguments):
        return subprocess.run([PROGRAMS + "/enos-bridge", "-s", self.path("control"), *arguments],
                              capture_output=True, text=True, timeout=GUARD, check=False)

    def ask(self, *arguments):
        done = self.tool("--json", *arguments)
        # A reload that kept what was there says so by its exit status, too.
        if done.returncode and not (arguments == ("reload",) and done.stdout):
            raise AssertionError("enos-bridge %s: %s" % (arguments, done.stderr))
        return json.loads(done.stdout)

    def stop(self, how=signal.SIGTERM):
        return self.process.stop(how)


class Offline(Gateway):
    """A configuration to check, and nothing that runs."""

    def __init__(self):
        super().__init__(tempfile.mkdtemp(prefix="enos-bridge-system-"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)


class Site:
    """All of it, for one test: `with Site() as site:`."""

    def __init__(self, *cloud_options, field=None, broker=True, broker_more=""):
        self.folder = tempfile.mkdtemp(prefix="enos-bridge-system-")
        self.ports = []
        if isinstance(field, dict):
            self.field = FieldSim(description=field)
        else:
            field = field or ["--tcp", "127.0.0.1:PORT", "--name", "net", "--units", "1-3"]
            self.field = FieldSim(*map(self.fill_in, field))
        self.cloud = CloudSim(self.folder, *cloud_options)
        self.broker = Broker(self.folder, broker_more) if broker else None
        self.gateway = Gateway(self.folder)

    def fill_in(self, argument):
        if "PORT" not in argument:
            return argument
        self.ports.append(Port(socket.SOCK_STREAM))
        return argument.replace("PORT", str(self.ports[-1].number))

    def tcp_bus(self, name="net", line="net", more="timeout_ms = 1000;"):
        self.gateway.bus(name, 'type = "tcp"; host = "127.0.0.1"; port = %d; reopen_max_ms = 2000;'
                         % self.field.port(line), more)

    def serial_bus(self, name="ser", path="tty", baud=19200, link="", more="timeout_ms = 1000;"):
        self.gateway.bus(name, 'type = "serial"; path = "%s"; baud = %d; reopen_max_ms = 2000; %s'
                         % (self.field.path(path), baud, link), more)

    def write(self, mqtt_host="127.0.0.1", **enos):
        """The configuration; of the group enos, what is given and else what suits tests."""
        enos = {"host": "127.0.0.1", "port": self.cloud.port, "command_poll": 1, "lifetime": 60,
                "start_spread": 0, "retry_max": 4, "response_timeout": 20, **enos}
        self.gateway.write(" ".join("%s = %s;" % (key, json.dumps(enos[key])) for key in enos),
                           self.broker and 'host = "%s"; port = %d;' % (mqtt_host, self.broker.port))

    def start(self, **settings):
        self.write(**settings)
        self.gateway.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        statuses = {}
        if self.gateway.process and self.gateway.process.child.poll() is None:
            statuses["enos-bridged"] = self.gateway.stop()
        statuses["enos-cloud-sim"] = self.cloud.stop()
        if self.broker:
            self.broker.stop()
        try:
            self.field.stop()
        finally:
            if kind or any(statuses.values()):
                print(self.gateway.process.log() if self.gateway.process else "not started")
                print(self.cloud.process.log())
            for port in self.ports:
                port.close()
            shutil.rmtree(self.folder)
        if not kind and any(statuses.values()):
            raise AssertionError("exit statuses: %s" % statuses)
