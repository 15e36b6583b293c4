"""Two hosts and a client in network namespaces of their own, on one bridge; and clients that know
whether a connection has lost a byte. Needs root and iproute2."""
import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
import zlib

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 2, 0x1000, 0x4000
BLOCK = 4096  # of netserver
CLIENT_ADDRESSES = ["10.77.0.1/24", "fd77::1/64"]


def can_be_made():
    return os.geteuid() == 0 and shutil.which("ip") and os.path.exists("/dev/net/tun")


def ip(*words):
    return subprocess.run(["ip"] + list(words), check=True, capture_output=True, text=True).stdout


class Hosts:
    """`a` and `b` each have a bridge "br0" with the cable to the client's bridge "lan" in it; taps
    of VMs are added to it. The switches learn and forget as any does."""

    def __init__(self):
        mark = "sf%d" % os.getpid()
        self.a, self.b, self.client = mark + "a", mark + "b", mark + "c"
        self.made = []
        try:
            self.make()
        except BaseException:
            self.end()
            raise

    def make(self):
        for name in (self.a, self.b, self.client):
            ip("netns", "add", name)
            self.made.append(name)
            ip("-n", name, "link", "set", "lo", "up")
        self.bridge(self.client, "lan")
        for host, port in ((self.a, "to-a"), (self.b, "to-b")):
            self.bridge(host, "br0")
            ip("link", "add", port, "netns", self.client, "type", "veth",
               "peer", "name", "uplink", "netns", host)
            ip("-n", host, "link", "set", "uplink", "master", "br0", "up")
            ip("-n", self.client, "link", "set", port, "master", "lan", "up")
        for address in CLIENT_ADDRESSES:
            ip("-n", self.client, "address", "add", address, "dev", "lan", "nodad")

    @staticmethod
    def bridge(host, name):
        ip("-n", host, "link", "add", name, "type", "bridge", "forward_delay", "0")
        ip("-n", host, "link", "set", name, "up")

    def add_tap(self, host, name, bridge="br0"):
        ip("-n", host, "tuntap", "add", name, "mode", "tap")
        ip("-n", host, "link", "set", name, "master", bridge, "up")

    @staticmethod
    def command(host):
        """What to put before a command that is to run there."""
        return ["nsenter", "--net=/run/netns/" + host]

    def end(self):
        for name in self.made:
            ip("netns", "delete", name)
        self.made = []

    @staticmethod
    def links(host):
        """The names of its network devices, sorted."""
        return sorted(line.split()[0].split("@")[0]
                      for line in ip("-n", host, "-br", "link", "show").splitlines())

    # ---- what the network knows ----

    def neighbour(self, address):
        """The MAC that the client has for an address."""
        words = ip("-n", self.client, "neighbour", "show", address).split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else None

    def port_of(self, mac):
        """Where the client's switch sends what is for a MAC: "to-a", "to-b"."""
        for line in subprocess.run(["bridge", "-n", self.client, "fdb", "show", "br", "lan"],
                                   check=True, capture_output=True, text=True).stdout.splitlines():
            words = line.split()
            if words[0] == mac and "permanent" not in words:
                return words[words.index("dev") + 1]
        return None

    # ---- what belongs to a namespace ----

    @staticmethod
    def inside(host, make):
        """What MAKE gives, called in a host's namespace: a socket stays in it."""
        result = []

        def run():
            with open("/run/netns/" + host, "rb") as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            result.append(make())

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert result, "nothing could be made in the namespace"
        return result[0]

    def open_tap(self, host, name):
        """A file descriptor for a VM."""
        def attach():
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(),
                                                   IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
            return fd
        return self.inside(host, attach)

    def connect(self, address, port, seconds=30):
        return self.inside(self.client, lambda: socket.create_connection((address, port), timeout=seconds))


class Running:
    """Does something again and again in a thread, until it is told to end. `count` grows: words,
    blocks, answers."""

    def __init__(self):
        self.ending, self.why = False, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.ending:
                self.step()
        except Exception as why:  # told where it is asked for
            self.why = why

    def check(self):
        if self.why is not None:
            raise AssertionError("%s: %s" % (type(self).__name__, self.why)) from self.why

    def end(self):
        self.ending = True
        self.thread.join()
        self.sock.close()
        self.check()


class Echo(Running):
    """One connection, on which each word must come back before the next is said."""

    def __init__(self, hosts, address, port, wait=60):
        self.sock = hosts.connect(address, port)
        self.sock.settimeout(wait)
        self.count = 0
        super().__init__()

    def step(self):
        word = b"%020d" % self.count * 10
        self.sock.sendall(word)
        back = b""
        while len(back) < len(word):
            part = self.sock.recv(len(word) - len(back))
            assert part, "the connection has ended after %d words" % self.count
            back += part
        assert back == word, "%r came back for %r" % (back, word)
        self.count += 1


class Download(Running):
    """One long answer: every byte is counted in a CRC-32 that comes along."""

    def __init__(self, hosts, address, port, wait=60):
        self.sock = hosts.connect(address, port)
        self.sock.settimeout(wait)
        self.count, self.crc, self.rest = 0, 0, b""
        super().__init__()

    def step(self):
        assert self.pull(), "the connection has ended after %d blocks" % self.count

    def pull(self):
        data = self.sock.recv(1 << 18)
        self.rest += data
        while len(self.rest) >= BLOCK:
            block, self.rest = self.rest[:BLOCK], self.rest[BLOCK:]
            crc = zlib.crc32(block[:-4], self.crc)
            number, = struct.unpack_from("<Q", block)
            assert number == self.count, "block %d in place of %d" % (number, self.count)
            assert block[-4:] == struct.pack("<I", crc), "block %d is damaged" % number
            self.crc = zlib.crc32(block[-4:], crc)
            self.count += 1
        return data

    def end(self):
        """The server has its say to the end: no byte of it is missing."""
        self.ending = True
        self.thread.join()
        self.check()
        self.sock.sendall(b".")
        while self.pull():
            pass
        assert self.rest == b"", "%d bytes of a block" % len(self.rest)
        self.sock.close()


class Ping(Running):
    """Echo requests, 100 a second; how long was the longest time without an answer?"""

    def __init__(self, hosts, address):
        self.address = address
        self.sock = hosts.inside(hosts.client, lambda: socket.socket(
            socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
        self.sock.settimeout(0.01)
        self.sent = self.count = 0
        self.last, self.gap = None, 0.0
        super().__init__()

    def step(self):
        head = struct.pack(">BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, self.sent & 0xFFFF)
        total = sum(struct.unpack(">4H", head))
        total = (total & 0xFFFF) + (total >> 16)
        total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
        try:
            self.sock.sendto(head[:2] + struct.pack(">H", total) + head[4:], (self.address, 0))
        except OSError:
            pass  # nobody has the address at the moment
        self.sent += 1
        until = time.monotonic() + 0.01
        while time.monotonic() < until:
            try:
                packet = self.sock.recv(2048)
            except OSError:
                return
            if packet[20] == 0 and packet[24:26] == head[4:6]:
                now = time.monotonic()
                self.gap = max(self.gap, now - self.last) if self.last else 0.0
                self.last, self.count = now, self.count + 1
