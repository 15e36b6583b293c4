/* Each function of sandferry_guest.h against a server that notes what it was asked. */

#include "sandferry_guest.h"

#include "client_fixture.h"
#include "sandferry/v1/container.pb-c.h"
#include "sandferry/v1/device.pb-c.h"
#include "sandferry/v1/disk.pb-c.h"
#include "sandferry/v1/network.pb-c.h"
#include "sandferry/v1/share.pb-c.h"

/* ---- disks ---- */

static Sandferry__V1__ScsiMount mount = SANDFERRY__V1__SCSI_MOUNT__INIT;
static Sandferry__V1__ScsiMount *mounts[] = {&mount};
static Sandferry__V1__ScsiDisk disk = SANDFERRY__V1__SCSI_DISK__INIT;

static Sandferry__V1__ScsiDisk *a_disk(void)
{
    mount.partition = 1;
    mount.stage = SANDFERRY__V1__SCSI_MOUNT_STAGE__SCSI_MOUNT_STAGE_MOUNTED;
    mount.guest_path = (char *)"/m";
    mount.refs = 2;
    mount.encrypted = true;
    disk.slot = 67;
    disk.host_path = (char *)"/d";
    disk.stage = SANDFERRY__V1__SCSI_DISK_STAGE__SCSI_DISK_STAGE_ATTACHED;
    disk.format = SANDFERRY__V1__SCSI_DISK__FORMAT__FORMAT_QCOW2;
    disk.n_mounts = 1;
    disk.mounts = mounts;
    return &disk;
}

static void is_that_disk(const struct sandferry_disk *d)
{
    ck_assert_uint_eq(d->slot, 67);
    ck_assert_str_eq(d->host_path, "/d");
    ck_assert_str_eq(sandferry_disk_stage_name(d->stage), "attached");
    ck_assert_str_eq(sandferry_disk_format_name(d->format), "qcow2");
    ck_assert_uint_eq(d->n_mounts, 1);
    ck_assert_uint_eq(d->mounts[0]->partition, 1);
    ck_assert_uint_eq(d->mounts[0]->refs, 2);
    ck_assert(d->mounts[0]->encrypted);
    ck_assert_str_eq(d->mounts[0]->guest_path, "/m");
    ck_assert_str_eq(sandferry_mount_stage_name(d->mounts[0]->stage), "mounted");
}

START_TEST(disk_add_says_all_that_it_was_told)
{
    const char *const options[] = {"noatime", "nodev"};
    struct sandferry_disk_spec spec = SANDFERRY_DISK_SPEC_INIT;
    Sandferry__V1__AddDiskResponse answer = SANDFERRY__V1__ADD_DISK_RESPONSE__INIT;
    struct sandferry_disk_added *added;

    spec.host_path = "/d";
    spec.read_only = true;
    spec.type = SANDFERRY_DISK_BLOCK_DEVICE;
    spec.format = SANDFERRY_FORMAT_QCOW2;
    spec.partition = 1;
    spec.n_mount_options = 2;
    spec.mount_options = options;
    spec.ensure_filesystem = true;
    spec.filesystem = "ext4";
    spec.block_device = true;
    spec.encrypted = true;
    answer.reservation_id = (char *)"r";
    answer.guest_path = (char *)"/m";
    answer.disk = a_disk();
    fake_answer(fake, &answer.base);
    OK(sandferry_disk_add(client, "web", &spec, NULL, &added, &err));
    asked("AddDisk", "{\"sandboxId\":\"web\",\"hostPath\":\"/d\",\"readOnly\":true,"
                     "\"type\":\"TYPE_PASS_THRU\",\"format\":\"FORMAT_QCOW2\",\"partition\":\"1\","
                     "\"options\":[\"noatime\",\"nodev\"],\"ensureFilesystem\":true,"
                     "\"filesystem\":\"ext4\",\"blockDevice\":true,\"encrypted\":true}");
    ck_assert_str_eq(added->reservation_id, "r");
    ck_assert_str_eq(added->guest_path, "/m");
    is_that_disk(added->disk);
    sandferry_disk_added_free(added);
}
END_TEST

