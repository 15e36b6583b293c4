"""Processes beside the init process of a container: their streams and their ends, over restores.

Cases named bug_N show that a bug of that number, known from another system, is not here.
"""
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading

import harness
from harness import Refused, refused, until

RUNNING, TERMINATED, RECORDED = 2, 3, 0
SH = "/bin/sh"


def init(world, client, args=("/bin/sleep", "100000")):
    client.create("s")
    client.add_container("s", "c", world.layer, list(args))


def run(client, exec_id, args, **more):
    return client.ExecProcess(sandbox_id="s", container_id="c", exec_id=exec_id, args=args,
                              **more).process


def script(client, exec_id, text, **more):
    return run(client, exec_id, [SH, "-c", text], **more)


def of(exec_id, container="c"):
    return {"sandbox_id": "s", "container_id": container, "exec_id": exec_id}


def wait(client, exec_id, container="c"):
    return client.WaitProcess(**of(exec_id, container)).process


def listed(client):
    return {p.exec_id: p for p in client.ListProcesses(sandbox_id="s").processes}


class Reader(threading.Thread):
    """Is attached to a process, wherever it is; knows that its streams have no gap."""

    def __init__(self, exec_id, container="c"):
        super().__init__(daemon=True)
        self.ids = of(exec_id, container)
        self.data = {1: b"", 2: b""}
        self.lost, self.end, self.code = 0, None, None
        self.exception = None

    def run(self):
        try:
            self.attach(self.client)
        except Refused as why:
            self.code = why.code
        except Exception as why:
            self.exception = why

    def attach(self, client):
        for event in client.AttachProcess(stdout_offset=len(self.data[1]), timeout=600,
                                          stderr_offset=len(self.data[2]), **self.ids):
            assert self.end is None, "something after the end"
            if event.HasField("exited"):
                self.end = event.exited
                continue
            out = event.output
            self.lost += out.lost
            assert out.offset == len(self.data[out.stream]) + out.lost, "a gap"
            self.data[out.stream] += out.data

    def at(self, client):
        """The same reader, on another daemon or again."""
        new = Reader("")
        new.ids, new.data, new.lost = self.ids, self.data, self.lost
        new.client = client
        new.start()
        return new

    def done(self):
        self.join(harness.CALL_S * 2)
        assert not self.is_alive(), "%s: still attached" % self.ids
        if self.exception:
            raise self.exception
        return self


def attach(client, exec_id, container="c"):
    return Reader(exec_id, container).at(client)


def move(world, source, destination):
    destination.restore(source.save("s").snapshot)


def numbers(text):
    assert text.endswith(b"\n"), text[-20:]
    return [int(line) for line in text.split(b"\n")[:-1]]


# ---- what a process is ----

def case_exec_is_seen_whole(world):
    init(world, world.a)
    p = script(world.a, "e", "echo $A$B $PWD; id -u; id -g; echo no >&2; cat; exit 7", user="5:6",
               env=["A=1", "B=2", "A=3"], working_directory="/tmp")
    assert p.stage == RUNNING and p.pid > 0 and p.exit_code == 255 and p.stdin_closed
    got = attach(world.a, "e").done()
    assert (got.data[1], got.data[2]) == (b"32 /tmp\n5\n6\n", b"no\n"), got.data
    assert got.end.exit_code == 7 and got.end.exited_at.seconds > 0 and got.lost == 0
    assert wait(world.a, "e").exit_code == 7
    refused("ALREADY_EXISTS", script, world.a, "e", "exit 0", names=["'e'"])
    assert world.a.DeleteProcess(**of("e")).process.exit_code == 7
    refused("NOT_FOUND", world.a.DeleteProcess, **of("e"))
    assert script(world.a, "", "exit 3").exec_id not in ("", "e")


