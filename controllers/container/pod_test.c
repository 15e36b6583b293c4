/* Pods, and ids that are others on this host than in the guest. */
#include "base/suite.h"

#include <stdio.h>
#include <string.h>

#include "container/container.h"

static struct containers all;
static struct sf_error *err;
static char renamed[256]; /* what the process controller was told */

static void rename_processes(struct sf_controller *owner, const char *id, const char *new_id)
{
    (void)owner;
    snprintf(renamed, sizeof(renamed), "%s -> %s", id, new_id);
}

static const struct sf_processes_offer processes = {.size = sizeof(processes),
                                                    .rename = rename_processes};

const void *sf_sandbox_offer(struct sf_sandbox *s, const char *name, struct sf_controller **owner)
{
    (void)s;
    *owner = NULL;
    return strcmp(name, SF_PROCESSES_OFFER) == 0 ? &processes : NULL;
}

const char *sf_sandbox_id(const struct sf_sandbox *s)
{
    (void)s;
    return "s";
}

void sf_sandbox_event(struct sf_sandbox *s, const char *type, const char *fmt, ...)
{
    (void)s;
    (void)type;
    (void)fmt;
}

static void setup(void)
{
    all = (struct containers){0};
    renamed[0] = '\0';
}

static void teardown(void)
{
    containers_empty(&all);
    sf_error_free(SF_STEAL(err));
}

static void refused(enum sf_code code, const char *words)
{
    ck_assert_ptr_nonnull(err);
    ck_assert_int_eq(sf_error_code(err), code);
    ck_assert_msg(strstr(sf_error_message(err), words) != NULL, "%s", sf_error_message(err));
    sf_error_free(SF_STEAL(err));
}

static struct pod *make_pod(const char *id)
{
    struct pod *pod = NULL;
    ck_assert_msg(pod_create(&all, id, NULL, 0, &pod, &err), "%s", SF_WHY(err));
    return pod;
}

static struct container *make_container(const char *id, const char *pod)
{
    char guest_id[SF_ID_SIZE];
    container_guest_id(&all, id, guest_id);
    struct container *c = container_add(&all, id, pod, &err);
    ck_assert_ptr_nonnull(c);
    snprintf(c->guest_container_id, SF_ID_SIZE, "%s", guest_id);
    c->spec = strdup("{}");
    return c;
}

START_TEST(a_pod_that_was_asked_for_stays)
{
    make_pod("asked");
    ck_assert_ptr_nonnull(pod_new(&all, "made", &err));
    container_remove(&all, make_container("a", "asked"));
    container_remove(&all, make_container("b", "made"));
    pod_remove_if_empty(&all, "asked");
    pod_remove_if_empty(&all, "made");
    ck_assert_ptr_nonnull(pod_find(&all, "asked"));
    ck_assert_ptr_null(pod_find(&all, "made"));
}
END_TEST

START_TEST(a_pod_is_made_once_and_with_good_words)
{
    const struct label twice[] = {{(char *)"k", (char *)"1"}, {(char *)"k", (char *)"2"}};
    struct pod *pod;

    make_pod("p");
    ck_assert(!pod_create(&all, "p", NULL, 0, &pod, &err));
    refused(SF_ALREADY_EXISTS, "a pod 'p' already");
    ck_assert(!pod_create(&all, "../p", NULL, 0, &pod, &err));
    refused(SF_INVALID_ARGUMENT, "'../p' is no pod id");
    ck_assert(!pod_create(&all, "q", twice, 2, &pod, &err));
    refused(SF_INVALID_ARGUMENT, "comes twice");
    ck_assert_ptr_null(pod_find(&all, "q"));
}
END_TEST

START_TEST(a_pod_with_containers_is_not_deleted)
{
    struct pod *pod = make_pod("p");
    struct container *a = make_container("a", "p");

    ck_assert(!pod_delete(&all, pod, &err));
    refused(SF_FAILED_PRECONDITION, "pod 'p' has 1 container; delete it first");
    container_remove(&all, a);
    ck_assert(pod_delete(&all, pod, &err));
    ck_assert_ptr_null(pod_find(&all, "p"));
}
END_TEST

