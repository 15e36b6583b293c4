"""Pods' networks: connections from elsewhere outlive a move between hosts that share a switch.

Two hosts and a client are network namespaces (tests/guest/hosts.py); the daemons open the hosts'
taps. Needs root and iproute2.
"""
import os
import sys

import harness

sys.path.append(os.path.join(harness.SOURCE, "tests/guest"))
import hosts  # noqa: E402

MAC = "02:77:00:00:00:09"
ADDRESSES = ["10.77.0.9", "fd77::9"]
ECHO, STREAM = 7007, 7009


def with_hosts(case):
    """The case's second argument: hosts, each with a bridge "br0" and a tap "tap0" on it."""
    def run(world):
        net = hosts.Hosts()
        try:
            for host in (net.a, net.b):
                net.add_tap(host, "tap0")
            case(world, net)
            for client in world.a, world.b:
                for sandbox in client.ListSandboxes().sandboxes:
                    client.DeleteSandbox(sandbox_id=sandbox.sandbox_id, force=True)
            for host in (net.a, net.b):
                assert net.links(host) == ["br0", "lo", "tap0", "uplink"], net.links(host)
        finally:
            net.end()
    return run


def place(host):
    return "/run/netns/" + host


def set_up(client, host, **connection):
    return client.SetupNetwork(
        sandbox_id="s", pod_id="web", host_namespace=place(host),
        name_servers=["10.77.0.1"], search_domains=["pods.example"],
        endpoints=[{"mac_address": MAC, "addresses": [ADDRESSES[0] + "/24", ADDRESSES[1] + "/64"],
                    "routes": [{"destination": "0.0.0.0/0", "gateway": "10.77.0.1"}],
                    **connection}]).network


def serve(world, net, **connection):
    """A pod at A with a server in it that is ready."""
    world.a.create("s")
    world.a.CreatePod(sandbox_id="s", pod_id="web")
    set_up(world.a, net.a, **connection)
    world.a.CreateContainer(sandbox_id="s", container_id="c", pod_id="web",
                            args=["/bin/netserver", str(ECHO), str(STREAM)],
                            layers=[{"host_path": world.layer, "read_only": True}])
    world.a.StartContainer(sandbox_id="s", container_id="c")
    harness.until("the server is ready", lambda: world.a.output("s")[0] == b"ready\n")


def connect(net):
    return [hosts.Echo(net, ADDRESSES[0], ECHO), hosts.Echo(net, ADDRESSES[1], ECHO),
            hosts.Download(net, ADDRESSES[0], STREAM), hosts.Ping(net, ADDRESSES[0])]


def go_on(clients):
    before = [client.count for client in clients]

    def all_further():
        for client in clients:
            client.check()
        return all(client.count > then + 10 for client, then in zip(clients, before))

    harness.until("all connections go on", all_further)


def move_there_and_back(world, net, clients):
    places = [(world.a, net.a, "to-a"), (world.b, net.b, "to-b")]
    for _ in range(3):
        (source, _, _), (destination, host, port) = places
        clients[3].gap = 0
        destination.restore(source.save("s").snapshot, patches=[
            {"controller": "network", "object": "pod/web", "value": place(host)}])
        go_on(clients)
        for address in ADDRESSES:
            assert net.neighbour(address) == MAC, net.neighbour(address)
        assert net.port_of(MAC) == port, net.port_of(MAC)
        print("no answer for %.0f ms" % (clients[3].gap * 1000))
        places.reverse()


@with_hosts
def case_connections_survive(world, net):
    """Echoes over IPv4 and IPv6 and a stream with check sums are open all the time."""
    serve(world, net, host_device="tap0")
    clients = connect(net)
    go_on(clients)
    assert net.port_of(MAC) == "to-a"
    move_there_and_back(world, net, clients)
    for client in clients:
        client.end()


@with_hosts
def case_taps_that_are_made_on_a_bridge(world, net):
    """The daemon's own taps come and go with the sandbox."""
    serve(world, net, host_device="br0", kind="NETWORK_ENDPOINT_KIND_BRIDGE")
    clients = connect(net)
    go_on(clients)
    move_there_and_back(world, net, clients)
    for client in clients:
        client.end()


if __name__ == "__main__":
    if not hosts.can_be_made():
        print("skipped: needs root, ip and /dev/net/tun")
        sys.exit(77)
    harness.main(globals())
