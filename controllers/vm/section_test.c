/* The section, and what speaks against a restore; no VM runs here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suite.h"
#include "lib/fake_host.h"
#include "sandferry/v1/snapshot.pb-c.h"
#include "vm/vm.h"

#define GUID_A "11111111-1111-4111-8111-111111111111"
#define GUID_B "22222222-2222-4222-8222-222222222222"

typedef Sandferry__V1__VmSection Section;

static struct sf_error *err;
static struct sf_sandbox *s;

static void set_up(void)
{
    err = NULL;
    ck_assert(fake_host_make());
    s = fake_sandbox_new("s1");
}

static void tear_down(void)
{
    fake_sandbox_free(s);
    sf_error_free(err);
    fake_host_remove();
}

/* A good section, as a source would write it; tests spoil one thing in it. */
struct good {
    Section section;
    Sandferry__V1__VmOptions options;
    Sandferry__V1__VmCompatibility compatibility;
    Sandferry__V1__MemoryReference memory;
    Sandferry__V1__AgentFloors agent, shares;
    char *document;
};

static struct good good;

static void make_good(void)
{
    struct document d;
    struct document_options o = {0};

    ck_assert(document_make(&d, &o, &err));
    good.section = (Section)SANDFERRY__V1__VM_SECTION__INIT;
    good.options = (Sandferry__V1__VmOptions)SANDFERRY__V1__VM_OPTIONS__INIT;
    good.compatibility = (Sandferry__V1__VmCompatibility)SANDFERRY__V1__VM_COMPATIBILITY__INIT;
    good.memory = (Sandferry__V1__MemoryReference)SANDFERRY__V1__MEMORY_REFERENCE__INIT;
    good.agent = (Sandferry__V1__AgentFloors)SANDFERRY__V1__AGENT_FLOORS__INIT;
    good.shares = (Sandferry__V1__AgentFloors)SANDFERRY__V1__AGENT_FLOORS__INIT;
    good.document = document_to_json(&d);
    good.section.schema_version = VM_SECTION_VERSION;
    good.section.stage = SANDFERRY__V1__VM_STAGE__VM_STAGE_RUNNING;
    good.section.options = &good.options;
    good.section.machine_document = good.document;
    good.section.compatibility = &good.compatibility;
    good.section.memory = &good.memory;
    good.section.agent = &good.agent;
    good.section.shares = &good.shares;
    good.compatibility.machine_type = (char *)"pc-q35-7.2";
    good.compatibility.cpu_model = (char *)"qemu64";
    good.compatibility.accelerator = (char *)"tcg";
    good.compatibility.architecture = (char *)"x86_64";
    good.compatibility.qemu_version = (char *)"7.2.22";
    good.memory.memory_id = (char *)GUID_A;
    good.memory.family_id = (char *)GUID_B;
    good.memory.size_bytes = DOCUMENT_MEMORY_BYTES;
    good.memory.generation = 1;
    good.agent.protocol_version = VM_AGENT_PROTOCOL;
    good.agent.next_call_id = 1;
    good.shares.protocol_version = VM_AGENT_PROTOCOL;
    good.shares.next_call_id = 1;
}

/* As a daemon made it that knew no shares. */
static void drop_line(void)
{
    char *at = strstr(good.document, "{\"driver\":\"virtserialport\",\"id\":\"shares0\"");
    char *end = at == NULL ? NULL : strstr(at, "},");

    ck_assert_ptr_nonnull(end);
    memmove(at, end + 2, strlen(end + 2) + 1);
}

static bool import_good(void)
{
    struct sf_bytes packed SF_CLEANUP(sf_bytes_done) = {0};

    packed.size = sandferry__v1__vm_section__get_packed_size(&good.section);
    packed.data = malloc(packed.size);
    sandferry__v1__vm_section__pack(&good.section, packed.data);
    bool ok = s->controller->cls->import(s->controller, &packed, 1, &err);
    free(good.document);
    return ok;
}

