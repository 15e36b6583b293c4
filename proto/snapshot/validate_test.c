#include "snapshot/validate.h"

#include "snapshot/refs.h"
#include "snapshot/testing.h"

/* The golden snapshot, with one thing changed: what is said about it. NULL: taken away. */
// clang-format off
static const struct {
    const char *set, *to;     /* what is changed */
    const char *field, *text; /* one of the reasons */
} wrong[] = {
    /* what fields may hold */
    { "sandbox_id",                       "",            "sandbox_id",                       "empty"             },
    { "sandbox_id",                       "a/b",         "sandbox_id",                       "is no id"          },
    { "labels[0].key",                    "",            "labels[0].key",                    "empty"             },
    { "vm.memory.memory_id",              "X",           "vm.memory.memory_id",              "is no GUID"        },
    { "vm.machine_document",              "[1]",         "vm.machine_document",              "no JSON object"    },
    { "vm.options.image",                 "../../etc",   "vm.options.image",                 "'..'"              },
    { "scsi.controllers",                 "5",           "scsi.controllers",                 "must be 1 to 4"    },
    { "scsi.controllers",                 "0",           "scsi.controllers",                 "must be 1 to 4"    },
    { "scsi.disks[0].host_path",          "srv/x",       "scsi.disks[0].host_path",          "no absolute path"  },
    { "scsi.disks[0].host_path",          "/srv/../x",   "scsi.disks[0].host_path",          "'..'"              },
    { "scsi.disks[0].host_path",          "",            "scsi.disks[0].host_path",          "empty"             },
    { "scsi.disks[1].mounts[1].partition","256",         "scsi.disks[1].mounts[1].partition","0 to 255"          },
    { "scsi.reservations[0].id",          "0B000000-0000-4000-8000-000000000001",
                                                         "scsi.reservations[0].id",          "is no GUID"        },
    { "vpci.devices[0].virtual_function", "65536",       "vpci.devices[0].virtual_function", "0 to 65535"        },
    { "vpci.devices[1].properties[0]",    "serial",      "vpci.devices[1].properties[0]",    "no property"       },
    { "vpci.devices[1].nodes[0]",         "nvme0",       "vpci.devices[1].nodes[0]",         "no absolute path"  },
    { "vpci.reservations[0].id",          "x",           "vpci.reservations[0].id",          "is no GUID"        },
    { "plan9.shares[0].msize",            "1048577",     "plan9.shares[0].msize",            "0 to 1048576"      },
    { "plan9.shares[0].fids[0].qid_type", "256",         "plan9.shares[0].fids[0].qid_type", "0 to 255"          },
    { "plan9.shares[0].name",             "01",          "plan9.shares[0].name",             "no number"         },
    { "plan9.shares[0].allowed_names[0]", "a/b",         "plan9.shares[0].allowed_names[0]", "no file name"      },
    { "network.namespaces[0].endpoints[0].mac_address", "02:00",
                                          "network.namespaces[0].endpoints[0].mac_address",  "no MAC"            },
    { "network.namespaces[0].endpoints[0].addresses[0]", "10.0.0.2/33",
                                          "network.namespaces[0].endpoints[0].addresses[0]", "prefix length"     },
    { "network.namespaces[0].endpoints[0].addresses[1]", "fd00::2",
                                          "network.namespaces[0].endpoints[0].addresses[1]", "prefix length"     },
    { "network.namespaces[0].endpoints[0].routes[0].gateway", "there",
                                     "network.namespaces[0].endpoints[0].routes[0].gateway", "no IP address"     },
    { "container.containers[0].spec",     "{",           "container.containers[0].spec",     "no JSON object"    },
    { "container.pods[0].guest_pod_id",   "",            "container.pods[0].guest_pod_id",   "empty"             },
    { "process.processes[2].exit_code",   "256",         "process.processes[2].exit_code",   "0 to 255"          },
    { "extensions[0].controller",         "ex ample",    "extensions[0].controller",         "is no id"          },

    /* enum values */
    { "vm.stage",                         "5",           "vm.stage",                         "5 is no VmStage"   },
    { "scsi.disks[1].stage",              "4",           "scsi.disks[1].stage",              "ScsiDiskStage"     },
    { "scsi.disks[1].type",               "9",           "scsi.disks[1].type",               "Type"              },
    { "process.processes[0].stage",       "4",           "process.processes[0].stage",       "ProcessStage"      },

    /* order, and nothing twice */
    { "labels[1].key",                    "a",           "labels[1].key",                    "out of order"      },
    { "labels[1].key",                    "owner",       "labels[1].key",                    "comes twice"       },
    { "scsi.disks[1].slot",               "0",           "scsi.disks[1].slot",               "comes twice"       },
    { "scsi.disks[0].slot",               "66",          "scsi.disks[1].slot",               "out of order"      },
    { "scsi.disks[1].mounts[1].partition","0",           "scsi.disks[1].mounts[1].partition","comes twice"       },
    { "vpci.reservations[1].id",          "0c000000-0000-4000-8000-000000000011",
                                                         "vpci.reservations[1].id",          "comes twice"       },
    { "plan9.shares[0].fids[1].locks[0].start", "11",    "plan9.shares[0].fids[1].locks[1].start", "out of order" },
    { "plan9.shares[0].allowed_names[1]", "a.b",         "plan9.shares[0].allowed_names[1]", "out of order"      },
    { "process.processes[1].exec_id",     "",            "process.processes[1].exec_id",     "comes twice"       },
    { "process.processes[2].container_id","c0",          "process.processes[2].container_id","out of order"      },
    { "extensions[1].controller",         "a",           "extensions[1].controller",         "out of order"      },
    { "container.containers[1].container_id", "c1",      "container.containers[1].container_id", "comes twice"   },
    { "container.pods[1].pod_id",         "p1",          "container.pods[1].pod_id",         "comes twice"       },
    { "container.pods[1].guest_pod_id",   "g-p1",        "container.pods[].guest_pod_id",    "comes twice"       },
    { "container.containers[1].guest_container_id", "g-c1", "container.containers[].guest_container_id", "twice"  },

    /* references */
    { "scsi.reservations[1].slot",        "7",           "scsi.reservations[1].slot",        "'7' is in no"      },
    { "scsi.reservations[2].partition",   "3",           "scsi.reservations[2].partition",   "'3' is in no"      },
    { "scsi.disks[1].mounts[0].refs",     "2",           "scsi.disks[1].mounts[0].refs",     "is 2"              },
    { "scsi.reservations[0]",             NULL,          "scsi.disks[0].mounts[0].refs",     "is 1; the count"   },
    { "plan9.reservations[0].share",      "9",           "plan9.reservations[0].share",      "'9' is in no"      },
    { "plan9.shares[0].mount.refs",       "0",           "plan9.shares[0].mount.refs",       "is 0"              },
    { "vpci.devices[0].refs",             "3",           "vpci.devices[0].refs",             "is 3"              },
    { "vpci.reservations[2]",             NULL,          "vpci.devices[1].refs",             "is 2; the count"   },
    { "vpci.reservations[0].device",      "0c000000-0000-4000-8000-000000000009",
                                                         "vpci.reservations[0].device",      "is in no"          },
    { "network.namespaces[0].pod_id",     "p9",          "network.namespaces[0].pod_id",     "'p9' is in no"     },
    { "container.containers[1].pod_id",   "p9",          "container.containers[1].pod_id",   "'p9' is in no"     },
    { "container.containers[0].layers.read_only[0].reservation_id", "0b000000-0000-4000-8000-000000000009",
                               "container.containers[0].layers.read_only[0].reservation_id", "is in no"          },
    { "container.containers[0].layers.scratch.reservation_id", "0b000000-0000-4000-8000-000000000009",
                               "container.containers[0].layers.scratch.reservation_id",      "is in no"          },
    { "container.containers[0].scsi_reservation_ids[0]", "0b000000-0000-4000-8000-000000000009",
                               "container.containers[0].scsi_reservation_ids[0]",            "is in no"          },
    { "container.containers[0].scsi_reservation_ids[0]", "0b000000-0000-4000-8000-000000000001",
                               "container.containers[0].scsi_reservation_ids[0]",            "more than one owner" },
    { "container.containers[0].plan9_reservation_ids[0]", "0d000000-0000-4000-8000-000000000009",
                               "container.containers[0].plan9_reservation_ids[0]",           "is in no"          },
    { "container.containers[0].vpci_reservation_ids[0]", "0c000000-0000-4000-8000-000000000009",
                               "container.containers[0].vpci_reservation_ids[0]",            "is in no"          },
    { "container.containers[0].vpci_reservation_ids[0]", "0c000000-0000-4000-8000-000000000012",
                               "container.containers[0].vpci_reservation_ids[0]",            "more than one owner" },
    { "process.processes[2].container_id","c9",          "process.processes[2].container_id","'c9' is in no"     },
    { "scsi",                             NULL,          "container.containers[0].layers.scratch.reservation_id", "is in no" },
    { "container",                        NULL,          "process.processes[0].container_id","is in no"          },

    /* what cannot be true at the same time */
    { "vm.memory",                        NULL,          "vm.memory",                        "absent"            },
    { "vm.machine_document",              "",            "vm.machine_document",              "empty, but"        },
    { "vm.agent",                         NULL,          "vm.agent",                         "absent"            },
    { "vm.memory.size_bytes",             "2097152",     "vm.memory.size_bytes",             "differs"           },
    { "vm.options.memory_bytes",          "1048576",     "vm.options.memory_bytes",          "2 MiB"             },
    { "vm.stage",                         "3",           "container.containers[0].stage",    "does not run"      },
    { "scsi.controllers",                 "1",           "scsi.disks[1].slot",               "beyond the slots"  },
    { "scsi.disks[1].slot",               "256",         "scsi.disks[1].slot",               "beyond the slots"  },
    { "scsi.disks[0].stage",              "0",           "scsi.disks[0].mounts[0].stage",    "SCSI_DISK_STAGE_RESERVED" },
    { "scsi.disks[0].stage",              "3",           "scsi.disks[0].mounts[0].stage",    "SCSI_DISK_STAGE_DETACHED" },
    { "scsi.disks[0].mounts[0].read_only","0",           "scsi.disks[0].mounts[0].read_only","is writable"       },
    { "scsi.disks[0].mounts[0].guest_path", "/run/sandferry/mounts/scsi/0_0_1",
                                                         "scsi.disks[0].mounts[0].guest_path", "must be"         },
    { "scsi.disks[0].mounts[0].guest_path", "",          "scsi.disks[0].mounts[0].guest_path", "is empty, but"   },
    { "scsi.disks[0].mounts[0].stage",    "2",
                               "container.containers[0].layers.read_only[0].reservation_id", "is not mounted"    },
    { "scsi.disks[1].mounts[1].stage",    "0",
                               "container.containers[0].scsi_reservation_ids[0]",            "is not mounted"    },
    { "scsi.disks[1].mounts[0].read_only","1",
                               "container.containers[0].layers.scratch.reservation_id",      "read-only"         },
    { "container.containers[0].layers.read_only[0].guest_path", "/mnt",
                               "container.containers[0].layers.read_only[0].guest_path",     "reservation"       },
    { "container.containers[0].layers.scratch.guest_path", "/run/sandferry/mounts/scsi/1_1_0/scratch/p1/c1",
                               "container.containers[0].layers.scratch.guest_path",          "reservation"       },
    { "container.containers[0].layers.rootfs_path", "/",
                               "container.containers[0].layers.rootfs_path",                 "must be"           },
    { "container.containers[0].layers.combined", "0",
                               "container.containers[0].layers.combined",                    "not mounted"       },
    { "plan9.shares[0].stage",            "3",           "plan9.shares[0].mount.stage",      "not served"        },
    { "plan9.shares[0].mount.stage",      "0",
                               "container.containers[0].plan9_reservation_ids[0]",           "is not mounted"    },
    { "plan9.shares[0].mount",            NULL,          "plan9.reservations[0].share",      "no mount"          },
    { "plan9.reservations[0].file",       "1",           "plan9.reservations[0].file",       "that one name"     },
    { "plan9.shares[0].read_only",        "0",           "plan9.shares[0].read_only",        "forbids"           },
    { "plan9.shares[0].restricted",       "0",           "plan9.shares[0].allowed_names",    "not restricted"    },
    { "plan9.next_name",                  "1",           "plan9.shares[0].name",             "next_name"         },
    { "plan9.shares[0].stage",            "3",           "plan9.shares[0].stage",            "holds files"       },
    { "plan9.shares[0].fids[1].open",     "0",           "plan9.shares[0].fids[1].open",     "has locks"         },
    { "vm.shares",                        NULL,          "vm.shares",                        "absent"            },
    { "vpci.devices[0].stage",            "1",   "container.containers[0].vpci_reservation_ids[0]", "not ready"  },
    { "vpci.devices[2].stage",            "2",           "vpci.devices[2].guest_address",    "is empty, but"     },
    { "vpci.devices[1].stage",            "4",           "vpci.devices[1].guest_address",    "is set, but"       },
    { "vpci.devices[1].guest_address",    "port0",       "vpci.devices",                     "root port of another" },
    { "vpci.devices[1].virtual_function", "1",           "vpci.devices[1].virtual_function", "host_address is not" },
    { "vpci.devices[2].travels",          "1",           "vpci.devices[2].travels",          "no device of the host" },
    { "vpci.devices[2].model",            "edu",         "vpci.devices[2].host_address",     "if, and only if"   },
    { "vpci.devices[0].host_address",     "0000:3b:00.0","vpci.devices[0].host_address",     "if, and only if"   },
    { "network.namespaces[0].stage",      "3",           "network.namespaces[0].stage",      "has endpoints"     },
    { "process.processes[0].stage",       "3",           "container.containers[0].stage",    "init process does not" },
    { "process.processes[0]",             NULL,          "container.containers[0].stage",    "init process does not" },
    { "process.processes[2].stage",       "2",           "container.containers[1].stage",    "has not ended"     },
    { "process.processes[2].stage",       "2",           "process.processes[2].stage",       "does not"          },
    { "process.processes[2].stage",       "2",           "process.processes[2].exited_at",   "has not ended"     },
    { "process.processes[2].stage",       "2",           "process.processes[2].exit_code",   "255"               },
    { "process.processes[0].pid",         "0",           "process.processes[0].pid",         "stage"             },
    { "process.processes[1].guest_container_id", "g-c2", "process.processes[1].guest_container_id", "container's" },
};
// clang-format on

