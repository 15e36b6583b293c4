"""Disks of every kind: partitions, formats, file systems, block devices, encrypted ones; each is used
before and after a restore in another daemon."""
import os
import struct
import subprocess

import harness
from harness import refused

SLEEP = ["/bin/sleep", "100000"]
MIB = 1 << 20


def make(world, name, mib, kind="raw"):
    path = os.path.join(world.disks, name)
    subprocess.run(["qemu-img", "create", "-q", "-f", kind, path, "%dM" % mib], check=True)
    return path


def add(client, path, **more):
    return client.AddDisk(sandbox_id="s", host_path=path, **more)


def add_disk(client, disk):
    return client.AddDisk(sandbox_id="s", **disk)


def rounds(world, check):
    """CHECK there, then in the other daemon after a restore, twice."""
    for source, destination in ((world.a, world.b), (world.b, world.a)):
        check(source)
        destination.restore(source.save("s").snapshot)
    check(world.a)


class Box:
    """A container with disks mounted in it, in which lines are run."""

    def __init__(self, world, disks):
        self.layers = [{"host_path": world.layer, "read_only": True}]
        self.disks = [{"disk": disk, "destination": where} for disk, where in disks]

    def run(self, client, name, text):
        """What a container of its own prints that has all the disks."""
        client.CreateContainer(sandbox_id="s", container_id=name, layers=self.layers, disks=self.disks,
                               args=["/bin/sh", "-c", text])
        client.StartContainer(sandbox_id="s", container_id=name)
        code = client.WaitProcess(sandbox_id="s", container_id=name).process.exit_code
        said, _ = client.output("s", name)
        client.DeleteContainer(sandbox_id="s", container_id=name)
        assert code == 0, "%s: %s" % (text, said.decode())
        return said.decode()


def goes_on(world, disks):
    """A file on each disk, written in each daemon, is whole in the last; the disks stay held."""
    box = Box(world, disks)
    for disk, _ in disks:
        add_disk(world.a, disk)
    n = [0]

    def check(client):
        n[0] += 1
        wanted = "".join("%d\n" % i for i in range(1, n[0] + 1))
        for _, where in disks:
            said = box.run(client, "r%d" % n[0], "echo %d >> %s/f && cat %s/f" % (n[0], where, where))
            assert said == wanted, (where, said)
    rounds(world, check)


def case_formats(world):
    """What QEMU's drivers read; also those that QEMU itself refuses to move with."""
    world.a.create("s")
    kinds = (("FORMAT_QCOW2", "qcow2"), ("FORMAT_VPC", "vpc"), ("FORMAT_VHDX", "vhdx"))
    disks = [({"host_path": make(world, "d." + kind, 32, kind), "format": name,
               "ensure_filesystem": True}, "/" + kind) for name, kind in kinds]
    goes_on(world, disks)
    box = Box(world, disks)
    whole = box.run(world.a, "c", "cat /qcow2/f /vpc/f /vhdx/f")
    world.a.save("s", after="HOLD")
    world.a.ResumeSandbox(sandbox_id="s")
    world.a.fail_at("save: journal")
    refused("UNAVAILABLE", world.a.save, "s")
    assert world.a.fault_is_spent() and world.a.state("s") == "RUNNING"
    assert box.run(world.a, "d", "cat /qcow2/f /vpc/f /vhdx/f && echo 9 >> /vhdx/f") == whole
    snapshot = world.a.save("s").snapshot
    world.b.fail_at("container: resume") # it has run: its state is written again
    refused("UNAVAILABLE", world.b.restore, snapshot)
    world.b.restore(snapshot)
    assert box.run(world.b, "e", "cat /qcow2/f /vpc/f /vhdx/f") == whole + "9\n"


def case_file_systems(world):
    """Both that the guest can make; and each is what it was asked to be."""
    world.a.create("s")
    disks = [({"host_path": make(world, name + ".img", 320), "ensure_filesystem": True,
               "filesystem": name}, "/" + name) for name in ("xfs", "ext4")]
    goes_on(world, disks)
    kinds = Box(world, disks).run(world.a, "k", "cat /proc/mounts")
    for name in "xfs", "ext4":
        assert " /%s %s " % (name, name) in kinds, kinds
    refused("UNIMPLEMENTED", add, world.a, make(world, "b.img", 32), ensure_filesystem=True,
            filesystem="btrfs", names=["btrfs"])
    refused("FAILED_PRECONDITION", add, world.a, make(world, "small.img", 16), ensure_filesystem=True,
            filesystem="xfs", names=["xfs"])


