#include "base/suite.h"

#include <string.h>

#include "guest/agent/crypt.h"
#include "guest/agent/modules.h"

void modules_load(const char *group)
{
    (void)group;
}

static const struct {
    const char *path, *name; /* NULL: none of ours */
} paths[] = {
    {"/run/sandferry/mounts/scsi/1_4_0", "sf-1_4_0"},
    {"/run/sandferry/mounts/scsi/3_63_128", "sf-3_63_128"},
    {"/run/sandferry/mounts/scsi/1_4_0x", NULL},
    {"/run/sandferry/mounts/scsi/1_4", NULL},
    {"/run/sandferry/mounts/plan9/1_4_0", NULL},
    {"/scsi/0_0_0", "sf-0_0_0"},
    {"scsi/0_0_0", NULL},
    {"/0_0_0", NULL},
    {"", NULL},
};

START_TEST(a_mapping_is_found_by_its_mount_point)
{
    char name[CRYPT_NAME_ROOM];

    if (paths[_i].name == NULL) {
        ck_assert(!crypt_name_of_path(paths[_i].path, name));
        return;
    }
    ck_assert(crypt_name_of_path(paths[_i].path, name));
    ck_assert_str_eq(name, paths[_i].name);
}
END_TEST

START_TEST(names_are_those_of_the_mount_points)
{
    char name[CRYPT_NAME_ROOM];

    crypt_name(1, 4, 0, name);
    ck_assert_str_eq(name, "sf-1_4_0");
    crypt_name(UINT32_MAX, UINT32_MAX, UINT64_MAX, name);
    ck_assert_uint_lt(strlen(name), CRYPT_NAME_ROOM);
}
END_TEST

START_TEST(the_table_has_the_whole_key)
{
    uint8_t key[64];
    char text[256], small[100];

    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(i * 4);
    ck_assert(crypt_parameters(key, "/dev/sda1", text, sizeof(text)));
    ck_assert_ptr_eq(strstr(text, "aes-xts-plain64 0004080c1014"), text);
    ck_assert_ptr_nonnull(strstr(text, "f4f8fc 0 /dev/sda1 0 1 allow_discards"));
    ck_assert(!crypt_parameters(key, "/dev/sda1", small, sizeof(small)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_crypt");
    TCase *t = tcase_create("names");
    tcase_add_loop_test(t, a_mapping_is_found_by_its_mount_point, 0,
                        sizeof(paths) / sizeof(paths[0]));
    tcase_add_test(t, names_are_those_of_the_mount_points);
    tcase_add_test(t, the_table_has_the_whole_key);
    suite_add_tcase(suite, t);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
