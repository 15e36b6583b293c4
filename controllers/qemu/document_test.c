#include "qemu/document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suite.h"
#include "base/text.h"

static struct sf_error *err;

static void set_up(void)
{
    err = NULL;
}

static void tear_down(void)
{
    sf_error_free(err);
}

static const struct document_options some = {.memory_bytes = UINT64_C(1) << 30,
                                             .processors = 2,
                                             .cpu_model = "Nehalem",
                                             .kernel_arguments = "mitigations=off quiet",
                                             .accelerator = "kvm"};

/* A document as text, "\n" before each part, so that a test can change one. */
static char *text_of(const struct document_options *o)
{
    struct document d;

    ck_assert_msg(document_make(&d, o, &err), "%s", SF_WHY(err));
    return document_to_json(&d);
}

START_TEST(text_and_document_are_the_same)
{
    static const struct document_options none;
    const struct document_options *const all[] = {&some, &none};
    struct document d;

    SF_CLEANUP(sf_freep) char *text = text_of(all[_i]);
    ck_assert_msg(document_from_json(&d, text, &err), "%s", SF_WHY(err));
    SF_CLEANUP(sf_freep) char *again = document_to_json(&d);
    ck_assert_str_eq(text, again);
}
END_TEST

START_TEST(defaults_are_named)
{
    static const struct document_options none;
    struct document d;

    ck_assert(document_make(&d, &none, &err));
    ck_assert_str_eq(d.machine_type, "pc-q35-7.2"); /* never an alias */
    ck_assert_str_eq(d.cpu_model, "qemu64");
    ck_assert_str_eq(d.accelerator, "tcg");
    ck_assert_uint_eq(d.memory_bytes, UINT64_C(512) << 20);
    ck_assert_uint_eq(d.processors, 1);
}
END_TEST

/* Everything of a command line on one line. */
static char *line_of(const struct document *d, const struct document_launch *l)
{
    struct sf_text text = {0};
    char **arguments = document_arguments(d, l);

    ck_assert_ptr_nonnull(arguments);
    for (size_t i = 0; arguments[i] != NULL; i++)
        sf_text_add(&text, "%s%s", i == 0 ? "" : " ", arguments[i]);
    document_arguments_free(arguments);
    return sf_text_take(&text);
}

static const struct document_launch launch = {.program = "/q",
                                              .name = "s1",
                                              .ram_fd = 5,
                                              .qmp_fd = 6,
                                              .agent_fd = 7,
                                              .shares_fd = 8,
                                              .kernel_fd = 8,
                                              .initrd_fd = 9,
                                              .generation_guid = "GUID",
                                              .filter = true};

