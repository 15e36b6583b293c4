"""What goes wrong on hosts, and what it leaves: nothing, and a message that says what to do."""
import contextlib
import hashlib
import os
import signal
import subprocess
import threading

import harness
from harness import Refused, pb, refused, snapshot_pb


# ---- QEMU ----

def case_qemu_missing(world):
    c = world.daemon("c", qemu="/nowhere/qemu")
    refused("FAILED_PRECONDITION", c.create, "s", names=["'s'", "'/nowhere/qemu'"])
    assert c.state("s") is None


def case_image_missing(world):
    c = world.daemon("d", **{"image-dir": world.disks})
    refused("FAILED_PRECONDITION", c.create, "s", names=["'s'", world.disks])
    assert c.state("s") is None


class KillAtLine:
    """Kills the VM of a daemon as soon as the daemon's log has a line with WORD in it."""

    def __init__(self, daemon, word):
        self.daemon, self.word, self.killed = daemon, word, None
        self.over = threading.Event()
        self.begin = os.path.getsize(daemon.log_file)
        self.thread = threading.Thread(target=self._watch)

    def _watch(self):
        while not self.over.is_set():
            with open(self.daemon.log_file, "rb") as log:
                log.seek(self.begin)
                if self.word.encode() not in log.read():
                    continue
            for pid in self.daemon.vms():
                os.kill(pid, signal.SIGKILL)
                self.killed = pid
            if self.killed:
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def case_qemu_dies_while_it_runs(world):
    world.counter(world.a)
    os.kill(world.a.vms()[0], signal.SIGKILL)
    harness.until("the daemon notices", lambda: world.a.state("s") == "INVALID")
    sandbox = world.a.GetSandbox(sandbox_id="s").sandbox
    assert sandbox.problem, "it does not say why"
    refused("FAILED_PRECONDITION", world.a.save, "s", names=["'s'"])
    refused("FAILED_PRECONDITION", world.a.CreateContainer, sandbox_id="s", container_id="x",
            layers=[{"host_path": world.layer, "read_only": True}], args=["/bin/true"], names=["'s'"])


def case_qemu_dies_while_it_boots(world):
    with KillAtLine(world.a, "vm: create") as killer:
        refused("UNAVAILABLE", world.a.create, "s", names=["'s'"])
    assert killer.killed


def case_qemu_dies_during_a_save(world):
    for word in "check", "freeze", "quiesce", "stop", "save":
        world.counter(world.a)
        with KillAtLine(world.a, "vm: " + word) as killer:
            try:
                world.a.save("s")
                saved = True
            except Refused as why:
                assert why.code in ("UNAVAILABLE", "FAILED_PRECONDITION"), why
                saved = False
        if not saved:
            assert killer.killed, "refused at '%s', and not because of us" % word
            harness.until("it is lost", lambda: world.a.state("s") == "INVALID")
        world.clear()
        harness.until("no VM", lambda: not world.a.vms(), 10)
        world.drop_memory()


def killed_restore(world, snapshot, word):
    """A restore whose VM dies at that line of the log; the refusal, or None if it came too late."""
    with KillAtLine(world.b, word) as killer:
        try:
            world.b.restore(snapshot)
            return None
        except Refused as why:
            assert killer.killed and why.code in ("UNAVAILABLE", "FAILED_PRECONDITION"), why
            assert world.b.state("s") is None
            harness.until("no VM", lambda: not world.b.vms(), 10)
            return why


def case_qemu_dies_during_a_restore(world):
    """Before the processors run: the snapshot is as good as before."""
    numbers = world.counter(world.a)
    snapshot = world.a.save("s").snapshot
    died = 0
    for word in "vm: prepare done", "scsi: prepare", "vm: load":
        if killed_restore(world, snapshot, word):
            died += 1
            continue
        world.clear() # it had run by then
        world.drop_memory()
        numbers = world.counter(world.a)
        snapshot = world.a.save("s").snapshot
    assert died >= 1, "no restore lost its VM"
    world.b.restore(snapshot)
    numbers.go_on(world.b)