START_TEST(disk_list_and_remove)
{
    Sandferry__V1__ListDisksResponse answer = SANDFERRY__V1__LIST_DISKS_RESPONSE__INIT;
    Sandferry__V1__ScsiReservation held = SANDFERRY__V1__SCSI_RESERVATION__INIT;
    Sandferry__V1__ScsiReservation *all_held[] = {&held, &held};
    char *holders[] = {(char *)"container 'app'"};
    Sandferry__V1__ScsiDisk *all[] = {a_disk()};
    struct sandferry_disks *list;

    held.id = (char *)"r";
    held.slot = 67;
    held.partition = 1;
    answer.n_disks = answer.n_holders = 1;
    answer.n_reservations = 2;
    answer.holders = holders;
    answer.disks = all;
    answer.reservations = all_held;
    fake_answer(fake, &answer.base);
    OK(sandferry_disk_list(client, "web", NULL, &list, &err));
    asked("ListDisks", "{\"sandboxId\":\"web\"}");
    ck_assert_uint_eq(list->n, 1);
    is_that_disk(list->all[0]);
    ck_assert_uint_eq(list->n_reservations, 2);
    ck_assert_str_eq(list->reservations[0]->id, "r");
    ck_assert_uint_eq(list->reservations[0]->slot, 67);
    ck_assert_str_eq(list->reservations[0]->holder, "container 'app'");
    ck_assert_str_eq(list->reservations[1]->holder, ""); /* a daemon that does not say */
    sandferry_disks_free(list);

    OK(sandferry_disk_remove(client, "web", "r", NULL, &err));
    asked("RemoveDisk", "{\"sandboxId\":\"web\",\"reservationId\":\"r\"}");
}
END_TEST

/* ---- shares ---- */

static Sandferry__V1__Plan9Share *a_share(void)
{
    static char *names[] = {(char *)"a", (char *)"b"};
    static Sandferry__V1__Plan9Mount at = SANDFERRY__V1__PLAN9_MOUNT__INIT;
    static Sandferry__V1__Plan9Fid shut = SANDFERRY__V1__PLAN9_FID__INIT;
    static Sandferry__V1__Plan9Fid open = SANDFERRY__V1__PLAN9_FID__INIT;
    static Sandferry__V1__Plan9Fid *fids[] = {&shut, &open};
    static Sandferry__V1__Plan9Share share = SANDFERRY__V1__PLAN9_SHARE__INIT;

    at.guest_path = (char *)"/run/sandferry/mounts/plan9/3";
    at.refs = 2;
    at.stage = SANDFERRY__V1__PLAN9_MOUNT_STAGE__PLAN9_MOUNT_STAGE_MOUNTED;
    open.path = (char *)"a";
    open.open = true;
    share.name = (char *)"3";
    share.host_path = (char *)"/s";
    share.restricted = true;
    share.n_allowed_names = 2;
    share.allowed_names = names;
    share.stage = SANDFERRY__V1__PLAN9_SHARE_STAGE__PLAN9_SHARE_STAGE_ADDED;
    share.mount = &at;
    share.n_fids = 2;
    share.fids = fids;
    return &share;
}

static void is_that_share(const struct sandferry_share *s)
{
    ck_assert_str_eq(s->name, "3");
    ck_assert_str_eq(s->host_path, "/s");
    ck_assert_str_eq(s->guest_path, "/run/sandferry/mounts/plan9/3");
    ck_assert(s->restricted && !s->read_only);
    ck_assert_uint_eq(s->n_allowed_names, 2);
    ck_assert_str_eq(s->allowed_names[1], "b");
    ck_assert_str_eq(sandferry_share_stage_name(s->stage), "added");
    ck_assert_str_eq(sandferry_share_mount_stage_name(s->mount_stage), "mounted");
    ck_assert_uint_eq(s->refs, 2);
    ck_assert_uint_eq(s->n_open, 1);
    ck_assert_str_eq(s->open[0], "a");
}

