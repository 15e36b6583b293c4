#include "base/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/agent/identity.h"

#define ONE "0123456789abcdef0123456789abcdef"
#define TWO "fedcba9876543210fedcba9876543210"

static const struct {
    const char *text;
    bool valid;
} ids[] = {
    {ONE, true},
    {"", false},
    {"0123456789abcdef0123456789abcde", false},
    {ONE "0", false},
    {"0123456789ABCDEF0123456789abcdef", false},
    {"0123456789abcdef-123456789abcdef", false},
    {"00000000000000000000000000000000", false}, /* nobody */
};

static const struct {
    const char *text;
    bool valid;
} hostnames[] = {
    {"sandferry-0123456789ab", true},
    {"a", true},
    {"web.example", true},
    {"", false},
    {"-a", false},
    {".a", false},
    {"a b", false},
    {"a\n", false},
    {"a/b", false},
    {"0123456789012345678901234567890123456789012345678901234567890123", true},
    {"01234567890123456789012345678901234567890123456789012345678901234", false},
};

START_TEST(only_ids_are_ids)
{
    ck_assert_msg(machine_id_valid(ids[_i].text) == ids[_i].valid, "'%s'", ids[_i].text);
}
END_TEST

START_TEST(only_hostnames_are_hostnames)
{
    ck_assert_msg(hostname_valid(hostnames[_i].text) == hostnames[_i].valid, "'%s'",
                  hostnames[_i].text);
}
END_TEST

/* Containers have the file mounted: it has to stay the same one. */
START_TEST(it_is_written_in_place)
{
    char directory[] = "/tmp/sandferry-identity-XXXXXX", path[64], now[MACHINE_ID_SIZE + 1];
    struct stat before, after;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/machine-id", directory);
    machine_id_read(path, now);
    ck_assert_str_eq(now, "");
    ck_assert(machine_id_write(path, ONE));
    ck_assert_int_eq(stat(path, &before), 0);
    ck_assert_int_eq(before.st_size, MACHINE_ID_SIZE + 1);
    machine_id_read(path, now);
    ck_assert_str_eq(now, ONE);
    ck_assert(machine_id_write(path, TWO) || geteuid() != 0); /* 0444: only root may again */
    if (geteuid() == 0) {
        ck_assert_int_eq(stat(path, &after), 0);
        ck_assert_uint_eq(before.st_ino, after.st_ino);
        machine_id_read(path, now);
        ck_assert_str_eq(now, TWO);
    }
    unlink(path);
    rmdir(directory);
}
END_TEST

START_TEST(what_is_no_id_is_none)
{
    char path[] = "/tmp/sandferry-identity-XXXXXX", now[MACHINE_ID_SIZE + 1];
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "uninitialized\n", 14), 14);
    close(fd);
    machine_id_read(path, now);
    ck_assert_str_eq(now, "");
    unlink(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_machine_id");
    TCase *cases = tcase_create("machine_id");

    tcase_add_loop_test(cases, only_ids_are_ids, 0, (int)(sizeof(ids) / sizeof(ids[0])));
    tcase_add_loop_test(cases, only_hostnames_are_hostnames, 0,
                        (int)(sizeof(hostnames) / sizeof(hostnames[0])));
    tcase_add_test(cases, it_is_written_in_place);
    tcase_add_test(cases, what_is_no_id_is_none);
    suite_add_tcase(suite, cases);
    return sf_suite_run(suite);
}
