"""Who a guest is after a restore, and what time it has: a move changes neither, a clone is somebody else."""
import json
import time

import harness
from harness import until

MEMORY_MIB = 128
NS = 10**9
SLACK_NS = 2 * NS
TIMER_MS = 2000


def lines(client, sandbox="s"):
    data, lost = client.output(sandbox)
    assert lost == 0
    return [line.split() for line in data.decode().split("\n")[:-1]]


def waked(client, count, sandbox="s"):
    """What 'wakes' says who it is: RANDOM, MACHINE_ID, HOSTNAME, MONOTONIC_NS, REALTIME_NS."""
    def last():
        said = [words[1:] for words in lines(client, sandbox) if words[0] == "awake"]
        return said[count - 1] if len(said) >= count else None
    return until("it is waked %d times" % count, last)


def sleeper(world, client, sandbox="s", **container):
    client.create(sandbox, MEMORY_MIB)
    client.CreateContainer(sandbox_id=sandbox, container_id="c",
                           layers=[{"host_path": world.layer, "read_only": True}], **container)
    client.StartContainer(sandbox_id=sandbox, container_id="c")
    return waked(client, 1, sandbox)


def case_a_move_keeps_who_it_is(world):
    here = sleeper(world, world.a, args=["/bin/wakes"])
    assert len(here[1]) == 32 and int(here[1], 16) != 0, "no machine-id: %s" % here[1]
    for count, (source, target) in enumerate(((world.a, world.b), (world.b, world.a)), 2):
        snapshot = source.save("s").snapshot
        begin = time.time_ns()
        target.restore(snapshot)
        end = time.time_ns()
        there = waked(target, count)
        assert there[1:3] == here[1:3], "it has moved, and is somebody else"
        assert there[0] != here[0], "the same random bytes"
        assert int(there[3]) > int(here[3]), "the monotonic clock has gone back"
        assert begin - SLACK_NS < int(there[4]) < end + SLACK_NS, "the clock was not set"
        here = there


def case_time_that_passes_while_it_is_saved(world):
    """The monotonic clock stands still with the guest; the wall clock does not, and is set."""
    sleeper(world, world.a, args=["/bin/wakes", str(TIMER_MS)])
    snapshot = world.a.save("s").snapshot
    before = time.monotonic()
    until("time passes", lambda: time.monotonic() > before + 1.5 * TIMER_MS / 1000)
    begin = time.monotonic_ns()
    world.b.restore(snapshot)
    waked(world.b, 2)
    until("both timers expire",
          lambda: sum(words[0] in ("monotonic", "realtime") for words in lines(world.b)) == 2)
    waited = time.monotonic_ns() - begin
    said = [words for words in lines(world.b) if words[0] != "awake"]
    assert sorted(said) == [["monotonic", "1"], ["realtime", "1"]], said
    print("the timers expired after %.0f ms" % (waited / 1e6))
    world.a.restore(world.b.save("s").snapshot)
    waked(world.a, 3)
    assert [words for words in lines(world.a) if words[0] != "awake"] == said, "once more"


def case_a_held_sandbox_is_confirmed_on_resume(world):
    here = sleeper(world, world.a, args=["/bin/wakes"])
    snapshot = world.a.save("s").snapshot
    world.b.restore(snapshot, hold=True)
    assert len(lines(world.b)) == 1
    begin = time.time_ns()
    world.b.ResumeSandbox(sandbox_id="s")
    end = time.time_ns()
    there = waked(world.b, 2)
    assert there[1:3] == here[1:3] and begin - SLACK_NS < int(there[4]) < end + SLACK_NS
    snapshot = world.b.save("s", after="HOLD").snapshot
    world.b.ResumeSandbox(sandbox_id="s")
    assert waked(world.b, 3)[1:3] == here[1:3]


def spec_of(*args, **more):
    return json.dumps({
        "ociVersion": "1.0.2",
        "process": {"args": list(args), "cwd": "/", "user": {"uid": 0, "gid": 0}},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}] + more.pop("mounts", []),
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "mount", "uts")]}, **more})


def case_hostnames_of_containers(world):
    """One that was made from the guest's changes with it in a clone; one that was asked for stays."""
    guest = sleeper(world, world.a, spec=spec_of("/bin/wakes"))
    assert guest[2].startswith("sandferry-"), guest[2]
    named = sleeper(world, world.a, "t", spec=spec_of("/bin/wakes", hostname="web"))
    assert named[2] == "web"
    for sandbox, was in ("s", guest), ("t", named):
        snapshot = world.a.save(sandbox).snapshot
        world.b.restore(snapshot, sandbox_id=sandbox + "2", clone=True)
        clone = waked(world.b, 2, sandbox + "2")
        assert clone[1] != was[1], "the machine-id of another"
        assert (clone[2] == "web") if sandbox == "t" else \
            (clone[2].startswith("sandferry-") and clone[2] != was[2]), clone[2]
        world.b.DeleteSandbox(sandbox_id=sandbox + "2", force=True)
        world.a.restore(snapshot)
        assert waked(world.a, 2, sandbox)[1:3] == was[1:3]


def case_a_machine_id_of_its_own_stays(world):
    own = {"destination": "/etc/machine-id", "type": "bind", "source": "/etc/passwd", "options": ["bind", "ro"]}
    said = sleeper(world, world.a, spec=spec_of("/bin/wakes", mounts=[own]))
    assert said[1].startswith("root:"), "what the spec mounts is not there: %s" % said[1]


if __name__ == "__main__":
    harness.main(globals())