def partitioned(world, name, sizes):
    """A disk with an MBR and a partition of each size, in MiB."""
    path = make(world, name, sum(sizes) + 1)
    with open(path, "r+b") as file:
        at = MIB // 512
        for i, mib in enumerate(sizes):
            file.seek(446 + 16 * i)
            file.write(struct.pack("<B3sB3sII", 0, b"\0\0\0", 0x83, b"\0\0\0", at, mib * MIB // 512))
            at += mib * MIB // 512
        file.seek(510)
        file.write(b"\x55\xaa")
    return path


def case_partitions(world):
    """Several of one disk, each with its own holders; the disk is attached once."""
    world.a.create("s")
    path = partitioned(world, "parts.img", [16, 24])
    goes_on(world, [({"host_path": path, "partition": n, "ensure_filesystem": True}, "/p%d" % n)
                    for n in (1, 2)])
    disks = world.a.ListDisks(sandbox_id="s").disks
    mine = [d for d in disks if d.host_path == path]
    assert len(mine) == 1 and [m.partition for m in mine[0].mounts] == [1, 2], disks
    refused("FAILED_PRECONDITION", add, world.a, path, ensure_filesystem=True)
    assert len([d for d in world.a.ListDisks(sandbox_id="s").disks if d.host_path == path]) == 1


def case_encrypted(world):
    """What the guest writes is on the disk, but cannot be read there; it survives restores."""
    world.a.create("s")
    secret = b"the quick brown fox jumps over the lazy dog"
    paths = [make(world, "e%d.img" % i, 320) for i in range(2)]
    disks = [({"host_path": path, "encrypted": True, "filesystem": kind}, "/" + kind)
             for path, kind in zip(paths, ("ext4", "xfs"))]
    goes_on(world, disks)
    for _, where in disks:
        Box(world, disks).run(world.a, "w", "echo '%s' > %s/s && sync" % (secret.decode(), where))
    for reservation in list(world.a.ListDisks(sandbox_id="s").reservations):
        world.a.RemoveDisk(sandbox_id="s", reservation_id=reservation.id)
    for path in paths:
        with open(path, "rb") as file:
            data = file.read()
        assert secret not in data, "'%s' can be read" % path
        assert data.count(0) < len(data) and b"XFSB" not in data[:4], "nothing was written"
    plain = world.scratch("plain.img")
    held = add(world.a, plain, ensure_filesystem=True)
    world.a.RemoveDisk(sandbox_id="s", reservation_id=held.reservation_id)
    refused("FAILED_PRECONDITION", add, world.a, plain, encrypted=True, names=["ext4"])
    refused("INVALID_ARGUMENT", add, world.a, paths[0], encrypted=True, read_only=True)
    assert not world.a.ListDisks(sandbox_id="s").disks


def case_passed_through(world):
    """A block device of the host: here a loop device, where there can be one."""
    path = make(world, "loop.img", 16)
    loop = subprocess.run(["losetup", "-f", "--show", path], stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.PIPE, universal_newlines=True)
    if loop.returncode != 0:
        print("no loop device can be had here, nothing is tested: " + loop.stderr.strip())
        return
    device = loop.stdout.strip()
    link = os.path.join(world.disks, "loop")
    try:
        subprocess.run(["cp", "-a", device, link], check=True) # beneath an allowed root
        world.a.create("s")
        goes_on(world, [({"host_path": link, "type": "TYPE_PASS_THRU", "ensure_filesystem": True},
                         "/d")])
        disk = [d for d in world.a.ListDisks(sandbox_id="s").disks if d.host_path == link][0]
        assert disk.type == 2 and disk.size_bytes == 16 * MIB, disk
        refused("INVALID_ARGUMENT", add, world.a, make(world, "file.img", 8), type="TYPE_PASS_THRU")
        world.a.DeleteSandbox(sandbox_id="s", force=True)
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


def case_block_devices(world):
    """A disk that is not mounted is a device for whoever asked."""
    world.a.create("s")
    path = make(world, "block.img", 8)
    added = add(world.a, path, block_device=True)
    assert added.guest_path.startswith("/dev/sd"), added.guest_path
    refused("ALREADY_EXISTS", add, world.a, path, ensure_filesystem=True)
    world.b.restore(world.a.save("s").snapshot)
    again = world.b.ListDisks(sandbox_id="s").disks[0]
    assert again.mounts[0].guest_path == added.guest_path and again.mounts[0].block_device
    world.b.RemoveDisk(sandbox_id="s", reservation_id=added.reservation_id)
    assert not world.b.ListDisks(sandbox_id="s").disks


if __name__ == "__main__":
    harness.main(globals())
