"""Disks, shares and PCI functions: used in containers, moved to another place, and used on."""
import hashlib
import json
import os
import shutil
import subprocess
import time

import harness
from harness import refused, until

CYCLES = 3
SLOTS = 256
SERIAL = "sf-0001"
SECRET = b"nothing of this is shared\n"


class Shell:
    """A container's init process: /bin/sh, which reads commands from its standard input."""

    def __init__(self, sandbox, container):
        self.sandbox, self.container = sandbox, container
        self.offset, self.said, self.number = 0, b"", 0

    def run(self, client, command, status=0):
        """What COMMAND printed; it must end with STATUS."""
        self.number += 1
        end = b"@%d:" % self.number
        line = "{ %s\n} 2>&1; s=$?; echo; echo %s$s\n" % (command, end.decode())
        client.WriteInput(sandbox_id=self.sandbox, container_id=self.container, data=line.encode())
        until("'%s' in '%s'" % (command, self.container), lambda: self._ended(client, end))
        before, _, after = self.said.partition(b"\n" + end)
        code, _, self.said = after.partition(b"\n")
        assert int(code) == status, "'%s' ended with %s: %s" % (command, code.decode(), before.decode())
        return before.decode().strip()

    def _ended(self, client, end):
        data, lost = client.output(self.sandbox, self.container, self.offset)
        assert lost == 0, "%d bytes were not held any more" % lost
        self.offset += len(data)
        self.said += data
        return b"\n" + end in self.said and b"\n" in self.said.partition(b"\n" + end)[2]


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def lines_of(path):
    with open(path, "rb") as file:
        return file.read().split(b"\n")


# ---- what there is on the host ----

def squashfs(folder, name, data):
    """A layer that has one file, /NAME."""
    tree = os.path.join(folder, name + ".tree")
    os.mkdir(tree)
    with open(os.path.join(tree, name), "wb") as file:
        file.write(data)
    path = os.path.join(folder, name + ".squashfs")
    subprocess.run(["mksquashfs", tree, path, "-quiet", "-no-progress", "-all-root"], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return path


class Place:
    """Disks and directories of a host; there is one of each host's, and they move between them."""

    def __init__(self, world):
        self.world, self.name = world, "place-a"
        os.mkdir(self.at())
        shutil.copy2(world.layer, self.at("demo.squashfs"))
        self.layers = ["demo.squashfs"]
        self.files = {}
        for name in "first", "second":
            data = os.urandom(300000)
            self.files["/" + name] = hashlib.sha256(data).hexdigest()
            self.layers.append(os.path.basename(squashfs(self.at(), name, data)))
        for i in range(4):
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.at("scratch-%d.qcow2" % i),
                            "64M"], check=True)
        os.mkdir(self.at("log"))
        with open(self.at("log/held"), "wb") as file:
            file.write(b"one\ntwo\nthree\nfour\nfive\n")
        os.mkdir(self.at("conf"))
        for name, data in ("app.conf", b"color=blue\n"), ("secret", SECRET):
            with open(self.at("conf/" + name), "wb") as file:
                file.write(data)

    def at(self, name=""):
        return os.path.join(self.world.disks, self.name, name)

    def move(self):
        """To another path, as new files. Gives the patches that say so."""
        old, new = self.at(), self.at().replace(self.name, self.name[:-1] +
                                                ("b" if self.name.endswith("a") else "a"))
        shutil.copytree(old, new)
        shutil.rmtree(old)
        self.name = os.path.basename(new.rstrip("/"))
        return [{"controller": c, "object": old, "value": new} for c in ("scsi", "plan9")]

    def create_containers(self, client):
        layers = [{"host_path": self.at(name), "read_only": True} for name in self.layers]
        log = {"share": {"host_path": self.at("log")}, "destination": "/log"}
        conf = {"share": {"host_path": self.at("conf/app.conf"), "read_only": True},
                "destination": "/etc/app.conf"}
        has = [{"shares": [log], "devices": [{"model": "nvme", "properties": ["serial=" + SERIAL]}]},
               {"shares": [log], "devices": [{"model": "edu"}]},
               {"shares": [conf]},
               {}]
        for i in 3, 2, 1, 0:
            client.CreateContainer(
                sandbox_id="s", container_id="c%d" % i, layers=layers,
                scratch={"host_path": self.at("scratch-%d.qcow2" % i), "format": "FORMAT_QCOW2",
                         "ensure_filesystem": True, "filesystem": "ext4"},
                **(has[i] if i == 0 else dict(has[i], args=["/bin/sh"])))
            client.StartContainer(sandbox_id="s", container_id="c%d" % i)
            if i == 3:
                has[0]["spec"] = spec_for_nvme(client)
        return [Shell("s", "c%d" % i) for i in range(4)]


