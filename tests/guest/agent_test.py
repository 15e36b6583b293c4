#!/usr/bin/env python3
"""agent_test.py IMAGE_DIR PROTO_DIR: the agent, crun and the image, in a real virtual machine.

The test is the host: it speaks the channel and agent.proto itself, and needs no daemon.
"""
import importlib
import importlib.util
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from machine import Machine  # noqa: E402
from network_cases import NetworkCases  # noqa: E402
from peer import Peer  # noqa: E402

IMAGE, PROTO = sys.argv[1:3] if len(sys.argv) > 2 else (None, None)
MOUNTS = "/run/sandferry/mounts/scsi/"
LAYER = MOUNTS + "0_0_0"
SCRATCH = MOUNTS + "0_1_0"
(OK, INVALID, NOT_FOUND, EXISTS, EXHAUSTED, PRECONDITION, UNIMPLEMENTED,
 OUT_OF_RANGE) = 0, 3, 5, 6, 8, 9, 12, 11
WINDOW = 192 * 1024

messages = None


def spec(rootfs, args, terminal):
    mounts = [("/proc", "proc", []), ("/dev", "tmpfs", []), ("/tmp", "tmpfs", []),
              ("/dev/pts", "devpts", ["newinstance", "ptmxmode=0666"])]
    return json.dumps({
        "ociVersion": "1.0.2", "root": {"path": rootfs},
        "process": {"terminal": terminal, "user": {"uid": 0, "gid": 0}, "args": args,
                    "env": ["PATH=/bin"], "cwd": "/"},
        "mounts": [{"destination": d, "type": t, "source": t, "options": o} for d, t, o in mounts],
        "linux": {"namespaces": [{"type": t} for t in ("pid", "mount", "ipc", "uts", "network")],
                  "resources": {"memory": {"limit": 1 << 26}, "pids": {"limit": 64}}}})


