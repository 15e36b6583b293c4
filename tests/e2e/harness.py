"""What the end-to-end tests share: daemons, calls, the numbers of the counter, what is left behind.

A suite is a Python file with functions case_NAME(world); its last line is `harness.main(globals())`.
Cases run in the order in which they stand, in one World: two daemons, `world.a` and `world.b`, that
share a memory directory. After each case nothing may be left: no sandbox, process, file or mount.
It speaks gRPC through grpcio and the code that protoc makes of our .proto files, and so is a client
that nobody here wrote. Nothing in it sleeps for a result: `until` asks again until a deadline.
"""
import argparse
import atexit
import importlib
import inspect
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import grpc

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROTO_PATHS = [os.path.join(SOURCE, "proto"), "/usr/share/grpc-proto", "/usr/include"]
PROTO_FILES = ["sandferry/v1/snapshot.proto", "sandferry/v1/sandbox.proto", "sandferry/v1/disk.proto",
               "sandferry/v1/share.proto", "sandferry/v1/device.proto", "sandferry/v1/network.proto",
               "sandferry/v1/container.proto", "sandferry/v1/process.proto",
               "google/rpc/status.proto", "google/rpc/error_details.proto"]
BOOT_S = 90         # a VM under emulation and sanitizers, with the machine busy
CALL_S = 60
INTERVAL_MS = 5     # of the counter


# ---- the messages ----

def generate():
    """Makes Python modules of the .proto files, in a folder that goes at the end."""
    folder = tempfile.mkdtemp(prefix="sf-proto-")
    atexit.register(shutil.rmtree, folder, True)
    files = PROTO_FILES + [f for f in ["grpc/health/v1/health.proto"]
                           if os.path.exists(os.path.join(PROTO_PATHS[1], f))]
    subprocess.run(["protoc", "--python_out=" + folder] +
                   ["--proto_path=" + path for path in PROTO_PATHS] + files, check=True)
    sys.path.insert(0, folder)
    import google
    google.__path__.append(os.path.join(folder, "google"))
    grpc.__path__.append(os.path.join(folder, "grpc"))
    return [importlib.import_module(f[:-6].replace("/", ".") + "_pb2") for f in files]


MODULES = generate()
MESSAGES = {name: message for module in MODULES
            for name, message in module.DESCRIPTOR.message_types_by_name.items()}
pb = MODULES[1]
snapshot_pb = MODULES[0]


def message_class(descriptor):
    return descriptor._concrete_class


# ---- calls ----

class Refused(Exception):
    """A call that the daemon answered with an error."""

    def __init__(self, method, error):
        self.code = error.code().name
        self.message = error.details()
        self.details = []
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                status = message_class(MESSAGES["Status"])()
                status.ParseFromString(value)
                self.status = status
                self.details = [unpack(any_) for any_ in status.details]
        super().__init__("%s: %s: %s" % (method, self.code, self.message))

    def detail(self, name):
        """The detail of that type, or None."""
        return next((d for d in self.details if d.DESCRIPTOR.name == name), None)


def unpack(any_):
    name = any_.type_url.rsplit("/", 1)[1].rsplit(".", 1)[1]
    message = message_class(MESSAGES[name])()
    assert any_.Unpack(message), any_.type_url
    return message