def case_what_cannot_be_is_refused(world):
    init(world, world.a)
    for fields in ({"args": []}, {"exec_id": "../x"}, {"user": "root"}, {"env": ["A"]},
                   {"spec": "{"}, {"spec": "{}"}, {"spec": '{"args":["/bin/true"]}'},
                   {"working_directory": "tmp"}, {"terminal": True, "columns": 3}):
        ask = {"sandbox_id": "s", "container_id": "c", "args": ["/bin/true"], **fields}
        why = refused("INVALID_ARGUMENT", world.a.ExecProcess, **ask)
        assert why.detail("BadRequest"), why
    refused("NOT_FOUND", world.a.ExecProcess, sandbox_id="s", container_id="d", args=["/bin/true"])
    why = refused("FAILED_PRECONDITION", run, world.a, "e", ["/bin/nothing"], names=["/bin/nothing"])
    assert list(listed(world.a)) == [""], "something was left"
    script(world.a, "e", "sleep 1000")
    refused("FAILED_PRECONDITION", world.a.DeleteProcess, names=["'e'"], **of("e"))
    refused("FAILED_PRECONDITION", world.a.DeleteProcess, **of(""))
    refused("FAILED_PRECONDITION", world.a.ResizeTerminal, columns=1, rows=1, **of("e"))
    refused("FAILED_PRECONDITION", world.a.WriteInput, data=b"x", **of("e"))
    assert world.a.DeleteProcess(force=True, **of("e")).process.exit_code == 137


def case_recorded_is_started_where_it_is_wanted(world):
    init(world, world.a)
    text = "echo it; exit 4"
    assert script(world.a, "r", text, record_only=True).stage == RECORDED
    script(world.a, "gone", text, record_only=True)
    world.a.DeleteProcess(**of("gone"))
    refused("FAILED_PRECONDITION", world.a.SignalProcess, signal=9, **of("r"))
    reader = attach(world.a, "r")
    move(world, world.a, world.b)
    assert reader.done().code == "UNAVAILABLE"
    assert listed(world.b)["r"].stage == RECORDED and listed(world.b)["r"].exit_code == 255
    reader = reader.at(world.b)
    assert world.b.StartProcess(**of("r")).process.stage in (RUNNING, TERMINATED)
    assert reader.done().end.exit_code == 4 and reader.data[1] == b"it\n"
    refused("FAILED_PRECONDITION", world.b.StartProcess, **of("r"))


def case_container_ends_its_processes(world):
    init(world, world.a, [SH, "-c", "sleep 1000 & wait"])
    readers = []
    for i in range(4):
        script(world.a, "e%d" % i, "echo begun; sleep 1000")
        readers.append(attach(world.a, "e%d" % i))
    until("they write", lambda: all(r.data[1] for r in readers))
    script(world.a, "recorded", "true", record_only=True)
    world.a.SignalProcess(sandbox_id="s", container_id="c", signal=9)
    assert [r.done().end.exit_code for r in readers] == [137] * 4
    assert wait(world.a, "").exit_code == 137
    refused("FAILED_PRECONDITION", world.a.StartProcess, **of("recorded"))
    refused("FAILED_PRECONDITION", script, world.a, "late", "true")
    move(world, world.a, world.b)  # a stopped container, with what it has
    assert [p.exit_code for p in listed(world.b).values()] == [137] * 5 + [255]
    world.b.DeleteContainer(sandbox_id="s", container_id="c")
    assert not listed(world.b)
    # the same ids again are other processes
    world.b.add_container("s", "c", world.layer, ["/bin/sleep", "1000"])
    script(world.b, "e0", "exit 1")
    assert wait(world.b, "e0").exit_code == 1
    world.b.DeleteContainer(sandbox_id="s", container_id="c", force=True)


# ---- streams over a restore ----

