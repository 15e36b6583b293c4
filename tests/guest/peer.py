"""The host's end of the channel (controllers/guest/channel.h), written anew from its description,
so that the tests of the agent do not stand on the code that the agent is made of."""
import os
import select
import struct
import time
import zlib

MAGIC = 0x31464653
HELLO, WELCOME, DATA, ACK = 1, 2, 3, 4
HEADER = struct.Struct("<IIIIIQQ")
HEADER_SIZE = HEADER.size + 4
FRAME_MAX = 65536


class Floors:
    """Where a conversation stands: what a snapshot carries of it, and what the test has seen."""

    def __init__(self):
        self.sent = self.received = 0
        self.unacknowledged = []  # (number, message)
        self.next_id = 1
        self.output = {}  # (process, stream): bytes; a process is "container" or "container/exec"
        self.closed = []  # (process, stream), in the order in which they were told
        self.exits = {}  # process: code


class Peer:
    def __init__(self, sock, messages, floors=None):
        self.sock = sock
        self.messages = messages  # the module that protoc makes of agent.proto
        self.at = floors or Floors()
        self.input = self.partial = b""
        self.in_step = False
        self.replies = {}
        self.takes_output = True
        self.nonce = int.from_bytes(os.urandom(8), "little")
        self.sock.sendall(bytes(HEADER_SIZE + FRAME_MAX) + self.frame(HELLO, number=self.nonce))

    # ---- frames ----

    def frame(self, kind, content=b"", offset=0, total=0, number=0):
        head = HEADER.pack(MAGIC, kind, len(content), offset, total, number, self.at.received)
        return head + struct.pack("<I", zlib.crc32(head + content)) + content

    def send(self, message):
        self.at.sent += 1
        self.at.unacknowledged.append((self.at.sent, message))
        if self.in_step:
            self.send_data(self.at.sent, message)

    def send_data(self, number, message):
        for offset in range(0, len(message), FRAME_MAX):
            part = message[offset : offset + FRAME_MAX]
            self.sock.sendall(self.frame(DATA, part, offset, len(message), number))

    def send_after(self, number):
        self.acknowledged(number)
        for known, message in self.at.unacknowledged:
            self.send_data(known, message)

    def acknowledged(self, number):
        self.at.unacknowledged = [m for m in self.at.unacknowledged if m[0] > number]

    def take_data(self, offset, total, number, content):
        if number > self.at.received:
            assert number == self.at.received + 1, "message %d is missing" % (self.at.received + 1)
            self.partial = content if offset == 0 else self.partial + content
            if len(self.partial) == total:
                self.at.received = number
                self.take_message(self.partial)
        self.sock.sendall(self.frame(ACK))

    def take_frame(self, kind, offset, total, number, ack, content):
        if kind == HELLO:
            self.sock.sendall(self.frame(WELCOME, number=number))
            if self.in_step:
                self.send_after(ack)
        elif kind == WELCOME and number == self.nonce and not self.in_step:
            self.in_step = True
            self.send_after(ack)
        elif kind in (DATA, ACK) and self.in_step:
            self.acknowledged(ack)
            if kind == DATA:
                self.take_data(offset, total, number, content)

    def take_input(self):
        while True:
            start = self.input.find(struct.pack("<I", MAGIC))
            self.input = self.input[start:] if start >= 0 else self.input[-3:]
            if start < 0 or len(self.input) < HEADER_SIZE:
                return
            _, kind, size, offset, total, number, ack = HEADER.unpack_from(self.input)
            if len(self.input) < HEADER_SIZE + size:
                return
            content = self.input[HEADER_SIZE : HEADER_SIZE + size]
            (crc,) = struct.unpack_from("<I", self.input, HEADER.size)
            assert crc == zlib.crc32(self.input[: HEADER.size] + content), "a frame is damaged"
            self.input = self.input[HEADER_SIZE + size :]
            self.take_frame(kind, offset, total, number, ack, content)

    def pump(self, seconds):
        """Reads once. False: nothing came."""
        if not select.select([self.sock], [], [], seconds)[0]:
            return False
        data = self.sock.recv(1 << 20)
        assert data, "QEMU has closed the port"
        self.input += data
        self.take_input()
        return True

    def wait(self, what, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "not within %d s: %s" % (seconds, what)
            self.pump(0.05)

    # ---- messages ----

    def take_message(self, data):
        message = self.messages.AgentMessage.FromString(data)
        if message.HasField("reply"):
            self.replies[message.reply.id] = message.reply
        elif message.event.HasField("output"):
            self.take_output(message.event.output)
        else:
            name = self.name_of(message.event.exited)
            assert name not in self.at.exits, "an end is told twice"
            self.at.exits[name] = message.event.exited.exit_code

    @staticmethod
    def name_of(message):
        """"container", or "container/exec" """
        return message.container_id + ("/" + message.exec_id if message.exec_id else "")

    def take_output(self, output):
        key = (self.name_of(output), output.stream)
        have = self.at.output.setdefault(key, bytearray())
        assert output.offset == len(have), "output at %d, not %d" % (output.offset, len(have))
        assert key[0] not in self.at.exits, "output after the end"
        have += output.data
        if output.closed:
            self.at.closed.append(key)
        elif self.takes_output:
            self.tell_taken(key)

    def request(self, name, number, /, **fields):
        message = self.messages.AgentMessage()
        message.request.id = number
        body = getattr(message.request, name)
        body.SetInParent()
        for field, value in fields.items():
            if isinstance(value, list):
                getattr(body, field).extend(value)
            else:
                setattr(body, field, value)
        return message.SerializeToString()

    def begin(self, name, /, **fields):
        number = self.at.next_id
        self.at.next_id += 1
        self.send(self.request(name, number, **fields))
        return number

    def tell_taken(self, key):
        (container, _, exec_id), stream = key[0].partition("/"), key[1]
        offset = len(self.at.output[key])
        self.begin("output_taken", container_id=container, exec_id=exec_id, stream=stream,
                   offset=offset)

    def call(self, name, /, **fields):
        number = self.begin(name, **fields)
        self.wait("an answer to " + name, lambda: number in self.replies)
        return self.replies.pop(number)
