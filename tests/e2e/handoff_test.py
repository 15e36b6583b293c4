"""A sandbox goes from one daemon to another, and its processes go on."""
import threading

import harness
from harness import Refused, refused


def case_counter_is_complete(world):
    numbers = world.counter(world.a)
    saved = world.a.save("s")
    assert world.a.state("s") is None, "it is still at the source"
    restored = world.b.restore(saved.snapshot)
    assert world.b.state("s") == "RUNNING"
    numbers.go_on(world.b)
    assert restored.blackout.ToNanoseconds() > 0
    assert restored.resumed_at.ToNanoseconds() > saved.stopped_at.ToNanoseconds()
    print("blackout: %.0f ms" % (restored.blackout.ToNanoseconds() / 1e6))


def case_reader_is_told_that_it_left(world):
    world.counter(world.a)
    told = []

    def read():
        try:
            for _ in world.a.ReadOutput(sandbox_id="s", container_id="c", follow=True):
                pass
            told.append("the end")
        except Refused as why:
            told.append(why.code)

    reader = threading.Thread(target=read)
    reader.start()
    world.a.save("s")
    reader.join(harness.CALL_S)
    assert told == ["UNAVAILABLE"], told
    world.drop_memory()


def case_steps_and_tree_are_told(world):
    world.counter(world.a)
    saved = world.a.save("s", after="HOLD")
    assert [s.step for s in saved.steps][:2] == ["check", "freeze"]
    snapshot = saved.snapshot
    assert snapshot.schema_version == 1 and len(snapshot.digest) == 32
    assert [c.container_id for c in snapshot.container.containers] == ["c"]
    assert [d.host_path for d in snapshot.scsi.disks if d.read_only] == [world.layer]
    assert not world.b.CheckRestore(snapshot=snapshot).obstacles
    world.a.ResumeSandbox(sandbox_id="s")


def case_held_is_taken_back(world):
    numbers = world.counter(world.a)
    world.a.save("s", after="HOLD")
    assert world.a.state("s") == "FROZEN"
    numbers.pull(world.a)
    refused("FAILED_PRECONDITION", world.a.StartContainer, sandbox_id="s", container_id="c",
            names=["'s'"])
    world.a.ResumeSandbox(sandbox_id="s")
    assert world.a.state("s") == "RUNNING"
    numbers.go_on(world.a)


def case_held_is_restored_elsewhere(world):
    numbers = world.counter(world.a)
    saved = world.a.save("s", after="HOLD")
    world.b.restore(saved.snapshot)
    numbers.go_on(world.b)
    refused("FAILED_PRECONDITION", world.a.ResumeSandbox, sandbox_id="s", names=["'s'"])
    numbers.go_on(world.b)


def case_source_runs_on(world):
    """after=RESUME: the snapshot has a copy of the memory; source first, then the copy."""
    numbers = world.counter(world.a)
    saved = world.a.save("s", after="RESUME")
    assert world.a.state("s") == "RUNNING"
    at_save = harness.Numbers("s")
    numbers.go_on(world.a)
    refused("FAILED_PRECONDITION", world.b.restore, saved.snapshot)
    world.a.DeleteSandbox(sandbox_id="s", force=True)
    scratch = world.disks + "/s.img"
    try:
        world.b.restore(saved.snapshot)
    except Refused as why:  # the source has written to its scratch disk since: said, and patched
        assert why.code == "FAILED_PRECONDITION" and scratch in why.message, why
        other = world.scratch("other.img")
        with open(scratch, "rb") as old, open(other, "wb") as new:
            new.write(old.read())
        world.b.restore(saved.snapshot, patches=[
            {"controller": "scsi", "object": scratch, "value": other}])
    at_save.go_on(world.b)


def case_restored_and_held(world):
    numbers = world.counter(world.a)
    saved = world.a.save("s")
    loaded = world.b.restore(saved.snapshot, hold=True)
    assert world.b.state("s") == "LOADED" and not loaded.HasField("resumed_at")
    world.b.ResumeSandbox(sandbox_id="s")
    assert world.b.state("s") == "RUNNING"
    numbers.go_on(world.b)


def case_loaded_is_put_back(world):
    """What was only loaded can be stopped, and the snapshot is as good as before."""
    numbers = world.counter(world.a)
    saved = world.a.save("s")
    world.b.restore(saved.snapshot, hold=True)
    world.b.DeleteSandbox(sandbox_id="s", force=True)
    world.a.restore(saved.snapshot)
    numbers.go_on(world.a)


def case_other_id(world):
    world.counter(world.a)
    saved = world.a.save("s")
    world.b.restore(saved.snapshot, sandbox_id="t")
    assert world.b.state("s") is None and world.b.state("t") == "RUNNING"
    harness.Numbers("t").go_on(world.b)


def case_everything_a_process_holds(world):
    """tests/guest/selfcheck: files, locks, pipes, timers, TCP over loopback, memory."""
    world.a.create("s")
    world.a.add_container("s", "c", world.layer, ["/bin/selfcheck"], world.scratch("s.img"))
    said = lambda d: d.output("s")[0].decode()
    harness.until("selfcheck passes", lambda: "PASS round 10\n" in said(world.a))
    for source, destination in (world.a, world.b), (world.b, world.a):
        before = said(source).count("PASS")
        destination.restore(source.save("s").snapshot)
        harness.until("it passes on", lambda: said(destination).count("PASS") >= before + 3)
        assert "FAIL" not in said(destination), said(destination)
    world.a.SignalProcess(sandbox_id="s", container_id="c", signal=15)
    ended = world.a.WaitProcess(sandbox_id="s", container_id="c").process
    assert ended.exit_code == 0 and "PASS selfcheck after" in said(world.a), said(world.a)


def case_many_numbers_at_once(world):
    """A process that writes as fast as a timer lets it; the save comes in the middle of a burst."""
    numbers = world.counter(world.a, interval_ms=1)
    daemons = [world.a, world.b]
    for _ in range(4):
        daemons[1].restore(daemons[0].save("s").snapshot)
        daemons.reverse()
        numbers.go_on(daemons[0], 200)


if __name__ == "__main__":
    harness.main(globals())