def case_stdin_goes_on_at_the_byte(world):
    init(world, world.a)
    run(world.a, "cat", ["/bin/cat"], input=True, wait_for_readers=True)
    sent = b"".join(b"line %d of some input\n" % i for i in range(20000))
    here, there = world.a, world.b
    reader = attach(here, "cat")
    half = len(sent) // 2 // 4 * 4

    def give(client, at, size, **more):
        part = sent[at : at + size]

        def taken():
            try:
                return client.WriteInput(data=part, at_offset=True, offset=at, **more, **of("cat")).offset
            except Refused as why:
                assert why.code == "RESOURCE_EXHAUSTED", why
                return None
        return until("room", taken)

    for at in range(0, half, 30000):
        give(here, at, min(30000, half - at))
    move(world, here, there)
    assert reader.done().code == "UNAVAILABLE"
    assert listed(there)["cat"].stdin_offset == half
    reader = reader.at(there)
    refused("OUT_OF_RANGE", there.WriteInput, data=b"x", at_offset=True, offset=half + 1, **of("cat"))
    assert give(there, half - 30000, 30000) == half, "a repeat was not taken once"
    for at in range(half - 10000, len(sent), 25000):  # each begins with what was given before
        give(there, max(half - 10000, at - 5000), 30000)
    assert give(there, len(sent) - 9, 9, close=True) == len(sent)
    assert there.CloseInput(**of("cat")).offset == len(sent)
    reader.done()
    assert reader.end.exit_code == 0 and reader.data[1] == sent and reader.lost == 0
    assert give(there, len(sent) - 9, 9, close=True) == len(sent), "a repeat after its end"
    refused("FAILED_PRECONDITION", there.WriteInput, data=b"x", **of("cat"))


def case_stdin_held_open_stays_open(world):
    init(world, world.a)
    run(world.a, "cat", ["/bin/cat"], input=True)
    daemons = [world.a, world.b]
    reader = attach(daemons[0], "cat")
    for i in range(3):
        daemons[0].WriteInput(data=b"%d\n" % i, **of("cat"))
        until("it comes back", lambda: len(reader.data[1]) == 2 * (i + 1))
        move(world, *daemons)
        daemons.reverse()
        assert reader.done().code == "UNAVAILABLE"
        reader = reader.at(daemons[0])
    assert listed(daemons[0])["cat"].stage == RUNNING
    daemons[0].CloseInput(**of("cat"))
    daemons[0].CloseInput(**of("cat"))
    assert reader.done().end.exit_code == 0 and reader.data[1] == b"0\n1\n2\n"


def case_twenty_processes_at_a_high_rate(world):
    """Sequence numbers, as fast as they are taken; two moves in the middle."""
    init(world, world.a)
    last = 150000  # just under 1 MB each
    for i in range(20):
        run(world.a, "n%d" % i, ["/bin/busybox", "seq", "1", str(last)], wait_for_readers=True)
    daemons = [world.a, world.b]
    readers = [attach(daemons[0], "n%d" % i) for i in range(20)]
    for share in 3, 5:
        until("a part", lambda: sum(len(r.data[1]) for r in readers) > 3000000 * share, 300)
        move(world, *daemons)
        daemons.reverse()
        assert [r.done().code for r in readers].count("UNAVAILABLE") > 0, "they were too quick"
        readers = [r if r.end else r.at(daemons[0]) for r in readers]
    for r in readers:
        assert r.done().end.exit_code == 0 and r.lost == 0
        assert numbers(r.data[1]) == list(range(1, last + 1)), r.ids


def case_late_reader_with_an_offset(world):
    init(world, world.a)
    script(world.a, "small", "seq 1 20000; exit 2".replace("seq", "/bin/busybox seq"))
    script(world.a, "big", "/bin/busybox seq 1 100000")
    script(world.a, "waits", "/bin/busybox seq 1 100000", wait_for_readers=True)
    want = b"".join(b"%d\n" % i for i in range(1, 100001))
    small = b"".join(b"%d\n" % i for i in range(1, 20001))
    wait(world.a, "small"), wait(world.a, "big")
    move(world, world.a, world.b)

    def read(exec_id, offset):
        data, lost = b"", 0
        for part in world.b.ReadOutput(offset=offset, follow=True, **of(exec_id)):
            lost += part.lost
            assert part.offset == offset + lost + len(data)
            data += part.data
        return data, lost
    assert read("small", 5000) == (small[5000:], 0)
    data, lost = read("big", 1000)
    assert 0 < lost == len(want) - 1000 - len(data) and want.endswith(data), (lost, len(data))
    assert len(data) == 256 * 1024
    assert read("big", len(want)) == (b"", 0)
    refused("OUT_OF_RANGE", list, world.b.ReadOutput(offset=len(want) + 1, **of("big")))
    assert listed(world.b)["waits"].stage == RUNNING, "it has not waited for a reader"
    assert read("waits", 0) == (want, 0)
    assert wait(world.b, "waits").exit_code == 0


