"""two_hosts_test.py SOURCE DESTINATION DISKS: between two daemons in containers of their own.

Both see DISKS under the same path, and share the memory directory.
"""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import harness

LAYER = "/usr/share/sandferry/disks/demo.squashfs"


class Hosts:
    def __init__(self, source, destination, disks):
        self.source, self.destination = harness.Client(source), harness.Client(destination)
        self.disks = disks
        self.layer = shutil.copy(LAYER, disks)
        for host in self.source, self.destination:
            harness.until("'%s' answers" % host.address, lambda: answers(host), harness.BOOT_S)

    def counter(self, sandbox):
        scratch = os.path.join(self.disks, sandbox + ".img")
        with open(scratch, "wb") as file:
            file.truncate(32 << 20)
        self.source.create(sandbox)
        self.source.add_container(sandbox, "c", self.layer, ["/bin/counter", "5"], scratch)
        numbers = harness.Numbers(sandbox)
        numbers.go_on(self.source)
        return numbers


def answers(client):
    try:
        return client.ListSandboxes(timeout=5) is not None
    except harness.Refused:
        return False


def case_from_one_to_the_other_and_back(hosts):
    numbers = hosts.counter("s")
    hosts.destination.restore(hosts.source.save("s").snapshot)
    numbers.go_on(hosts.destination)
    hosts.source.restore(hosts.destination.save("s").snapshot)
    numbers.go_on(hosts.source)
    print("all numbers from 1 to %d, each once" % numbers.last)
    hosts.source.DeleteSandbox(sandbox_id="s", force=True)


def case_with_the_command(hosts):
    """The same by the sandferry command, through a file."""
    def sandferry(host, *words):
        subprocess.run(["sandferry", "-H", host.address, *words], check=True)

    numbers = hosts.counter("t")
    sandferry(hosts.source, "save", "t", "-o", "/tmp/t.snapshot")
    sandferry(hosts.destination, "check", "/tmp/t.snapshot")
    sandferry(hosts.destination, "restore", "/tmp/t.snapshot")
    numbers.go_on(hosts.destination)
    sandferry(hosts.destination, "rm", "t", "--force")


def case_two_run_never_at_once(hosts):
    numbers = hosts.counter("u")
    saved = hosts.source.save("u", after="HOLD").snapshot
    hosts.destination.restore(saved)
    harness.refused("FAILED_PRECONDITION", hosts.source.ResumeSandbox, sandbox_id="u")
    harness.refused("FAILED_PRECONDITION", hosts.source.restore, saved, sandbox_id="v")
    numbers.go_on(hosts.destination)
    hosts.source.DeleteSandbox(sandbox_id="u", force=True)
    hosts.destination.DeleteSandbox(sandbox_id="u", force=True)


def main():
    results, hosts = harness.Results(), Hosts(*sys.argv[1:4])
    for name, function in list(globals().items()):
        if name.startswith("case_"):
            results.run(name[5:], "tests/containers/two_hosts_test.py", lambda: function(hosts))
    return results.end()


if __name__ == "__main__":
    sys.exit(main())
