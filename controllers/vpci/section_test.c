/* The section: there and back, cut, and from hands that nobody knows; patches and admission. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandferry/v1/snapshot.pb-c.h"
#include "vpci/fake_vm.h"
#include "vpci/host.h"

typedef Sandferry__V1__VpciSection section_t;

static const char *nvme, *host, *function;

/* Two of the host, one of QEMU that is ready, one that is reserved. */
static struct sf_bytes some_section(void)
{
    static const char *const properties[] = {"mdts=3", "serial=a1"};
    const struct sf_device_request q = {
        .model = "nvme", .properties = properties, .n_properties = 2};
    struct device_config config;
    static char id[SF_GUID_SIZE];

    ck_assert(vpci_config(&q, &config, &err) && vpci_reserve(v, &config, id, &err));
    nvme = id;
    map(nvme);
    host = reserve_host(HOST_PLAIN, 0);
    map(host);
    reserve_host(HOST_PLAIN, 0);
    function = reserve_host(HOST_SRIOV, 2);
    return saved_section();
}

START_TEST(there_and_back)
{
    struct sf_bytes one = some_section();
    char device[SF_GUID_SIZE];

    snprintf(device, sizeof(device), "%s", device_of(nvme)->id);
    import_section(&one);
    struct sf_bytes two = saved_section();
    ck_assert_uint_eq(one.size, two.size);
    ck_assert(memcmp(one.data, two.data, one.size) == 0);
    const struct device *d = device_of(nvme);
    ck_assert_str_eq(d->id, device);
    ck_assert_str_eq(d->config.properties[1], "serial=a1");
    ck_assert_int_eq(d->port, 0);
    ck_assert_uint_eq(d->state, DEVICE_READY);
    ck_assert_uint_eq(d->away, DEVICE_OUT); /* it is still to be plugged here */
    ck_assert_uint_eq(device_of(host)->refs, 2);
    ck_assert_uint_eq(device_of(function)->config.virtual_function, 2);
    sf_bytes_done(&one);
    sf_bytes_done(&two);
}
END_TEST

START_TEST(empty_there_and_back)
{
    struct sf_bytes one = saved_section();

    import_section(&one);
    ck_assert_uint_eq(v->n_devices, 0);
    books_are_right();
    sf_bytes_done(&one);
}
END_TEST

START_TEST(cut_anywhere_it_is_refused_or_whole)
{
    struct sf_bytes one = some_section();

    for (size_t size = 0; size < one.size; size++) {
        /* On the heap, and no longer: a read past its end is found. */
        uint8_t *cut = malloc(size + (size == 0));
        memcpy(cut, one.data, size);
        struct vpci other = {.base = v->base};
        if (vpci_from_section(&other, &(struct sf_bytes){.data = cut, .size = size}, &err))
            vpci_empty(&other);
        ck_assert_uint_eq(other.n_devices, 0);
        ck_assert_uint_eq(other.n_reservations, 0);
        sf_error_free(SF_STEAL(err));
        free(cut);
    }
    sf_bytes_done(&one);
}
END_TEST

START_TEST(with_any_byte_changed_it_is_refused_or_right)
{
    struct sf_bytes one = some_section();

    for (size_t i = 0; i < one.size; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            one.data[i] ^= (uint8_t)(1u << bit);
            struct vpci other = {.base = v->base};
            if (vpci_from_section(&other, &one, &err)) {
                for (size_t k = 0; k < other.n_devices; k++)
                    ck_assert_uint_gt(other.devices[k]->refs, 0);
                vpci_empty(&other);
            }
            sf_error_free(SF_STEAL(err));
            one.data[i] ^= (uint8_t)(1u << bit);
        }
    sf_bytes_done(&one);
}
END_TEST

/* ---- hostile ---- */

#define ID(n) "0c000000-0000-4000-8000-00000000000" n