def spec_for_nvme(client):
    """As the daemon makes it; but the driver answers only to those who may administer the guest."""
    spec = json.loads(client.ListContainers(sandbox_id="s").containers[0].spec)
    for capabilities in spec["process"]["capabilities"].values():
        capabilities.append("CAP_SYS_ADMIN")
    return json.dumps(spec)


# ---- what there is in the guest ----

def begin(client, shells):
    """Makes each container hold something. Gives the checksums of what they have written."""
    sums = []
    for shell in shells:
        shell.run(client, "dd if=/dev/urandom of=/written bs=1000 count=500 2>/dev/null")
        sums.append(shell.run(client, "sha256sum /written").split()[0])
    shells[0].run(client, "exec 3>>/log/appended; (i=0; while true; do i=$((i + 1)); echo $i >&3;"
                          " sleep 0.01; done) & echo $! >/pid")
    shells[1].run(client, "exec 4</log/held; read a <&4; echo $a")
    shells[2].run(client, "exec 5</etc/app.conf")
    return sums


def edu_address(client):
    return next(f.pci_address for d, f in pairs(client) if d.model == "edu")


def pairs(client):
    listed = client.ListDevices(sandbox_id="s")
    return zip(listed.devices, listed.found)


def use(client, place, shells, sums, cycle):
    for i, shell in enumerate(shells):
        assert shell.run(client, "sha256sum /written").split()[0] == sums[i], "c%d" % i
        for name, want in place.files.items():
            assert shell.run(client, "sha256sum " + name).split()[0] == want, (i, name)
        shell.run(client, "echo %d >>/cycles" % cycle)
        assert shell.run(client, "cat /cycles") == "\n".join(str(n) for n in range(cycle + 1))
    use_shares(client, place, shells, cycle)
    use_devices(client, shells, cycle)


def use_shares(client, place, shells, cycle):
    grown = len(lines_of(place.at("log/appended")))
    until("the file grows on", lambda: len(lines_of(place.at("log/appended"))) > grown + 20)
    assert shells[1].run(client, "read a <&4; echo $a") == ["two", "three", "four", "five"][cycle]
    assert shells[2].run(client, "cat /etc/app.conf") == "color=blue"
    shells[2].run(client, "echo x >>/etc/app.conf", status=1)  # read-only
    shells[1].run(client, "echo %d >/log/from-c1-%d" % (cycle, cycle))
    assert lines_of(place.at("log/from-c1-%d" % cycle)) == [b"%d" % cycle, b""]
    assert digest(place.at("conf/secret")) == hashlib.sha256(SECRET).hexdigest()


def use_devices(client, shells, cycle):
    assert shells[0].run(client, "pcifn nvme /dev/nvme0") == "nvme " + SERIAL
    shells[2].run(client, "busybox mknod /node-%d c $(cat /sys/class/nvme/nvme0/dev | tr : ' ') &&"
                          " cat /node-%d" % (cycle, cycle), status=1)  # of another container
    factorials = [1, 1, 2, 6, 24, 120, 720, 5040]
    n = cycle + 4
    assert shells[1].run(client, "pcifn edu %s %d" % (edu_address(client), n)) == \
        "edu %d! = %d" % (n, factorials[n])


def topology(client, place):
    """Everything that a move must leave as it was: all but the paths on the host."""
    listed = [client.ListDisks(sandbox_id="s"), client.ListShares(sandbox_id="s"),
              client.ListDevices(sandbox_id="s"), client.ListContainers(sandbox_id="s")]
    for disk in listed[0].disks:
        disk.ClearField("modified_ns")
        disk.ClearField("size_bytes")
    for share in listed[1].shares:
        share.ClearField("fids")
    return [str(answer).replace(place.at(), "PLACE/") for answer in listed]