START_TEST(a_good_section_is_taken)
{
    make_good();
    ck_assert_msg(import_good(), "%s", SF_WHY(err));
    ck_assert_uint_eq(vm_of(s->controller)->state, VM_RUNNING);
    ck_assert_str_eq(vm_of(s->controller)->imported_memory.memory_id, GUID_A);
    s->controller->cls->abandon(s->controller);
    ck_assert_uint_eq(vm_of(s->controller)->state, VM_NOT_CREATED);
    make_good(); /* what was abandoned can be imported again */
    ck_assert_msg(import_good(), "%s", SF_WHY(err));
    s->controller->cls->abandon(s->controller);
}
END_TEST

START_TEST(the_policy_for_shares_is_told_to_whom_it_concerns)
{
    ck_assert(!vm_machine_offer.no_writable_file_shares(s->controller));
    make_good();
    good.options.no_writable_file_shares = true;
    ck_assert_msg(import_good(), "%s", SF_WHY(err));
    ck_assert(vm_machine_offer.no_writable_file_shares(s->controller));
    s->controller->cls->abandon(s->controller);
    ck_assert(!vm_machine_offer.no_writable_file_shares(s->controller));
}
END_TEST

static void spoil(int i)
{
    switch (i) {
    case 0:
        good.section.stage = SANDFERRY__V1__VM_STAGE__VM_STAGE_CREATED;
        break;
    case 1:
        good.section.stage = (Sandferry__V1__VmStage)17;
        break;
    case 2:
        good.section.options = NULL;
        break;
    case 3:
        good.section.machine_document = (char *)"{}";
        break;
    case 4:
        good.section.compatibility = NULL;
        break;
    case 5:
        good.compatibility.cpu_model = (char *)"max";
        break;
    case 6:
        good.compatibility.architecture = (char *)"aarch64";
        break;
    case 7:
        good.section.memory = NULL;
        break;
    case 8:
        good.memory.memory_id = (char *)"../../etc";
        break;
    case 9:
        good.memory.generation = 0;
        break;
    case 10:
        good.memory.size_bytes += DOCUMENT_MEMORY_STEP;
        break;
    case 11:
        good.section.agent = NULL;
        break;
    case 12:
        good.section.shares = NULL;
        break;
    case 13:
        good.shares.next_call_id = 0;
        break;
    case 14: /* a machine without the line */
        drop_line();
        break;
    default:
        good.agent.next_call_id = 0;
    }
}

START_TEST(a_section_that_makes_no_sense_is_refused)
{
    make_good();
    spoil(_i);
    ck_assert(!import_good());
    ck_assert_ptr_nonnull(err);
    s->controller->cls->abandon(s->controller);
}
END_TEST

/* One of the reasons has these words. */
static void expect_reason(const char *words)
{
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();

    ck_assert_msg(s->controller->cls->admit(s->controller, why, &err), "%s", SF_WHY(err));
    for (size_t i = 0; i < sf_reasons_kept(why); i++)
        if (strstr(sf_reasons_get(why, i)->text, words) != NULL)
            return;
    ck_abort_msg("none of %zu reasons has '%s'", sf_reasons_count(why), words);
}

START_TEST(admit_gives_every_reason)
{
    make_good();
    good.agent.protocol_version = 99;
    ck_assert_msg(import_good(), "%s", SF_WHY(err));
    fake_host_set("qemu", "/nowhere/qemu-system-x86_64");
    expect_reason("no QEMU at '/nowhere/qemu-system-x86_64'");
    expect_reason("speaks protocol 99");
    expect_reason("memory directory"); /* the memory is not here */
    s->controller->cls->abandon(s->controller);
}
END_TEST

START_TEST(admit_without_a_section_says_so)
{
    expect_reason("no section");
}
END_TEST

START_TEST(a_missing_qemu_is_named)
{
    static const struct sf_bytes none;

    fake_host_set("qemu", "/nowhere/qemu-system-x86_64");
    ck_assert(!s->controller->cls->create(s->controller, &none, &err));
    ck_assert_int_eq(sf_error_code(err), SF_FAILED_PRECONDITION);
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "'/nowhere/qemu-system-x86_64'"));
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "qemu-system-x86"));
}
END_TEST

static void expect_same_list(const struct sf_bytes *a, size_t n_a, const struct sf_bytes *b,
                             size_t n_b)
{
    ck_assert_uint_eq(n_a, n_b);
    for (size_t i = 0; i < n_a; i++) {
        ck_assert_uint_eq(a[i].size, b[i].size);
        ck_assert_mem_eq(a[i].data, b[i].data, a[i].size);
    }
}