static Sandferry__V1__VpciDevice device[3];
static Sandferry__V1__VpciReservation reservation[3];
static Sandferry__V1__VpciDevice *devices[] = {&device[0], &device[1], &device[2]};
static Sandferry__V1__VpciReservation *reservations[] = {&reservation[0], &reservation[1],
                                                         &reservation[2]};
static section_t hostile;

/* A sound one: a model in port0, a function of the host in port1, one that is reserved. */
static void make_sound(void)
{
    static const Sandferry__V1__VpciDevice no_device = SANDFERRY__V1__VPCI_DEVICE__INIT;
    static const Sandferry__V1__VpciReservation none = SANDFERRY__V1__VPCI_RESERVATION__INIT;
    static char *const ids[] = {(char *)ID("1"), (char *)ID("2"), (char *)ID("3")};
    static char *const held[] = {(char *)ID("4"), (char *)ID("5"), (char *)ID("6")};

    hostile = (section_t)SANDFERRY__V1__VPCI_SECTION__INIT;
    hostile.schema_version = 1;
    for (int i = 0; i < 3; i++) {
        device[i] = no_device;
        device[i].id = ids[i];
        device[i].refs = 1;
        device[i].stage = SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_READY;
        reservation[i] = none;
        reservation[i].id = held[i];
        reservation[i].device = ids[i];
    }
    device[0].model = (char *)"virtio-rng-pci";
    device[0].travels = true;
    device[0].guest_address = (char *)"port0";
    device[1].host_address = (char *)HOST_PLAIN;
    device[1].guest_address = (char *)"port1";
    device[2].model = (char *)"edu";
    device[2].stage = SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_RESERVED;
    hostile.devices = devices;
    hostile.reservations = reservations;
    hostile.n_devices = hostile.n_reservations = 3;
}

static char *many[VPCI_PROPERTIES_MAX + 1];

static void properties_of_first(char *one, char *two)
{
    many[0] = one;
    many[1] = two;
    device[0].properties = many;
    device[0].n_properties = two != NULL ? 2 : 1;
}

static void names_of_first(char *one, char *two)
{
    many[0] = one;
    many[1] = two;
    device[0].nodes = many;
    device[0].n_nodes = two != NULL ? 2 : 1;
}

static void names_of_reserved(void)
{
    names_of_first((char *)"/dev/a", NULL);
    device[2].nodes = many;
    device[2].n_nodes = 1;
    device[0].n_nodes = 0;
}

/* clang-format off */
static void nothing(void)           { }
static void id_no_guid(void)        { device[0].id = (char *)"x"; reservation[0].device = (char *)"x"; }
static void id_twice(void)          { device[1].id = device[0].id; }
static void stage_unknown(void)     { device[0].stage = (Sandferry__V1__VpciDeviceStage)9; }
static void stage_assigned(void)    { device[0].stage = SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_ASSIGNED; }
static void stage_invalid(void)     { device[0].stage = SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_ASSIGNED_INVALID; }
static void stage_removed(void)     { device[0].stage = SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_REMOVED; }
static void port_none(void)         { device[0].guest_address = (char *)""; }
static void port_8(void)            { device[0].guest_address = (char *)"port8"; }
static void port_long(void)         { device[0].guest_address = (char *)"port00000000000000000001"; }
static void port_words(void)        { device[0].guest_address = (char *)"pcie.0"; }
static void port_taken(void)        { device[1].guest_address = (char *)"port0"; }
static void port_reserved(void)     { device[2].guest_address = (char *)"port2"; }
static void refs_none(void)         { device[2].refs = 0; hostile.n_reservations = 2; }
static void refs_many(void)         { device[2].refs = UINT32_MAX; }
static void host_travels(void)      { device[1].travels = true; }
static void edu_travels(void)       { device[2].travels = true; }
static void model_unknown(void)     { device[0].model = (char *)"vfio-pci"; }
static void model_none(void)        { device[0].model = (char *)""; }
static void model_and_host(void)    { device[0].host_address = (char *)"0000:01:00.0"; }
static void model_with_vf(void)     { device[0].virtual_function = 1; }
static void host_no_address(void)   { device[1].host_address = (char *)"0000:3b:00.0,x-vga=on"; }
static void host_vf_high(void)      { device[1].virtual_function = 65536; }
static void host_twice(void)        { device[2].model = (char *)""; device[2].host_address = (char *)HOST_PLAIN; }
static void property_file(void)     { properties_of_first((char *)"romfile=/etc/shadow", NULL); }
static void property_twice(void)    { properties_of_first((char *)"period=1", (char *)"period=2"); }
static void names_good(void)        { names_of_first((char *)"/dev/a", (char *)"/dev/b"); }
static void names_elsewhere(void)   { names_of_first((char *)"/etc/passwd", NULL); }
static void names_up(void)          { names_of_first((char *)"/dev/../etc/x", NULL); }
static void names_order(void)       { names_of_first((char *)"/dev/b", (char *)"/dev/a"); }
static void property_order(void)    { properties_of_first((char *)"period=1", (char *)"max-bytes=2"); }
static void reservation_guid(void)  { reservation[0].id = (char *)"../x"; }
static void reservation_twice(void) { reservation[1].id = reservation[0].id; }
static void reservation_lost(void)  { reservation[2].device = (char *)ID("9"); }
static void reservation_off(void)   { reservation[2].device = device[1].id; }

