"""Networks of pods, as the host sees them: made, listed, moved and removed. Needs a VM with its agent."""
import os
import subprocess
import uuid

import harness
from harness import refused

LOOP = ["/bin/sh", "-c", "n=0; while n=$((n+1)); do echo $n; sleep 0.01; done"]
LOOK = ["/bin/sh", "-c", "cat /sys/class/net/eth0/address /etc/resolv.conf; sleep 1000"]


def container(world, client, pod, name, args=LOOP):
    client.CreateContainer(sandbox_id="s", container_id=name, pod_id=pod, args=args,
                           layers=[{"host_path": world.layer, "read_only": True}])
    client.StartContainer(sandbox_id="s", container_id=name)


def networks(client):
    return {n.pod_id: n for n in client.ListNetworks(sandbox_id="s").networks}


class Namespace:
    """A network namespace with a bridge."""

    def __init__(self):
        self.name = "sf-" + uuid.uuid4().hex[:8]
        self.path = "/run/netns/" + self.name
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        subprocess.run(["ip", "-n", self.name, "link", "add", "br0", "type", "bridge"], check=True)

    def links(self):
        out = subprocess.run(["ip", "-n", self.name, "-o", "link"], check=True, capture_output=True)
        return sorted(line.split(": ")[1].split("@")[0] for line in out.stdout.decode().splitlines())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "del", self.name], check=True)


def case_a_network_comes_and_goes(world):
    world.a.create("s")
    refused("NOT_FOUND", world.a.SetupNetwork, sandbox_id="s", pod_id="web", endpoints=[{"kind": 3}],
            names=["'web'"])
    world.a.CreatePod(sandbox_id="s", pod_id="web")
    made = world.a.SetupNetwork(sandbox_id="s", pod_id="web", endpoints=[{"kind": 3}],
                                name_servers=["10.0.2.3"]).network
    assert made.endpoints[0].guest_device == "eth0" and made.guest_namespace == "web", made
    refused("ALREADY_EXISTS", world.a.SetupNetwork, sandbox_id="s", pod_id="web",
            endpoints=[{"kind": 3}], names=["'web'"])
    container(world, world.a, "web", "c", LOOK)
    mac = made.endpoints[0].mac_address
    harness.until("the container to see its NIC",
                  lambda: b"10.0.2.3" in world.a.output("s")[0] and mac.encode() in world.a.output("s")[0])
    world.a.DeletePod(sandbox_id="s", pod_id="web", force=True)
    assert not networks(world.a)
    world.a.CreatePod(sandbox_id="s", pod_id="web")
    world.a.SetupNetwork(sandbox_id="s", pod_id="web", endpoints=[{"kind": 3}, {"kind": 3}])
    world.a.TeardownNetwork(sandbox_id="s", pod_id="web")
    world.a.TeardownNetwork(sandbox_id="s", pod_id="web")


def case_a_bridge_is_another_one_there(world):
    if os.geteuid() != 0:
        return
    with Namespace() as here, Namespace() as there:
        world.a.create("s")
        world.a.CreatePod(sandbox_id="s", pod_id="web")
        made = world.a.SetupNetwork(
            sandbox_id="s", pod_id="web", host_namespace=here.path,
            endpoints=[{"kind": 1, "host_device": "br0", "addresses": ["10.9.0.2/24"]}]).network
        assert len(here.links()) == 3, here.links()
        container(world, world.a, "web", "c")
        numbers = harness.Numbers("s")
        numbers.go_on(world.a)
        snapshot = world.a.save("s").snapshot
        assert here.links() == ["br0", "lo"], here.links()
        patch = {"controller": "network", "object": "pod/web"}
        refused("FAILED_PRECONDITION", world.b.restore, snapshot,
                patches=[{**patch, "value": "/run/netns/sf-none"}], names=["sf-none"])
        world.b.restore(snapshot, patches=[
            {**patch, "value": there.path},
            {"controller": "container", "object": "pod/web", "value": "shop"}])
        numbers.go_on(world.b)
        moved = networks(world.b)["shop"]
        assert moved.endpoints == made.endpoints, moved
        assert moved.host_namespace == there.path and moved.guest_namespace == "web", moved
        assert len(there.links()) == 3 and here.links() == ["br0", "lo"], there.links()
        world.b.DeletePod(sandbox_id="s", pod_id="shop", force=True)
        assert there.links() == ["br0", "lo"], there.links()


def case_the_users_network_moves_there_and_back(world):
    world.a.create("s")
    world.a.CreatePod(sandbox_id="s", pod_id="web")
    made = world.a.SetupNetwork(
        sandbox_id="s", pod_id="web",
        endpoints=[{"kind": 3, "addresses": ["10.0.2.15/24"],
                    "routes": [{"destination": "0.0.0.0/0", "gateway": "10.0.2.2"}]}]).network
    container(world, world.a, "web", "c")
    numbers = harness.Numbers("s")
    numbers.go_on(world.a)
    snapshot = world.a.save("s").snapshot
    nic = {"controller": "network", "object": made.endpoints[0].nic_id, "value": "bridge:br0"}
    refused("INVALID_ARGUMENT", world.b.restore, snapshot, patches=[nic], names=["user network"])
    for there, here in ((world.b, world.a), (world.a, world.b)):
        there.restore(snapshot)
        numbers.go_on(there)
        assert networks(there)["web"] == made, networks(there)
        assert not here.ListSandboxes().sandboxes
        if there is world.b:
            snapshot = there.save("s").snapshot
    world.a.TeardownNetwork(sandbox_id="s", pod_id="web")
    assert not networks(world.a)


if __name__ == "__main__":
    harness.main(globals())