static void expect_same(const struct guest_floors *a, const struct guest_floors *b)
{
    ck_assert_uint_eq(a->next_call_id, b->next_call_id);
    ck_assert_uint_eq(a->last_sent, b->last_sent);
    ck_assert_uint_eq(a->last_received, b->last_received);
    expect_same_list(a->unacknowledged, a->n_unacknowledged, b->unacknowledged,
                     b->n_unacknowledged);
    expect_same_list(a->undelivered, a->n_undelivered, b->undelivered, b->n_undelivered);
}

START_TEST(a_conversation_survives_as_text)
{
    struct sf_bytes one = {.data = (uint8_t *)"\0\1\2", .size = 3};
    struct sf_bytes two[] = {{.data = (uint8_t *)"ab", .size = 2},
                             {.data = (uint8_t *)"c", .size = 1}};
    const struct guest_floors full = {.next_call_id = 5,
                                      .last_sent = 6,
                                      .last_received = 7,
                                      .unacknowledged = &one,
                                      .n_unacknowledged = 1,
                                      .undelivered = two,
                                      .n_undelivered = 2};
    const struct guest_floors bare = {.next_call_id = 9};
    /* 0: there is no shares' line, as in a lease of an older daemon */
    const struct vm_floors f = {_i == 2 ? bare : full, _i == 0   ? (struct guest_floors){0}
                                                       : _i == 1 ? bare
                                                                 : full};
    struct vm_floors back SF_CLEANUP(vm_floors_done) = {0};
    SF_CLEANUP(sf_freep) char *text = vm_floors_to_text(&f, &err);

    ck_assert_msg(vm_floors_from_text(&back, text, &err), "%s", SF_WHY(err));
    expect_same(&back.agent, &f.agent);
    expect_same(&back.shares, &f.shares);

    for (size_t size = strlen(text); size-- > 0;) { /* and every cut is refused */
        text[size] = '\0';
        ck_assert(!vm_floors_from_text(&back, text, &err));
        sf_error_free(SF_STEAL(err));
    }
}
END_TEST

START_TEST(a_machine_without_the_line_is_taken)
{
    make_good();
    drop_line();
    good.section.shares = NULL;
    ck_assert_msg(import_good(), "%s", SF_WHY(err));
    ck_assert(!document_has_shares_line(&((struct vm *)s->controller)->document));
    s->controller->cls->abandon(s->controller);
}
END_TEST

static void on_piece(struct sf_controller *listener, uint64_t share, const void *data, size_t size,
                     bool closed)
{
    (void)listener;
    (void)share;
    (void)data;
    (void)size;
    (void)closed;
}

START_TEST(the_line_says_why_it_is_not_there)
{
    ck_assert(!vm_share_line_offer.listen(s->controller, s->controller, on_piece, &err));
    ck_assert_int_eq(sf_error_code(err), SF_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(sf_error_message(err), "no guest that runs"));
    sf_error_free(SF_STEAL(err));
    ck_assert(!vm_share_line_offer.send(s->controller, 1, "x", 1, false, &err));
    ck_assert_int_eq(sf_error_code(err), SF_UNAVAILABLE);
    sf_error_free(SF_STEAL(err));
    ck_assert(vm_share_line_offer.listen(s->controller, s->controller, NULL, &err));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vm_section");
    TCase *sections = tcase_create("sections");
    tcase_set_timeout(sections, 60);
    tcase_add_checked_fixture(sections, set_up, tear_down);
    tcase_add_test(sections, a_good_section_is_taken);
    tcase_add_test(sections, the_policy_for_shares_is_told_to_whom_it_concerns);
    tcase_add_loop_test(sections, a_section_that_makes_no_sense_is_refused, 0, 16);
    tcase_add_test(sections, admit_gives_every_reason);
    tcase_add_test(sections, admit_without_a_section_says_so);
    tcase_add_test(sections, a_missing_qemu_is_named);
    tcase_add_loop_test(sections, a_conversation_survives_as_text, 0, 4);
    tcase_add_test(sections, a_machine_without_the_line_is_taken);
    tcase_add_test(sections, the_line_says_why_it_is_not_there);
    suite_add_tcase(suite, sections);
    return sf_suite_run(suite);
}