START_TEST(share_add_says_all_that_it_was_told)
{
    const char *const names[] = {"a", "b"};
    struct sandferry_share_spec spec = SANDFERRY_SHARE_SPEC_INIT;
    Sandferry__V1__AddShareResponse answer = SANDFERRY__V1__ADD_SHARE_RESPONSE__INIT;
    struct sandferry_share_added *added;

    spec.host_path = "/s";
    spec.read_only = true;
    spec.restricted = true;
    spec.n_allowed_names = 2;
    spec.allowed_names = names;
    answer.reservation_id = (char *)"r";
    answer.guest_path = (char *)"/m/a";
    answer.share = a_share();
    fake_answer(fake, &answer.base);
    OK(sandferry_share_add(client, "web", &spec, NULL, &added, &err));
    asked("AddShare", "{\"sandboxId\":\"web\",\"hostPath\":\"/s\",\"readOnly\":true,"
                      "\"restricted\":true,\"allowedNames\":[\"a\",\"b\"]}");
    ck_assert_str_eq(added->reservation_id, "r");
    ck_assert_str_eq(added->guest_path, "/m/a");
    is_that_share(added->share);
    sandferry_share_added_free(added);

    ck_assert(!sandferry_share_add(client, "web", &spec, NULL, &added, &err));
    refused(SF_INTERNAL, "has no share in it");
}
END_TEST

START_TEST(share_list_and_remove)
{
    Sandferry__V1__ListSharesResponse answer = SANDFERRY__V1__LIST_SHARES_RESPONSE__INIT;
    Sandferry__V1__Plan9Reservation held = SANDFERRY__V1__PLAN9_RESERVATION__INIT;
    Sandferry__V1__Plan9Reservation *all_held[] = {&held};
    Sandferry__V1__Plan9Share unmounted = SANDFERRY__V1__PLAN9_SHARE__INIT;
    Sandferry__V1__Plan9Share *all[] = {a_share(), &unmounted};
    char *holders[] = {(char *)"container 'app'"};
    struct sandferry_shares *list;

    held.id = (char *)"r";
    held.share = (char *)"3";
    answer.n_shares = 2;
    answer.shares = all;
    answer.n_reservations = answer.n_holders = 1;
    answer.reservations = all_held;
    answer.holders = holders;
    fake_answer(fake, &answer.base);
    OK(sandferry_share_list(client, "web", NULL, &list, &err));
    asked("ListShares", "{\"sandboxId\":\"web\"}");
    ck_assert_uint_eq(list->n, 2);
    is_that_share(list->all[0]);
    ck_assert_str_eq(list->all[1]->guest_path, "");
    ck_assert_uint_eq(list->n_holds, 1);
    ck_assert_str_eq(list->holds[0]->id, "r");
    ck_assert_str_eq(list->holds[0]->object, "3");
    ck_assert_str_eq(list->holds[0]->holder, "container 'app'");
    sandferry_shares_free(list);

    OK(sandferry_share_remove(client, "web", "r", NULL, &err));
    asked("RemoveShare", "{\"sandboxId\":\"web\",\"reservationId\":\"r\"}");
}
END_TEST

/* ---- devices ---- */

static Sandferry__V1__VpciDevice *a_device(void)
{
    static char *properties[] = {(char *)"serial=a1"};
    static Sandferry__V1__VpciDevice d = SANDFERRY__V1__VPCI_DEVICE__INIT;

    d.id = (char *)"d1";
    d.model = (char *)"nvme";
    d.stage = SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_READY;
    d.refs = 1;
    d.guest_address = (char *)"port3";
    d.n_properties = 1;
    d.properties = properties;
    return &d;
}

static void is_that_device(const struct sandferry_device *d)
{
    ck_assert_str_eq(d->id, "d1");
    ck_assert_str_eq(d->host_address, "");
    ck_assert_str_eq(d->model, "nvme");
    ck_assert_str_eq(sandferry_device_stage_name(d->stage), "ready");
    ck_assert_uint_eq(d->refs, 1);
    ck_assert_str_eq(d->port, "port3");
    ck_assert(!d->travels);
    ck_assert_uint_eq(d->n_properties, 1);
    ck_assert_str_eq(d->properties[0], "serial=a1");
    ck_assert_str_eq(d->pci_address, "0000:05:00.0");
    ck_assert_str_eq(d->driver, "nvme");
    ck_assert_uint_eq(d->n_nodes, 1);
    ck_assert_str_eq(d->nodes[0], "/dev/nvme0");
}

