"""Any number of sandboxes from one snapshot: each runs on by itself, as somebody of its own."""
import concurrent.futures
import os

import harness
from harness import Numbers, Refused, refused, until

MEMORY_MIB = 128
CLONES = 64
WAVE = 8


def first_words(client, sandbox, count=1):
    """What 'wakes' has said after it was waked: lists of words, of the last COUNT lines at least."""
    def lines():
        data, lost = client.output(sandbox)
        assert lost == 0
        said = [line.split() for line in data.decode().split("\n")[:-1] if line.startswith("awake ")]
        return said if len(said) > count else None
    return until("sandbox '%s' is awake" % sandbox, lines)


def sleeper(world, client, sandbox="s", args=("/bin/wakes",)):
    client.create(sandbox, MEMORY_MIB)
    client.add_container(sandbox, "c", world.layer, list(args))
    until("it waits", lambda: client.output(sandbox)[0].startswith(b"awake "))


def clone(client, snapshot, sandbox, **more):
    return client.restore(snapshot, sandbox_id=sandbox, clone=True, **more)


def delete(client, *sandboxes):
    for sandbox in sandboxes:
        client.DeleteSandbox(sandbox_id=sandbox, force=True)


def all_different(things):
    return len(set(things)) == len(things)


def case_two_clones_count_on(world):
    """Side by side, on two daemons, with what each has written to its disk; then the snapshot moves."""
    numbers = world.counter(world.a)
    snapshot = world.a.save("s").snapshot
    disk = os.path.join(world.disks, "s.img")
    before = open(disk, "rb").read()
    memory = harness.files_in(world.memory)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda d: clone(d, snapshot, "s-" + d.name), (world.a, world.b)))
    said = {}
    for d in world.a, world.b:
        mine = Numbers("s-" + d.name)
        mine.offset, mine.rest, mine.last = numbers.offset, numbers.rest, numbers.last
        mine.go_on(d)
        d.ExecProcess(sandbox_id="s-" + d.name, container_id="c", exec_id="w",
                      args=["/bin/sh", "-c", "echo I am %s >/who; sync; cat /who /etc/machine-id" % d.name])
        assert d.WaitProcess(sandbox_id="s-" + d.name, container_id="c", exec_id="w").process.exit_code == 0
        said[d.name] = b"".join(part.data for part in d.ReadOutput(
            sandbox_id="s-" + d.name, container_id="c", exec_id="w"))
        mine.go_on(d)
    assert said["a"].startswith(b"I am a\n") and said["b"].startswith(b"I am b\n"), said
    assert said["a"].split()[-1] != said["b"].split()[-1], "they are one machine: %s" % said
    refused("FAILED_PRECONDITION", world.b.restore, snapshot, sandbox_id="t", names=["clone", "'s-a'", "'s-b'"])
    assert any("clone" in o.reason for o in world.a.CheckRestore(snapshot=snapshot).obstacles)
    assert not world.a.CheckRestore(snapshot=snapshot, clone=True).obstacles
    delete(world.a, "s-a")
    delete(world.b, "s-b")
    assert harness.files_in(world.memory) == memory, "clones have left something"
    assert open(disk, "rb").read() == before, "a clone has written to the disk"
    world.b.restore(snapshot)
    numbers.go_on(world.b)


def case_clones_have_macs_of_their_own(world):
    world.a.create("s", MEMORY_MIB)
    world.a.CreatePod(sandbox_id="s", pod_id="c")
    old = world.a.SetupNetwork(sandbox_id="s", pod_id="c", endpoints=[{"kind": 3}]).network
    world.a.add_container("s", "c", world.layer, ["/bin/sh", "-c", "while :; do sleep 1; done"])
    snapshot = world.a.save("s").snapshot
    macs = {old.endpoints[0].mac_address}
    for sandbox in "t", "u":
        clone(world.a, snapshot, sandbox)
        (network,) = world.a.ListNetworks(sandbox_id=sandbox).networks
        world.a.ExecProcess(sandbox_id=sandbox, container_id="c", exec_id="m",
                            args=["/bin/cat", "/sys/class/net/eth0/address"])
        world.a.WaitProcess(sandbox_id=sandbox, container_id="c", exec_id="m")
        seen = b"".join(part.data for part in world.a.ReadOutput(
            sandbox_id=sandbox, container_id="c", exec_id="m")).decode().strip()
        assert seen == network.endpoints[0].mac_address, (seen, network)
        macs.add(seen)
    assert len(macs) == 3, macs
    delete(world.a, "t", "u")
    world.b.restore(snapshot)
    (network,) = world.b.ListNetworks(sandbox_id="s").networks
    assert network == old, network


def case_clone_beside_the_running_is_refused(world):
    world.counter(world.a)
    snapshot = world.a.save("s", after="RESUME").snapshot
    refused("FAILED_PRECONDITION", clone, world.b, snapshot, "t", names=["in use by sandbox 's'"])
    delete(world.a, "s")
    world.drop_memory()


