"""bench.py --build DIR --image DIR: each figure beside its peer's, measured in the same run."""
import json
import os
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import harness

ROUNDS = 7


class Bare:
    """A QEMU that a small QMP script drives: what a hand-off costs without sandferry."""

    def __init__(self, world, name, incoming=False):
        image, ram, qmp = world.image, world.memory + "/bare.ram", world.top + "/" + name
        if not incoming:
            with open(ram, "wb") as file:
                file.truncate(256 << 20)
        words = ["qemu-system-x86_64", "-machine", "pc-q35-7.2,memory-backend=ram", "-accel", "tcg",
                 "-cpu", "qemu64", "-m", "256", "-display", "none", "-nodefaults", "-no-user-config",
                 "-object", "memory-backend-file,id=ram,size=256M,share=on,mem-path=" + ram,
                 "-kernel", image + "/vmlinux", "-initrd", image + "/initrd", "-append", "quiet",
                 "-device", "virtio-serial-pci", "-device", "virtio-scsi-pci",
                 "-qmp", "unix:%s,server=on,wait=off" % qmp]
        self.process = subprocess.Popen(words + (["-incoming", "defer"] if incoming else []))
        harness.until("QMP of '%s'" % name, lambda: os.path.exists(qmp))
        self.socket = socket.socket(socket.AF_UNIX)
        harness.until("QMP connects", lambda: self.socket.connect_ex(qmp) == 0)
        self.lines = self.socket.makefile("r")
        self.lines.readline()
        self.ask("qmp_capabilities")
        self.ask("migrate-set-capabilities", capabilities=[
            {"capability": "x-ignore-shared", "state": True}])

    def ask(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self.lines.readline())
            if "event" not in answer:
                assert "return" in answer, answer
                return answer["return"]

    def wait(self, command, status):
        harness.until(status, lambda: self.ask(command).get("status") == status)

    def end(self):
        self.process.kill()
        self.process.wait()


def bare_handoffs(world):
    """Stop to cont, in ms: the destination's process is started in between, as sandferry does."""
    vm, times = Bare(world, "bare"), []
    time.sleep(5)  # the guest boots; nobody in it can be asked here
    for i in range(ROUNDS):
        begin = time.monotonic()
        vm.ask("stop")
        vm.ask("migrate", uri="exec:cat > %s/state" % world.top)
        vm.wait("query-migrate", "completed")
        vm.end()
        vm = Bare(world, "bare%d" % i, incoming=True)
        vm.ask("migrate-incoming", uri="exec:cat %s/state" % world.top)
        vm.wait("query-migrate", "completed")
        vm.ask("cont")
        times.append((time.monotonic() - begin) * 1000)
    vm.end()
    return times


def handoffs(world):
    numbers, times, daemons = world.counter(world.a), [], [world.a, world.b]
    for _ in range(ROUNDS):
        restored = daemons[1].restore(daemons[0].save("s").snapshot)
        daemons.reverse()
        numbers.go_on(daemons[0], 20)
        times.append(restored.blackout.ToNanoseconds() / 1e6)
    world.clear()
    return times


def main():
    args = harness.arguments()
    subprocess.run([args.build + "/tests/bench/snapshot_bench"], check=True)
    world = harness.World(args.build, args.image)
    try:
        ours, bare = (statistics.median(f(world)) for f in (handoffs, bare_handoffs))
        print("%-44s %9.0f ms  bare QMP script %7.0f ms  ratio %5.1f   (256 MiB, median of %d)" %
              ("hand-off: blackout", ours, bare, ours / bare, ROUNDS))
        world.end()
    finally:
        world.remove()


if __name__ == "__main__":
    main()