START_TEST(device_add_says_all_that_it_was_told)
{
    static char *nodes[] = {(char *)"/dev/nvme0"};
    const char *const properties[] = {"serial=a1"};
    struct sandferry_device_spec spec = SANDFERRY_DEVICE_SPEC_INIT;
    Sandferry__V1__AddDeviceResponse answer = SANDFERRY__V1__ADD_DEVICE_RESPONSE__INIT;
    struct sandferry_device_added *added;

    spec.host_address = "0000:3b:00.0"; /* both, as the daemon is the one to refuse it */
    spec.virtual_function = 2;
    spec.model = "nvme";
    spec.n_properties = 1;
    spec.properties = properties;
    answer.reservation_id = (char *)"r";
    answer.pci_address = (char *)"0000:05:00.0";
    answer.driver = (char *)"nvme";
    answer.n_nodes = 1;
    answer.nodes = nodes;
    answer.device = a_device();
    fake_answer(fake, &answer.base);
    OK(sandferry_device_add(client, "web", &spec, NULL, &added, &err));
    asked("AddDevice", "{\"sandboxId\":\"web\",\"hostAddress\":\"0000:3b:00.0\","
                       "\"virtualFunction\":2,\"model\":\"nvme\",\"properties\":[\"serial=a1\"]}");
    ck_assert_str_eq(added->reservation_id, "r");
    is_that_device(added->device);
    sandferry_device_added_free(added);

    ck_assert(!sandferry_device_add(client, "web", &spec, NULL, &added, &err));
    refused(SF_INTERNAL, "has no device in it");
}
END_TEST

START_TEST(device_list_and_remove)
{
    static char *nodes[] = {(char *)"/dev/nvme0"};
    Sandferry__V1__ListDevicesResponse answer = SANDFERRY__V1__LIST_DEVICES_RESPONSE__INIT;
    Sandferry__V1__VpciReservation held = SANDFERRY__V1__VPCI_RESERVATION__INIT;
    Sandferry__V1__VpciReservation *all_held[] = {&held};
    Sandferry__V1__DeviceFound found = SANDFERRY__V1__DEVICE_FOUND__INIT, *all_found[] = {&found};
    Sandferry__V1__VpciDevice *all[] = {a_device(), a_device()};
    struct sandferry_devices *list;

    held.id = (char *)"r";
    held.device = (char *)"d1";
    found.pci_address = (char *)"0000:05:00.0";
    found.driver = (char *)"nvme";
    found.n_nodes = 1;
    found.nodes = nodes;
    answer.n_devices = 2;
    answer.devices = all;
    answer.n_found = 1;
    answer.found = all_found;
    answer.n_reservations = 1;
    answer.reservations = all_held;
    fake_answer(fake, &answer.base);
    OK(sandferry_device_list(client, "web", NULL, &list, &err));
    asked("ListDevices", "{\"sandboxId\":\"web\"}");
    ck_assert_uint_eq(list->n, 2);
    is_that_device(list->all[0]);
    ck_assert_str_eq(list->all[1]->driver, ""); /* a daemon that does not say */
    ck_assert_uint_eq(list->all[1]->n_nodes, 0);
    ck_assert_uint_eq(list->n_holds, 1);
    ck_assert_str_eq(list->holds[0]->object, "d1");
    ck_assert_str_eq(list->holds[0]->holder, "");
    sandferry_devices_free(list);

    OK(sandferry_device_remove(client, "web", "r", NULL, &err));
    asked("RemoveDevice", "{\"sandboxId\":\"web\",\"reservationId\":\"r\"}");
}
END_TEST

/* ---- pods ---- */