class AgentTest(NetworkCases, unittest.TestCase):
    spec = staticmethod(spec)

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="sandferry-agent-", dir="/dev/shm")
        cls.disks, cls.nics = [], {}
        cls.machine = Machine(IMAGE, cls.directory)
        cls.peer = Peer(cls.machine.connect("agent"), messages)
        cls.peer.wait("the agent", lambda: cls.peer.in_step)
        cls.add_disk(0, 0, os.path.join(IMAGE, "disks", "demo.squashfs"), read_only=True)
        cls.add_disk(0, 1, cls.new_disk("scratch"))
        for lun, path, fields in ((0, LAYER, {"read_only": True}),
                                  (1, SCRATCH, {"ensure_filesystem": True})):
            reply = cls.peer.call("mount_disk", controller=0, lun=lun, guest_path=path, **fields)
            assert reply.code == OK, reply.message

    @classmethod
    def tearDownClass(cls):
        cls.peer.sock.close()
        cls.machine.end()
        shutil.rmtree(cls.directory)

    @classmethod
    def new_disk(cls, name, content=b"", size=64 << 20):
        path = os.path.join(cls.directory, name)
        with open(path, "wb") as file:
            file.write(content)
            file.truncate(size)
        return path

    @classmethod
    def add_disk(cls, controller, lun, path, read_only=False):
        cls.disks.append((controller, lun, path, read_only))
        cls.machine.add_disk(controller, lun, path, read_only)

    def tearDown(self):
        self.assertEqual(self.peer.call("hello").code, OK)

    def ask(self, code, name, /, **fields):
        reply = self.peer.call(name, **fields)
        self.assertEqual(reply.code, code, reply.message)
        return reply

    def create(self, name, args, code=OK, scratch=None, terminal=False, **fields):
        rootfs = "/run/sandferry/pods/p1/%s/rootfs" % name
        fields = {"layers": [LAYER], "spec": spec(rootfs, args, terminal), **fields}
        scratch = SCRATCH + "/scratch/p1/" + name if scratch is None else scratch
        return self.ask(code, "create_container", container_id=name, rootfs_path=rootfs,
                        scratch=scratch, terminal=terminal, **fields)

    def run_to_end(self, name, args, **fields):
        self.create(name, args, **fields)
        self.ask(OK, "start_container", container_id=name)
        self.wait_for_exit(name)
        self.ask(OK, "delete_container", container_id=name)
        at = self.peer.at
        code = at.exits.pop(name)
        return code, bytes(at.output.pop((name, 1), b"")), bytes(at.output.pop((name, 2), b""))

    def wait_for_exit(self, name):
        self.peer.wait("the end of " + name, lambda: name in self.peer.at.exits)

    def output(self, name):
        return self.peer.at.output.get((name, 1), b"")

    def end_container(self, name):
        self.ask(OK, "delete_container", container_id=name)
        self.assertEqual(self.peer.at.exits.pop(name), 137)
        self.peer.at.output.pop((name, 1), None)

    # ---- shares ----

    def test_a_machine_without_the_shares_line_says_so(self):
        path = "/run/sandferry/mounts/plan9/1"
        reply = self.ask(PRECONDITION, "mount_share", share=1, guest_path=path, msize=1 << 17)
        self.assertIn("no line for shares", reply.message)
        self.ask(INVALID, "mount_share", share=1, guest_path="/etc/1", msize=1 << 17)
        self.ask(INVALID, "mount_share", share=1, guest_path=path, msize=1)
        self.ask(OK, "unmount_share", share=1, guest_path=path)  # it is not there

    # ---- disks ----

    def test_only_a_blank_disk_is_formatted_and_only_if_asked(self):
        path = MOUNTS + "1_0_0"
        data = b"somebody's" * 100
        junk = self.new_disk("junk", data)
        self.add_disk(1, 0, junk)
        self.ask(PRECONDITION, "mount_disk", controller=1, lun=0, guest_path=path,
                 ensure_filesystem=True)
        with open(junk, "rb") as file:
            self.assertEqual(file.read(len(data) + 4096), data + bytes(4096))
        self.add_disk(1, 1, self.new_disk("blank"))
        blank = {"controller": 1, "lun": 1, "guest_path": path}
        self.ask(PRECONDITION, "mount_disk", **blank)
        self.ask(INVALID, "mount_disk", ensure_filesystem=True, read_only=True, **blank)
        self.ask(INVALID, "mount_disk", ensure_filesystem=True, options=["a,b"], **blank)
        self.ask(UNIMPLEMENTED, "mount_disk", ensure_filesystem=True, filesystem="btrfs", **blank)
        self.ask(PRECONDITION, "mount_disk", ensure_filesystem=True, filesystem="xfs", **blank)  # too small
        self.ask(PRECONDITION, "mount_disk", **blank)  # none of those has formatted it
        self.ask(OK, "mount_disk", ensure_filesystem=True, options=["noatime"], **blank)
        self.ask(OK, "mount_disk", ensure_filesystem=True, **blank)  # a repeat
        self.ask(PRECONDITION, "eject_disk", controller=1, lun=1)
        for _ in range(2):
            self.ask(OK, "unmount_disk", guest_path=path)
            self.ask(OK, "eject_disk", controller=1, lun=1)

    def test_partitions_and_block_devices(self):
        table = bytearray(512)
        table[510:] = b"\x55\xaa"
        for i in range(2):
            table[446 + 16 * i : 462 + 16 * i] = struct.pack("<B3sB3sII", 0, b"", 0x83, b"",
                                                             2048 + 40960 * i, 40960)
        self.add_disk(3, 63, self.new_disk("parted", bytes(table)))
        disk = {"controller": 3, "lun": 63}
        path = MOUNTS + "3_63_2"
        self.ask(PRECONDITION, "mount_disk", guest_path=path, ensure_filesystem=True, **disk)
        self.ask(OK, "mount_disk", guest_path=path, partition=2, ensure_filesystem=True, **disk)
        self.ask(NOT_FOUND, "mount_disk", guest_path=path, partition=3, **disk)
        reply = self.ask(OK, "mount_disk", partition=1, block_device=True, **disk)
        self.assertRegex(reply.mount_disk.guest_path, "^/dev/sd[a-z]+1$")
        self.ask(OK, "unmount_disk", guest_path=path)
        self.ask(OK, "eject_disk", **disk)

    def test_mount_points_stay_beneath_the_run_directory(self):
        for path in ("/etc", "/run/sandferry/../x", "/run/sandferry", "", "/run/sandferry/a,b"):
            self.ask(INVALID, "mount_disk", controller=0, lun=0, guest_path=path)
            self.ask(INVALID, "unmount_disk", guest_path=path)
        self.ask(EXISTS, "mount_disk", controller=0, lun=1, guest_path=LAYER)
        self.ask(INVALID, "mount_disk", controller=0, lun=1, guest_path=LAYER, encrypted=True, read_only=True)

    # ---- containers ----

    def test_exit_code_and_both_streams(self):
        got = self.run_to_end("streams", ["/bin/sh", "-c", "echo out; echo err >&2; exit 7"])
        self.assertEqual(got, (7, b"out\n", b"err\n"))

    def test_what_cannot_be_made_says_why_and_leaves_nothing(self):
        why = self.create("no", ["/bin/nothing"], code=PRECONDITION).message
        self.assertIn("/bin/nothing", why)
        self.assertIn("config.json", self.create("no", [], code=PRECONDITION, spec="{").message)
        self.create("no", ["/bin/sh"], code=PRECONDITION, layers=[MOUNTS + "none"])
        self.create("no", ["/bin/sh"], code=INVALID, layers=[])
        self.create("no", ["/bin/sh"], code=INVALID, layers=[LAYER + ",upperdir=/"])
        self.create("../no", ["/bin/sh"], code=INVALID)
        self.ask(NOT_FOUND, "start_container", container_id="no")
        self.ask(NOT_FOUND, "signal", container_id="no", signal=9)
        self.assertEqual(self.run_to_end("no", ["/bin/true"])[0], 0)

    def test_delete_ends_it_and_its_files(self):
        write = ["/bin/sh", "-c", "ls /new; echo hi > /new; cat /new"]
        for scratch in (None, ""):
            for _ in range(2):  # the second time everything is as the first time
                _, out, err = self.run_to_end("files", write, scratch=scratch)
                self.assertEqual((out, b"No such file" in err), (b"hi\n", True))
        self.create("running", ["/bin/sleep", "1000"])
        self.create("running", ["/bin/sh"], code=EXISTS)
        self.ask(OK, "start_container", container_id="running")
        self.end_container("running")
        self.create("created", ["/bin/sleep", "1000"])
        self.end_container("created")
        self.ask(OK, "delete_container", container_id="created")

    def test_a_layer_in_use_is_not_let_go(self):
        self.add_disk(2, 0, os.path.join(IMAGE, "disks", "demo.squashfs"), read_only=True)
        layer = MOUNTS + "2_0_0"
        disk = {"controller": 2, "lun": 0, "guest_path": layer}
        self.assertIn("read_only", self.ask(PRECONDITION, "mount_disk", **disk).message)
        self.ask(OK, "mount_disk", read_only=True, **disk)
        self.create("user", ["/bin/cat"], layers=[LAYER, layer])
        self.ask(OK, "unmount_disk", guest_path=layer)
        self.ask(PRECONDITION, "eject_disk", controller=2, lun=0)
        self.end_container("user")
        self.ask(OK, "eject_disk", controller=2, lun=0)

    def give(self, name, data):
        """Input, as soon as the agent has room for it."""
        replies = []

        def taken():
            replies.append(self.peer.call("input", container_id=name, data=data))
            return replies[-1].code != EXHAUSTED
        self.peer.wait("room for input", taken)
        self.assertEqual(replies[-1].code, OK, replies[-1].message)
        return replies[-1]

    def test_input_is_answered_though_nobody_reads(self):
        self.create("deaf", ["/bin/busybox", "sleep", "1000"])
        self.ask(OK, "start_container", container_id="deaf")
        codes = [self.peer.call("input", container_id="deaf", data=bytes(65536)).code
                 for _ in range(6)]
        self.assertEqual(codes[:3] + codes[-1:], [OK, OK, OK, EXHAUSTED])
        self.ask(OK, "signal", container_id="deaf", signal=9)
        self.wait_for_exit("deaf")
        self.ask(OK, "delete_container", container_id="deaf")

    def test_input_comes_back_whole(self):
        data = random.randbytes(1 << 20)
        self.create("cat", ["/bin/cat"])
        self.ask(OK, "start_container", container_id="cat")
        for offset in range(0, len(data), 65536):
            reply = self.give("cat", data[offset : offset + 65536])
            self.assertEqual(reply.input.offset, offset + 65536)
        self.ask(OK, "input", container_id="cat", close=True)
        self.wait_for_exit("cat")
        self.assertEqual(self.output("cat"), data)
        self.ask(PRECONDITION, "input", container_id="cat", data=b"x")
        self.ask(OK, "delete_container", container_id="cat")

    def test_no_more_output_than_the_window(self):
        self.create("flood", ["/bin/cat", "/bin/busybox"])
        self.peer.takes_output = False
        self.ask(OK, "start_container", container_id="flood")
        self.peer.wait("a full window", lambda: len(self.output("flood")) >= WINDOW)
        for _ in range(20):
            self.ask(OK, "hello")  # time for more to come
        self.assertEqual(len(self.output("flood")), WINDOW)
        self.peer.takes_output = True
        self.peer.tell_taken(("flood", 1))
        self.wait_for_exit("flood")
        self.assertGreater(len(self.output("flood")), 1 << 20)
        self.ask(OK, "delete_container", container_id="flood")

    def test_terminal(self):
        self.create("tty", ["/bin/sh"], terminal=True)
        self.ask(OK, "start_container", container_id="tty")
        self.ask(OK, "input", container_id="tty", data=b"echo $((6*7)); test -t 0 && exit 3\n")
        self.wait_for_exit("tty")
        self.assertEqual(self.peer.at.exits["tty"], 3)
        self.assertIn(b"42\r\n", self.output("tty"))
        self.ask(OK, "delete_container", container_id="tty")

    # ---- processes beside the init process ----

    def run_container(self, name, args=("/bin/sleep", "1000")):
        self.create(name, list(args))
        self.ask(OK, "start_container", container_id=name)

    def exec(self, name, args, code=OK, **fields):
        """@name: "container/exec"."""
        container, exec_id = name.split("/")
        process = {"args": args, "cwd": "/", "env": ["PATH=/bin", "WHO=" + exec_id],
                   "user": {"uid": 0, "gid": 0}, "terminal": fields.get("terminal", False)}
        return self.ask(code, "exec", container_id=container, exec_id=exec_id,
                        spec=json.dumps(process), **fields)

    def exec_to_end(self, name, args, **fields):
        self.exec(name, args, **fields)
        self.wait_for_exit(name)
        return self.forget(name)

    def forget(self, name):
        """What a process has left: its code, and its streams."""
        container, exec_id = name.split("/")
        self.ask(OK, "delete_process", container_id=container, exec_id=exec_id)
        at = self.peer.at
        code = at.exits.pop(name)
        return code, bytes(at.output.pop((name, 1), b"")), bytes(at.output.pop((name, 2), b""))

    def test_exec_has_streams_and_an_exit_code_of_its_own(self):
        self.run_container("base")
        for _ in range(2):  # its id can be used again
            got = self.exec_to_end("base/e", ["/bin/sh", "-c", "echo $WHO; echo no >&2; exit 9"])
            self.assertEqual(got, (9, b"e\n", b"no\n"))
        self.assertEqual(self.exec_to_end("base/e", ["/bin/cat"], no_input=True), (0, b"", b""))
        self.exec("base/killed", ["/bin/sleep", "1000"])
        self.exec("base/killed", ["/bin/true"], code=EXISTS)
        self.ask(PRECONDITION, "delete_process", container_id="base", exec_id="killed")
        self.ask(OK, "signal", container_id="base", exec_id="killed", signal=15)
        self.wait_for_exit("base/killed")
        self.assertEqual(self.forget("base/killed")[0], 143)
        for _ in range(2):  # one that is not there is what was wanted
            self.ask(OK, "delete_process", container_id="base", exec_id="killed", force=True)
        self.end_container("base")

    def test_exec_that_cannot_be_says_why_and_leaves_nothing(self):
        self.create("base", ["/bin/sleep", "1000"])
        self.ask(OK, "start_container", container_id="base")
        self.assertIn("/bin/nothing", self.exec("base/e", ["/bin/nothing"], PRECONDITION).message)
        self.exec("base/..", ["/bin/true"], INVALID)
        self.ask(PRECONDITION, "exec", container_id="base", exec_id="e", spec="{")
        self.exec("none/e", ["/bin/true"], NOT_FOUND)
        self.ask(NOT_FOUND, "signal", container_id="base", exec_id="e", signal=9)
        self.ask(NOT_FOUND, "resize", container_id="base", exec_id="e", columns=1, rows=1)
        self.assertEqual(self.exec_to_end("base/e", ["/bin/true"])[0], 0)
        self.end_container("base")

    def test_exec_ends_with_its_container_and_is_told_before(self):
        for how in ("kill", "delete"):
            self.run_container("base")
            for i in range(5):
                self.exec("base/e%d" % i, ["/bin/sleep", "1000"])
            if how == "kill":
                self.ask(OK, "signal", container_id="base", signal=9)
                self.wait_for_exit("base")
                self.exec("base/late", ["/bin/true"], PRECONDITION)
            self.ask(OK, "delete_container", container_id="base")
            self.wait_for_exit("base")
            self.assertEqual(list(self.peer.at.exits)[-1], "base")
            for i in range(5):
                self.assertEqual(self.peer.at.exits.pop("base/e%d" % i), 137)
            self.assertEqual(self.peer.at.exits.pop("base"), 137)

    def test_input_that_comes_twice_is_taken_once(self):
        data = random.randbytes(100000)
        self.run_container("base")
        self.exec("base/cat", ["/bin/cat"])
        cat = {"container_id": "base", "exec_id": "cat"}
        give = lambda at, code=OK, **more: self.ask(code, "input", data=data[at : at + 30000],
                                                    at_offset=True, offset=at, **cat, **more)
        for at in (0, 0, 20000, 40000, 30000, 70000):
            give(at)
        give(100001, OUT_OF_RANGE)
        self.assertEqual(give(90000, close=True).input.offset, 100000)
        self.assertEqual(give(90000, close=True).input.offset, 100000)
        self.wait_for_exit("base/cat")
        self.assertEqual(self.forget("base/cat"), (0, data, b""))
        self.end_container("base")

    def test_exec_waits_at_its_window(self):
        self.run_container("base")
        self.peer.takes_output = False
        self.exec("base/flood", ["/bin/cat", "/bin/busybox"], window=32768)
        self.peer.wait("a full window", lambda: len(self.output("base/flood")) >= 32768)
        for _ in range(20):
            self.ask(OK, "hello")  # time for more to come
        self.assertEqual(len(self.output("base/flood")), 32768)
        self.peer.takes_output = True
        self.peer.tell_taken(("base/flood", 1))
        self.wait_for_exit("base/flood")
        self.assertEqual(self.forget("base/flood")[0], 0)
        self.peer.takes_output = False  # the end is told though nobody reads
        self.exec("base/flood", ["/bin/cat", "/bin/busybox"], window=16384)
        self.exec("base/child", ["/bin/sh", "-c", "cat /dev/zero & sleep 1"], window=16384)
        self.peer.wait("full windows", lambda: min(len(self.output("base/" + name)) for name in
                                                   ("flood", "child")) >= 16384)
        self.ask(OK, "signal", container_id="base", exec_id="flood", signal=9)
        for name in "base/flood", "base/child":
            self.wait_for_exit(name)
            self.assertLessEqual(len(self.output(name)), 32768)
            self.forget(name)
        self.peer.takes_output = True
        self.end_container("base")

    def test_exec_with_a_terminal_of_any_size(self):
        self.run_container("base")
        sh = {"container_id": "base", "exec_id": "sh"}
        self.exec("base/sh", ["/bin/sh"], terminal=True, columns=100, rows=40)
        self.ask(OK, "input", data=b"stty size; test -t 2 && echo yes >&2\n", **sh)
        self.peer.wait("the size", lambda: b"\r\n40 100\r\n" in self.output("base/sh"))
        self.ask(OK, "resize", columns=33, rows=22, **sh)
        self.ask(OK, "input", data=b"stty size; exit 4\n", **sh)
        self.wait_for_exit("base/sh")
        self.assertEqual(self.peer.at.exits["base/sh"], 4)
        self.assertIn(b"\r\n22 33\r\n", self.output("base/sh"))
        self.assertIn(b"yes", self.output("base/sh"))
        self.assertNotIn(("base/sh", 2), self.peer.at.output)
        self.forget("base/sh")
        self.exec("base/cat", ["/bin/cat"])
        self.ask(PRECONDITION, "resize", container_id="base", exec_id="cat", columns=1, rows=1)
        self.ask(OK, "input", container_id="base", exec_id="cat", close=True)
        self.wait_for_exit("base/cat")
        self.forget("base/cat")
        self.end_container("base")

    def test_many_processes_write_at_once(self):
        self.run_container("base")
        names = ["base/n%d" % i for i in range(20)]
        for name in names:
            self.exec(name, ["/bin/counter", "1", "300"])
        for name in names:
            self.wait_for_exit(name)
            self.assert_counts(name)
            self.assertEqual(self.output(name).count(b"\n"), 300)
            self.forget(name)
        self.end_container("base")

    # ---- around a save ----

    def test_frozen_it_is_silent_and_after_the_thaw_nothing_is_missing(self):
        self.create("count", ["/bin/counter", "1"])
        self.ask(OK, "start_container", container_id="count")
        self.peer.wait("numbers", lambda: len(self.output("count")) > 100)
        for _ in range(2):
            self.ask(OK, "freeze")
            before = len(self.output("count"))
            self.ask(PRECONDITION, "signal", container_id="count", signal=15)
            for _ in range(50):
                self.ask(OK, "hello")
            self.assertEqual(len(self.output("count")), before)
            self.ask(OK, "thaw", realtime_ns=time.time_ns(), entropy=os.urandom(64))
            self.peer.wait("numbers", lambda: len(self.output("count")) > before + 100)
        self.assert_counts("count")
        self.end_container("count")

    def assert_counts(self, name):
        numbers = [int(line) for line in bytes(self.output(name)).split(b"\n")[:-1]]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))

    def hand_off(self):
        cls = type(self)
        self.ask(OK, "freeze")
        cls.machine.qmp("stop")
        while self.peer.pump(0.005):
            pass
        cls.machine.save()
        there = Machine(IMAGE, cls.directory, incoming=True)
        for disk in cls.disks:
            there.add_disk(*disk)
        for plug in cls.nics.values():
            plug(there)
        there.load()
        cls.machine.end()
        cls.machine = there
        self.peer.sock.close()
        there.qmp("cont")
        cls.peer = Peer(there.connect("agent"), messages, self.peer.at)
        cls.peer.wait("the agent after a restore", lambda: cls.peer.in_step)
        self.ask(OK, "thaw", realtime_ns=time.time_ns(), entropy=os.urandom(64))

    def test_an_end_in_the_blackout_is_told_once_after_it(self):
        self.run_container("base")
        self.exec("base/e", ["/bin/sh", "-c", "read x; echo said; exit 9"])
        self.exec("base/n", ["/bin/counter", "1", "500"])
        self.ask(OK, "input", container_id="base", exec_id="e", data=b"x\n")
        self.ask(OK, "freeze")  # both end before the thaw, at the latest now
        until = time.monotonic() + 2
        while time.monotonic() < until:
            self.ask(OK, "hello")
        self.assertNotIn("base/n", self.peer.at.exits)
        self.ask(PRECONDITION, "exec", container_id="base", exec_id="late", spec="{}")
        self.ask(OK, "thaw", realtime_ns=time.time_ns())
        self.wait_for_exit("base/n")
        self.wait_for_exit("base/e")
        self.assert_counts("base/n")
        self.assertEqual(self.forget("base/e"), (9, b"said\n", b""))
        self.forget("base/n")
        self.end_container("base")

    def test_z_restored_guests_go_on_without_a_gap(self):
        """Last: what the other tests have plugged in and let go is not in the list of disks."""
        type(self).disks = self.disks[:2]
        for disk in ("disk-1-0", "disk-1-1", "disk-3-63", "disk-2-0"):
            self.unplug(disk)
        self.create("count", ["/bin/counter", "2"])
        self.create("check", ["/bin/selfcheck"])
        for name in ("count", "check"):
            self.ask(OK, "start_container", container_id=name)
        self.exec("count/cat", ["/bin/cat"])
        self.exec("count/tty", ["/bin/sh"], terminal=True, columns=91, rows=19)
        for i in range(3):
            before = len(self.output("count"))
            self.peer.wait("numbers", lambda: len(self.output("count")) > before + 500)
            for _ in range(2):  # the same again: an answer may have been lost
                self.ask(OK, "input", container_id="count", exec_id="cat", data=b"%d" % i * 1000,
                         at_offset=True, offset=1000 * i)
            self.hand_off()
        self.ask(OK, "input", container_id="count", exec_id="cat", close=True)
        self.wait_for_exit("count/cat")
        self.assertEqual(self.forget("count/cat"), (0, b"0" * 1000 + b"1" * 1000 + b"2" * 1000, b""))
        self.ask(OK, "input", container_id="count", exec_id="tty", data=b"/bin/busybox stty size\n")
        self.peer.wait("its size", lambda: b"\r\n19 91\r\n" in self.output("count/tty"))
        before = len(self.output("check"))
        self.peer.wait("a check", lambda: len(self.output("check")) > before)
        self.assert_counts("count")
        self.ask(OK, "signal", container_id="check", signal=15)
        self.wait_for_exit("check")
        self.assertEqual(self.peer.at.exits["check"], 0, self.output("check"))
        self.ask(OK, "shutdown")
        self.wait_for_exit("count")

    def unplug(self, name):
        if not any(d["qdev"] == name for d in self.machine.qmp("query-block")):
            return
        self.machine.qmp("device_del", id=name)
        deadline = time.monotonic() + 30
        while any(d["qdev"] == name for d in self.machine.qmp("query-block")):
            self.assertLess(time.monotonic(), deadline, name)

    # ---- a host that makes no sense ----

    def test_nothing_that_the_host_says_ends_the_agent(self):
        seeds = [self.peer.request(name, 1 << 60, **fields) for name, fields in (
            ("hello", {}), ("signal", {"container_id": "c", "signal": 9}),
            ("eject_disk", {"controller": 1, "lun": 9}), ("thaw", {"entropy": b"1"}),
            ("start_container", {"container_id": "c"}),
            ("create_container", {"container_id": "c", "layers": ["/x"], "rootfs_path": "/y"}),
            ("input", {"container_id": "c", "data": b"abc"}),
            ("add_namespace", {"name": "n", "name_servers": ["fd00::1"]}),
            ("add_interface", {"guest_address": "nic9", "namespace": "n", "device": "eth0"}),
            ("remove_interface", {"guest_address": "nic9", "device": "eth0"}),
            ("remove_namespace", {"name": "n"}))]
        chance = random.Random(7)
        for i in range(3000):
            data = bytearray(chance.choice(seeds))
            for _ in range(chance.randint(1, 4)):
                at = chance.randrange(len(data))
                data[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
                data = data or bytearray(b"\0")
            self.peer.send(bytes(data))
            if i % 50 == 0:
                self.peer.pump(0.01)
        self.ask(OK, "thaw")
        self.peer.replies.clear()

    def test_a_new_connection_goes_on_where_the_old_one_was(self):
        self.create("count", ["/bin/counter", "1"])
        self.ask(OK, "start_container", container_id="count")
        for _ in range(5):
            before = len(self.output("count"))
            self.peer.wait("numbers", lambda: len(self.output("count")) > before + 300)
            self.peer.sock.sendall(random.randbytes(1000))  # torn, as if the old host had died
            self.peer.sock.close()
            type(self).peer = Peer(self.machine.connect("agent"), messages, self.peer.at)
            self.peer.wait("the agent", lambda: self.peer.in_step)
        self.assert_counts("count")
        self.end_container("count")


def main():
    global messages
    if IMAGE is None:
        sys.exit(__doc__)
    if not os.path.exists(os.path.join(IMAGE, "vmlinux")):
        print("SKIPPED: there is no guest image in '%s': run ./dev image" % IMAGE)
        sys.exit(77)
    if importlib.util.find_spec("google") is None:
        print("SKIPPED: python3-protobuf is not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as generated:
        subprocess.run(["protoc", "--proto_path=" + PROTO, "--python_out=" + generated,
                        "sandferry/v1/agent.proto"], check=True)
        sys.path.insert(0, generated)
        messages = importlib.import_module("sandferry.v1.agent_pb2")
        case = os.environ.get("CK_RUN_CASE")  # as in the suites of libcheck
        names = ["test_" + case] if case else []
        if case and not hasattr(AgentTest, names[0]):
            sys.exit("agent_test: there is no case '%s'" % case)
        unittest.main(argv=sys.argv[:1] + ["AgentTest." + name for name in names], verbosity=2)


main()