def case_held_waits_for_its_clones(world):
    sleeper(world, world.a)
    snapshot = world.a.save("s", after="HOLD").snapshot
    clone(world.b, snapshot, "t")
    refused("FAILED_PRECONDITION", world.a.ResumeSandbox, sandbox_id="s", names=["clone 't'"])
    assert world.a.state("s") == "FROZEN", "a refusal has broken it"
    delete(world.b, "t")
    world.a.ResumeSandbox(sandbox_id="s")
    first_words(world.a, "s")
    refused("FAILED_PRECONDITION", clone, world.b, snapshot, "t")


def case_a_clone_is_not_held(world):
    sleeper(world, world.a)
    snapshot = world.a.save("s").snapshot
    refused("INVALID_ARGUMENT", clone, world.b, snapshot, "t", hold=True, names=["clone"])
    world.a.restore(snapshot)


def case_a_failed_clone_leaves_nothing(world):
    sleeper(world, world.a)
    snapshot = world.a.save("s").snapshot
    memory = harness.files_in(world.memory)
    for point in "vm: prepare", "vm: load", "vm: resume", "scsi: prepare", "container: resume", "restore: settle":
        world.b.fail_at(point)
        refused("UNAVAILABLE", clone, world.b, snapshot, "t", names=["fault"])
        assert world.b.fault_is_spent(), point
        assert harness.files_in(world.memory) == memory, "after '%s'" % point
        assert not world.b.vms(), "after '%s'" % point
    clone(world.b, snapshot, "t")
    first_words(world.b, "t")
    delete(world.b, "t")
    world.a.restore(snapshot)


def case_a_clone_outlives_its_daemon(world):
    """A VM that was left alone still has the memory; who cleans up takes it, and what was written."""
    world.counter(world.a)
    snapshot = world.a.save("s").snapshot
    memory = harness.files_in(world.memory)
    clone(world.b, snapshot, "t")
    world.b.kill()
    refused("FAILED_PRECONDITION", world.a.restore, snapshot, names=["clone 't'"])
    world.b.start()
    assert world.b.state("t") == "INVALID"
    delete(world.b, "t")
    assert harness.files_in(world.memory) == memory, "the clone has left something"
    world.a.restore(snapshot)


def case_what_a_clone_writes_is_not_saved(world):
    world.counter(world.a)
    snapshot = world.a.save("s").snapshot
    clone(world.b, snapshot, "t")
    refused("FAILED_PRECONDITION", world.b.save, "t", names=["s.img", "patch"])
    numbers = Numbers("t")
    numbers.go_on(world.b)
    delete(world.b, "t")
    own = world.scratch("own.img")
    with open(os.path.join(world.disks, "s.img"), "rb") as old, open(own, "wb") as new:
        new.write(old.read())
    clone(world.b, snapshot, "t", patches=[{"controller": "scsi", "object": os.path.join(world.disks, "s.img"),
                                            "value": own}])
    saved = world.b.save("t").snapshot
    world.a.restore(saved)
    numbers = Numbers("t")
    numbers.go_on(world.a)
    world.b.restore(snapshot)


def case_a_clone_is_saved(world):
    """It is a sandbox as any other from then on, and can be cloned, too."""
    sleeper(world, world.a)
    snapshot = world.a.save("s").snapshot
    clone(world.a, snapshot, "t")
    who = first_words(world.a, "t")[-1]
    saved = world.a.save("t").snapshot
    assert saved.vm.memory.family_id != snapshot.vm.memory.family_id
    world.b.restore(saved)
    moved = first_words(world.b, "t", 2)[-1]
    assert moved[2:4] == who[2:4], "it has moved, and is somebody else"
    again = world.b.save("t").snapshot
    world.a.restore(again)
    first_words(world.a, "t", 3)
    final = world.a.save("t").snapshot
    clone(world.b, final, "u")
    assert first_words(world.b, "u", 4)[-1][2] != who[2]
    delete(world.b, "u")
    world.a.restore(snapshot)
    world.a.restore(final)


def case_all_clones_are_different(world):
    """64 of one snapshot; each draws random bytes as the first thing that it does."""
    sleeper(world, world.a)
    snapshot = world.a.save("s").snapshot
    memory = harness.files_in(world.memory)

    def live(i):
        d, name = (world.a, world.b)[i % 2], "s%d" % i
        clone(d, snapshot, name)
        words = first_words(d, name)
        return words

    told = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for wave in range(0, CLONES, WAVE):
            told += pool.map(live, range(wave, wave + WAVE))
            for i in range(wave, wave + WAVE):
                delete((world.a, world.b)[i % 2], "s%d" % i)
    assert all(len(words) == 2 and words[0] == told[0][0] for words in told), "they do not begin alike"
    assert len(told) == CLONES and all(len(words[1][1]) == 2048 for words in told)
    for at, what in (1, "random bytes"), (2, "machine-ids"):
        drawn = [told[0][0][at]] + [words[1][at] for words in told]
        assert all_different(drawn), "%d different %s of %d" % (len(set(drawn)), what, len(drawn))
    assert harness.files_in(world.memory) == memory, "clones have left something"
    world.b.restore(snapshot)
    assert first_words(world.b, "s")[-1][2] == told[0][0][2], "the one that has moved is somebody else"


if __name__ == "__main__":
    harness.main(globals())