START_TEST(pods_come_and_go)
{
    Sandferry__V1__CreatePodResponse made = SANDFERRY__V1__CREATE_POD_RESPONSE__INIT;
    Sandferry__V1__ListPodsResponse answer = SANDFERRY__V1__LIST_PODS_RESPONSE__INIT;
    Sandferry__V1__Label wire_label = SANDFERRY__V1__LABEL__INIT, *labels[] = {&wire_label};
    Sandferry__V1__Pod wire = SANDFERRY__V1__POD__INIT;
    Sandferry__V1__PodDetail detail = SANDFERRY__V1__POD_DETAIL__INIT, empty = detail;
    Sandferry__V1__PodDetail *all[] = {&detail, &empty};
    char *containers[] = {(char *)"a", (char *)"b"};
    const struct sandferry_label label = {"k", "v"};
    struct sandferry_pod_options o = SANDFERRY_POD_OPTIONS_INIT;
    struct sandferry_delete_options d = SANDFERRY_DELETE_OPTIONS_INIT;
    struct sandferry_pod *pod;
    struct sandferry_pods *list;

    wire_label.key = (char *)"k";
    wire_label.value = (char *)"v";
    wire.pod_id = (char *)"shop";
    wire.declared = true;
    wire.n_labels = 1;
    wire.labels = labels;
    made.pod = &wire;
    o.n_labels = 1;
    o.labels = &label;
    fake_answer(fake, &made.base);
    OK(sandferry_pod_create(client, "web", "shop", &o, &pod, &err));
    asked("CreatePod", "{\"sandboxId\":\"web\",\"podId\":\"shop\","
                       "\"labels\":[{\"key\":\"k\",\"value\":\"v\"}]}");
    ck_assert_str_eq(pod->id, "shop");
    ck_assert(pod->declared && pod->n_labels == 1);
    ck_assert_str_eq(pod->labels[0].value, "v");
    sandferry_pod_free(pod);
    ck_assert(!sandferry_pod_create(client, "web", "shop", NULL, &pod, &err));
    refused(SF_INTERNAL, "has no pod in it");

    detail.pod = &wire;
    detail.n_container_ids = 2;
    detail.container_ids = containers;
    answer.n_pods = 2;
    answer.pods = all;
    fake_answer(fake, &answer.base);
    OK(sandferry_pod_list(client, "web", NULL, &list, &err));
    ck_assert_uint_eq(list->n, 2);
    ck_assert_uint_eq(list->all[0]->n_containers, 2);
    ck_assert_str_eq(list->all[0]->containers[1], "b");
    ck_assert_str_eq(list->all[1]->id, ""); /* one that is not there is no crash */
    sandferry_pods_free(list);

    d.force = true;
    OK(sandferry_pod_delete(client, "web", "shop", &d, &err));
    asked("DeletePod", "{\"sandboxId\":\"web\",\"podId\":\"shop\",\"force\":true}");
}
END_TEST

/* ---- networks ---- */

START_TEST(networks_come_and_go)
{
    Sandferry__V1__SetupNetworkResponse made = SANDFERRY__V1__SETUP_NETWORK_RESPONSE__INIT;
    Sandferry__V1__ListNetworksResponse answer = SANDFERRY__V1__LIST_NETWORKS_RESPONSE__INIT;
    Sandferry__V1__NetworkNamespace wire = SANDFERRY__V1__NETWORK_NAMESPACE__INIT, *all[] = {&wire};
    Sandferry__V1__NetworkEndpoint end = SANDFERRY__V1__NETWORK_ENDPOINT__INIT, *ends[] = {&end};
    Sandferry__V1__NetworkRoute hop = SANDFERRY__V1__NETWORK_ROUTE__INIT, *hops[] = {&hop};
    const char *const addresses[] = {"10.0.0.2/24"}, *const servers[] = {"10.0.0.1"};
    const char *const domains[] = {"example.org"};
    const struct sandferry_route route = {"0.0.0.0/0", "10.0.0.1", 5};
    struct sandferry_nic_spec spec = SANDFERRY_NIC_SPEC_INIT;
    const struct sandferry_nic_spec *specs[] = {&spec};
    struct sandferry_network_options o = SANDFERRY_NETWORK_OPTIONS_INIT;
    struct sandferry_network *network;
    struct sandferry_networks *list;

    spec.kind = SANDFERRY_NIC_BRIDGE;
    spec.host_device = "br0";
    spec.n_addresses = spec.n_routes = o.n_nics = o.n_name_servers = o.n_search_domains = 1;
    spec.addresses = addresses;
    spec.routes = &route;
    spec.mtu = 1400;
    o.host_namespace = "/run/netns/a";
    o.nics = specs;
    o.name_servers = servers;
    o.search_domains = domains;
    o.policy_based_routing = true;
    wire.pod_id = (char *)"shop";
    wire.stage = SANDFERRY__V1__NETWORK_STAGE__NETWORK_STAGE_CONFIGURED;
    wire.n_endpoints = end.n_routes = 1;
    wire.endpoints = ends;
    end.mac_address = (char *)"02:00:00:00:00:01";
    end.routes = hops;
    hop.gateway = (char *)"10.0.0.1";
    made.network = &wire;
    fake_answer(fake, &made.base);
    OK(sandferry_network_setup(client, "web", "shop", &o, &network, &err));
    asked("SetupNetwork",
          "{\"sandboxId\":\"web\",\"podId\":\"shop\",\"hostNamespace\":\"/run/netns/a\","
          "\"endpoints\":[{\"hostDevice\":\"br0\",\"addresses\":[\"10.0.0.2/24\"],"
          "\"routes\":[{\"destination\":\"0.0.0.0/0\",\"gateway\":\"10.0.0.1\",\"metric\":5}],"
          "\"mtu\":1400,\"kind\":\"NETWORK_ENDPOINT_KIND_BRIDGE\"}],"
          "\"nameServers\":[\"10.0.0.1\"],\"searchDomains\":[\"example.org\"],"
          "\"policyBasedRouting\":true}");
    ck_assert_str_eq(network->pod_id, "shop");
    ck_assert_int_eq(network->stage, SANDFERRY_NETWORK_CONFIGURED);
    ck_assert_str_eq(network->nics[0]->routes[0].gateway, "10.0.0.1");
    sandferry_network_free(network);
    ck_assert(!sandferry_network_setup(client, "web", "shop", &o, &network, &err));
    refused(SF_INTERNAL, "has no network in it");

    answer.n_networks = 1;
    answer.networks = all;
    fake_answer(fake, &answer.base);
    OK(sandferry_network_list(client, "web", NULL, &list, &err));
    ck_assert_uint_eq(list->n, 1);
    ck_assert_str_eq(list->all[0]->nics[0]->mac_address, "02:00:00:00:00:01");
    sandferry_networks_free(list);

    OK(sandferry_network_teardown(client, "web", "shop", NULL, &err));
    asked("TeardownNetwork", "{\"sandboxId\":\"web\",\"podId\":\"shop\"}");
}
END_TEST