def case_qemu_dies_as_it_resumes(world):
    """It may have run: then its memory is spent, and that is said; it never runs from an old state."""
    numbers = world.counter(world.a)
    snapshot = world.a.save("s").snapshot
    if killed_restore(world, snapshot, "vm: resume"):
        try:
            world.b.restore(snapshot)
            numbers.go_on(world.b)
        except Refused as why:
            assert why.code == "FAILED_PRECONDITION" and "has been run since" in why.message, why
    world.clear()
    world.drop_memory()


def case_vm_that_stands_still(world):
    """Neither QEMU nor anybody in the guest answers. The save gives up, and it goes on afterwards."""
    numbers = world.counter(world.a)
    vm = world.a.vms()[0]
    os.kill(vm, signal.SIGSTOP)
    try:
        why = refused_any(lambda: world.a.save("s", timeout=150))
    finally:
        os.kill(vm, signal.SIGCONT)
    assert why.code in ("UNAVAILABLE", "FAILED_PRECONDITION") and "'s'" in why.message, why
    assert world.a.state("s") == "RUNNING"
    numbers.go_on(world.a)
    world.b.restore(world.a.save("s").snapshot)
    numbers.go_on(world.b)


# ---- names ----

def case_disk_absent(world):
    world.a.create("s")
    gone = world.disks + "/gone.img"
    refused("NOT_FOUND", world.a.add_container, "s", "c", gone, ["/bin/true"], names=[gone])
    refused("PERMISSION_DENIED", world.a.add_container, "s", "c", "/etc/passwd", ["/bin/true"],
            names=["/etc/passwd"])
    refused("INVALID_ARGUMENT", world.a.add_container, "s", "c", world.disks + "/../../etc/passwd",
            ["/bin/true"])
    os.symlink("/etc/passwd", world.disks + "/link")
    refused("PERMISSION_DENIED", world.a.add_container, "s", "c", world.disks + "/link", ["/bin/true"])
    assert not world.a.ListContainers(sandbox_id="s").containers
    assert not world.a.ListDisks(sandbox_id="s").disks
    world.a.add_container("s", "c", world.layer, ["/bin/counter"])
    harness.Numbers("s").go_on(world.a)


def case_disk_gone_at_restore(world):
    numbers = world.counter(world.a)
    snapshot = world.a.save("s").snapshot
    scratch = world.disks + "/s.img"
    os.rename(scratch, scratch + ".away")
    obstacles = world.b.CheckRestore(snapshot=snapshot).obstacles
    assert any(scratch in o.reason for o in obstacles), obstacles
    why = refused("FAILED_PRECONDITION", world.b.restore, snapshot, names=[scratch])
    assert why.detail("PreconditionFailure").violations
    os.rename(scratch + ".away", scratch)
    os.utime(scratch) # somebody may have written to it
    refused("FAILED_PRECONDITION", world.b.restore, snapshot, names=[scratch])
    world.b.restore(snapshot, patches=[{"controller": "scsi", "object": scratch, "value": scratch}])
    numbers.go_on(world.b)


def case_unknown_sandbox(world):
    for call in (world.a.save, lambda s: world.a.GetSandbox(sandbox_id=s),
                 lambda s: world.a.ResumeSandbox(sandbox_id=s), lambda s: world.a.StopSandbox(sandbox_id=s),
                 lambda s: world.a.DeleteSandbox(sandbox_id=s)):
        refused("NOT_FOUND", call, "nobody", names=["'nobody'"])
    for bad in "", "-x", "a/b", "..", "x" * 65:
        refused("INVALID_ARGUMENT", world.a.create, bad)


