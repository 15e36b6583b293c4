"""A virtual machine with the guest image, on QEMU alone: what the tests of the agent need."""
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

QEMU = "qemu-system-x86_64"


class Machine:
    def __init__(self, image, directory, incoming=False):
        self.shared = directory  # guest RAM, disks, device state: what a hand-off leaves in place
        self.own = tempfile.mkdtemp(dir=directory)
        self.log = os.path.join(self.own, "console")
        command = [QEMU, "-machine", "pc-q35-7.2,memory-backend=ram", "-accel", "tcg,thread=multi",
                   "-cpu", "max", "-m", "512", "-nodefaults", "-no-user-config", "-display", "none",
                   "-no-reboot",
                   "-object", "memory-backend-file,id=ram,size=512M,share=on,mem-path=%s/ram"
                   % directory,
                   "-kernel", os.path.join(image, "vmlinux"),
                   "-initrd", os.path.join(image, "initrd"),
                   "-append", "console=ttyS0 quiet panic=-1", "-serial", "file:" + self.log,
                   "-qmp", "unix:%s/qmp,server=on,wait=off" % self.own,
                   "-device", "virtio-serial-pci,id=vs,addr=0x3",
                   "-chardev", "socket,id=agent,path=%s/agent,server=on,wait=off" % self.own,
                   "-device", "virtserialport,bus=vs.0,nr=1,chardev=agent,name=sandferry.agent"]
        for i in range(4):
            command += ["-device", "virtio-scsi-pci,id=scsi%d,addr=%#x" % (i, 4 + i)]
        for i in range(2):
            command += ["-device", "pcie-root-port,id=nic%d,addr=0x11.%d,chassis=%d,slot=%d%s"
                        % (i, i, i + 1, i + 1, ",multifunction=on" if i == 0 else "")]
        if incoming:
            command += ["-incoming", "defer"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self.qmp_socket = self.connect("qmp")
        self.qmp_file = self.qmp_socket.makefile("rw")
        self.qmp_file.readline()
        self.qmp("qmp_capabilities")

    def connect(self, name):
        deadline = time.monotonic() + 30
        while True:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(os.path.join(self.own, name))
                return sock
            except OSError:
                sock.close()
                assert self.process.poll() is None and time.monotonic() < deadline, "no QEMU"
                time.sleep(0.005)

    def qmp(self, command, **arguments):
        self.qmp_file.write(json.dumps({"execute": command, "arguments": arguments}))
        self.qmp_file.flush()
        return self.read_answer(command)

    def read_answer(self, command):
        while True:
            answer = json.loads(self.qmp_file.readline())
            if "return" in answer or "error" in answer:
                assert "error" not in answer, "%s: %s" % (command, answer)
                return answer["return"]

    def add_disk(self, controller, lun, path, read_only=False):
        name = "disk-%d-%d" % (controller, lun)
        self.qmp("blockdev-add", **{"driver": "raw", "node-name": name, "read-only": read_only,
                                    "file": {"driver": "file", "filename": path,
                                             "read-only": read_only}})
        self.qmp("device_add", **{"driver": "scsi-hd", "drive": name, "id": name, "scsi-id": 0,
                                  "bus": "scsi%d.0" % controller, "lun": lun})

    def add_nic(self, port, directory, mac):
        """On a root port; its frames come and go as datagrams: see wire.py."""
        listen, other = (os.path.join(directory, port + end) for end in (".qemu", ".wire"))
        if os.path.exists(listen):
            os.unlink(listen)  # of the machine before
        self.qmp("netdev_add", type="dgram", id=port + "-net",
                 local={"type": "unix", "path": listen}, remote={"type": "unix", "path": other})
        self.plug_nic(port, mac)

    def add_tap(self, port, fd, mac):
        """On a root port; FD is a tap's and is closed here."""
        send = json.dumps({"execute": "getfd", "arguments": {"fdname": port}}).encode()
        socket.send_fds(self.qmp_socket, [send], [fd])
        os.close(fd)
        self.read_answer("getfd")
        self.qmp("netdev_add", type="tap", id=port + "-net", fd=port)
        self.plug_nic(port, mac)

    def plug_nic(self, port, mac):
        self.qmp("device_add", driver="virtio-net-pci", id=port + "-nic", bus=port,
                 netdev=port + "-net", mac=mac, romfile="")

    def keep_ram_in_place(self):
        self.qmp("migrate-set-capabilities",
                 capabilities=[{"capability": "x-ignore-shared", "state": True}])

    def save(self):
        """Device state into a file; the processors must stand still and the port be drained."""
        self.keep_ram_in_place()
        self.qmp("migrate", uri="exec:cat > %s/state" % self.shared)
        while self.qmp("query-migrate").get("status") != "completed":
            time.sleep(0.001)

    def load(self):
        self.keep_ram_in_place()
        self.qmp("migrate-incoming", uri="exec:cat %s/state" % self.shared)
        while self.qmp("query-status")["status"] == "inmigrate":
            time.sleep(0.001)

    def console(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.qmp_file.close()
        self.qmp_socket.close()
        shutil.rmtree(self.own)