static const struct {
    void (*spoil)(void);
    const char *words; /* NULL: it is taken */
} rows[] = {
    { nothing,           NULL                    },
    { id_no_guid,        "devices[0]: id 'x'"    },
    { id_twice,          "comes twice"           },
    { stage_unknown,     "cannot travel"         },
    { stage_assigned,    "cannot travel"         },
    { stage_invalid,     "cannot travel"         },
    { stage_removed,     "cannot travel"         },
    { port_none,         "no root port"          },
    { port_8,            "no root port"          },
    { port_long,         "no root port"          },
    { port_words,        "no root port"          },
    { port_taken,        "another device"        },
    { port_reserved,     "no root port"          },
    { refs_none,         "nobody holds it"       },
    { refs_many,         "reservations hold it"  },
    { host_travels,      "cannot have travelled" },
    { edu_travels,       "cannot have travelled" },
    { model_unknown,     "no model"              },
    { model_none,        "either a model"        },
    { model_and_host,    "either a model"        },
    { model_with_vf,     "no virtual functions"  },
    { host_no_address,   "no address"            },
    { host_vf_high,      "no virtual function"   },
    { host_twice,        "comes twice"           },
    { property_file,     "no property"           },
    { property_twice,    "comes twice"           },
    { property_order,    "not sorted"            },
    { names_good,        NULL                    },
    { names_elsewhere,   "no names"              },
    { names_up,          "no names"              },
    { names_order,       "no names"              },
    { names_of_reserved, "no names"              },
    { reservation_guid,  "is not a GUID"         },
    { reservation_twice, "comes twice"           },
    { reservation_lost,  "which is not there"    },
    { reservation_off,   "reservations hold it"  },
};
/* clang-format on */

START_TEST(a_section_from_anywhere_is_checked)
{
    struct sf_bytes packed = {0};
    bool good = rows[_i].words == NULL;

    make_sound();
    rows[_i].spoil();
    packed.size = sandferry__v1__vpci_section__get_packed_size(&hostile);
    packed.data = malloc(packed.size);
    sandferry__v1__vpci_section__pack(&hostile, packed.data);
    ck_assert_int_eq(vpci_from_section(v, &packed, &err), good);
    sf_bytes_done(&packed);
    ck_assert(good || failed_with(SF_INVALID_ARGUMENT, rows[_i].words));
    ck_assert_uint_eq(v->n_devices, good ? 3 : 0);
    ck_assert_uint_eq(v->n_reservations, good ? 3 : 0);
    ck_assert_uint_eq(fake_steps(), 0); /* the books are inert */
}
END_TEST