static bool has_reason(const struct sf_reasons *why, const char *field, const char *text)
{
    for (size_t i = 0; i < sf_reasons_kept(why); i++) {
        const struct sf_reason *r = sf_reasons_get(why, i);
        ck_assert_str_eq(r->source, "snapshot");
        if (strcmp(r->field, field) == 0 && strstr(r->text, text) != NULL)
            return true;
    }
    return false;
}

static void print_reasons(const struct sf_reasons *why)
{
    for (size_t i = 0; i < sf_reasons_kept(why); i++)
        printf("    %s: %s\n", sf_reasons_get(why, i)->field, sf_reasons_get(why, i)->text);
}

START_TEST(golden_is_sound)
{
    Sandferry__V1__SandboxSnapshot *s = golden();
    struct sf_reasons *why = sf_reasons_new();

    sf_snapshot_validate(s, why);
    print_reasons(why);
    ck_assert_uint_eq(sf_reasons_count(why), 0);
    sf_reasons_free(why);
    sf_snapshot_free(s);
}
END_TEST

START_TEST(every_wrong_thing_is_named)
{
    Sandferry__V1__SandboxSnapshot *s = golden();
    struct sf_reasons *why = sf_reasons_new();

    set_field(s, wrong[_i].set, wrong[_i].to);
    sf_snapshot_validate(s, why);
    bool found = has_reason(why, wrong[_i].field, wrong[_i].text);
    if (!found)
        print_reasons(why);
    ck_assert_msg(found, "%s = %s: nobody says of %s: ...%s...", wrong[_i].set,
                  wrong[_i].to ? wrong[_i].to : "(nothing)", wrong[_i].field, wrong[_i].text);
    sf_reasons_free(why);
    sf_snapshot_free(s);
}
END_TEST