/* ---- containers ---- */

static Sandferry__V1__Container container = SANDFERRY__V1__CONTAINER__INIT;

static Sandferry__V1__Container *a_container(void)
{
    static char *held[] = {(char *)"r1", (char *)"r2"};

    container.n_scsi_reservation_ids = 0;
    container.n_plan9_reservation_ids = 2;
    container.plan9_reservation_ids = held;
    container.n_vpci_reservation_ids = 1;
    container.vpci_reservation_ids = held;
    container.container_id = (char *)"app";
    container.pod_id = (char *)"p";
    container.stage = SANDFERRY__V1__CONTAINER_STAGE__CONTAINER_STAGE_CREATED;
    return &container;
}

START_TEST(container_create_says_all_that_it_was_told)
{
    const char *const args[] = {"/bin/app", "-v"}, *const env[] = {"A=1"};
    struct sandferry_disk_spec layer = SANDFERRY_DISK_SPEC_INIT, scratch = layer, extra = layer;
    const struct sandferry_disk_spec *const layers[] = {&layer};
    const struct sandferry_disk_mount disks[] = {{&extra, "/data"}};
    struct sandferry_share_spec share = SANDFERRY_SHARE_SPEC_INIT;
    const struct sandferry_share_mount shares[] = {{&share, "/conf"}};
    struct sandferry_device_spec device = SANDFERRY_DEVICE_SPEC_INIT;
    const struct sandferry_device_spec *const devices[] = {&device};
    const struct sandferry_label ours[] = {{"k", "v"}};
    struct sandferry_container_options o = SANDFERRY_CONTAINER_OPTIONS_INIT;
    Sandferry__V1__CreateContainerResponse answer = SANDFERRY__V1__CREATE_CONTAINER_RESPONSE__INIT;
    struct sandferry_container *c;

    layer.host_path = "/l";
    scratch.host_path = "/s";
    extra.host_path = "/e";
    o.pod_id = "p";
    o.n_layers = 1;
    o.layers = layers;
    o.scratch = &scratch;
    o.n_disks = 1;
    o.disks = disks;
    o.spec = "{}";
    o.n_args = 2;
    o.args = args;
    o.n_env = 1;
    o.env = env;
    o.working_directory = "/w";
    o.n_labels = 1;
    o.labels = ours;
    share.host_path = "/c";
    share.read_only = true;
    o.n_shares = 1;
    o.shares = shares;
    device.model = "edu";
    o.n_devices = 1;
    o.devices = devices;
    answer.container = a_container();
    fake_answer(fake, &answer.base);
    OK(sandferry_container_create(client, "web", "app", &o, &c, &err));
    asked("CreateContainer",
          "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"podId\":\"p\","
          "\"layers\":[{\"hostPath\":\"/l\"}],\"scratch\":{\"hostPath\":\"/s\"},"
          "\"disks\":[{\"disk\":{\"hostPath\":\"/e\"},\"destination\":\"/data\"}],"
          "\"spec\":\"{}\",\"args\":[\"/bin/app\",\"-v\"],\"env\":[\"A=1\"],"
          "\"workingDirectory\":\"/w\",\"labels\":[{\"key\":\"k\",\"value\":\"v\"}],"
          "\"shares\":[{\"share\":{\"hostPath\":\"/c\",\"readOnly\":true},"
          "\"destination\":\"/conf\"}],\"devices\":[{\"model\":\"edu\"}]}");
    ck_assert_str_eq(c->id, "app");
    ck_assert_str_eq(c->pod_id, "p");
    ck_assert_int_eq(c->stage, SANDFERRY_CONTAINER_CREATED);
    ck_assert_str_eq(c->rootfs_path, "");
    ck_assert_uint_eq(c->n_disks, 0);
    ck_assert_uint_eq(c->n_shares, 2);
    ck_assert_str_eq(c->shares[1], "r2");
    ck_assert_uint_eq(c->n_devices, 1);
    sandferry_container_free(c);
}
END_TEST

