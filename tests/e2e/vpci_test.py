"""PCI functions of QEMU in a real VM: added, used, saved, restored, used again."""
import itertools

import harness
from harness import refused, snapshot_pb

EDU = "010000ed"    # QEMU's docs/specs/edu.txt: the identification register
SERIAL = "sandferry-a1"
READY = snapshot_pb.VPCI_DEVICE_STAGE_READY


def say(world, client, numbers, *args):
    """What a program says in a container of its own."""
    name = "q%d" % next(numbers)
    client.add_container("s", name, world.layer, list(args))
    ended = client.WaitProcess(sandbox_id="s", container_id=name)
    text = b"".join(part.data for part in client.ReadOutput(sandbox_id="s", container_id=name, follow=True)).decode()
    client.DeleteContainer(sandbox_id="s", container_id=name)
    assert ended.process.exit_code == 0, "%d: %s" % (ended.process.exit_code, text)
    return text


def answers(world, client, numbers, devices):
    """Each device does what it is there for, where it was."""
    edu, nvme, rng = devices
    assert say(world, client, numbers, "/bin/pcicheck", edu.pci_address) == EDU + "\n"
    at = "/sys/bus/pci/devices/%s" % nvme.pci_address
    text = say(world, client, numbers, "/bin/sh", "-c", "cat %s/nvme/nvme*/serial %s/nvme/nvme*/state" % (at, at))
    assert text.split() == [SERIAL, "live"], text
    at = "/sys/bus/pci/devices/%s/virtio*/driver" % rng.pci_address
    text = say(world, client, numbers, "/bin/sh", "-c", "ls -d %s; cat /sys/class/misc/hw_random/rng_available" % at)
    assert text.count("driver") == 1 and text.count("virtio_rng") == 2, text


def add(client):
    edu = client.AddDevice(sandbox_id="s", model="edu")
    nvme = client.AddDevice(sandbox_id="s", model="nvme", properties=["serial=" + SERIAL])
    rng = client.AddDevice(sandbox_id="s", model="virtio-rng-pci")
    return edu, nvme, rng


def topology(client):
    listed = client.ListDevices(sandbox_id="s")
    return ([(d.id, d.guest_address, d.refs, d.stage, d.travels, list(d.properties)) for d in listed.devices],
            [(r.id, r.device) for r in listed.reservations],
            [(f.pci_address, f.driver, list(f.nodes)) for f in listed.found])


def case_devices_come_and_go(world):
    world.a.create("s")
    devices = add(world.a)
    edu, nvme, rng = devices
    assert [d.device.guest_address for d in devices] == ["port0", "port1", "port2"]
    assert [d.device.stage for d in devices] == [READY] * 3
    assert (edu.driver, list(edu.nodes)) == ("", [])
    assert (nvme.driver, list(nvme.nodes)) == ("nvme", ["/dev/nvme0"])
    assert (rng.driver, list(rng.nodes)) == ("virtio-pci", [])
    answers(world, world.a, itertools.count(), devices)
    for device in devices:
        world.a.RemoveDevice(sandbox_id="s", reservation_id=device.reservation_id)
        refused("NOT_FOUND", world.a.RemoveDevice, sandbox_id="s", reservation_id=device.reservation_id)
    assert topology(world.a) == ([], [], [])
    assert world.a.AddDevice(sandbox_id="s", model="edu").device.guest_address == "port0"


def case_devices_travel(world):
    """Three moves; each device is where it was, and answers."""
    world.a.create("s")
    numbers = itertools.count()
    devices = add(world.a)
    answers(world, world.a, numbers, devices)
    before = topology(world.a)
    here, there = world.a, world.b
    for _ in range(3):
        saved = here.save("s")
        there.restore(saved.snapshot)
        here, there = there, here
        assert topology(here) == before, "%s, and was %s" % (topology(here), before)
        answers(world, here, numbers, devices)
    added = here.AddDevice(sandbox_id="s", model="edu")
    assert added.device.guest_address == "port3"