START_TEST(its_sandbox_container_goes_last)
{
    make_pod("p");
    struct container *sandbox = make_container("p", "p"), *app = make_container("app", "p");

    ck_assert(!pod_lets_go(&all, sandbox, &err));
    refused(SF_FAILED_PRECONDITION, "'p' is the sandbox container of its pod, which has 1 more");
    ck_assert(pod_lets_go(&all, app, &err));
    container_remove(&all, app);
    ck_assert(pod_lets_go(&all, sandbox, &err));
}
END_TEST

START_TEST(a_patch_renames_on_this_host_alone)
{
    make_pod("p");
    struct container *app = make_container("app", "p");
    make_container("b", "p");

    ck_assert_msg(containers_patch(&all, "pod/p", "z", &err), "%s", SF_WHY(err));
    ck_assert_msg(containers_patch(&all, "container/app", "web", &err), "%s", SF_WHY(err));
    ck_assert_str_eq(renamed, "app -> web");
    ck_assert_ptr_null(container_find(&all, "app"));
    ck_assert_ptr_eq(container_find(&all, "web"), app);
    ck_assert_str_eq(app->guest_container_id, "app");
    ck_assert_str_eq(app->pod_id, "z");
    ck_assert_str_eq(pod_find(&all, "z")->guest_pod_id, "p");
    ck_assert_ptr_eq(all.list[1], app); /* still in order */
}
END_TEST

START_TEST(a_patch_takes_no_id_that_is_there_or_is_none)
{
    make_pod("p");
    make_pod("q");
    make_container("a", "p");
    make_container("b", "p");

    ck_assert(!containers_patch(&all, "pod/p", "q", &err));
    refused(SF_ALREADY_EXISTS, "a pod 'q'");
    ck_assert(!containers_patch(&all, "container/a", "b", &err));
    refused(SF_ALREADY_EXISTS, "a container 'b'");
    ck_assert(!containers_patch(&all, "container/a", "a b", &err));
    refused(SF_INVALID_ARGUMENT, "no container id");
    ck_assert(!containers_patch(&all, "container/x", "y", &err));
    refused(SF_NOT_FOUND, "no 'container/x'");
    ck_assert(!containers_patch(&all, "p", "y", &err));
    refused(SF_NOT_FOUND, "pod/ID or container/ID");
    ck_assert_str_eq(renamed, "");
}
END_TEST

/* After a rename the id is free on this host, and not in the guest. */
START_TEST(ids_in_the_guest_are_never_given_twice)
{
    char id[SF_ID_SIZE], longest[SF_ID_SIZE], guest[SF_ID_SIZE];

    make_pod("p");
    make_container("a", "p");
    ck_assert(containers_patch(&all, "container/a", "b", &err));
    ck_assert(containers_patch(&all, "pod/p", "q", &err));
    ck_assert_str_eq(make_container("a", "q")->guest_container_id, "a.2");
    ck_assert_str_eq(make_pod("p")->guest_pod_id, "p.2");
    container_guest_id(&all, "a", id);
    ck_assert_str_eq(id, "a.3");

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    make_container(longest, "q");
    container_guest_id(&all, longest, guest);
    ck_assert_uint_eq(strlen(guest), sizeof(guest) - 1);
    ck_assert(sf_id_valid(guest) && strcmp(guest, longest) != 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("container_pod");
    TCase *t = tcase_create("pods");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_pod_that_was_asked_for_stays);
    tcase_add_test(t, a_pod_is_made_once_and_with_good_words);
    tcase_add_test(t, a_pod_with_containers_is_not_deleted);
    tcase_add_test(t, its_sandbox_container_goes_last);
    tcase_add_test(t, a_patch_renames_on_this_host_alone);
    tcase_add_test(t, a_patch_takes_no_id_that_is_there_or_is_none);
    tcase_add_test(t, ids_in_the_guest_are_never_given_twice);
    suite_add_tcase(suite, t);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
