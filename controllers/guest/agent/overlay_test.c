#include "base/suite.h"

#include <stdio.h>
#include <string.h>

#include "guest/agent/outcome.h"
#include "guest/agent/overlay.h"

static char *layers[] = {(char *)"/base/0_0_0", (char *)"/base/0_1_0", (char *)"/base/1_0_2"};

static struct overlay overlay_of(size_t n_layers)
{
    return (struct overlay){.container_id = "c1",
                            .layers = layers,
                            .n_layers = n_layers,
                            .base = "/base",
                            .scratch = "/scratch/c1",
                            .rootfs = "/r"};
}

START_TEST(the_topmost_layer_comes_first)
{
    struct overlay v = overlay_of(3);
    char options[OVERLAY_OPTIONS_MAX + 1];

    ck_assert(overlay_options(&v, options, sizeof(options)));
    ck_assert_str_eq(options, "lowerdir=1_0_2:0_1_0:0_0_0,"
                              "upperdir=/scratch/c1/upper,workdir=/scratch/c1/work");
}
END_TEST

START_TEST(one_layer_needs_no_colon)
{
    struct overlay v = overlay_of(1);
    char options[OVERLAY_OPTIONS_MAX + 1];

    ck_assert(overlay_options(&v, options, sizeof(options)));
    ck_assert_ptr_nonnull(strstr(options, "lowerdir=0_0_0,"));
}
END_TEST

START_TEST(what_does_not_fit_is_refused_not_cut)
{
    struct overlay v = overlay_of(3);
    char options[OVERLAY_OPTIONS_MAX + 1];

    ck_assert(overlay_options(&v, options, sizeof(options)));
    for (size_t room = 1; room <= strlen(options); room++) {
        char small[OVERLAY_OPTIONS_MAX + 1];
        ck_assert(!overlay_options(&v, small, room));
    }
}
END_TEST

START_TEST(every_slot_of_the_machine_can_be_a_layer)
{
    static char names[OVERLAY_LAYERS_MAX][32];
    char *many[OVERLAY_LAYERS_MAX], options[OVERLAY_OPTIONS_MAX + 1];
    struct overlay v = overlay_of(0);

    for (int i = 0; i < OVERLAY_LAYERS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "/base/%d_%d_0", i / 64, i % 64);
        many[i] = names[i];
    }
    v.layers = many;
    v.n_layers = OVERLAY_LAYERS_MAX;
    ck_assert(overlay_options(&v, options, sizeof(options)));
}
END_TEST

START_TEST(words_from_elsewhere_become_one_line_of_ascii)
{
    struct outcome o = {.code = SF_INTERNAL};

    strcpy(o.text, "crun: \xff\xfe `x`\n\ttwo \x1b[6n\n");
    outcome_clean(&o);
    ck_assert_str_eq(o.text, "crun: ?? `x`  two ?[6n");
    memset(o.text, 0xc3, sizeof(o.text));
    outcome_clean(&o);
    ck_assert_uint_eq(strlen(o.text), sizeof(o.text) - 1);
}
END_TEST

START_TEST(a_failure_is_false_and_cut_to_its_room)
{
    struct outcome o = {0};
    char longest[2000];

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    ck_assert(!outcome_fail(&o, SF_NOT_FOUND, "'%s'", longest));
    ck_assert_uint_eq(o.code, SF_NOT_FOUND);
    ck_assert_uint_eq(strlen(o.text), sizeof(o.text) - 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent_overlay");
    TCase *tc = tcase_create("overlay"), *outcomes = tcase_create("outcome");

    tcase_add_test(tc, the_topmost_layer_comes_first);
    tcase_add_test(tc, one_layer_needs_no_colon);
    tcase_add_test(tc, what_does_not_fit_is_refused_not_cut);
    tcase_add_test(tc, every_slot_of_the_machine_can_be_a_layer);
    tcase_add_test(outcomes, words_from_elsewhere_become_one_line_of_ascii);
    tcase_add_test(outcomes, a_failure_is_false_and_cut_to_its_room);
    suite_add_tcase(suite, tc);
    suite_add_tcase(suite, outcomes);
    return sf_suite_run(suite);
}
