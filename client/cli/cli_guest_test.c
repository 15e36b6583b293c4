/* The commands for what is in a sandbox: disks, shares, devices, containers. See cli_test.c. */

#include "cli_fixture.h"

#include "sandferry/v1/container.pb-c.h"
#include "sandferry/v1/device.pb-c.h"
#include "sandferry/v1/disk.pb-c.h"
#include "sandferry/v1/process.pb-c.h"
#include "sandferry/v1/network.pb-c.h"
#include "sandferry/v1/share.pb-c.h"

/* ---- disks ---- */

START_TEST(disks)
{
    Sandferry__V1__AddDiskResponse added = SANDFERRY__V1__ADD_DISK_RESPONSE__INIT;
    Sandferry__V1__ListDisksResponse list = SANDFERRY__V1__LIST_DISKS_RESPONSE__INIT;
    Sandferry__V1__ScsiMount mount = SANDFERRY__V1__SCSI_MOUNT__INIT, *mounts[] = {&mount};
    Sandferry__V1__ScsiDisk disk = SANDFERRY__V1__SCSI_DISK__INIT, other = disk;
    Sandferry__V1__ScsiDisk *all[] = {&disk, &other};
    Sandferry__V1__ScsiReservation r = SANDFERRY__V1__SCSI_RESERVATION__INIT, *held[] = {&r};
    char *holders[] = {(char *)"container 'app'"};

    disk.slot = r.slot = 67;
    disk.stage = SANDFERRY__V1__SCSI_DISK_STAGE__SCSI_DISK_STAGE_ATTACHED;
    disk.host_path = (char *)"/d";
    disk.n_mounts = 1;
    disk.mounts = mounts;
    mount.guest_path = (char *)"/m";
    mount.encrypted = true;
    other.slot = 68;
    other.host_path = (char *)"/e";
    other.read_only = true;
    r.id = (char *)"guid";
    added.reservation_id = (char *)"guid";
    added.guest_path = (char *)"/m";
    added.disk = &disk;
    fake_answer(fake, &added.base);
    OK("disk", "add", "web", "/d", "-r", "--format", "qcow2", "--partition", "1", "-t", "ext4",
       "--mount-option", "noatime", "--ensure-filesystem", "--block-device", "--encrypted",
       "--type", "block");
    asked("AddDisk", "{\"sandboxId\":\"web\",\"hostPath\":\"/d\",\"readOnly\":true,"
                     "\"type\":\"TYPE_PASS_THRU\",\"format\":\"FORMAT_QCOW2\",\"partition\":\"1\","
                     "\"options\":[\"noatime\"],"
                     "\"ensureFilesystem\":true,\"filesystem\":\"ext4\",\"blockDevice\":true,"
                     "\"encrypted\":true}");
    ck_assert_str_eq(out, "reservation guid\nslot        1:3\nguest path  /m\n");
    ck_assert_int_eq(RUN("disk", "add", "web", "/d", "--format", "tar"), EXIT_USAGE);
    ck_assert_int_eq(RUN("disk", "add", "web", "/d", "--type", "tape"), EXIT_USAGE);

    list.n_disks = 2;
    list.disks = all;
    list.n_reservations = 1;
    list.reservations = held;
    list.n_holders = 1;
    list.holders = holders;
    fake_answer(fake, &list.base);
    OK("disk", "ls", "web");
    ck_assert_str_eq(
        out,
        "SLOT  STAGE     MODE          FORMAT  PART  RESERVATION  HOLDER           GUEST PATH  "
        "HOST PATH\n"
        "1:3   attached  rw,encrypted  raw     0     guid         container 'app'  /m          /d\n"
        "1:4   reserved  ro            raw     -     -            -                -           "
        "/e\n");
    OK("disk", "ls", "web");
    ck_assert_str_eq(out, "sandbox 'web' has no disks\n");
    OK("disk", "rm", "web", "guid");
    asked("RemoveDisk", "{\"sandboxId\":\"web\",\"reservationId\":\"guid\"}");
}
END_TEST

