"""Every step of create, save and restore is made to fail once, and then it works.

The names of the steps come from the daemon's answers, those of the controllers from GetSandbox:
there is nothing to maintain here.
"""
import os

import harness
from harness import refused

# What a controller is asked during each, in the words of sandferryd's log.
SAVE_CALLS = ["check", "freeze", "quiesce", "stop", "save"]
RESTORE_CALLS = ["import", "patch", "admit", "prepare", "load", "resume"]


def controllers(world):
    return list(world.a.GetSandbox(sandbox_id="s").sandbox.controllers)


def failing_saves(world, numbers, points, after="HOLD"):
    """Each point fails one save; the guest runs on."""
    for point in points:
        world.a.fail_at(point)
        refused("UNAVAILABLE", world.a.save, "s", after=after, names=["'s'"])
        assert world.a.fault_is_spent(), "no step is called '%s'" % point
        assert world.a.state("s") == "RUNNING", "after '%s' it is %s" % (point, world.a.state("s"))
        numbers.go_on(world.a, 5)


def case_each_step_of_save(world):
    numbers = world.counter(world.a)
    steps = [s.step for s in world.a.save("s", after="HOLD").steps]
    world.a.ResumeSandbox(sandbox_id="s")
    assert len(steps) >= 8, steps
    failing_saves(world, numbers, ["save: " + step for step in steps])
    world.b.restore(world.a.save("s").snapshot)
    numbers.go_on(world.b)


def case_each_controller_of_save(world):
    numbers = world.counter(world.a)
    names = controllers(world)
    assert names[0] == "vm" and len(names) >= 4, names
    failing_saves(world, numbers, ["%s: %s" % (name, call) for call in SAVE_CALLS for name in names])
    world.b.restore(world.a.save("s").snapshot)
    numbers.go_on(world.b)


def case_each_step_of_save_that_runs_on(world):
    numbers = world.counter(world.a)
    steps = [s.step for s in world.a.save("s", after="HOLD").steps]
    world.a.ResumeSandbox(sandbox_id="s")
    memory = sorted(harness.files_in(world.memory))
    failing_saves(world, numbers, ["save: " + step for step in steps], after="RESUME")
    now = sorted(harness.files_in(world.memory))
    assert now == memory, "a copy of the memory is left: %s, and it was %s" % (now, memory)


def failing_restores(world, snapshot, points):
    """Each point fails one restore; nothing of it is left, and the snapshot stays good."""
    memory = sorted(harness.files_in(world.memory))
    for point in points:
        world.b.fail_at(point)
        refused("UNAVAILABLE", world.b.restore, snapshot)
        assert world.b.fault_is_spent(), "no step is called '%s'" % point
        assert world.b.state("s") is None
        harness.until("no VM is left of '%s'" % point, lambda: not world.b.vms(), 10)
        left = harness.files_in(world.b.run_dir)
        assert left in ([], ["sb"]), "'%s' left %s" % (point, left)
        assert sorted(harness.files_in(world.memory)) == memory, "'%s' changed the memory" % point


def case_each_step_of_restore(world):
    numbers = world.counter(world.a)
    snapshot = world.a.save("s").snapshot
    restored = world.b.restore(snapshot, hold=True)
    world.b.DeleteSandbox(sandbox_id="s", force=True)
    points = ["restore: " + s.step for s in restored.steps]
    assert len(points) >= 8, points
    failing_restores(world, snapshot, points + ["restore: resume", "restore: settle"])
    world.b.restore(snapshot)
    numbers.go_on(world.b)


def case_each_controller_of_restore(world):
    numbers = world.counter(world.a)
    names = controllers(world)
    snapshot = world.a.save("s").snapshot
    patch = {"controller": "scsi", "object": world.disks + "/s.img", "value": world.disks + "/s.img"}
    memory_calls = ["%s: %s" % (name, call) for call in RESTORE_CALLS if call != "patch" for name in names]
    failing_restores(world, snapshot, memory_calls)
    world.b.fail_at("scsi: patch")
    refused("UNAVAILABLE", world.b.restore, snapshot, patches=[patch])
    world.b.restore(snapshot, patches=[patch])
    numbers.go_on(world.b)


def case_a_disk_that_the_guest_writes_to(world):
    """A restore that fails after the guest ran has changed its disk, and the snapshot is still good."""
    world.a.create("s")
    script = "n=0; while n=$((n+1)); do echo $n | tee -a /n; done"
    world.a.add_container("s", "c", world.layer, ["/bin/sh", "-c", script], world.scratch("s.img"))
    numbers = harness.Numbers("s")
    numbers.go_on(world.a, 5)
    snapshot = world.a.save("s").snapshot
    disk = os.path.join(world.disks, "s.img")

    def written_by_a_failed_restore():
        before = os.stat(disk).st_mtime_ns
        failing_restores(world, snapshot, ["container: resume"])
        return os.stat(disk).st_mtime_ns > before

    harness.until("a restore that fails lets the guest write", written_by_a_failed_restore)
    failing_restores(world, snapshot, ["vm: load"])  # what is known of the disk outlives this one
    harness.until("another lets it write, too", written_by_a_failed_restore)
    os.utime(disk)
    refused("FAILED_PRECONDITION", world.b.restore, snapshot, names=["s.img"])
    patch = {"controller": "scsi", "object": disk, "value": disk}
    world.b.restore(snapshot, patches=[patch])
    numbers.go_on(world.b, 5)


def case_each_step_of_create(world):
    for step in "register", "directory", "journal", "controllers", "create", "start":
        world.a.fail_at("create: " + step)
        refused("UNAVAILABLE", world.a.create, "s")
        assert world.a.fault_is_spent() and world.a.state("s") is None, step
    world.a.create("s")
    for name in controllers(world):
        world.b.fail_at(name + ": create")
        refused("UNAVAILABLE", world.b.create, "s")
        assert world.b.fault_is_spent() and world.b.state("s") is None, name


def case_held_sandbox_is_not_resumed(world):
    """A resume that fails leaves it held, and works the next time."""
    numbers = world.counter(world.a)
    world.a.save("s", after="HOLD")
    world.a.ResumeSandbox(sandbox_id="s")
    snapshot = world.a.save("s").snapshot
    world.b.restore(snapshot, hold=True)
    world.b.fail_at("vm: resume")
    refused("UNAVAILABLE", world.b.ResumeSandbox, sandbox_id="s")
    assert world.b.state("s") == "LOADED", world.b.state("s")
    world.b.ResumeSandbox(sandbox_id="s")
    numbers.go_on(world.b)


if __name__ == "__main__":
    harness.main(globals())