START_TEST(one_answer_has_all)
{
    Sandferry__V1__SandboxSnapshot *s = golden();
    struct sf_error *err = NULL;

    set_field(s, "sandbox_id", "");
    set_field(s, "scsi.reservations[1].slot", "7");
    set_field(s, "process.processes[0].pid", "0");
    ck_assert(!sf_snapshot_check_valid(s, &err));
    ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
    /* Of the reservation: its slot, and the count of the mount that it held. */
    ck_assert_uint_eq(sf_error_n_details(err), 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(sf_error_detail(err, i)->kind, SF_DETAIL_FIELD);
    sf_error_free(err);
    sf_snapshot_free(s);
}
END_TEST

START_TEST(a_snapshot_of_nothing_is_only_told_what_it_lacks)
{
    Sandferry__V1__SandboxSnapshot s = SANDFERRY__V1__SANDBOX_SNAPSHOT__INIT;
    struct sf_reasons *why = sf_reasons_new();

    sf_snapshot_validate(&s, why);
    ck_assert_uint_eq(sf_reasons_count(why), 1);
    ck_assert(has_reason(why, "sandbox_id", "empty"));
    sf_reasons_free(why);
}
END_TEST

/* The head of snapshot.proto and refs.c are the same table. */
START_TEST(the_documented_table_is_the_one_that_is_checked)
{
    FILE *in = fopen(SOURCE_DIR "/proto/sandferry/v1/snapshot.proto", "r");
    ck_assert_ptr_nonnull(in);
    char line[256];
    size_t row = 0;
    bool inside = false;

    while (fgets(line, sizeof(line), in) != NULL) {
        if (strncmp(line, "//     ---", 10) == 0) {
            inside = true;
            continue;
        }
        if (!inside)
            continue;
        if (strcmp(line, "//\n") == 0)
            break;
        line[strcspn(line, "\n")] = '\0';
        const char *field = line + strlen("//     ");
        char *gap = strstr(line + strlen("//     "), "  ");
        ck_assert_ptr_nonnull(gap);
        const char *names = gap + strspn(gap, " ");
        *gap = '\0';
        ck_assert_uint_lt(row, sf_n_refs);
        ck_assert_str_eq(field, sf_refs[row].field);
        ck_assert_str_eq(names, sf_refs[row].names);
        row++;
    }
    fclose(in);
    ck_assert_uint_eq(row, sf_n_refs);
}
END_TEST

/* Every list of messages is either in the table of sorted lists, or here. */
static void find_lists(const ProtobufCMessageDescriptor *type, const char *path, unsigned *n)
{
    static const char *const ordered_by_meaning[] = {
        "network.namespaces[].endpoints[].routes[]",
        "container.containers[].layers.read_only[]",
    };
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        bool list = field->label == PROTOBUF_C_LABEL_REPEATED;
        char here[256];
        snprintf(here, sizeof(here), "%s%s%s%s", path, *path ? "." : "", field->name,
                 list ? "[]" : "");
        bool known = !list;
        for (size_t k = 0; k < sf_n_lists; k++)
            known |= strcmp(sf_lists[k].list, here) == 0;
        for (size_t k = 0; k < 2; k++)
            known |= strcmp(ordered_by_meaning[k], here) == 0;
        ck_assert_msg(known, "%s is in no table", here);
        *n += list;
        find_lists(field->descriptor, here, n);
    }
}