START_TEST(container_start_list_delete)
{
    Sandferry__V1__StartContainerResponse started = SANDFERRY__V1__START_CONTAINER_RESPONSE__INIT;
    Sandferry__V1__ListContainersResponse answer = SANDFERRY__V1__LIST_CONTAINERS_RESPONSE__INIT;
    Sandferry__V1__Container *all[] = {a_container()};
    Sandferry__V1__Pod pod = SANDFERRY__V1__POD__INIT, *pods[] = {&pod};
    struct sandferry_delete_options o = SANDFERRY_DELETE_OPTIONS_INIT;
    struct sandferry_containers *list;

    started.container = a_container();
    fake_answer(fake, &started.base);
    OK(sandferry_container_start(client, "web", "app", NULL, NULL, &err));
    asked("StartContainer", "{\"sandboxId\":\"web\",\"containerId\":\"app\"}");

    pod.pod_id = (char *)"p";
    answer.n_containers = answer.n_pods = 1;
    answer.containers = all;
    answer.pods = pods;
    fake_answer(fake, &answer.base);
    OK(sandferry_container_list(client, "web", NULL, &list, &err));
    asked("ListContainers", "{\"sandboxId\":\"web\"}");
    ck_assert_uint_eq(list->n, 1);
    ck_assert_str_eq(list->all[0]->id, "app");
    ck_assert_uint_eq(list->n_pods, 1);
    ck_assert_str_eq(list->pods[0], "p");
    sandferry_containers_free(list);

    o.force = true;
    OK(sandferry_container_delete(client, "web", "app", &o, &err));
    asked("DeleteContainer", "{\"sandboxId\":\"web\",\"containerId\":\"app\",\"force\":true}");
}
END_TEST

static Suite *guest_suite(void)
{
    Suite *suite = suite_create("client_guest");
    TCase *cases = tcase_create("calls");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, disk_add_says_all_that_it_was_told);
    tcase_add_test(cases, disk_list_and_remove);
    tcase_add_test(cases, share_add_says_all_that_it_was_told);
    tcase_add_test(cases, share_list_and_remove);
    tcase_add_test(cases, pods_come_and_go);
    tcase_add_test(cases, networks_come_and_go);
    tcase_add_test(cases, device_add_says_all_that_it_was_told);
    tcase_add_test(cases, device_list_and_remove);
    tcase_add_test(cases, container_create_says_all_that_it_was_told);
    tcase_add_test(cases, container_start_list_delete);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    return sf_suite_run(guest_suite());
}