class Client:
    """A daemon at ADDRESS: each RPC of each service is a method, client.GetSandbox(sandbox_id="s")."""

    def __init__(self, address):
        self.address = address
        self.channel = grpc.insecure_channel(address, options=[
            ("grpc.max_receive_message_length", 64 << 20), ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200)])
        for module in MODULES:
            for service in module.DESCRIPTOR.services_by_name.values():
                for method in service.methods:
                    setattr(self, method.name, self._caller(service, method))

    def _caller(self, service, method):
        takes, gives = message_class(method.input_type), message_class(method.output_type)
        stream = method.name in ("WatchEvents", "ReadOutput", "AttachProcess", "Watch")
        make = self.channel.unary_stream if stream else self.channel.unary_unary
        rpc = make("/%s/%s" % (service.full_name, method.name),
                   request_serializer=takes.SerializeToString, response_deserializer=gives.FromString)

        def call(timeout=CALL_S, **fields):
            answers = rpc(takes(**fields), timeout=timeout)
            return guarded(method.name, answers)

        def call_unary(timeout=CALL_S, **fields):
            try:
                return rpc(takes(**fields), timeout=timeout)
            except grpc.RpcError as error:
                raise Refused(method.name, error) from None

        return call if stream else call_unary

    def state(self, sandbox):
        """"RUNNING", ..., or None if there is no such sandbox."""
        try:
            number = self.GetSandbox(sandbox_id=sandbox).sandbox.state
        except Refused as why:
            if why.code == "NOT_FOUND":
                return None
            raise
        return pb.SandboxState.Name(number)[len("SANDBOX_STATE_"):]

    def create(self, sandbox, memory_mib=256):
        return self.CreateSandbox(sandbox_id=sandbox, timeout=BOOT_S, vm=snapshot_pb.VmOptions(
            memory_bytes=memory_mib << 20, processors=1))

    def add_container(self, sandbox, container, layer, args, scratch=None):
        layers = [{"host_path": layer, "read_only": True}]
        more = {"scratch": {"host_path": scratch, "ensure_filesystem": True}} if scratch else {}
        self.CreateContainer(sandbox_id=sandbox, container_id=container, layers=layers, args=args, **more)
        self.StartContainer(sandbox_id=sandbox, container_id=container)

    def save(self, sandbox, after="STOP", **more):
        return self.SaveSandbox(sandbox_id=sandbox, after=getattr(pb, "AFTER_SAVE_" + after), **more)

    def restore(self, snapshot, **more):
        return self.RestoreSandbox(snapshot=snapshot, **more)

    def output(self, sandbox, container="c", offset=0):
        """What the init process has written, from OFFSET to the present end; (bytes, lost)."""
        data, lost = b"", 0
        for part in self.ReadOutput(sandbox_id=sandbox, container_id=container, offset=offset):
            lost += part.lost
            assert part.offset == offset + part.lost + len(data) or part.lost, "offsets have a gap"
            data += part.data
        return data, lost


def guarded(name, answers):
    try:
        yield from answers
    except grpc.RpcError as error:
        raise Refused(name, error) from None


def refused(code, call, *args, names=(), **fields):
    """The call is refused with CODE, and its message names what it is about. Gives the refusal."""
    try:
        call(*args, **fields)
    except Refused as why:
        assert why.code == code, "%s in place of %s" % (why, code)
        for word in names:
            assert word in why.message, "'%s' does not say '%s'" % (why.message, word)
        info = why.detail("ErrorInfo")
        assert info is not None and info.domain == "sandferry", "no ErrorInfo with '%s'" % why
        return why
    raise AssertionError("this was not refused with %s" % code)


def until(what, condition, seconds=CALL_S):
    """Asks CONDITION again and again; gives its first answer that is true."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, "%s: not within %d seconds" % (what, seconds)
        time.sleep(0.01)


# ---- the counter ----

class Numbers:
    """Reads the counter's output wherever its sandbox is, and knows that it is complete."""

    def __init__(self, sandbox, container="c"):
        self.sandbox, self.container = sandbox, container
        self.offset, self.rest, self.last = 0, b"", 0

    def pull(self, client):
        data, lost = client.output(self.sandbox, self.container, self.offset)
        assert lost == 0, "%d bytes were not held any more" % lost
        self.offset += len(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            assert line == b"%d" % (self.last + 1), "%s after %d" % (line, self.last)
            self.last += 1
        return self.last

    def go_on(self, client, count=50):
        """Waits for COUNT more numbers."""
        goal = self.pull(client) + count
        until("%d more numbers after %d" % (count, self.last), lambda: self.pull(client) >= goal)


# ---- processes ----

def proc(pid, name):
    try:
        with open("/proc/%s/%s" % (pid, name), "rb") as file:
            return file.read()
    except OSError:
        return b""


def is_zombie(pid):
    return b"State:\tZ" in proc(pid, "status") or not proc(pid, "status")


def all_pids():
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()]


def processes_of(word):
    """Pids of the processes whose command line has WORD in it, but for this one."""
    return [pid for pid in all_pids() if word.encode() in proc(pid, "cmdline") and not is_zombie(pid)]