/* ---- shares ---- */

START_TEST(shares)
{
    Sandferry__V1__AddShareResponse added = SANDFERRY__V1__ADD_SHARE_RESPONSE__INIT;
    Sandferry__V1__ListSharesResponse list = SANDFERRY__V1__LIST_SHARES_RESPONSE__INIT;
    Sandferry__V1__Plan9Mount mount = SANDFERRY__V1__PLAN9_MOUNT__INIT;
    Sandferry__V1__Plan9Fid fid = SANDFERRY__V1__PLAN9_FID__INIT, *fids[] = {&fid};
    Sandferry__V1__Plan9Share share = SANDFERRY__V1__PLAN9_SHARE__INIT, other = share;
    Sandferry__V1__Plan9Share *all[] = {&share, &other};
    Sandferry__V1__Plan9Reservation r = SANDFERRY__V1__PLAN9_RESERVATION__INIT, s = r;
    Sandferry__V1__Plan9Reservation *held[] = {&r, &s};
    char *holders[] = {(char *)"", (char *)"container 'app'"};
    char *names[] = {(char *)"a", (char *)"b"};

    share.name = r.share = s.share = (char *)"0";
    share.host_path = (char *)"/srv";
    share.stage = SANDFERRY__V1__PLAN9_SHARE_STAGE__PLAN9_SHARE_STAGE_ADDED;
    share.mount = &mount;
    share.restricted = true;
    share.n_allowed_names = 2;
    share.allowed_names = names;
    share.n_fids = 1;
    share.fids = fids;
    fid.open = true;
    mount.stage = SANDFERRY__V1__PLAN9_MOUNT_STAGE__PLAN9_MOUNT_STAGE_MOUNTED;
    mount.refs = 2;
    mount.guest_path = (char *)"/m";
    other.name = (char *)"1";
    other.host_path = (char *)"/e";
    other.read_only = true;
    r.id = (char *)"guid";
    s.id = (char *)"other";
    added.reservation_id = (char *)"guid";
    added.guest_path = (char *)"/m/a";
    added.share = &share;
    fake_answer(fake, &added.base);
    OK("share", "add", "web", "/srv", "-r", "--only", "a", "--only=b");
    asked("AddShare", "{\"sandboxId\":\"web\",\"hostPath\":\"/srv\",\"readOnly\":true,"
                      "\"restricted\":true,\"allowedNames\":[\"a\",\"b\"]}");
    ck_assert_str_eq(out, "reservation guid\nshare       0\nguest path  /m/a\n");
    fake_answer(fake, &added.base);
    OK("share", "add", "web", "/srv", "-o", "json");
    has(out, "\"reservationId\": \"guid\"");

    list.n_shares = list.n_reservations = list.n_holders = 2;
    list.shares = all;
    list.reservations = held;
    list.holders = holders;
    fake_answer(fake, &list.base);
    OK("share", "ls", "web");
    ck_assert_str_eq(out, "SHARE  STAGE     MOUNT     MODE  HELD  OPEN  RESERVATION  "
                          "HOLDER           GUEST PATH  HOST PATH\n"
                          "0      added     mounted   rw    2     1     guid         "
                          "-                /m          /srv/{a,b}\n"
                          "0      added     mounted   rw    2     1     other        "
                          "container 'app'  /m          /srv/{a,b}\n"
                          "1      reserved  reserved  ro    0     0     -            "
                          "-                -           /e\n");
    OK("share", "ls", "web");
    ck_assert_str_eq(out, "sandbox 'web' has no shares\n");
    OK("share", "rm", "web", "guid");
    asked("RemoveShare", "{\"sandboxId\":\"web\",\"reservationId\":\"guid\"}");
    ck_assert_str_eq(out, "reservation 'guid' is let go of\n");
}
END_TEST

/* ---- pods ---- */