def case_several_readers_and_one_that_is_slow(world):
    init(world, world.a)
    script(world.a, "seq", "read go; /bin/busybox seq 1 100000", input=True)
    readers = [attach(world.a, "seq") for _ in range(3)]
    slow = world.a.AttachProcess(timeout=600, **of("seq"))
    world.a.WriteInput(data=b"go\n", **of("seq"))
    want = b"".join(b"%d\n" % i for i in range(1, 100001))
    first = next(slow).output.data
    got = first
    for event in slow:  # nothing was lost, though the others were quicker
        assert event.output.lost == 0
        got += event.output.data
    for r in readers:
        assert r.done().data[1] == want and r.lost == 0
    assert got == want


def case_detached_goes_on_and_is_attached_again(world):
    """With a terminal: one stream; who leaves takes nothing along."""
    init(world, world.a)
    run(world.a, "sh", [SH], input=True, terminal=True, columns=90, rows=30)
    calls = [world.a.AttachProcess(timeout=600, **of("sh")) for _ in range(2)]
    for call in calls:
        world.a.WriteInput(data=b"echo o$((40+2)) >&2\n", **of("sh"))
        seen = b""
        while b"o42" not in seen:
            seen += next(call).output.data
        call.close()  # detach
    move(world, world.a, world.b)
    reader = attach(world.b, "sh")
    until("what was held", lambda: reader.data[1].count(b"o42") == 2)
    world.b.WriteInput(data=b"exit 5\n", **of("sh"))
    assert reader.done().end.exit_code == 5 and not reader.data[2]


def case_terminal_keeps_its_size(world):
    init(world, world.a)
    run(world.a, "sh", [SH], input=True, terminal=True, columns=90, rows=30)
    reader = attach(world.a, "sh")

    def size(client, text):
        before = len(reader.data[1])
        client.WriteInput(data=b"/bin/busybox stty size\n", **of("sh"))
        until("stty says " + text, lambda: re.search(rb"\n%s\r" % text.encode(), reader.data[1][before:]))

    size(world.a, "30 90")
    world.a.ResizeTerminal(columns=101, rows=33, **of("sh"))
    size(world.a, "33 101")
    move(world, world.a, world.b)
    reader.done()
    reader = reader.at(world.b)
    size(world.b, "33 101")
    world.b.ResizeTerminal(columns=55, rows=11, **of("sh"))
    size(world.b, "11 55")
    script(world.b, "winch", "trap 'echo again; exit 0' WINCH; echo on; while :; do sleep 0.05; done",
           terminal=True)
    other = attach(world.b, "winch")
    until("the trap", lambda: b"on" in other.data[1])
    world.b.ResizeTerminal(columns=56, rows=12, **of("winch"))
    assert other.done().data[1] == b"on\r\nagain\r\n"
    world.b.CloseInput(**of("sh"))  # ^D
    assert reader.done().end.exit_code == 0


def case_container_with_another_id_keeps_its_processes(world):
    init(world, world.a)
    run(world.a, "cat", ["/bin/cat"], input=True)
    script(world.a, "r", "echo started", record_only=True)
    world.a.WriteInput(data=b"here\n", **of("cat"))
    world.b.restore(world.a.save("s").snapshot, patches=[
        {"controller": "container", "object": "container/c", "value": "new"}])
    assert [p.container_id for p in listed(world.b).values()] == ["new"] * 3
    world.b.WriteInput(data=b"there\n", close=True, **of("cat", "new"))
    reader = attach(world.b, "cat", "new").done()
    assert reader.data[1] == b"here\nthere\n" and reader.end.exit_code == 0
    world.b.StartProcess(**of("r", "new"))
    assert attach(world.b, "r", "new").done().data[1] == b"started\n"


# ---- ends ----

def exits_told(client):
    """How often each end was told at a daemon: process -> times."""
    told = {}
    for answer in client.WatchEvents(from_start=True, until_now=True):
        found = re.match(r"the process '(.*)' of container '(.*)' has ended with code (\d+)",
                         answer.event.message)
        if answer.event.type == "process.exited":
            key = (found.group(2), found.group(1), int(found.group(3)))
            told[key] = told.get(key, 0) + 1
    return told