START_TEST(more_devices_than_there_can_be_are_refused)
{
    static Sandferry__V1__VpciDevice all[VPCI_DEVICES_MAX + 1];
    static Sandferry__V1__VpciDevice *list[VPCI_DEVICES_MAX + 1];
    static char ids[VPCI_DEVICES_MAX + 1][SF_GUID_SIZE];
    struct sf_bytes packed = {0};

    make_sound();
    for (unsigned i = 0; i <= VPCI_DEVICES_MAX; i++) {
        snprintf(ids[i], sizeof(ids[i]), "0c000000-0000-4000-8000-0000000000%02x", i);
        all[i] = device[2];
        all[i].id = ids[i];
        list[i] = &all[i];
    }
    hostile.devices = list;
    hostile.n_devices = VPCI_DEVICES_MAX + 1;
    packed.size = sandferry__v1__vpci_section__get_packed_size(&hostile);
    packed.data = malloc(packed.size);
    sandferry__v1__vpci_section__pack(&hostile, packed.data);
    ck_assert(!vpci_from_section(v, &packed, &err));
    ck_assert(failed_with(SF_RESOURCE_EXHAUSTED, "64 devices"));
    ck_assert_uint_eq(v->n_devices, 0);
    sf_bytes_done(&packed);
}
END_TEST

/* ---- patches ---- */

static void import_some(void)
{
    struct sf_bytes section = some_section();

    import_section(&section);
    sf_bytes_done(&section);
}

static void patched(const char *object, const char *value)
{
    ck_assert_msg(vpci_patch(v, object, value, &err), "%s", SF_WHY(err));
}

START_TEST(a_function_is_patched_by_reservation_by_id_and_by_address)
{
    char id[SF_GUID_SIZE];

    import_some();
    patched(host, "0000:01:00.0");
    ck_assert_str_eq(device_of(host)->config.host_address, "0000:01:00.0");
    snprintf(id, sizeof(id), "%s", device_of(host)->id);
    patched(id, "0000:02:00.0/7");
    ck_assert_str_eq(device_of(host)->config.host_address, "0000:02:00.0");
    ck_assert_uint_eq(device_of(host)->config.virtual_function, 7);
    patched(HOST_PLAIN, "0000:03:00.0"); /* what it was called where it was saved */
    ck_assert_str_eq(device_of(host)->config.host_address, "0000:03:00.0");
    ck_assert_uint_eq(device_of(host)->config.virtual_function, 0);
    patched(HOST_SRIOV "/2", HOST_SRIOV "/1");
    ck_assert_uint_eq(device_of(function)->config.virtual_function, 1);
}
END_TEST

START_TEST(two_functions_can_change_places)
{
    import_some();
    patched(HOST_PLAIN, HOST_SRIOV "/2");
    patched(HOST_SRIOV "/2", HOST_PLAIN);
    ck_assert_str_eq(device_of(host)->config.host_address, HOST_SRIOV);
    ck_assert_uint_eq(device_of(host)->config.virtual_function, 2);
    ck_assert_str_eq(device_of(function)->config.host_address, HOST_PLAIN);
    ck_assert_uint_eq(device_of(function)->config.virtual_function, 0);
}
END_TEST

START_TEST(patches_that_make_no_sense_are_refused)
{
    static const char *const values[] = {"",
                                         "3b:00.0",
                                         "/srv/x",
                                         "nvme",
                                         "0000:3b:00.0/",
                                         "0000:3b:00.0/65536",
                                         "0000:3b:00.0/-1",
                                         "0000:3b:00.0/1/2"};

    import_some();
    ck_assert(!vpci_patch(v, "0000:99:00.0", HOST_PLAIN, &err));
    ck_assert(failed_with(SF_NOT_FOUND, "0000:99:00.0"));
    ck_assert(!vpci_patch(v, HOST_SRIOV, HOST_PLAIN, &err)); /* its function 2 is what it has */
    ck_assert(failed_with(SF_NOT_FOUND, HOST_SRIOV));
    ck_assert(!vpci_patch(v, "/", "/", &err));
    ck_assert(failed_with(SF_NOT_FOUND, "'/'"));
    ck_assert(!vpci_patch(v, nvme, HOST_PLAIN, &err));
    ck_assert(failed_with(SF_INVALID_ARGUMENT, "QEMU's own"));
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        ck_assert(!vpci_patch(v, host, values[i], &err));
        ck_assert(failed_with(SF_INVALID_ARGUMENT, "no address of a PCI function"));
    }
    ck_assert_str_eq(device_of(host)->config.host_address, HOST_PLAIN);
}
END_TEST