START_TEST(pods_come_and_go)
{
    Sandferry__V1__CreatePodResponse made = SANDFERRY__V1__CREATE_POD_RESPONSE__INIT;
    Sandferry__V1__ListPodsResponse list = SANDFERRY__V1__LIST_PODS_RESPONSE__INIT;
    Sandferry__V1__Label label = SANDFERRY__V1__LABEL__INIT, *labels[] = {&label};
    Sandferry__V1__Pod pod = SANDFERRY__V1__POD__INIT, other = pod;
    Sandferry__V1__PodDetail detail = SANDFERRY__V1__POD_DETAIL__INIT, implied = detail;
    Sandferry__V1__PodDetail *all[] = {&implied, &detail};
    char *containers[] = {(char *)"app", (char *)"db"};

    made.pod = detail.pod = &pod;
    pod.pod_id = (char *)"shop";
    pod.declared = true;
    pod.n_labels = 1;
    pod.labels = labels;
    label.key = (char *)"tier";
    label.value = (char *)"front";
    fake_answer(fake, &made.base);
    OK("pod", "create", "web", "shop", "--label", "tier=front");
    asked("CreatePod", "{\"sandboxId\":\"web\",\"podId\":\"shop\","
                       "\"labels\":[{\"key\":\"tier\",\"value\":\"front\"}]}");
    ck_assert_str_eq(out, "pod 'shop' is created\n");
    ck_assert_int_eq(RUN("pod", "create", "web", "shop", "--label", "tier"), EXIT_INVALID);
    has(told, "is not KEY=VALUE");

    implied.pod = &other;
    other.pod_id = (char *)"a";
    implied.n_container_ids = 2;
    implied.container_ids = containers;
    list.n_pods = 2;
    list.pods = all;
    fake_answer(fake, &list.base);
    OK("pod", "ls", "web");
    ck_assert_str_eq(out, "POD   STAYS  CONTAINERS  LABELS\n"
                          "a     no     app,db      -\n"
                          "shop  yes    -           tier=front\n");
    fake_answer(fake, &list.base);
    OK("pod", "ls", "web", "-o", "json");
    has(out, "\"containerIds\": [");
    OK("pod", "ls", "web");
    ck_assert_str_eq(out, "sandbox 'web' has no pods\n");
    OK("pod", "rm", "-f", "web", "shop");
    asked("DeletePod", "{\"sandboxId\":\"web\",\"podId\":\"shop\",\"force\":true}");
    ck_assert_str_eq(out, "pod 'shop' is removed\n");
}
END_TEST

/* ---- networks ---- */