START_TEST(every_list_has_an_order)
{
    unsigned n = 0, in_table = 0;
    find_lists(&sandferry__v1__sandbox_snapshot__descriptor, "", &n);
    for (size_t k = 0; k < sf_n_lists; k++)
        in_table += sf_lists[k].parts[0] != NULL; /* else it is of texts */
    ck_assert_uint_ge(n, in_table);
}
END_TEST

static bool is_reference(const char *path)
{
    for (size_t i = 0; i < sf_n_refs; i++)
        if (strcmp(sf_refs[i].field, path) == 0)
            return true;
    return false;
}

/* Whoever adds a text to the snapshot has to say what it may hold. */
static void find_texts(const ProtobufCMessageDescriptor *type, const char *path)
{
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        char here[256];
        snprintf(here, sizeof(here), "%s%s%s%s", path, *path ? "." : "", field->name,
                 field->label == PROTOBUF_C_LABEL_REPEATED ? "[]" : "");
        if (field->type == PROTOBUF_C_TYPE_STRING)
            ck_assert_msg(sf_fields_has(here) || is_reference(here), "%s: no row in fields.c",
                          here);
        else if (field->type == PROTOBUF_C_TYPE_MESSAGE)
            find_texts(field->descriptor, here);
    }
}

START_TEST(every_text_has_a_rule)
{
    find_texts(&sandferry__v1__sandbox_snapshot__descriptor, "");
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("validate");
    tcase_add_test(t, golden_is_sound);
    tcase_add_loop_test(t, every_wrong_thing_is_named, 0, sizeof(wrong) / sizeof(wrong[0]));
    tcase_add_test(t, one_answer_has_all);
    tcase_add_test(t, a_snapshot_of_nothing_is_only_told_what_it_lacks);
    tcase_add_test(t, the_documented_table_is_the_one_that_is_checked);
    tcase_add_test(t, every_list_has_an_order);
    tcase_add_test(t, every_text_has_a_rule);
    return t;
}

int main(void)
{
    return run_suite("snapshot validate", (TCase * (*const[])(void)){cases, NULL});
}