def case_save_twice(world):
    world.counter(world.a)
    first = world.a.save("s", after="HOLD", request_id="one")
    refused("FAILED_PRECONDITION", world.a.save, "s", names=["'s'"])
    again = world.a.save("s", after="HOLD", request_id="one")
    assert again.snapshot == first.snapshot
    refused("ALREADY_EXISTS", world.a.save, "s", after="STOP", request_id="one")
    world.a.ResumeSandbox(sandbox_id="s")
    world.a.save("s")
    refused("NOT_FOUND", world.a.save, "s", names=["'s'"])
    world.drop_memory()


def case_create_twice(world):
    world.a.create("s")
    refused("ALREADY_EXISTS", world.a.create, "s", names=["'s'"])
    assert world.a.state("s") == "RUNNING"


# ---- snapshots ----

def sealed(snapshot):
    """With the digest that belongs to it."""
    snapshot.digest = b""
    snapshot.digest = hashlib.sha256(snapshot.SerializeToString(deterministic=True)).digest()
    return snapshot


def copy_of(snapshot):
    return snapshot_pb.SandboxSnapshot.FromString(snapshot.SerializeToString())


def restore_bytes(client, data):
    """A RestoreSandboxRequest whose snapshot is DATA, a message or not."""
    size, prefix = len(data), b"\x0a"
    while size > 127:
        prefix, size = prefix + bytes([size & 127 | 128]), size >> 7
    rpc = client.channel.unary_unary("/sandferry.v1.SandboxService/RestoreSandbox")
    try:
        rpc(prefix + bytes([size]) + data, timeout=harness.CALL_S)
    except harness.grpc.RpcError as error:
        raise Refused("RestoreSandbox", error) from None


def case_bad_snapshots(world):
    numbers = world.counter(world.a)
    good = world.a.save("s").snapshot
    assert sealed(copy_of(good)).digest == good.digest, "the digest is not what the contract says"
    data = good.SerializeToString(deterministic=True)

    def bad(code, snapshot, *names):
        return refused(code, world.b.restore, snapshot, names=names)

    for size in 0, 1, 2, len(data) // 2, len(data) - 40, len(data) - 1:
        why = refused_any(restore_bytes, world.b, data[:size])
        assert why.code in ("INVALID_ARGUMENT", "DATA_LOSS", "UNIMPLEMENTED"), (size, why)

    altered = copy_of(good)
    altered.labels.add(key="k", value="not what was saved")
    bad("DATA_LOSS", altered, "digest")

    newer = copy_of(good)
    newer.schema_version += 41
    why = bad("UNIMPLEMENTED", sealed(newer), str(newer.schema_version), str(good.schema_version))

    section = copy_of(good)
    section.scsi.schema_version += 41
    bad("UNIMPLEMENTED", sealed(section), "scsi", str(section.scsi.schema_version))

    dangling = copy_of(good)
    dangling.container.containers[0].layers.read_only[0].reservation_id = \
        "00000000-0000-4000-8000-000000000000"
    dangling.scsi.disks[0].slot = 77777
    why = bad("INVALID_ARGUMENT", sealed(dangling))
    fields = [v.field for v in why.detail("BadRequest").field_violations]
    assert any("layers.read_only[0].reservation_id" in f for f in fields), fields
    assert any("slot" in f for f in fields), fields

    unknown = copy_of(good)
    unknown.MergeFromString(b"\xfa\x07\x01x") # field 127
    refused_any(restore_bytes, world.b, unknown.SerializeToString())

    critical = copy_of(good)
    critical.extensions.add(controller="teleport", version=3, critical=True, payload=b"x")
    bad("UNIMPLEMENTED", sealed(critical), "'teleport'")

    assert world.b.state("s") is None
    world.b.restore(good)
    numbers.go_on(world.b)


def refused_any(call, *args):
    try:
        call(*args)
    except Refused as why:
        return why
    raise AssertionError("this was not refused")


def case_restore_under_an_id_that_exists(world):
    numbers = world.counter(world.a)
    snapshot = world.a.save("s").snapshot
    world.b.create("s")
    refused("ALREADY_EXISTS", world.b.restore, snapshot, names=["'s'"])
    world.b.restore(snapshot, sandbox_id="t")
    numbers.sandbox = "t"
    numbers.go_on(world.b)


