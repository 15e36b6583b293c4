"""Networks of pods: cases of AgentTest."""
import json
import os
import time

import hosts
from wire import Wire, mac_bytes

OK, INVALID, NOT_FOUND, EXISTS = 0, 3, 5, 6
ROOT = "/run/sandferry/network/"
MAC = "02:00:00:00:00:01"
ADDRESSES = ["10.9.0.2/24", "fd09::2/64"]


class NetworkCases:
    # ---- what the cases need ----

    def plug(self, port, ip="10.9.0.1", mac=MAC):
        """A NIC on a port, and its wire's other end."""
        directory = self.machine.shared
        self.nics[port] = lambda machine: machine.add_nic(port, directory, mac)
        self.nics[port](self.machine)
        wire = Wire(os.path.join(directory, port + ".qemu"),
                    os.path.join(directory, port + ".wire"), ip)
        self.addCleanup(wire.close)
        return wire

    def unplug_nic(self, port):
        self.machine.qmp("device_del", id=port + "-nic")
        deadline = time.monotonic() + 30
        while port + "-nic" in json.dumps(self.machine.qmp("query-pci")):
            self.assertLess(time.monotonic(), deadline, port)
        self.machine.qmp("netdev_del", id=port + "-net")
        del self.nics[port]

    def network(self, name, **fields):
        self.ask(OK, "add_namespace", name=name, **fields)

    def nic(self, code=OK, port="nic1", namespace="net1", **fields):
        fields = {"device": "eth0", "mac_address": MAC, "addresses": ADDRESSES, **fields}
        fields["routes"] = [self.peer.messages.AgentRoute(**r) for r in fields.get("routes", [])]
        return self.ask(code, "add_interface", guest_address=port, namespace=namespace, **fields)

    def no_nic(self, port="nic1", namespace="net1", code=OK):
        self.ask(code, "remove_interface", guest_address=port, namespace=namespace, device="eth0")

    def spec_in(self, namespace, name, args):
        spec = json.loads(self.spec("/run/sandferry/pods/p1/%s/rootfs" % name, args, False))
        for it in spec["linux"]["namespaces"]:
            if it["type"] == "network":
                it["path"] = ROOT + namespace + "/netns"
        spec["mounts"].append({"destination": "/etc/resolv.conf", "type": "bind",
                               "source": ROOT + namespace + "/resolv.conf",
                               "options": ["bind", "ro"]})
        return json.dumps(spec)

    def inside(self, namespace, script):
        """What a container in the namespace says."""
        spec = self.spec_in(namespace, "look", ["/bin/sh", "-c", script])
        code, out, err = self.run_to_end("look", [], spec=spec)
        self.assertEqual(code, 0, err)
        return out.decode()

    # ---- namespaces ----

    def test_a_namespace_is_made_brought_up_to_date_and_taken_away(self):
        self.network("net1")
        self.network("net1", name_servers=["10.9.0.1", "fd09::1"],
                     search_domains=["a.example", "b.example"])
        said = self.inside("net1", "cat /etc/resolv.conf; ip -o addr; ip -o link")
        self.assertIn("search a.example b.example\nnameserver 10.9.0.1\nnameserver fd09::1\n", said)
        self.assertIn("127.0.0.1/8", said)
        self.assertNotIn("eth", said)
        reply = self.nic(NOT_FOUND, port="nic0")
        self.assertIn("no device appeared at 'nic0'", reply.message)
        for _ in range(2):
            self.ask(OK, "remove_namespace", name="net1")
        self.assertIn("'net1'", self.nic(NOT_FOUND, port="nic0").message)

    def test_a_network_that_makes_no_sense_is_refused(self):
        for name in ("", "-a", "..", "a/b", "a" * 65, "a b", "a+b"):
            self.ask(INVALID, "add_namespace", name=name)
            self.ask(INVALID, "remove_namespace", name=name)
        self.ask(INVALID, "add_namespace", name="n", name_servers=["1.1.1.1"] * 4)
        self.ask(INVALID, "add_namespace", name="n", name_servers=["1.1.1.1\nx"])
        self.ask(INVALID, "add_namespace", name="n", search_domains=["a b"])
        for wrong in ({"port": "port1"}, {"port": "nic8"}, {"port": ""}, {"namespace": "../x"},
                      {"device": "lo"}, {"device": "a/b"}, {"device": "a" * 16}, {"device": ""},
                      {"mac_address": "01:00:00:00:00:01"}, {"mac_address": ""},
                      {"addresses": ["10.9.0.2"]}, {"addresses": ["10.9.0.2/33"]}, {"mtu": 67},
                      {"routes": [{"destination": "10.9.0.1/24"}]},
                      {"routes": [{"destination": "0.0.0.0/0", "gateway": "fd00::1"}]}):
            self.nic(INVALID, **wrong)
        self.no_nic(port="port1", code=INVALID)

    # ---- interfaces ----

    def test_a_nic_gets_its_addresses_and_routes_and_gives_them_back(self):
        wire = self.plug("nic1")
        self.network("net1")
        self.nic(NOT_FOUND, namespace="none")
        reply = self.nic(mtu=1400, routes=[
            {"destination": "0.0.0.0/0", "gateway": "10.9.0.1"},
            {"destination": "::/0", "gateway": "fd09::1"},
            {"destination": "192.0.2.0/24", "gateway": "10.77.0.1", "metric": 7}])
        self.assertRegex(reply.add_interface.pci_address, r"^0000:[0-9a-f]{2}:00\.0$")
        look = "ip -o addr; ip -o link; ip route; ip -6 route; cat /proc/sys/net/ipv6/conf/eth0/accept_ra"
        said = self.inside("net1", look)
        for word in ("10.9.0.2/24 brd 10.9.0.255", "fd09::2/64", MAC, "mtu 1400",
                     "default via 10.9.0.1", "default via fd09::1", "192.0.2.0/24 via 10.77.0.1",
                     "metric 7"):
            self.assertIn(word, said)
        self.assertNotIn("tentative", said)
        self.assertEqual(said.split()[-1], "0")
        self.assertEqual(wire.who_has("10.9.0.2"), mac_bytes(MAC))
        self.assertTrue(wire.ping(mac_bytes(MAC), "10.9.0.2"))

        # A repeat with other wishes: exactly those are met.
        for _ in range(2):
            self.nic(device="net0", addresses=["10.9.0.3/24"], mac_address="02:00:00:00:00:02",
                     routes=[{"destination": "192.0.2.0/24"}])
        said = self.inside("net1", look.replace("eth0", "net0"))
        self.assertIn("192.0.2.0/24 dev net0", said)
        for word in ("10.9.0.2/", "fd09::", "default", "eth0", "10.77.0.1"):
            self.assertNotIn(word, said)
        self.assertEqual(wire.who_has("10.9.0.3"), mac_bytes("02:00:00:00:00:02"))

        for _ in range(2):
            self.no_nic()
        self.assertNotIn("net0", self.inside("net1", "ip -o link"))
        self.nic()  # as if the host had thought better of it
        self.assertEqual(wire.who_has("10.9.0.2"), mac_bytes(MAC))
        self.ask(OK, "remove_namespace", name="net1")  # its NIC first
        self.network("net2")
        self.nic(namespace="net2")
        self.assertEqual(wire.who_has("10.9.0.2"), mac_bytes(MAC))
        self.no_nic(namespace="net2")
        self.unplug_nic("nic1")
        self.no_nic(namespace="net2")  # it is not there
        self.ask(OK, "remove_namespace", name="net2")

    def test_what_comes_from_a_nic_s_address_goes_by_its_own_table(self):
        self.plug("nic0", "10.8.0.1", "02:00:00:00:00:03")
        self.plug("nic1")
        self.network("net1")
        route = {"destination": "0.0.0.0/0"}
        self.nic(port="nic0", device="eth1", mac_address="02:00:00:00:00:03",
                 addresses=["10.8.0.2/24"], policy_based_routing=True,
                 routes=[{"gateway": "10.8.0.1", **route}])
        for _ in range(2):
            self.nic(policy_based_routing=True, addresses=["10.9.0.2/24"],
                     routes=[{"gateway": "10.9.0.1", **route}])
        self.nic(EXISTS, device="eth1")
        look = "ip rule; ip route get 192.0.2.1 from 10.8.0.2; ip route get 192.0.2.1 from 10.9.0.2"
        said = self.inside("net1", look)
        self.assertRegex(said, r"192.0.2.1 from 10.8.0.2 via 10.8.0.1 dev eth1")
        self.assertRegex(said, r"192.0.2.1 from 10.9.0.2 via 10.9.0.1 dev eth0")
        self.assertEqual(said.count("from 10.9.0.2 lookup"), 1)
        self.no_nic()
        self.assertNotIn("10.9.0.2", self.inside("net1", "ip rule"))
        self.no_nic("nic0")
        self.unplug_nic("nic0")
        self.unplug_nic("nic1")
        self.ask(OK, "remove_namespace", name="net1")

    def test_a_restored_guest_has_its_network_and_announces_it(self):
        wire = self.plug("nic1")
        self.network("net1")
        self.nic()
        self.assertEqual(wire.who_has("10.9.0.2"), mac_bytes(MAC))
        self.hand_off()
        for _ in range(2):
            self.ask(OK, "announce")
            told = wire.announced(["10.9.0.2", "fd09::2"])
            self.assertEqual(told, dict.fromkeys(("10.9.0.2", "fd09::2"), mac_bytes(MAC)))
        self.assertTrue(wire.ping(mac_bytes(MAC), "10.9.0.2"))
        self.nic()  # a repeat finds it
        self.no_nic()
        self.unplug_nic("nic1")
        self.ask(OK, "remove_namespace", name="net1")
        self.ask(OK, "announce")  # nothing to say

    # ---- from host to host ----

    def test_connections_outlive_a_move_to_another_host(self):
        if not hosts.can_be_made():
            self.skipTest("needs root, ip and /dev/net/tun")
        world = hosts.Hosts()
        self.addCleanup(world.end)
        for host in (world.a, world.b):
            world.add_tap(host, "tap0")

        def on(host):
            return lambda machine: machine.add_tap("nic1", world.open_tap(host, "tap0"), MAC)

        on(world.a)(self.machine)
        self.network("net1")
        self.nic(addresses=["10.77.0.9/24", "fd77::9/64"])
        self.create("server", [], spec=self.spec_in("net1", "server", ["/bin/netserver", "7007", "7009"]))
        self.ask(OK, "start_container", container_id="server")
        self.peer.wait("the server", lambda: self.output("server") == b"ready\n")
        clients = [hosts.Echo(world, "10.77.0.9", 7007), hosts.Echo(world, "fd77::9", 7007),
                   hosts.Download(world, "10.77.0.9", 7009), hosts.Ping(world, "10.77.0.9")]
        self.go_on(clients)
        self.assertEqual(world.port_of(MAC), "to-a")
        for host, port in (world.b, "to-b"), (world.a, "to-a"), (world.b, "to-b"):
            clients[3].gap = 0
            self.nics["nic1"] = on(host)
            self.hand_off()
            self.ask(OK, "announce")
            self.go_on(clients)
            self.assertEqual(world.neighbour("10.77.0.9"), MAC)
            self.assertEqual(world.neighbour("fd77::9"), MAC)
            self.assertEqual(world.port_of(MAC), port)
            print("no answer for %.0f ms" % (clients[3].gap * 1000), end=", ", flush=True)
        for client in clients:
            client.end()
        self.end_container("server")
        self.no_nic()
        self.unplug_nic("nic1")
        self.ask(OK, "remove_namespace", name="net1")

    def go_on(self, clients):
        """Each gets further by some."""
        before = [client.count for client in clients]

        def all_further():
            for client in clients:
                client.check()
            return all(client.count > then + 10 for client, then in zip(clients, before))

        self.peer.wait("all go on", all_further)
