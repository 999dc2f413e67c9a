# SPDX-License-Identifier: Apache-2.0
"""Gateways that are ended at random moments, and what their ledgers must say afterwards (see stand-in.c)."""
import os
import random
import subprocess
import sys

COMMIT_MS = 200
SLACK_MS = 10  # two steps of the stand-in
MODES = ("up", "down", "flapping")


class Failed(Exception):
    pass


class Ledger:
    """What one gateway put and had acknowledged, over all its runs."""

    def __init__(self, path):
        self.path, self.puts, self.acknowledged = path, 0, 0
        self.required, self.seen, self.strict, self.newest = {}, set(), {}, {}

    def check(self):
        """After a drain: all that had to be safe was delivered, in order.  Then a new page is begun."""
        with open(self.path, encoding="ascii") as file:
            lines = file.read().split("\n")
        run, cut = None, None
        for line in lines:
            words = line.split()
            if not words or words.pop() != ".":
                continue
            if words[0] == "R":
                self.end_run(run)
                run = Run("%s: %s" % (self.path, line), words[1], cut == words[1])
            elif words[0] == "C":
                # It may come before the run has got as far as telling that it began.
                cut = words[1]
                if run and run.number == cut:
                    run.cut = True
            elif words[0] == "T":
                run.pass_to(int(words[1]))
            elif words[0] == "P":
                run.put(int(words[1]), words[2], int(words[3]), int(words[4]))
                self.puts += 1
            elif words[0] == "A":
                run.acknowledge(int(words[1]), words[2], int(words[3]))
                self.acknowledged += 1
        self.end_run(run)
        lost = sorted(set(self.required) - self.seen)
        if lost:
            raise Failed("%s: %d lost, the first: %d of %s" % (
                self.path, len(lost), lost[0], self.required[lost[0]]))
        for device, (required, newest) in self.newest.items():
            if newest < required:
                raise Failed("%s: device %d: attributes of %d came last, those of %d are missing" % (
                    self.path, device, newest, required))
        self.required, self.newest, self.seen = {}, {}, set()
        os.truncate(self.path, 0)

    def end_run(self, run):
        if run:
            run.settle(self)


class Run:
    def __init__(self, line, number, cut):
        self.line, self.number, self.time, self.cut = line, number, None, cut
        self.puts, self.acks = [], []

    def pass_to(self, time):
        if not self.cut:
            self.time = time

    def put(self, device, kind, number, time):
        self.puts.append((device, kind, number, time))

    def acknowledge(self, device, which, number):
        self.acks.append((device, which, number, self.cut))

    def settle(self, ledger):
        for device, kind, number, time in self.puts:
            if self.time is None or time >= self.time - COMMIT_MS - SLACK_MS:
                continue
            if kind == "attributes":
                newest = ledger.newest.setdefault(device, [0, 0])
                newest[0] = max(newest[0], number)
            else:
                ledger.required[number] = (kind, device, time, self.line)
        last = {}
        for device, which, number, afterwards in self.acks:
            if device == 6:
                ledger.newest.setdefault(device, [0, 0])[1] = number
            if afterwards:
                # It may have gone before the cut was over, but a gateway without a disk keeps no order.
                ledger.seen.add(number)
                continue
            # Two orders, the live and the back one; of raw bytes and events one.
            key = device, "strict" if 3 <= device <= 4 else which
            if device != 5 and number <= last.get(key, 0):
                raise Failed("%s: device %d: %d came behind %d" % (self.line, device, number, last[key]))
            last[key] = number
            if 3 <= device <= 4 and number not in ledger.seen:
                if number < ledger.strict.get(device, 0):
                    raise Failed("%s: device %d: %d came first behind %d" % (
                        self.line, device, number, ledger.strict[device]))
                ledger.strict[device] = number
            ledger.seen.add(number)


class Gateway:
    def __init__(self, folder, ledger, program):
        self.folder, self.program = folder, program
        self.ledger, self.run, self.process = Ledger(ledger), 0, None
        self.log = open(ledger + ".log", "w", encoding="utf-8")  # pylint: disable=consider-using-with

    def start(self, mode=None):
        self.run += 1
        self.process = subprocess.Popen(
            [self.program, self.folder, self.ledger.path, str(self.run), str(random.randrange(1 << 31)),
             mode or random.choice(MODES)], stderr=self.log)

    def note_cut(self):
        with open(self.ledger.path, "a", encoding="ascii") as file:
            file.write("\nC %d ." % self.run)

    def kill(self):
        if self.process.poll() is not None:
            raise Failed("%s: ended by itself with %d" % (self.folder, self.process.returncode))
        self.process.kill()
        self.process.wait()

    def end(self):
        """Whatever it does."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def drain(self):
        self.start("drain")
        try:
            code = self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed("%s: the backlog does not end" % self.folder) from None
        if code:
            raise Failed("%s: the drain ended with %d" % (self.folder, code))
        self.ledger.check()
        for name in os.listdir(self.folder):
            if "damaged" in name:
                raise Failed("%s: the file was held for damaged: %s" % (self.folder, name))


def program():
    path = os.path.join(os.environ.get("BUILD_DIR", "."), "tests/spool/stand-in")
    if not os.access(path, os.X_OK):
        sys.exit("no %s: make tests/spool/stand-in, and run this in the build folder" % path)
    return os.path.abspath(path)


def seed():
    number = int(os.environ.get("SEED", random.randrange(1 << 31)))
    random.seed(number)
    print("seed %d" % number, flush=True)


def figures(gateways):
    return "%d reports put, %d acknowledged, none of those due lost, order kept" % (
        sum(one.ledger.puts for one in gateways), sum(one.ledger.acknowledged for one in gateways))