START_TEST(networks_come_and_go)
{
    Sandferry__V1__SetupNetworkResponse made = SANDFERRY__V1__SETUP_NETWORK_RESPONSE__INIT;
    Sandferry__V1__ListNetworksResponse list = SANDFERRY__V1__LIST_NETWORKS_RESPONSE__INIT;
    Sandferry__V1__NetworkNamespace network = SANDFERRY__V1__NETWORK_NAMESPACE__INIT;
    Sandferry__V1__NetworkNamespace *all[] = {&network};
    Sandferry__V1__NetworkEndpoint nic = SANDFERRY__V1__NETWORK_ENDPOINT__INIT, *nics[] = {&nic};
    char *addresses[] = {(char *)"10.0.0.2/24", (char *)"fd00::2/64"};

    made.network = &network;
    network.pod_id = (char *)"shop";
    network.stage = SANDFERRY__V1__NETWORK_STAGE__NETWORK_STAGE_CONFIGURED;
    network.n_endpoints = 1;
    network.endpoints = nics;
    nic.kind = SANDFERRY__V1__NETWORK_ENDPOINT_KIND__NETWORK_ENDPOINT_KIND_BRIDGE;
    nic.host_device = (char *)"br0";
    nic.guest_device = (char *)"eth0";
    nic.mac_address = (char *)"02:00:00:00:00:01";
    nic.nic_id = (char *)"guid";
    nic.n_addresses = 2;
    nic.addresses = addresses;
    fake_answer(fake, &made.base);
    OK("net", "add", "web", "shop", "--nic",
       "tap:t0,address=10.0.0.2/24,address=fd00::2/64,gateway=10.0.0.1,gateway=fd00::1,"
       "route=10.1.0.0/16@10.0.0.9,route=10.2.0.0/16,mac=02:00:00:00:00:01,mtu=1400,name=lan0",
       "--nic", "user", "--namespace", "/run/netns/a", "--dns", "10.0.0.1", "--search",
       "example.org", "--policy-routing");
    asked("SetupNetwork",
          "{\"sandboxId\":\"web\",\"podId\":\"shop\",\"hostNamespace\":\"/run/netns/a\","
          "\"endpoints\":[{\"hostDevice\":\"t0\",\"macAddress\":\"02:00:00:00:00:01\","
          "\"guestDevice\":\"lan0\",\"addresses\":[\"10.0.0.2/24\",\"fd00::2/64\"],"
          "\"routes\":[{\"destination\":\"0.0.0.0/0\",\"gateway\":\"10.0.0.1\"},"
          "{\"destination\":\"::/0\",\"gateway\":\"fd00::1\"},"
          "{\"destination\":\"10.1.0.0/16\",\"gateway\":\"10.0.0.9\"},"
          "{\"destination\":\"10.2.0.0/16\"}],\"mtu\":1400},"
          "{\"kind\":\"NETWORK_ENDPOINT_KIND_USER\"}],\"nameServers\":[\"10.0.0.1\"],"
          "\"searchDomains\":[\"example.org\"],\"policyBasedRouting\":true}");
    ck_assert_str_eq(out, "pod 'shop' has a network\n");

    list.n_networks = 1;
    list.networks = all;
    fake_answer(fake, &list.base);
    OK("net", "ls", "web");
    ck_assert_str_eq(
        out, "POD   STATE       NIC   ADDRESSES               MAC                CONNECTED TO  "
             "NAMESPACE  ID\n"
             "shop  configured  eth0  10.0.0.2/24,fd00::2/64  02:00:00:00:00:01  bridge:br0    "
             "-          guid\n");
    fake_answer(fake, &list.base);
    OK("net", "ls", "web", "-o", "json");
    has(out, "\"podId\": \"shop\"");
    OK("net", "ls", "web");
    ck_assert_str_eq(out, "sandbox 'web' has no networks\n");
    OK("net", "rm", "web", "shop");
    asked("TeardownNetwork", "{\"sandboxId\":\"web\",\"podId\":\"shop\"}");
    ck_assert_str_eq(out, "pod 'shop' has no network\n");
}
END_TEST

