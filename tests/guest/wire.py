"""The other end of a NIC's cable: Ethernet frames, one for each datagram that QEMU sends."""
import ipaddress
import os
import select
import socket
import struct
import time

ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
BROADCAST = b"\xff" * 6
ECHO_REQUEST, ECHO_REPLY, ADVERTISEMENT = 8, 0, 136


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Wire:
    """@qemu: where QEMU listens; @path: where this does. Its own address is @ip, at @mac."""

    def __init__(self, qemu, path, ip, mac="02:00:00:00:00:fe"):
        self.qemu, self.path = qemu, path
        self.ip, self.mac = ipaddress.ip_address(ip).packed, mac_bytes(mac)
        if os.path.exists(path):
            os.unlink(path)  # of the wire before
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)

    def close(self):
        self.sock.close()

    def send(self, destination, kind, content):
        frame = destination + self.mac + struct.pack(">H", kind) + content
        self.sock.sendto(frame.ljust(60, b"\0"), self.qemu)

    def frames(self, seconds):
        """(source, kind, content) of each frame that comes until nothing is there any more or the
        time is up; ARP for this end's address is answered."""
        deadline = time.monotonic() + seconds
        while select.select([self.sock], [], [], max(0, deadline - time.monotonic()))[0]:
            frame = self.sock.recv(65536)
            source, (kind,), content = frame[6:12], struct.unpack(">H", frame[12:14]), frame[14:]
            if kind == ARP and content[6:8] == b"\0\1" and content[24:28] == self.ip:
                self.send(source, ARP, content[:7] + b"\2" + self.mac + self.ip + content[8:18])
            yield source, kind, content

    def ask_until(self, ask, found, seconds=20):
        """Asks now and again until a frame is what is looked for; gives its source."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ask()
            for source, kind, content in self.frames(0.3):
                if found(kind, content):
                    return source
        return None

    def who_has(self, ip):
        """The MAC that says it has an IPv4 address; None."""
        ip = ipaddress.ip_address(ip).packed
        question = (struct.pack(">HHBBH", 1, IPV4, 6, 4, 1) + self.mac + self.ip + bytes(6) + ip)
        return self.ask_until(lambda: self.send(BROADCAST, ARP, question),
                              lambda kind, content: kind == ARP and content[6:8] == b"\0\2" and
                              content[14:18] == ip)

    def ping(self, mac, ip):
        """Whether an IPv4 address answers."""
        ip = ipaddress.ip_address(ip).packed
        echo = struct.pack(">BBHHH", ECHO_REQUEST, 0, 0, 7, 7)
        echo = echo[:2] + struct.pack(">H", checksum(echo)) + echo[4:]
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(echo), 0, 0, 64, 1, 0) + self.ip + ip
        packet = head[:10] + struct.pack(">H", checksum(head)) + head[12:] + echo
        return self.ask_until(lambda: self.send(mac, IPV4, packet),
                              lambda kind, content: kind == IPV4 and content[9] == 1 and
                              content[12:16] == ip and content[20] == ECHO_REPLY) == mac

    def announced(self, wanted, seconds=20):
        """The addresses of @wanted that are announced within the time: {address: MAC}."""
        found, deadline = {}, time.monotonic() + seconds
        while set(found) < set(wanted) and time.monotonic() < deadline:
            for _, kind, content in self.frames(0.1):
                if kind == ARP and content[14:18] == content[24:28]:
                    found[str(ipaddress.ip_address(content[14:18]))] = content[8:14]
                if kind == IPV6 and content[6] == 58 and content[40] == ADVERTISEMENT:
                    pseudo = content[8:40] + struct.pack(">II", 32, 58)
                    assert checksum(pseudo + content[40:72]) == 0, "a wrong checksum"
                    found[str(ipaddress.ip_address(content[48:64]))] = content[66:72]
        return {ip: mac for ip, mac in found.items() if ip in wanted}