def case_restore_twice(world):
    numbers = world.counter(world.a)
    snapshot = world.a.save("s").snapshot
    world.b.restore(snapshot)
    for client, name in (world.a, "s"), (world.b, "t"):
        refused("FAILED_PRECONDITION", client.restore, snapshot, sandbox_id=name)
    numbers.go_on(world.b)
    world.b.DeleteSandbox(sandbox_id="s", force=True)
    refused_any(world.a.restore, snapshot) # it has run since, and is gone


# ---- full disks ----

@contextlib.contextmanager
def small_disk(path, mib):
    os.makedirs(path, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0711,size=%dm" % mib, "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill(path):
    """A file that takes all that is free."""
    name = os.path.join(path, "filler")
    with open(name, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return name


def case_no_room_for_memory(world):
    with small_disk(world.top + "/small", 100) as small:
        e = world.daemon("e", **{"memory-dir": small})
        why = refused("RESOURCE_EXHAUSTED", e.create, "s", names=["'s'"])
        assert "memory" in why.message
        assert harness.files_in(small) == [], harness.files_in(small)
        e.stop()


def case_no_room_for_a_save(world):
    """Where device state is written, and where the journal is: the guest runs on."""
    with small_disk(world.top + "/memory", 300) as memory, small_disk(world.top + "/f.state", 8) as state:
        f = world.daemon("f", **{"memory-dir": memory})
        numbers = world.counter(f)
        for name in harness.files_in(memory): # guest RAM is there whole: it is not what runs out
            if name.endswith("/ram"):
                with open(os.path.join(memory, name), "r+b") as ram:
                    os.posix_fallocate(ram.fileno(), 0, os.fstat(ram.fileno()).st_size)
        for full in memory, state:
            filler = fill(full)
            why = refused_any(f.save, "s")
            assert why.code in ("RESOURCE_EXHAUSTED", "UNAVAILABLE"), why
            assert f.state("s") == "RUNNING"
            os.unlink(filler)
            numbers.go_on(f)
        snapshot = f.save("s").snapshot
        filler = fill(state)
        why = refused_any(f.restore, snapshot)
        assert why.code in ("RESOURCE_EXHAUSTED", "UNAVAILABLE"), why
        os.unlink(filler)
        f.restore(snapshot)
        numbers.go_on(f)
        f.DeleteSandbox(sandbox_id="s", force=True)
        f.stop()


# ---- the daemon itself ----

def case_daemon_ends_and_starts(world):
    """SIGTERM saves what runs, and the next start brings it back."""
    numbers = world.counter(world.a)
    world.a.stop()
    assert not world.a.vms(), "a VM is left"
    world.a.start()
    assert world.a.state("s") == "RUNNING"
    numbers.go_on(world.a)


def case_daemon_is_killed(world):
    """SIGKILL: the sandbox is shown as lost, and can be deleted with all that it has."""
    world.counter(world.a)
    world.a.kill()
    world.a.start()
    assert world.a.state("s") == "INVALID"
    assert world.a.GetSandbox(sandbox_id="s").sandbox.problem
    assert pb.SandboxState.Name(world.a.ListSandboxes().sandboxes[0].state) == "SANDBOX_STATE_INVALID"


def case_daemon_is_killed_while_it_holds(world):
    """SIGKILL: what was saved and held is held again, and nothing of the killed daemon's is left."""
    numbers = world.counter(world.a)
    world.a.save("s", after="HOLD")
    world.a.kill()
    world.a.start()
    assert world.a.state("s") == "LOADED", world.a.GetSandbox(sandbox_id="s").sandbox.problem
    assert len(world.a.vms()) == 1, world.a.vms()
    world.a.ResumeSandbox(sandbox_id="s")
    numbers.go_on(world.a)


if __name__ == "__main__":
    harness.main(globals())