START_TEST(nics_that_are_none)
{
    static const struct {
        const char *nic, *why;
    } rows[] = {
        {"eth0", "'eth0' is none of tap:NAME, bridge:NAME"},
        {"tap", "'tap' is none of"},
        {"tap:", "'tap:' is none of"},
        {"user:x", "'user:x' is none of"},
        {"tap:t0,color=red", "'color' after the first comma is none of address="},
        {"tap:t0,mtu=big", "mtu"},
        {"tap:t0,mtu=70000", "mtu"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        ck_assert_int_eq(RUN("net", "add", "web", "shop", "--nic", rows[i].nic), EXIT_INVALID);
        has(told, rows[i].why);
    }
    ck_assert_int_eq(RUN("net", "add", "web", "shop"), EXIT_INVALID);
    has(told, "a network needs a NIC");
}
END_TEST

/* ---- devices ---- */

START_TEST(devices)
{
    Sandferry__V1__AddDeviceResponse added = SANDFERRY__V1__ADD_DEVICE_RESPONSE__INIT;
    Sandferry__V1__ListDevicesResponse list = SANDFERRY__V1__LIST_DEVICES_RESPONSE__INIT;
    Sandferry__V1__VpciDevice device = SANDFERRY__V1__VPCI_DEVICE__INIT, other = device;
    Sandferry__V1__VpciDevice *all[] = {&device, &other};
    Sandferry__V1__VpciReservation r = SANDFERRY__V1__VPCI_RESERVATION__INIT, *held[] = {&r};
    Sandferry__V1__DeviceFound found = SANDFERRY__V1__DEVICE_FOUND__INIT, *finds[] = {&found};
    char *nodes[] = {(char *)"/dev/nvme0", (char *)"/dev/nvme0n1"};

    device.id = r.device = (char *)"d1";
    device.model = (char *)"nvme";
    device.stage = SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_READY;
    device.refs = 1;
    device.guest_address = (char *)"port0";
    other.id = (char *)"d2";
    other.host_address = (char *)"0000:3b:00.0";
    other.virtual_function = 2;
    other.travels = true;
    r.id = (char *)"guid";
    added.reservation_id = (char *)"guid";
    added.device = &device;
    added.pci_address = found.pci_address = (char *)"0000:01:00.0";
    added.driver = found.driver = (char *)"nvme";
    added.n_nodes = found.n_nodes = 2;
    added.nodes = found.nodes = nodes;
    fake_answer(fake, &added.base);
    OK("device", "add", "web", "nvme", "-p", "serial=a1", "--property", "num_queues=2");
    asked("AddDevice", "{\"sandboxId\":\"web\",\"model\":\"nvme\","
                       "\"properties\":[\"serial=a1\",\"num_queues=2\"]}");
    ck_assert_str_eq(out,
                     "reservation guid\ndevice      d1\naddress     0000:01:00.0\n"
                     "driver      nvme\nnodes       /dev/nvme0 /dev/nvme0n1\ntravels     no\n");
    fake_answer(fake, &added.base);
    OK("device", "add", "web", "0000:3b:00.0/2", "-o", "json");
    asked("AddDevice", "{\"sandboxId\":\"web\",\"hostAddress\":\"0000:3b:00.0\","
                       "\"virtualFunction\":2}");
    has(out, "\"pciAddress\": \"0000:01:00.0\"");
    ck_assert_int_eq(RUN("device", "add", "web", "0000:3b:00.0/x"), EXIT_USAGE);

    list.n_devices = 2;
    list.devices = all;
    list.n_reservations = list.n_found = 1;
    list.reservations = held;
    list.found = finds;
    fake_answer(fake, &list.base);
    OK("device", "ls", "web");
    ck_assert_str_eq(out, "DEVICE          STAGE     TRAVELS  HELD  RESERVATION  HOLDER  "
                          "PORT   ADDRESS       DRIVER  NODES\n"
                          "nvme            ready     no       1     guid         -       "
                          "port0  0000:01:00.0  nvme    /dev/nvme0 /dev/nvme0n1\n"
                          "0000:3b:00.0/2  reserved  yes      0     -            -       "
                          "-      -             -       -\n");
    OK("device", "ls", "web");
    ck_assert_str_eq(out, "sandbox 'web' has no devices\n");
    OK("device", "rm", "web", "guid");
    asked("RemoveDevice", "{\"sandboxId\":\"web\",\"reservationId\":\"guid\"}");
}
END_TEST

/* ---- containers ---- */

static Sandferry__V1__Container container = SANDFERRY__V1__CONTAINER__INIT;

static void answer_create_and_start(void)
{
    Sandferry__V1__CreateContainerResponse made = SANDFERRY__V1__CREATE_CONTAINER_RESPONSE__INIT;
    Sandferry__V1__StartContainerResponse started = SANDFERRY__V1__START_CONTAINER_RESPONSE__INIT;
    sandferry__v1__container__init(&container);
    container.container_id = (char *)"app";
    container.pod_id = (char *)"p";
    container.stage = SANDFERRY__V1__CONTAINER_STAGE__CONTAINER_STAGE_RUNNING;
    made.container = started.container = &container;
    fake_answer(fake, &made.base);
    fake_answer(fake, &started.base);
}

START_TEST(ctr_create)
{
    answer_create_and_start();
    OK("ctr", "create", "web", "app", "--layer", "/a,format=qcow2,partition=2,fs=ext4,option=x",
       "-L/b", "--scratch", "/s,encrypted", "--disk", "/d,dest=/data,ro", "--share",
       "/srv,dest=/s,only=a,only=b,ro", "--share=/log,dest=/log", "--device", "nvme,serial=a1",
       "--device", "0000:3b:00.0/2", "--pod", "p", "--arg", "/bin/sh", "-e", "A=1", "-w", "/w",
       "--label", "k=v", "--", "-c", "exit");
    asked("CreateContainer",
          "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"podId\":\"p\",\"layers\":["
          "{\"hostPath\":\"/a\",\"readOnly\":true,\"format\":\"FORMAT_QCOW2\",\"partition\":\"2\","
          "\"options\":[\"x\"],\"filesystem\":\"ext4\"},{\"hostPath\":\"/b\",\"readOnly\":true}],"
          "\"scratch\":{\"hostPath\":\"/s\",\"ensureFilesystem\":true,\"encrypted\":true},"
          "\"disks\":[{\"disk\":{\"hostPath\":\"/d\",\"readOnly\":true},"
          "\"destination\":\"/data\"}],\"args\":[\"/bin/sh\",\"-c\",\"exit\"],\"env\":[\"A=1\"],"
          "\"workingDirectory\":\"/w\",\"labels\":[{\"key\":\"k\",\"value\":\"v\"}],"
          "\"shares\":[{\"share\":{\"hostPath\":\"/srv\",\"readOnly\":true,\"restricted\":true,"
          "\"allowedNames\":[\"a\",\"b\"]},\"destination\":\"/s\"},"
          "{\"share\":{\"hostPath\":\"/log\"},\"destination\":\"/log\"}],"
          "\"devices\":[{\"model\":\"nvme\",\"properties\":[\"serial=a1\"]},"
          "{\"hostAddress\":\"0000:3b:00.0\",\"virtualFunction\":2}]}");
    ck_assert_str_eq(out, "container 'app' is running\n");
}
END_TEST

START_TEST(ctr_create_starts_too)
{
    answer_create_and_start();
    OK("ctr", "create", "web", "app", "-L", "/a", "--start", "--", "/bin/app");
    asked("StartContainer", "{\"sandboxId\":\"web\",\"containerId\":\"app\"}");
    ck_assert_uint_eq(fake_n_calls(fake), 2);
}
END_TEST

static const struct {
    const char *words[4];
    const char *message;
} wrong[] = {
    {{"-L", "/a"}, "what is to run in it?"},
    {{"-L", "/a", "--disk=/d", "x"}, "add ,dest=DIR"},
    {{"-L", "/a,color=red", "x"}, "'color' after the first comma is none of"},
    {{"-L", ",ro", "x"}, "has no path"},
    {{"-L", "/a", "--share=/d", "x"}, "--share '/d' does not say where: add ,dest=DIR"},
    {{"-L", "/a", "--share=/d,partition=1", "x"}, "is none of dest=, only=, ro"},
    {{"-L", "/a", "--device=nvme,fast", "x"}, "'fast' is not PROPERTY=VALUE"},
    {{"-L", "/a", "--device=0000:3b:00.0,serial=1", "x"}, "only models have properties"},
    {{"-L", "/a", "--device=0000:3b:00.0/65536", "x"}, "'65536' is not a number"},
    {{"-L", "/a", "--device=,a=1", "x"}, "it has no address or model"},
    {{"-L", "/a", "--spec=/s", "x"}, "--spec already says what to run"},
};

START_TEST(ctr_create_says_what_is_missing)
{
    const char *const *w = wrong[_i].words;
    ck_assert_int_eq(RUN("ctr", "create", "web", "app", w[0], w[1], w[2], w[2] ? w[3] : NULL),
                     EXIT_USAGE);
    has(told, wrong[_i].message);
    ck_assert_uint_eq(fake_n_calls(fake), 0);
}
END_TEST

START_TEST(ctr_start_ls_kill_rm)
{
    Sandferry__V1__ListContainersResponse list = SANDFERRY__V1__LIST_CONTAINERS_RESPONSE__INIT;
    Sandferry__V1__Container *all[] = {&container};
    Sandferry__V1__StartContainerResponse started = SANDFERRY__V1__START_CONTAINER_RESPONSE__INIT;
    sandferry__v1__container__init(&container);
    container.container_id = (char *)"app";
    container.pod_id = (char *)"p";
    started.container = &container;
    fake_answer(fake, &started.base);
    OK("ctr", "start", "web", "app");
    list.n_containers = 1;
    list.containers = all;
    fake_answer(fake, &list.base);
    OK("ctr", "ls", "web");
    ck_assert_str_eq(out, "CONTAINER  STAGE        POD  CREATED\n"
                          "app        not created  p    -\n");
    fake_answer(fake, &list.base);
    OK("ctr", "ls", "web", "-q");
    ck_assert_str_eq(out, "app\n");
    OK("ctr", "ls", "web");
    ck_assert_str_eq(out, "sandbox 'web' has no containers\n");
    OK("ctr", "kill", "web", "app", "--signal", "KILL");
    asked("SignalProcess", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"signal\":9}");
    ck_assert_int_eq(RUN("ctr", "kill", "web", "app", "-s", "BANG"), EXIT_USAGE);
    OK("ctr", "rm", "web", "app", "--force");
    asked("DeleteContainer", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"force\":true}");
}
END_TEST

START_TEST(ctr_wait_ends_as_the_container_did)
{
    Sandferry__V1__WaitProcessResponse answer = SANDFERRY__V1__WAIT_PROCESS_RESPONSE__INIT;
    Sandferry__V1__Process process = SANDFERRY__V1__PROCESS__INIT;
    process.exit_code = 137;
    answer.process = &process;
    fake_answer(fake, &answer.base);
    ck_assert_int_eq(RUN("ctr", "wait", "web", "app"), 137);
    asked("WaitProcess", "{\"sandboxId\":\"web\",\"containerId\":\"app\"}");
    fake_fail(fake, SF_NOT_FOUND, "there is no container 'app'");
    ck_assert_int_eq(RUN("ctr", "wait", "web", "app"), EXIT_WAIT_FAILED);
    has(told, "there is no container 'app'");
}
END_TEST

START_TEST(ctr_logs_passes_bytes_as_they_are)
{
    Sandferry__V1__ReadOutputResponse some = SANDFERRY__V1__READ_OUTPUT_RESPONSE__INIT;
    some.data = (ProtobufCBinaryData){4, (uint8_t *)"a\033b\n"};
    some.offset = 9;
    some.lost = 4;
    fake_answer(fake, &some.base);
    some.lost = 0;
    fake_answer(fake, &some.base);
    OK("ctr", "logs", "web", "app", "-f", "--offset", "5", "--stderr");
    asked("ReadOutput", "{\"sandboxId\":\"web\",\"containerId\":\"app\","
                        "\"stream\":\"OUTPUT_STREAM_STDERR\",\"offset\":\"5\",\"follow\":true}");
    ck_assert_str_eq(out, "a\033b\na\033b\n");
    ck_assert_str_eq(told, "sandferry: 4 bytes before offset 9 are not held any more\n");
}
END_TEST

static Suite *guest_suite(void)
{
    Suite *suite = suite_create("cli_guest");
    TCase *cases = tcase_create("commands");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, disks);
    tcase_add_test(cases, shares);
    tcase_add_test(cases, devices);
    tcase_add_test(cases, pods_come_and_go);
    tcase_add_test(cases, networks_come_and_go);
    tcase_add_test(cases, nics_that_are_none);
    tcase_add_test(cases, ctr_create);
    tcase_add_test(cases, ctr_create_starts_too);
    tcase_add_loop_test(cases, ctr_create_says_what_is_missing, 0, sizeof(wrong) / sizeof(*wrong));
    tcase_add_test(cases, ctr_start_ls_kill_rm);
    tcase_add_test(cases, ctr_wait_ends_as_the_container_did);
    tcase_add_test(cases, ctr_logs_passes_bytes_as_they_are);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return sf_suite_run(guest_suite());
}