/* ---- admission ---- */

static struct sf_reasons *admit(void)
{
    struct sf_reasons *why = sf_reasons_new();

    ck_assert(vpci_admit(v, why, &err));
    return why;
}

START_TEST(what_is_here_is_admitted)
{
    import_some();
    fake_fail(0, FAKE_REFUSED);
    struct sf_reasons *why = admit();
    ck_assert_uint_eq(sf_reasons_count(why), 0);
    sf_reasons_free(why);
    ck_assert_uint_eq(fake_steps(), 0); /* nobody was asked */
}
END_TEST

START_TEST(what_is_not_here_is_one_reason_each)
{
    import_some();
    patched(host, HOST_UNBOUND);
    patched(function, "0000:99:00.0/1");
    struct sf_reasons *why = admit();
    ck_assert_uint_eq(sf_reasons_count(why), 2);
    for (size_t i = 0; i < 2; i++) {
        ck_assert(strncmp(sf_reasons_get(why, i)->field, "vpci.devices[", 13) == 0);
        ck_assert_ptr_nonnull(strstr(sf_reasons_get(why, i)->text, "by a patch"));
    }
    sf_reasons_free(why);
}
END_TEST

START_TEST(one_function_for_two_devices_is_not_admitted)
{
    import_some();
    patched(host, HOST_VF_2); /* which is what the other's function 2 is */
    struct sf_reasons *why = admit();
    ck_assert_uint_eq(sf_reasons_count(why), 1);
    ck_assert_ptr_nonnull(strstr(sf_reasons_get(why, 0)->text, "the same function ('" HOST_VF_2));
    sf_reasons_free(why);
}
END_TEST

START_TEST(a_host_without_vfio_is_told_so)
{
    char path[256];

    import_some();
    snprintf(path, sizeof(path), "%s/vfio/7", host_dev);
    ck_assert_int_eq(rmdir(path), 0);
    struct sf_reasons *why = admit();
    ck_assert_uint_eq(sf_reasons_count(why), 1);
    ck_assert_ptr_nonnull(strstr(sf_reasons_get(why, 0)->text, "IOMMU group to vfio-pci"));
    sf_reasons_free(why);
    host_dev = "/nowhere";
    why = admit();
    ck_assert_uint_eq(sf_reasons_count(why), 2);
    ck_assert_ptr_nonnull(strstr(sf_reasons_get(why, 0)->text, "load the module vfio-pci"));
    sf_reasons_free(why);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("section");

    tcase_add_test(tc, there_and_back);
    tcase_add_test(tc, empty_there_and_back);
    tcase_add_test(tc, cut_anywhere_it_is_refused_or_whole);
    tcase_add_test(tc, with_any_byte_changed_it_is_refused_or_right);
    tcase_add_loop_test(tc, a_section_from_anywhere_is_checked, 0,
                        (int)(sizeof(rows) / sizeof(rows[0])));
    tcase_add_test(tc, more_devices_than_there_can_be_are_refused);
    tcase_add_test(tc, a_function_is_patched_by_reservation_by_id_and_by_address);
    tcase_add_test(tc, two_functions_can_change_places);
    tcase_add_test(tc, patches_that_make_no_sense_are_refused);
    tcase_add_test(tc, what_is_here_is_admitted);
    tcase_add_test(tc, what_is_not_here_is_one_reason_each);
    tcase_add_test(tc, one_function_for_two_devices_is_not_admitted);
    tcase_add_test(tc, a_host_without_vfio_is_told_so);
    return fixture_suite("vpci_section", tc);
}
