# SPDX-License-Identifier: Apache-2.0
"""Runs enos-field-sim for a test, in a directory of its own, and asks it over its control socket."""
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile

PROGRAM = os.path.abspath(os.environ.get("FIELD_SIM", "enos-field-sim"))


class Refused(Exception):
    pass


class FieldSim:
    """One simulation. "DIR" in an argument stands for its directory."""

    def __init__(self, *arguments, description=None, transcript=True):
        self.dir = tempfile.mkdtemp(prefix="field-sim-")
        command = [PROGRAM, "--socket", self.path("control"), "--port-file", self.path("ports")]
        if transcript:
            command += ["--transcript", self.path("transcript")]
        if description is not None:
            with open(self.path("description.json"), "w", encoding="utf-8") as file:
                file.write(json.dumps(description).replace("DIR", self.dir))
            command.append(self.path("description.json"))
        command += [argument.replace("DIR", self.dir) for argument in arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line == "ready\n":
                break
        else:
            raise RuntimeError("enos-field-sim ended with %d" % self.process.wait())
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(self.path("control"))
        self.answers = self.socket.makefile("r", encoding="utf-8")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def path(self, name):
        return os.path.join(self.dir, name)

    def port(self, line):
        with open(self.path("ports"), encoding="utf-8") as file:
            return int(dict(row.split() for row in file)[line])

    def ask(self, command):
        self.socket.sendall(json.dumps({"command": command}).encode() + b"\n")
        answer = json.loads(self.answers.readline())
        if not answer["ok"]:
            raise Refused(answer["error"])
        return answer["result"]

    def events(self, kind=None):
        self.ask("faults")  # any command writes the transcript out
        with open(self.path("transcript"), encoding="utf-8") as file:
            events = [json.loads(row) for row in file]
        return [event for event in events if kind in (None, event["event"])]

    def stop(self):
        """Ends it; an exit status other than 0 (a sanitizer's, too) is an error."""
        if self.process.poll() is None:
            self.process.terminate()
        self.answers.close()
        self.socket.close()
        self.process.stdout.close()
        status = self.process.wait(30)
        shutil.rmtree(self.dir)
        if status != 0:
            raise RuntimeError("enos-field-sim ended with %d" % status)


def crc(frame):
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)


def rtu(unit, *pdu):
    frame = bytes([unit, *pdu])
    return frame + crc(frame)


def tcp(transaction, unit, *pdu):
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + bytes(pdu)