def children_of(pid):
    """Pids of its children, the dead that nobody has waited for included."""
    return [int(child) for task in os.listdir("/proc/%d/task" % pid)
            for child in proc(pid, "task/%s/children" % task).split()]


def writers_into(folder):
    """Pids of the processes whose standard error is a file beneath FOLDER: its VMs."""
    found = []
    for pid in all_pids():
        try:
            if os.readlink("/proc/%d/fd/2" % pid).startswith(folder + "/"):
                found.append(pid)
        except OSError:
            pass # it has ended
    return found


def files_in(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder)
                  for at, folders, files in os.walk(folder) for name in files + folders)


class Daemon(Client):
    """A sandferryd of its own, with everything beneath WORLD's folder."""

    def __init__(self, world, name, **settings):
        self.world, self.name = world, name
        self.socket = os.path.join(world.top, name + ".sock")
        self.run_dir = os.path.join(world.top, name + ".run")
        self.state_dir = os.path.join(world.top, name + ".state")
        self.fault_file = os.path.join(world.top, name + ".fault")
        self.log_file = os.path.join(world.top, name + ".log")
        self.settings = settings
        self.process = None

    def start(self):
        settings = {"listen": "unix:" + self.socket, "state-dir": self.state_dir,
                    "run-dir": self.run_dir, "memory-dir": self.world.memory,
                    "image-dir": self.world.image, "fault-file": self.fault_file,
                    "controller-dir": self.world.build + "/lib/sandferry/controllers",
                    "log-level": "debug"}
        settings.update(self.settings)
        flags = ["--%s=%s" % setting for setting in settings.items()]
        flags += ["--allow=" + self.world.disks, "--allow=" + os.path.join(self.world.image, "disks")]
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([self.world.build + "/bin/sandferryd"] + flags,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until("daemon '%s' listens" % self.name, self._listens, BOOT_S)
        super().__init__("unix:" + self.socket)
        until("daemon '%s' is ready" % self.name, self._is_ready, BOOT_S)
        return self

    def _listens(self):
        assert self.process.poll() is None, "daemon '%s' ended:\n%s" % (self.name, self.log(20))
        return os.path.exists(self.socket)

    def _is_ready(self):
        assert self.process.poll() is None, "daemon '%s' ended:\n%s" % (self.name, self.log(20))
        try:
            return self.ListSandboxes(timeout=5) is not None
        except Refused:
            return False

    def stop(self, expect=0):
        """SIGTERM; a leak or any other finding of a sanitizer gives another exit code."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(BOOT_S)
        self.process = None
        assert code == expect, "daemon '%s' ended with %d:\n%s" % (self.name, code, self.log(60))

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def log(self, lines):
        with open(self.log_file, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-lines:])

    def fail_at(self, point):
        with open(self.fault_file, "w", encoding="utf-8") as file:
            file.write(point + "\n")

    def fault_is_spent(self):
        return not os.path.exists(self.fault_file)

    def vms(self):
        """Pids of its QEMUs, also of those that have outlived it: they log into its folder."""
        return writers_into(self.run_dir)

    def fds(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def threads(self):
        return len(os.listdir("/proc/%d/task" % self.process.pid))


# ---- the world ----

class World:
    def __init__(self, build, image):
        self.build, self.image = os.path.abspath(build), os.path.abspath(image)
        self.top = tempfile.mkdtemp(prefix="sf-")
        self.memory = tempfile.mkdtemp(prefix="sf-", dir="/dev/shm")
        self.disks = os.path.join(self.top, "disks")
        self.layer = os.path.join(self.image, "disks/demo.squashfs")
        os.chmod(self.top, 0o711)
        os.mkdir(self.disks)
        self.daemons = []
        self.a, self.b = self.daemon("a"), self.daemon("b")

    def daemon(self, name, **settings):
        self.daemons.append(Daemon(self, name, **settings))
        return self.daemons[-1].start()

    def scratch(self, name, mib=32):
        path = os.path.join(self.disks, name)
        with open(path, "wb") as file:
            file.truncate(mib << 20)
        return path

    def counter(self, client, sandbox="s", interval_ms=INTERVAL_MS):
        """A sandbox with a counter in a container on a scratch disk, that has begun to count."""
        client.create(sandbox)
        client.add_container(sandbox, "c", self.layer, ["/bin/counter", str(interval_ms)],
                             self.scratch(sandbox + ".img"))
        numbers = Numbers(sandbox)
        numbers.go_on(client)
        return numbers

    def clear(self):
        """Ends all sandboxes, as a user would."""
        for d in self.daemons:
            if d.process is not None:
                for s in d.ListSandboxes().sandboxes:
                    d.DeleteSandbox(sandbox_id=s.sandbox_id, force=True)

    def left(self):
        """What is there of sandboxes that are not: as texts."""
        found = ["process %d: %s" % (pid, proc(pid, "cmdline").replace(b"\0", b" ").decode()[:120])
                 for d in self.daemons if d.process for pid in d.vms()]
        found += ["memory: " + name for name in files_in(self.memory)]
        with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
            found += ["mount: " + line.split()[4] for line in mounts if self.top in line]
        for d in self.daemons:
            if d.process is not None:
                found += ["sandbox: " + s.sandbox_id for s in d.ListSandboxes().sandboxes]
                found += ["file: %s/%s" % (d.run_dir, name) for name in files_in(d.run_dir) if name != "sb"]
                found += ["fault that was never met: " + open(d.fault_file, encoding="utf-8").read().strip()
                          ] if not d.fault_is_spent() else []
        return found

    def check_clean(self):
        """Nothing is left; processes that are about to end are given a moment."""
        try:
            until("clean", lambda: not self.left(), 10)
        except AssertionError:
            raise AssertionError("left behind: " + "; ".join(self.left())) from None

    def drop_memory(self):
        """What snapshots that nobody restores any more leave to their owner."""
        for name in os.listdir(self.memory):
            path = os.path.join(self.memory, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def end(self):
        for d in self.daemons:
            d.stop()
            d.channel.close()

    def remove(self):
        for d in self.daemons:
            if d.process is not None:
                d.kill()
        for pid in writers_into(self.top):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.top, True)
        shutil.rmtree(self.memory, True)


# ---- running ----

class Results:
    def __init__(self):
        self.checks = self.failures = self.errors = 0

    def run(self, name, file, function):
        self.checks += 1
        begin = time.monotonic()
        try:
            function()
            print("%s: ok, %.1f s" % (name, time.monotonic() - begin), flush=True)
            return True
        except Exception as why:  # a case may fail in any way
            kind = "F" if isinstance(why, AssertionError) else "E"
            self.failures += kind == "F"
            self.errors += kind == "E"
            line = traceback.extract_tb(why.__traceback__)[-1].lineno
            traceback.print_exc(file=sys.stdout)
            print("%s:%d:%s:%s: %s" % (file, line, kind, name, why), flush=True)
            return False

    def end(self):
        good = self.checks - self.failures - self.errors
        print("%d%%: Checks: %d, Failures: %d, Errors: %d" %
              (100 * good // self.checks if self.checks else 100, self.checks, self.failures, self.errors))
        return 0 if good == self.checks else 1


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--image", required=True)
    args = parser.parse_args()
    if not os.path.exists(os.path.join(args.image, "vmlinux")):
        print("skipped: no guest image in '%s': run ./dev image" % args.image)
        sys.exit(77)
    return args


def run_case(world, function):
    try:
        function(world)
    except BaseException:
        for d in world.daemons:
            print("---- daemon '%s'\n%s" % (d.name, d.log(40)))
        raise
    world.clear()
    world.check_clean()


def main(suite):
    args = arguments()
    only = os.environ.get("CK_RUN_CASE")
    cases = [(name[5:], function) for name, function in suite.items()
             if name.startswith("case_") and inspect.isfunction(function) and only in (None, name[5:])]
    results = Results()
    if cases:
        file = os.path.relpath(suite["__file__"], SOURCE)
        world = World(args.build, args.image)
        atexit.register(world.remove)
        for name, function in cases:
            if not results.run(name, file, lambda: run_case(world, function)):
                try:  # the next case finds an empty world
                    world.clear()
                    world.drop_memory()
                except Exception as why:
                    print("cannot go on: %s" % why)
                    break
        results.run("the daemons end well", file, world.end)
    sys.exit(results.end())