def check_lists(client):
    disks, shares = client.ListDisks(sandbox_id="s"), client.ListShares(sandbox_id="s")
    assert sorted(d.slot for d in disks.disks) == list(range(7)), disks
    refs = sorted(m.refs for d in disks.disks for m in d.mounts)
    assert refs == [1] * 4 + [4] * 3, "3 layers are held 4 times each: %s" % refs
    assert sorted(set(disks.holders)) == ["container 'c%d'" % i for i in range(4)]
    assert sorted((s.restricted, list(s.allowed_names), s.mount.refs) for s in shares.shares) == \
        [(False, [], 2), (True, ["app.conf"], 1)], shares
    log = next(s for s in shares.shares if not s.restricted)
    assert sorted(f.path for f in log.fids if f.open) == ["appended", "held"], shares
    devices = list(pairs(client))
    assert sorted(d.model for d, _ in devices) == ["edu", "nvme"]
    assert not any(d.travels for d, _ in devices) and all(d.refs == 1 for d, _ in devices)
    assert [f.nodes for d, f in devices if d.model == "nvme"] == [["/dev/nvme0"]], devices


def check_hot_add(client, world):
    """What comes after a restore gets the next free place, as at the source."""
    added = client.AddDisk(sandbox_id="s", host_path=world.scratch("hot.img"), block_device=True)
    assert added.disk.slot == 7, added.disk
    client.RemoveDisk(sandbox_id="s", reservation_id=added.reservation_id)


def check_obstacles(client, snapshot, place):
    """One for each path that is not there, and no other."""
    obstacles = client.CheckRestore(snapshot=snapshot).obstacles
    assert sorted(o.source for o in obstacles) == ["plan9"] * 2 + ["scsi"] * 7, obstacles
    for name in place.layers + ["scratch-%d.qcow2" % i for i in range(4)] + ["log", "conf"]:
        assert any(name in o.reason for o in obstacles), "'%s' is in none of %s" % (name, obstacles)


def case_everything_moves(world):
    place = Place(world)
    world.a.create("s", memory_mib=512)
    shells = place.create_containers(world.a)
    sums = begin(world.a, shells)
    use(world.a, place, shells, sums, 0)
    check_lists(world.a)
    before = topology(world.a, place)
    daemons = [world.a, world.b]
    for cycle in range(CYCLES):
        source, destination = daemons[cycle % 2], daemons[1 - cycle % 2]
        snapshot = source.save("s").snapshot
        patches = place.move()
        check_obstacles(destination, snapshot, place)
        restored = destination.restore(snapshot, patches=patches)
        print("cycle %d: blackout %.0f ms" % (cycle, restored.blackout.ToNanoseconds() / 1e6))
        after = topology(destination, place)
        assert after == before, "\n".join(["was:"] + before + ["is:"] + after)
        check_hot_add(destination, world)
        use(destination, place, shells, sums, cycle + 1)
    last = daemons[CYCLES % 2]
    shells[0].run(last, "kill $(cat /pid); wait")
    lines = lines_of(place.at("log/appended"))
    assert lines == [b"%d" % (i + 1) for i in range(len(lines) - 1)] + [b""], \
        "lost, or there twice: %s" % lines
    print("%d lines appended" % (len(lines) - 1))
    for i in range(4):
        last.DeleteContainer(sandbox_id="s", container_id="c%d" % i, force=True)
    for listed in last.ListDisks(sandbox_id="s").disks, last.ListShares(sandbox_id="s").shares, \
            last.ListDevices(sandbox_id="s").devices:
        assert not listed, "this is left: %s" % listed


def case_functions_keep_their_names(world):
    """What is unplugged for a save gets the name again that it had."""
    world.a.create("s")
    world.a.add_container("s", "c", world.layer, ["/bin/sh"])
    shell = Shell("s", "c")
    for i in range(5):
        world.a.AddDevice(sandbox_id="s", model="nvme", properties=["serial=n%d" % i])
    serials = lambda d: shell.run(d, "cat /sys/class/nvme/nvme*/serial").split()
    assert serials(world.a) == ["n%d" % i for i in range(5)]
    world.a.save("s", after="HOLD")
    world.a.ResumeSandbox(sandbox_id="s")
    assert serials(world.a) == ["n%d" % i for i in range(5)], serials(world.a)
    world.b.restore(world.a.save("s").snapshot)
    assert serials(world.b) == ["n%d" % i for i in range(5)], serials(world.b)


