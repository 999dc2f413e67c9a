#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""enos-cloud-sim against public tools: libcoap's coap-client speaks, the openssl command line signs."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

PROGRAM = os.path.abspath("./enos-cloud-sim")
COAP = shutil.which("coap-client-openssl") or shutil.which("coap-client-notls") or shutil.which("coap-client")
PRODUCT, DEVICE, SECRET = "pk1", "dk1", "s3cret"
TOPIC = f"/topic/sys/{PRODUCT}/{DEVICE}/"
OUTPUT_WAIT = 60


def openssl(*arguments, data):
    return subprocess.run(["openssl", *arguments], input=data, stdout=subprocess.PIPE, check=True).stdout


class Cloud:
    """A running simulator; its transcript is read line by line, so that nothing has to be waited for."""

    running = []

    def __init__(self, folder, *options):
        self.socket = os.path.join(folder, "control")
        self.port_file = os.path.join(folder, "port")
        self.process = subprocess.Popen(
            [PROGRAM, "--listen", "127.0.0.1:0", "--port-file", self.port_file, "--control-socket",
             self.socket, "--transcript", "-", "--device", f"{PRODUCT},{DEVICE},{SECRET}", *options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        Cloud.running.append(self.process)
        self.port = self.line("listening")["port"]
        with open(self.port_file, encoding="ascii") as file:
            assert int(file.read()) == self.port
        self.token, self.n = None, 0

    def line(self, event):
        for text in self.process.stdout:
            line = json.loads(text)
            if line["event"] == event:
                return line
        raise AssertionError(f"the transcript ended without {event}")

    def coap(self, method, path, payload=None, signature=None, wait=10):
        """The payload of the answer, and what coap-client tells of it."""
        command = [COAP, "-v", "7", "-B", str(wait), "-m", method]
        if payload is not None:
            command += ["-f", "-"]
        if signature:
            command += ["-O", f"2101,{signature}"]
        done = subprocess.run(command + [f"coap://127.0.0.1:{self.port}{path}"], text=True,
                              input=payload, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=OUTPUT_WAIT, check=False)
        answers = re.findall(r"c:([245]\.\d\d) i:\w+ {\w*} \[(.*?)\](?: :: '(.*)')?", done.stdout)
        code, options, text = answers[-1] if answers else (None, "", "")
        # Options that coap-client does not know are printed byte by byte.
        return code, re.sub(r"\\x(..)", lambda byte: chr(int(byte[1], 16)), options).strip(), text

    def authenticate(self, lifetime=300):
        text = f"deviceKey{DEVICE}lifetime{lifetime}productKey{PRODUCT}secureMode2{SECRET}"
        sign = openssl("dgst", "-sha256", "-binary", data=text.encode()).hex().upper()
        code, options, text = self.coap("post", f"/auth/{PRODUCT}/{DEVICE}", json.dumps(
            {"secureMode": 2, "lifetime": lifetime, "sign": sign}))
        assert code == "2.04", code
        self.token, self.n = json.loads(text)["token"], 0
        return options

    def sign(self):
        self.n += 1
        key = openssl("dgst", "-sha256", "-binary", data=SECRET.encode())[8:24].hex()
        return openssl("enc", "-aes-128-cbc", "-K", key, "-iv", "0" * 32,
                       data=f"token{self.token}sequence{self.n}".encode()).hex().upper()

    def post(self, topic, payload, **options):
        return self.coap("post", TOPIC + topic, payload, self.sign(), **options)

    def get(self, topic):
        return self.coap("get", TOPIC + topic, None, self.sign())

    def control(self, *words, status=0):
        done = subprocess.run([PROGRAM, "--control", self.socket, *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=OUTPUT_WAIT, check=False)
        assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def end(self, status=0):
        assert self.control("quit") == [True]
        summary = self.line("summary")["stats"]
        assert self.process.wait(timeout=OUTPUT_WAIT) == status
        assert not os.path.exists(self.socket)
        return summary


def report(number, **points):
    return json.dumps({"id": str(number), "version": "1.0", "method": "thing.measurepoint.post",
                       "params": {"measurepoints": points, "time": 1700000000000 + number}})


def test_signed(folder):
    cloud = Cloud(folder)
    cloud.authenticate()
    code, options, text = cloud.post("thing/measurepoint/post", report(1, voltage=230.1))
    assert (code, options) == ("2.04", ""), (code, options)
    assert json.loads(text) == {"id": "1", "code": 200, "data": ""}
    line = cloud.line("report")
    assert line["device"] == "pk1/dk1" and line["n"] == 1 and line["topic"] == "thing/measurepoint/post"
    assert line["payload"]["params"]["measurepoints"] == {"voltage": 230.1}
    assert cloud.post("thing/model/up_raw", "raw bytes")[0] == "2.04"
    assert bytes.fromhex(cloud.line("raw")["hex"]) == b"raw bytes"

    [point] = cloud.control("wait-reading", "dk1", "voltage", "230.1", "--timeout", "10")
    assert point["value"] == 230.1 and point["time"] == 1700000000001
    cloud.control("wait-reading", "dk1", "voltage", "--new", "--timeout", "0", status=1)

    # A command: announced, fetched, replied to.
    [number] = cloud.control("command", "dk1", "thing/service/measurepoint/set", '{"setpoint":42}')
    code, options, _ = cloud.post("thing/measurepoint/post", report(2, voltage=231))
    assert "2100:/topic/sys/pk1/dk1/thing/service/measurepoint/set" in options, options
    code, options, text = cloud.get("thing/service/measurepoint/set")
    assert code == "2.05" and "2100" not in options
    command = json.loads(text)
    assert command["params"] == {"setpoint": 42}
    cloud.control("wait", str(number), "--timeout", "0", status=1)
    assert cloud.post("thing/service/measurepoint/set_reply", json.dumps(
        {"id": command["id"], "code": 200, "data": {}}))[0] == "2.04"
    [result] = cloud.control("wait", str(number), "--timeout", "10")
    assert result["state"] == "done" and result["code"] == 200 and result["replies"] == 1

    # A wrong signature is a violation, and nothing else comes of it.
    code, _, _ = cloud.coap("post", TOPIC + "thing/model/up_raw", "x", cloud.sign()[:-2] + "00")
    assert code == "4.01"
    assert cloud.line("violation")["kind"] in ("signature_cipher", "signature_text")
    assert cloud.control("stats")[0]["violations"] == 1
    summary = cloud.end()
    assert summary["readings"] == 2 and summary["raw"] == 1 and summary["violations"] == 1
    assert summary["signatures"] == 5, summary["signatures"]


def test_faults(folder):
    cloud = Cloud(folder, "--fault", 'error={"p":1,"count":1}', "--strict")
    assert cloud.coap("post", f"/auth/{PRODUCT}/{DEVICE}", "{}")[0] == "5.00"
    cloud.authenticate()
    cloud.control("fault", 'separate={"p":1,"count":1}')
    assert cloud.post("thing/measurepoint/post", report(1, a=1))[0] == "2.04"
    cloud.control("fault", 'lose_answer={"p":1,"count":1}')
    assert cloud.post("thing/measurepoint/post", report(2, a=2))[0] == "2.04"
    assert cloud.control("forget", "dk1") == [1]
    assert cloud.post("thing/measurepoint/post", report(3, a=3))[0] == "4.01"
    cloud.authenticate()
    assert cloud.post("thing/measurepoint/post", report(3, a=3))[0] == "2.04"
    cloud.control("fault", "forbid=1", "--device", "dk1")
    assert cloud.post("thing/measurepoint/post", report(4, a=4))[0] == "4.03"
    cloud.control("fault", "--clear", "--device", "pk1/dk1")
    assert cloud.post("thing/measurepoint/post", report(4, a=4))[0] == "2.04"
    cloud.control("restart")
    assert cloud.post("thing/measurepoint/post", report(5, a=5))[0] == "4.01"
    cloud.control("fault", "loss=2", status=1)
    cloud.control("fault", "loss", status=2)
    cloud.control("nonsense", status=2)
    cloud.control("result", "99", status=1)
    assert cloud.control("violations") == []
    summary = cloud.end()
    assert summary["readings"] == 4 and summary["duplicate_readings"] == 0
    assert summary["separate"] == 1 and summary["lost_answers"] == 1 and summary["repeated"] >= 1


def test_piggyback(folder):
    schedule = os.path.join(folder, "commands.json")
    with open(schedule, "w", encoding="ascii") as file:
        json.dump([{"at": 0, "device": "dk1", "topic": "thing/model/down_raw", "hex": "414243"}], file)
    cloud = Cloud(folder, "--dialect", "piggyback", "--commands", schedule)
    assert cloud.line("command")["hex"] == "414243"
    options = cloud.authenticate()
    assert "2100:/topic/sys/pk1/dk1/thing/model/down_raw" in options and "2102:ABC" in options, options
    code, _, _ = cloud.coap("post", TOPIC + "thing/model/down_raw_reply", "ok")
    assert code == "2.04"
    [result] = cloud.control("result", "1")
    assert bytes.fromhex(result["reply"]["hex"]) == b"ok"

    follower = subprocess.Popen([PROGRAM, "--control", cloud.socket, "readings", "--follow"],
                                stdout=subprocess.PIPE, text=True)
    cloud.control("wait-stat", "followers", "1")
    assert cloud.coap("post", TOPIC + "thing/measurepoint/post", report(1, x=[1, 2]))[0] == "2.04"
    line = json.loads(follower.stdout.readline())
    assert line["event"] == "report" and line["payload"]["params"]["measurepoints"]["x"] == [1, 2]
    follower.terminate()
    follower.wait(timeout=OUTPUT_WAIT)

    # A signature has no place here: a violation, so that --strict programs end with 1.
    assert cloud.coap("post", TOPIC + "thing/model/up_raw", "x", "00" * 16)[0] == "2.04"
    assert cloud.end()["violations_by_kind"] == {"signature_unwanted": 1}


def test_devices_file_and_strict(folder):
    path = os.path.join(folder, "devices.json")
    with open(path, "w", encoding="ascii") as file:
        json.dump([{"product_key": "pk7", "device_key": "dk7", "device_secret": "x"}], file)
    cloud = Cloud(folder, "--devices", path, "--secret-rule", "pk9=secret-", "--strict")
    names = [device["device"] for device in cloud.control("devices")]
    assert names == ["pk1/dk1", "pk7/dk7"], names
    # The rule's devices come into being when they are asked for.
    assert cloud.coap("post", "/auth/pk9/dk1234", "{}")[0] == "4.00"
    assert "pk9/dk1234" in [device["device"] for device in cloud.control("devices")]
    assert cloud.end(status=1)["violations"] == 1


def test_bad_words(folder):
    def run(*words):
        return subprocess.run([PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=OUTPUT_WAIT, check=False)

    for words in (["--listen", "nowhere"], ["--dialect", "x"], ["--signature-iv", "00"], ["--seed", "-1"],
                  ["word"], ["--control", "x"], ["--empty-get", "2.00"], ["--nonsense"]):
        done = run(*words)
        assert done.returncode == 64 and done.stderr, (words, done)
    missing = os.path.join(folder, "missing")
    for words in (["--device", "pk1,dk1"], ["--device", "pk1,dk1,"], ["--devices", missing],
                  ["--secret-rule", "pk1"], ["--fault", "loss=x"], ["--fault", "x=1"],
                  ["--commands", missing], ["--transcript", missing + "/x"]):
        done = run("--listen", "127.0.0.1:0", *words)
        assert done.returncode == 78 and words[0] in done.stderr, (words, done)
    assert run("--control", missing, "stats").returncode == 3
    assert run("--help").returncode == 0 and run("--version").stdout.startswith("enos-cloud-sim ")


def main():
    if not COAP or not shutil.which("openssl"):
        print("coap-client (Debian: libcoap3-bin) or openssl is not installed")
        return 77
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for test in (test_signed, test_faults, test_piggyback, test_devices_file_and_strict, test_bad_words):
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(folder)
            finally:
                for process in Cloud.running:
                    process.kill()
                    process.wait()
        print("ok", test.__name__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