def case_exit_codes_before_in_and_after_the_blackout(world):
    """Processes that end all the time, one after the other; half of them have somebody who waits."""
    before = [exits_told(world.a), exits_told(world.b)]
    world.a.create("s")
    waiting = []

    def wait_on(exec_id, container):
        for client in world.a, world.b:
            try:
                waiting.append((container, exec_id, wait(client, exec_id, container).exit_code))
                return
            except Refused as why:
                assert why.code in ("UNAVAILABLE", "NOT_FOUND"), why
                until("the restore", lambda: world.b.state("s") == "RUNNING")

    threads, want = [], set()

    def begin(exec_id, container, code):
        want.add((container, exec_id, code))
        if code % 2:
            threads.append(threading.Thread(target=wait_on, args=(exec_id, container)))
            threads[-1].start()

    for i in range(6):
        world.a.add_container("s", "i%d" % i, world.layer,
                              [SH, "-c", "sleep %g; exit %d" % (0.5 + 0.9 * i, 50 + i)])
        begin("", "i%d" % i, 50 + i)
    world.a.add_container("s", "c", world.layer, ["/bin/sleep", "10000"])
    for i in range(24):
        script(world.a, "e%d" % i, "sleep %g; exit %d" % (0.2 + (24 - i) * 0.3, 1 + i))
        begin("e%d" % i, "c", 1 + i)
    until("some ended", lambda: sum(p.stage == TERMINATED for p in
                                    world.a.ListProcesses(sandbox_id="s").processes) >= 8)
    move(world, world.a, world.b)
    left = sum(p.stage == RUNNING for p in world.b.ListProcesses(sandbox_id="s").processes)
    assert left > 2, "all have ended before the move"
    for container, exec_id, code in sorted(want):
        got = wait(world.b, exec_id, container)
        assert got.exit_code == code and got.exited_at.seconds > 0, (container, exec_id, got.exit_code)
    for thread in threads:
        thread.join(harness.CALL_S)
    assert sorted(waiting) == sorted(w for w in want if w[2] % 2)
    told = {}
    for had, client in zip(before, (world.a, world.b)):
        for key, times in exits_told(client).items():
            told[key] = told.get(key, 0) + times - had.get(key, 0)
    assert {key: n for key, n in told.items() if n} == {key: 1 for key in want}, told


def case_end_in_the_blackout_is_told_once(world):
    """The agent is frozen, and the processors still run: the end is told where the guest goes on."""
    init(world, world.a)
    for resume_here in True, False:
        script(world.a, "e", "read x; exit 9", input=True)
        saved, here = None, world.a
        world.a.CloseInput(**of("e"))  # it ends now, or while the save is under way
        saved = world.a.save("s", after="HOLD")
        held = listed(world.a)["e"]
        assert held.exit_code in (255, 9)
        if resume_here:
            world.a.ResumeSandbox(sandbox_id="s")
        else:
            world.b.restore(saved.snapshot)
            here = world.b
        assert wait(here, "e").exit_code == 9
        assert here.DeleteProcess(**of("e")).process.exit_code == 9


def case_ends_are_told_though_nobody_reads(world):
    """A process that waits for readers, killed while there are none; also with its container."""
    init(world, world.a)
    for exec_id in "killed", "other":
        run(world.a, exec_id, ["/bin/cat", "/dev/zero"], wait_for_readers=True)
    until("they wait", lambda: min(listed(world.a)[e].stdout.offset for e in ("killed", "other")) >= 16384)
    world.a.SignalProcess(signal=9, **of("killed"))
    assert wait(world.a, "killed").exit_code == 137
    move(world, world.a, world.b)
    reader = attach(world.b, "killed").done()
    assert reader.end.exit_code == 137 and reader.lost == 0
    assert reader.data[1] == bytes(listed(world.b)["killed"].stdout.offset)
    world.b.DeleteContainer(sandbox_id="s", container_id="c", force=True)