# ---- what of a share cannot be kept, or may not be had ----

def shared_folder(world, name="shared"):
    path = os.path.join(world.disks, name)
    shutil.rmtree(path, True)  # of the case before
    os.mkdir(path)
    return path


def shell_with_share(world, folder, **more):
    world.a.create("s")
    share = dict({"host_path": folder}, **more)
    world.a.CreateContainer(sandbox_id="s", container_id="c", layers=[{"host_path": world.layer}],
                            args=["/bin/sh"], shares=[{"share": share, "destination": "/in"}])
    world.a.StartContainer(sandbox_id="s", container_id="c")
    return Shell("s", "c")


def case_open_file_must_be_there(world):
    """One that is not is said, with its share, before anything is started; then it is brought."""
    folder = shared_folder(world)
    shell = shell_with_share(world, folder)
    shell.run(world.a, "echo first >/in/a; echo first >/in/b; exec 3>>/in/a 4</in/b")
    snapshot = world.a.save("s").snapshot
    os.rename(folder + "/a", world.disks + "/a")
    os.rename(folder + "/b", world.disks + "/b")
    obstacles = world.b.CheckRestore(snapshot=snapshot).obstacles
    assert len(obstacles) == 2 and all(folder in o.reason for o in obstacles), obstacles
    refused("FAILED_PRECONDITION", world.b.restore, snapshot, names=["share '0'", "'a'"])
    assert world.b.state("s") is None
    os.rename(world.disks + "/a", folder + "/a")
    os.rename(world.disks + "/b", folder + "/b")
    world.b.restore(snapshot)
    shell.run(world.b, "echo second >&3; exec 3>&-")
    assert lines_of(folder + "/a") == [b"first", b"second", b""]
    assert shell.run(world.b, "cat <&4") == "first"


def case_operations_come_once(world):
    """Made, written, renamed, read and removed as fast as it goes, while the sandbox moves: a request
    that was lost, or done twice, would end in an error, which would stand between the numbers."""
    folder = shared_folder(world)
    script = """exec 2>&1; i=0
        while true; do
            i=$((i + 1)); echo $i >/in/new-$i && busybox mv /in/new-$i /in/old-$i && read a </in/old-$i &&
            busybox rm /in/old-$i && busybox mkdir /in/dir-$i && busybox rmdir /in/dir-$i && echo $a
        done"""
    world.a.create("s")
    world.a.CreateContainer(
        sandbox_id="s", container_id="c", layers=[{"host_path": world.layer}],
        args=["/bin/sh", "-c", script], shares=[{"share": {"host_path": folder}, "destination": "/in"}])
    world.a.StartContainer(sandbox_id="s", container_id="c")
    numbers = harness.Numbers("s")
    daemons = [world.a, world.b]
    numbers.go_on(world.a, 20)
    for _ in range(4):
        daemons[1].restore(daemons[0].save("s").snapshot)
        daemons.reverse()
        numbers.go_on(daemons[0], 20)
    daemons[0].save("s", after="HOLD")
    daemons[0].ResumeSandbox(sandbox_id="s")
    numbers.go_on(daemons[0], 20)
    assert len(os.listdir(folder)) <= 1, os.listdir(folder)


def case_open_file_without_a_name_stays(world):
    """It cannot be opened anywhere else: the save is refused, and the sandbox runs on."""
    folder = shared_folder(world)
    shell = shell_with_share(world, folder)
    shell.run(world.a, "exec 3>/in/gone; busybox rm /in/gone")
    why = refused("FAILED_PRECONDITION", world.a.save, "s", names=["share '0'", folder, "gone"])
    print(why.message)
    assert world.a.state("s") == "RUNNING"
    shell.run(world.a, "echo still there >&3; exec 3>&-")
    world.b.restore(world.a.save("s").snapshot)
    shell.run(world.b, "echo here >/in/here")
    assert lines_of(folder + "/here") == [b"here", b""]