def case_source_goes_on_with_its_devices(world):
    world.a.create("s")
    devices = add(world.a)
    before = topology(world.a)
    world.a.save("s", after="HOLD")
    world.a.ResumeSandbox(sandbox_id="s")
    assert topology(world.a) == before
    answers(world, world.a, itertools.count(), devices)


def nodes_of(client):
    listed = client.ListDevices(sandbox_id="s")
    return {d.id: list(f.nodes) for d, f in zip(listed.devices, listed.found)}


def case_names_are_kept(world):
    """nvme0 is gone, and nvme2 is in a lower port than nvme1: they are what they were."""
    world.a.create("s")
    edu, zero, one = (world.a.AddDevice(sandbox_id="s", model=m) for m in ["edu", "nvme", "nvme"])
    world.a.RemoveDevice(sandbox_id="s", reservation_id=edu.reservation_id)
    two = world.a.AddDevice(sandbox_id="s", model="nvme")
    world.a.RemoveDevice(sandbox_id="s", reservation_id=zero.reservation_id)
    names = nodes_of(world.a)
    assert names == {one.device.id: ["/dev/nvme1"], two.device.id: ["/dev/nvme2"]}, names
    assert (one.device.guest_address, two.device.guest_address) == ("port2", "port0")
    world.a.save("s", after="HOLD")
    world.a.ResumeSandbox(sandbox_id="s")
    assert nodes_of(world.a) == names, nodes_of(world.a)
    world.b.restore(world.a.save("s").snapshot)
    assert nodes_of(world.b) == names, nodes_of(world.b)
    assert world.b.AddDevice(sandbox_id="s", model="nvme").nodes == ["/dev/nvme0"]


def case_user_is_named(world):
    """A device that a container uses cannot be let go: before anything stops, who it is."""
    world.a.create("s")
    edu = add(world.a)[0]
    world.a.add_container("s", "c", world.layer, ["/bin/pcicheck", edu.pci_address, "hold"])
    harness.until("it is mapped", lambda: world.a.output("s")[0].decode() == EDU + "\n")
    before = topology(world.a)
    why = refused("FAILED_PRECONDITION", world.a.save, "s", names=["pcicheck", "container 'c", "resource0", edu.device.id])
    print(why.message)
    refused("FAILED_PRECONDITION", world.a.RemoveDevice, sandbox_id="s", reservation_id=edu.reservation_id,
            names=["pcicheck"])
    assert world.a.state("s") == "RUNNING" and topology(world.a) == before
    world.a.SignalProcess(sandbox_id="s", container_id="c", signal=9)
    world.a.WaitProcess(sandbox_id="s", container_id="c")
    world.b.restore(world.a.save("s").snapshot)


def case_restore_that_fails_is_taken_back(world):
    """After its resume the guest has the devices; the snapshot is good all the same."""
    world.a.create("s")
    devices = add(world.a)
    before = topology(world.a)
    snapshot = world.a.save("s").snapshot
    for point in ["vpci: prepare", "vpci: resume", "container: resume"]:
        world.b.fail_at(point)
        refused("UNAVAILABLE", world.b.restore, snapshot)
        assert world.b.state("s") is None
    world.b.restore(snapshot)
    assert topology(world.b) == before
    answers(world, world.b, itertools.count(), devices)


def case_devices_that_cannot_be(world):
    world.a.create("s")
    refused("INVALID_ARGUMENT", world.a.AddDevice, sandbox_id="s", model="isa-debug-exit", names=["isa-debug-exit"])
    refused("INVALID_ARGUMENT", world.a.AddDevice, sandbox_id="s", model="nvme", properties=["drive=x"], names=["drive"])
    refused("NOT_FOUND", world.a.AddDevice, sandbox_id="s", host_address="ffff:ff:1f.7", names=["ffff:ff:1f.7"])
    assert topology(world.a) == ([], [], [])
    for _ in range(8):
        world.a.AddDevice(sandbox_id="s", model="edu")
    refused("RESOURCE_EXHAUSTED", world.a.AddDevice, sandbox_id="s", model="edu", names=["root ports"])
    assert len(topology(world.a)[0]) == 8


harness.main(globals())