def case_wait_is_pending_over_hold_and_resume(world):
    init(world, world.a)
    script(world.a, "e", "read x; echo said; exit 6", input=True)
    answers = []
    waiters = [threading.Thread(target=lambda: answers.append(wait(world.a, "e").exit_code))
               for _ in range(3)]
    reader = attach(world.a, "e")
    for w in waiters:
        w.start()
    world.a.save("s", after="HOLD")
    assert not answers and reader.is_alive()
    world.a.ResumeSandbox(sandbox_id="s")
    world.a.WriteInput(data=b"x\n", **of("e"))
    for w in waiters:
        w.join(harness.CALL_S)
    assert answers == [6] * 3
    assert reader.done().end.exit_code == 6 and reader.data[1] == b"said\n"


# ---- the command ----

def command(world, client, *words):
    return [world.build + "/bin/sandferry", "-H", client.address, *words]


def say(world, client, *words, **more):
    """Runs a command line: how it ended, and what it said."""
    done = subprocess.run(command(world, client, *words), capture_output=True, timeout=harness.CALL_S,
                          **more)
    return done.returncode, done.stdout, done.stderr


def case_command_ends_as_its_process(world):
    init(world, world.a)
    sh = ("exec", "s", "c", "--", SH, "-c")
    assert say(world, world.a, *sh, "echo out; echo no >&2; exit 9") == (9, b"out\n", b"no\n")
    assert say(world, world.a, *sh, "kill -TERM $$")[0] == 143
    assert say(world, world.a, "exec", "s", "c", "-u", "7", "-e", "A=b", "-w", "/tmp", "--", SH, "-c",
               "id -u; echo $A $PWD")[1] == b"7\nb /tmp\n"
    assert say(world, world.a, "exec", "s", "c", "-i", "--", "/bin/cat", input=b"x" * 300000)[:2] == (
        0, b"x" * 300000)
    code, out, err = say(world, world.a, "exec", "s", "c", "--", "/bin/nothing")
    assert code == 125 and not out and b"/bin/nothing" in err, err
    with subprocess.Popen(command(world, world.a, "exec", "s", "c", "--", "/bin/cat", "/dev/zero"),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        p.stdout.read(100000)
        p.stdout.close()  # as head does: it ends, and what it followed too
        assert p.wait(harness.CALL_S) == 141 and not p.stderr.read()
    assert list(listed(world.a)) == [""], "the ended were to be forgotten"

    assert say(world, world.a, "exec", "s", "c", "-d", "--id", "e", "--", "/bin/sleep", "1000")[1] == b"e\n"
    assert b" e        running " in say(world, world.a, "ctr", "ps", "s", "c")[1]
    assert say(world, world.a, "ctr", "ps", "s", "-q")[1] == b"e\n"
    assert say(world, world.a, "ctr", "rm", "s", "c", "--exec", "e")[0] == 4
    assert say(world, world.a, "ctr", "kill", "s", "c", "--exec", "e")[0] == 0
    assert say(world, world.a, "ctr", "wait", "s", "c", "--exec", "e")[0] == 143
    assert say(world, world.a, "ctr", "rm", "s", "c", "--exec", "e")[0] == 0

    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:  # they are for the process
        text = "trap 'echo %d; exit 3' INT TERM HUP; echo on; while :; do sleep 0.1; done" % number
        with subprocess.Popen(command(world, world.a, *sh, text), stdout=subprocess.PIPE) as p:
            assert p.stdout.readline() == b"on\n"
            p.send_signal(number)
            assert p.stdout.read() == b"%d\n" % number and p.wait(harness.CALL_S) == 3


def case_command_follows_its_process(world):
    init(world, world.a)
    then = ["--then", world.b.address, "--then", world.a.address]
    cat = subprocess.Popen(command(world, world.a, "exec", "s", "c", "-i", *then, "--", "/bin/cat"),
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    world.a.add_container("s", "n", world.layer, ["/bin/counter", "1", "5000"])
    logs = subprocess.Popen(command(world, world.a, "ctr", "logs", "s", "n", "-f", *then),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    first = logs.stdout.readline()  # it reads: now there is something to follow
    daemons = [world.a, world.b]
    for i in range(3):
        cat.stdin.write(b"%d" % i * 99999 + b"\n")
        cat.stdin.flush()
        assert cat.stdout.readline() == b"%d" % i * 99999 + b"\n"
        move(world, *daemons)
        daemons.reverse()
    out, err = cat.communicate(b"last\n", timeout=harness.CALL_S)
    assert (out, cat.returncode) == (b"last\n", 0), (out, err)
    assert b"going on at" in err, err
    out, err = logs.communicate(timeout=harness.CALL_S)
    assert logs.returncode == 0, err
    assert numbers(first + out) == list(range(1, 5001)), err
    gone = subprocess.Popen(command(world, daemons[0], "exec", "s", "c", "--", "/bin/sleep", "100"),
                            stderr=subprocess.PIPE)
    until("it runs", lambda: len(listed(daemons[0])) == 2)
    move(world, *daemons)
    assert gone.wait(harness.CALL_S) == 125
    assert b"sandferry attach s c --exec exec-" in gone.stderr.read()
    gone.stderr.close()


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, words, columns, rows):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(words[0], words)
        self.seen = b""
        self.resize(columns, rows)

    def resize(self, columns, rows):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text)

    def sees(self, pattern):
        """Until it matches what came since the last that did."""
        while not re.search(pattern, self.seen):
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""  # all ends are closed
            assert data, "%r is not in %r" % (pattern, self.seen)
            self.seen += data
        self.seen = self.seen[re.search(pattern, self.seen).end():]

    def ends(self):
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return code


def case_command_with_a_terminal(world):
    init(world, world.a)
    size = b"/bin/busybox stty size\n"
    shell = Terminal(command(world, world.a, "exec", "s", "c", "-it", "--id", "sh", "--", SH), 0, 0)
    shell.sees(rb"# ")
    shell.resize(70, 20)
    until("its size is passed on", lambda: sized(shell, size) == b"20 70")
    shell.type(b"\x03")  # an interrupt is the process's matter
    shell.sees(rb"# ")
    shell.type(b"echo at\x10\x10me $((6*7))\n\x10\x11")  # detaches behind it
    assert shell.ends() == 0
    move(world, world.a, world.b)
    again = Terminal(command(world, world.b, "attach", "s", "c", "--exec", "sh", "-i"), 101, 31)
    again.type(b"\n")
    again.sees(rb"# ")
    again.resize(102, 32)
    until("the size of the other terminal", lambda: sized(again, size) == b"32 102")
    again.type(b"exit 5\n")
    assert again.ends() == 5


def sized(terminal, size):
    terminal.type(size)
    terminal.sees(rb"stty size\r\n")
    before = terminal.seen
    while not (found := re.match(rb"(\d+ \d+)\r\n", before)):
        terminal.seen += os.read(terminal.fd, 4096)
        before = terminal.seen
    return found.group(1)


# ---- what others have had trouble with ----

def case_bug_24_whatever_there_is_can_be_saved(world):
    """Processes that run, have ended, are recorded; containers created, running, stopped."""
    init(world, world.a)
    world.a.CreateContainer(sandbox_id="s", container_id="created", args=["/bin/sleep", "1000"],
                            layers=[{"host_path": world.layer, "read_only": True}])
    world.a.add_container("s", "stopped", world.layer, ["/bin/false"])
    script(world.a, "ended", "exit 8")
    script(world.a, "runs", "sleep 1000")
    script(world.a, "recorded", "true", record_only=True)
    wait(world.a, "ended"), wait(world.a, "", "stopped")
    move(world, world.a, world.b)
    stages = {(p.container_id, p.exec_id): (p.stage, p.exit_code)
              for p in world.b.ListProcesses(sandbox_id="s").processes}
    assert stages == {("c", ""): (RUNNING, 255), ("c", "ended"): (TERMINATED, 8),
                      ("c", "recorded"): (RECORDED, 255), ("c", "runs"): (RUNNING, 255),
                      ("created", ""): (1, 255), ("stopped", ""): (TERMINATED, 1)}, stages
    world.b.StartContainer(sandbox_id="s", container_id="created")
    world.b.DeleteProcess(**of("ended"))


def case_bug_27_a_save_that_fails_leaves_no_process_frozen(world):
    for point in "process: freeze", "process: save", "container: save", "vm: stop":
        world.a.create("s")
        world.a.add_container("s", "c", world.layer, ["/bin/sleep", "1000"])
        script(world.a, "e", "read x; exit 2", input=True)
        world.a.fail_at(point)
        refused("UNAVAILABLE", world.a.save, "s", names=["fault asked for"])
        world.a.WriteInput(data=b"x\n", **of("e"))
        assert wait(world.a, "e").exit_code == 2
        world.a.DeleteContainer(sandbox_id="s", container_id="c", force=True)
        world.a.DeleteSandbox(sandbox_id="s", force=True)


def case_bug_29_a_held_sandbox_refuses_every_change(world):
    init(world, world.a)
    script(world.a, "e", "sleep 1000", input=True, terminal=True)
    script(world.a, "r", "true", record_only=True)
    world.a.save("s", after="HOLD")
    for call, fields in ((world.a.ExecProcess, {**of("n"), "args": ["/bin/true"]}),
                         (world.a.StartProcess, of("r")), (world.a.DeleteProcess, of("r")),
                         (world.a.SignalProcess, {**of("e"), "signal": 9}),
                         (world.a.WriteInput, {**of("e"), "data": b"x"}),
                         (world.a.CloseInput, of("e")),
                         (world.a.ResizeTerminal, {**of("e"), "columns": 1, "rows": 1})):
        refused("FAILED_PRECONDITION", call, names=["'s'"], **fields)
    assert listed(world.a)["e"].stage == RUNNING
    world.a.ResumeSandbox(sandbox_id="s")
    world.a.DeleteProcess(force=True, **of("e"))


def case_bug_31_an_end_in_a_save_that_is_taken_back(world):
    """Twenty ends around a save; the sandbox goes on here, and each is told."""
    init(world, world.a)
    for i in range(20):
        script(world.a, "e%d" % i, "read x; exit %d" % i, input=True)
    for i in range(20):
        world.a.CloseInput(**of("e%d" % i))
    world.a.save("s", after="HOLD")
    world.a.ResumeSandbox(sandbox_id="s")
    assert [wait(world.a, "e%d" % i).exit_code for i in range(20)] == list(range(20))
    move(world, world.a, world.b)
    assert listed(world.b)["e19"].exit_code == 19


def case_bug_32_held_and_loaded_processes_have_no_exit_code(world):
    init(world, world.a)
    script(world.a, "e", "sleep 1000")
    saved = world.a.save("s", after="HOLD")
    assert (listed(world.a)["e"].stage, listed(world.a)["e"].exit_code) == (RUNNING, 255)
    world.b.restore(saved.snapshot, hold=True)
    assert (listed(world.b)["e"].stage, listed(world.b)["e"].exit_code) == (RUNNING, 255)
    world.b.ResumeSandbox(sandbox_id="s")
    world.b.SignalProcess(signal=15, **of("e"))
    assert wait(world.b, "e").exit_code == 143


def case_bug_33_readers_that_come_and_go_leave_nothing(world):
    init(world, world.a)
    script(world.a, "e", "echo x; sleep 1000")
    assert next(world.a.AttachProcess(**of("e"))).output.data == b"x\n"
    before = world.a.fds()
    for _ in range(100):
        call = world.a.AttachProcess(**of("e"))
        next(call)
        call.close()
    until("nothing is left", lambda: world.a.fds() <= before + 2)


def case_bug_35_a_destination_that_is_given_up_leaves_the_source_good(world):
    init(world, world.a)
    script(world.a, "e", "read x; exit 3", input=True)
    saved = world.a.save("s")
    world.b.restore(saved.snapshot, hold=True)
    reader = attach(world.b, "e")
    until("it is attached", lambda: world.b.ListProcesses(sandbox_id="s").processes)
    world.b.DeleteSandbox(sandbox_id="s", force=True)
    assert reader.done().code in ("UNAVAILABLE", "NOT_FOUND"), reader.code
    world.a.restore(saved.snapshot)
    world.a.CloseInput(**of("e"))
    assert wait(world.a, "e").exit_code == 3


def case_init_output_after_a_rollback(world):
    """Upstream's first fix of all: a source that was rolled back had lost its streams."""
    numbers_seen = world.counter(world.a)
    for _ in range(2):
        world.a.save("s", after="HOLD")
        world.a.ResumeSandbox(sandbox_id="s")
        numbers_seen.go_on(world.a)


if __name__ == "__main__":
    harness.main(globals())