def case_share_is_left_by_nobody(world):
    """Neither by a symbolic link nor by what else lies in the directory of a single file."""
    folder = shared_folder(world)
    with open(world.disks + "/outside", "wb") as file:
        file.write(SECRET)
    for name, data in ("one", b"1\n"), ("other", SECRET):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    os.symlink("../outside", folder + "/up")
    os.symlink(world.disks + "/outside", folder + "/absolute")
    shell = shell_with_share(world, folder)
    assert shell.run(world.a, "cat /in/one") == "1"
    for name in "up", "absolute", "../outside":
        assert SECRET.decode().strip() not in shell.run(world.a, "cat /in/%s" % name, status=1)
    one = world.a.AddShare(sandbox_id="s", host_path=folder + "/one", read_only=True)
    assert one.guest_path.endswith("/one") and list(one.share.allowed_names) == ["one"], one
    refused("PERMISSION_DENIED", world.a.AddShare, sandbox_id="s", host_path="/etc", names=["/etc"])
    world.b.restore(world.a.save("s").snapshot)
    assert shell.run(world.b, "cat /in/one") == "1"
    assert SECRET.decode().strip() not in shell.run(world.b, "cat /in/up", status=1)
    world.b.RemoveShare(sandbox_id="s", reservation_id=one.reservation_id)
    held = world.b.ListShares(sandbox_id="s")
    assert list(held.holders) == ["container 'c'"], held
    refused("FAILED_PRECONDITION", world.b.RemoveShare, sandbox_id="s",
            reservation_id=held.reservations[0].id, names=["container 'c'"])


def case_sandbox_that_writes_to_no_share(world):
    folder = shared_folder(world)
    vm = harness.snapshot_pb.VmOptions(memory_bytes=256 << 20, processors=1, no_writable_file_shares=True)
    world.a.CreateSandbox(sandbox_id="s", timeout=harness.BOOT_S, vm=vm)
    add = lambda d, **more: d.AddShare(sandbox_id="s", host_path=folder, **more)
    refused("PERMISSION_DENIED", add, world.a, names=["no_writable_file_shares"])
    add(world.a, read_only=True)
    world.b.restore(world.a.save("s").snapshot)
    refused("PERMISSION_DENIED", add, world.b, names=["no_writable_file_shares"])
    assert len(world.b.ListShares(sandbox_id="s").shares) == 1


# ---- as many disks as there can be ----

def case_every_slot_is_taken(world):
    world.a.create("s")
    folder = os.path.join(world.disks, "many")
    os.mkdir(folder)
    begun = time.monotonic()
    for i in range(SLOTS + 1):
        with open(os.path.join(folder, "%03d.img" % i), "wb") as file:
            file.truncate(1 << 20)
    add = lambda i: world.a.AddDisk(sandbox_id="s", host_path=os.path.join(folder, "%03d.img" % i),
                                    block_device=True)
    added = [add(i) for i in range(SLOTS)]
    assert [a.disk.slot for a in added] == list(range(SLOTS))
    print("%d disks added in %.1f s" % (SLOTS, time.monotonic() - begun))

    before = str(world.a.ListDisks(sandbox_id="s"))
    refused("RESOURCE_EXHAUSTED", add, SLOTS)
    assert str(world.a.ListDisks(sandbox_id="s")) == before, "a refused call has changed something"

    begun = time.monotonic()
    snapshot = world.a.save("s").snapshot
    saved = time.monotonic()
    world.b.restore(snapshot)
    print("saved in %.1f s, restored in %.1f s" % (saved - begun, time.monotonic() - saved))
    assert len(snapshot.scsi.disks) == SLOTS
    listed = world.b.ListDisks(sandbox_id="s")
    assert [(d.slot, d.host_path) for d in listed.disks] == \
        [(i, os.path.join(folder, "%03d.img" % i)) for i in range(SLOTS)]

    world.b.RemoveDisk(sandbox_id="s", reservation_id=added[77].reservation_id)
    again = world.b.AddDisk(sandbox_id="s", host_path=os.path.join(folder, "%03d.img" % SLOTS),
                            block_device=True)
    assert again.disk.slot == 77, again.disk


if __name__ == "__main__":
    harness.main(globals())