START_TEST(the_command_line_is_this_one)
{
    struct document d;
    ck_assert(document_make(&d, &some, &err));
    SF_CLEANUP(sf_freep) char *line = line_of(&d, &launch);

    ck_assert_str_eq(
        line,
        "/q -name s1 -machine pc-q35-7.2,memory-backend=ram,usb=off,vmport=off -accel kvm"
        " -cpu Nehalem -smp 2 -m 1024M"
        " -object memory-backend-file,id=ram,size=1024M,mem-path=/proc/self/fd/5,share=on"
        " -display none -nodefaults -no-user-config -no-reboot -S"
        " -rtc base=utc,clock=host"
        " -chardev socket,id=qmp,fd=6,server=on,wait=off -mon chardev=qmp,mode=control"
        " -chardev socket,id=agent,fd=7,server=on,wait=off"
        " -chardev socket,id=shares,fd=8,server=on,wait=off"
        " -chardev ringbuf,id=console,size=65536 -serial chardev:console"
        " -device virtio-rng-pci,id=rng0,bus=pcie.0,addr=0x2"
        " -device virtio-serial-pci,id=serial0,bus=pcie.0,addr=0x3"
        " -device virtserialport,id=agent0,bus=serial0.0,nr=1,name=sandferry.agent,chardev=agent"
        " -device virtserialport,id=shares0,bus=serial0.0,nr=2,name=sandferry.shares,chardev=shares"
        " -device virtio-scsi-pci,id=scsi0,bus=pcie.0,addr=0x4"
        " -device virtio-scsi-pci,id=scsi1,bus=pcie.0,addr=0x5"
        " -device virtio-scsi-pci,id=scsi2,bus=pcie.0,addr=0x6"
        " -device virtio-scsi-pci,id=scsi3,bus=pcie.0,addr=0x7"
        " -device pcie-root-port,id=port0,bus=pcie.0,addr=0x10.0,multifunction=on,chassis=1,slot=1"
        " -device pcie-root-port,id=port1,bus=pcie.0,addr=0x10.1,chassis=2,slot=2"
        " -device pcie-root-port,id=port2,bus=pcie.0,addr=0x10.2,chassis=3,slot=3"
        " -device pcie-root-port,id=port3,bus=pcie.0,addr=0x10.3,chassis=4,slot=4"
        " -device pcie-root-port,id=port4,bus=pcie.0,addr=0x10.4,chassis=5,slot=5"
        " -device pcie-root-port,id=port5,bus=pcie.0,addr=0x10.5,chassis=6,slot=6"
        " -device pcie-root-port,id=port6,bus=pcie.0,addr=0x10.6,chassis=7,slot=7"
        " -device pcie-root-port,id=port7,bus=pcie.0,addr=0x10.7,chassis=8,slot=8"
        " -device pcie-root-port,id=nic0,bus=pcie.0,addr=0x11.0,multifunction=on,chassis=9,slot=9"
        " -device pcie-root-port,id=nic1,bus=pcie.0,addr=0x11.1,chassis=10,slot=10"
        " -device pcie-root-port,id=nic2,bus=pcie.0,addr=0x11.2,chassis=11,slot=11"
        " -device pcie-root-port,id=nic3,bus=pcie.0,addr=0x11.3,chassis=12,slot=12"
        " -device pcie-root-port,id=nic4,bus=pcie.0,addr=0x11.4,chassis=13,slot=13"
        " -device pcie-root-port,id=nic5,bus=pcie.0,addr=0x11.5,chassis=14,slot=14"
        " -device pcie-root-port,id=nic6,bus=pcie.0,addr=0x11.6,chassis=15,slot=15"
        " -device pcie-root-port,id=nic7,bus=pcie.0,addr=0x11.7,chassis=16,slot=16"
        " -device vmgenid,id=generation0,guid=GUID"
        " -kernel /proc/self/fd/8 -initrd /proc/self/fd/9"
        " -append console=ttyS0 quiet panic=-1 reboot=t random.trust_cpu=on mitigations=off quiet"
        " -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
}
END_TEST

START_TEST(both_sides_build_the_same_devices)
{
    struct document d, there;
    struct document_launch incoming = launch;

    ck_assert(document_make(&d, &some, &err));
    SF_CLEANUP(sf_freep) char *text = document_to_json(&d);
    ck_assert(document_from_json(&there, text, &err));
    incoming.incoming = true;
    incoming.kernel_fd = incoming.initrd_fd = -1;
    SF_CLEANUP(sf_freep) char *here = line_of(&d, &launch);
    SF_CLEANUP(sf_freep) char *line = line_of(&there, &incoming);

    char *end = strstr(line, " -incoming defer");
    ck_assert_ptr_nonnull(end);
    ck_assert(strncmp(here, line, (size_t)(end - line)) == 0);
    ck_assert_ptr_null(strstr(line, "-kernel"));
}
END_TEST

/* clang-format off */
static const struct {
    const char *from, *to; /* one change to a good document */
    const char *words;     /* what is said */
} refused[] = {
    { "\"version\":1",            "\"version\":2",               "has version 2"          },
    { "\"version\":1,",           "",                            "version"                },
    { "\"version\":1",            "\"version\":1,\"more\":1",    "more"                   },
    { "\"version\":1",            "\"version\":1,\"version\":1", "duplicate"              },
    { "pc-q35-7.2",               "q35",                         "not a version of pc-q35" },
    { "pc-q35-7.2",               "pc-q35-7.2,accel=kvm",        "is no name"             },
    { "\"Nehalem\"",              "\"max,+x\"",                  "cpu_model"              },
    { "\"kvm\"",                  "\"xen\"",                     "neither kvm nor tcg"    },
    { "1073741824",               "1073741825",                  "multiple of 2 MiB"      },
    { "1073741824",               "-2097152",                    "above 0"                },
    { "1073741824",               "4611686018427387904",         "1 TiB"                  },
    { "\"processors\":2",         "\"processors\":0",            "above 0"                },
    { "\"processors\":2",         "\"processors\":1000",         "1 to 64"                },
    { "mitigations=off",          "a\\nb",                       "control characters"     },
    { "\"virtio-rng-pci\"",       "\"vfio-pci\"",                "none that a machine has" },
    { "\"rng0\"",                 "\"rng0,x=y\"",                "no plain value"         },
    { "\"rng0\"",                 "7",                           "no plain value"         },
    { "\"rng0\"",                 "\"\"",                        "no plain value"         },
    { "\"id\":\"rng0\"",          "\"romfile\":\"x\"",           "'romfile' is not known" },
    { "{\"driver\":\"virtio-rng-pci\"", "{\"driver\":7",         "devices[0]"             },
    { "\"devices\":[",            "\"devices\":[7,",             "devices[0]"             },
};
/* clang-format on */

START_TEST(what_makes_no_sense_is_refused)
{
    struct document d;
    SF_CLEANUP(sf_freep) char *good = text_of(&some);
    char *at = strstr(good, refused[_i].from);

    ck_assert_ptr_nonnull(at);
    SF_CLEANUP(sf_freep)
    char *bad = sf_format("%.*s%s%s", (int)(at - good), good, refused[_i].to,
                          at + strlen(refused[_i].from));
    ck_assert(!document_from_json(&d, bad, &err));
    ck_assert_msg(strstr(sf_error_message(err), refused[_i].words) != NULL, "%s",
                  sf_error_message(err));
    ck_assert_msg(strstr(sf_error_message(err), "machine_document") != NULL, "%s",
                  sf_error_message(err));
}
END_TEST

START_TEST(every_cut_is_refused)
{
    struct document d;
    SF_CLEANUP(sf_freep) char *text = text_of(&some);

    for (size_t size = strlen(text); size-- > 0;) {
        text[size] = '\0';
        ck_assert(!document_from_json(&d, text, &err));
        sf_error_free(SF_STEAL(err));
    }
}
END_TEST

START_TEST(too_many_devices_are_refused)
{
    struct document d;
    struct sf_text text = {0};

    sf_text_add(&text, "{\"version\":1,\"machine_type\":\"pc-q35-7.2\",\"cpu_model\":\"max\","
                       "\"accelerator\":\"tcg\",\"memory_bytes\":67108864,\"processors\":1,"
                       "\"kernel_arguments\":\"\",\"devices\":[");
    for (int i = 0; i <= DOCUMENT_DEVICES_MAX; i++)
        sf_text_add(&text, "%s{\"driver\":\"virtio-rng-pci\"}", i == 0 ? "" : ",");
    sf_text_add(&text, "]}");
    SF_CLEANUP(sf_freep) char *json = sf_text_take(&text);
    ck_assert(!document_from_json(&d, json, &err));
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "at most 64"));
}
END_TEST

/* What a clone writes to its RAM is not for the file that others map. */
START_TEST(ram_of_a_clone_is_private)
{
    struct document_launch l = launch;
    struct document d;
    l.private_ram = true;
    ck_assert(document_make(&d, &some, &err));
    SF_CLEANUP(sf_freep) char *line = line_of(&d, &l);

    ck_assert_ptr_nonnull(strstr(line, "mem-path=/proc/self/fd/5,share=off "));
    ck_assert_ptr_null(strstr(line, "share=on"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qemu_document");
    TCase *documents = tcase_create("documents");
    tcase_add_checked_fixture(documents, set_up, tear_down);
    tcase_add_loop_test(documents, text_and_document_are_the_same, 0, 2);
    tcase_add_test(documents, defaults_are_named);
    tcase_add_test(documents, the_command_line_is_this_one);
    tcase_add_test(documents, ram_of_a_clone_is_private);
    tcase_add_test(documents, both_sides_build_the_same_devices);
    tcase_add_loop_test(documents, what_makes_no_sense_is_refused, 0,
                        sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(documents, every_cut_is_refused);
    tcase_add_test(documents, too_many_devices_are_refused);
    suite_add_tcase(suite, documents);
    return sf_suite_run(suite);
}
