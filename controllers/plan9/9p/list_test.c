/* Reading directories: whole, in pages, while they change, and on another host. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suite.h"
#include "plan9/9p/test_client.h"

static struct client *c;

static void begin(void)
{
    c = client_new(NULL);
    client_attach(c);
}

static void end(void)
{
    client_free(c);
}

#define SEEN_MAX 50000

struct seen {
    char name[64];
    uint64_t cookie;
    struct qid qid;
    uint8_t type;
};

static struct seen seen[SEEN_MAX];
static size_t n_seen;

/* One page; false: the end. */
static bool page(uint32_t fid, uint64_t cookie, uint32_t count)
{
    ck_assert_int_eq(call(c, P9_TREADDIR, "dqd", fid, cookie, count), 0);
    uint32_t size = read_u32(&c->reply);
    ck_assert_uint_le(size, count);
    ck_assert_uint_eq(size, c->reply.size - c->reply.at);
    while (c->reply.at < c->reply.size) {
        ck_assert_uint_lt(n_seen, SEEN_MAX);
        struct seen *entry = &seen[n_seen++];
        entry->qid = read_qid(&c->reply);
        entry->cookie = read_u64(&c->reply);
        entry->type = read_u8(&c->reply);
        struct span name = read_text(&c->reply);
        ck_assert_uint_lt(name.size, sizeof(entry->name));
        memcpy(entry->name, name.data, name.size);
        entry->name[name.size] = '\0';
        ck_assert_uint_gt(entry->cookie, cookie);
        ck_assert_uint_le(entry->cookie, INT64_MAX);
        cookie = entry->cookie;
    }
    ck_assert(!c->reply.cut);
    return size > 0;
}

static void read_on(uint32_t fid, uint64_t cookie, uint32_t count)
{
    while (page(fid, cookie, count))
        cookie = seen[n_seen - 1].cookie;
}

static void read_directory(uint32_t fid, uint32_t count)
{
    n_seen = 0;
    read_on(fid, 0, count);
}

static const struct seen *find(const char *name)
{
    const struct seen *found = NULL;

    for (size_t i = 0; i < n_seen; i++) {
        if (strcmp(seen[i].name, name) != 0)
            continue;
        ck_assert_msg(found == NULL, "'%s' comes twice", name);
        found = &seen[i];
    }
    return found;
}

static void make_files(const char *directory, unsigned from, unsigned to)
{
    char name[64];

    for (unsigned i = from; i < to; i++) {
        snprintf(name, sizeof(name), "%s/file-%u", directory, i);
        put(c, name, "");
    }
}

START_TEST(every_name_is_there_once)
{
    ck_assert_int_eq(mkfifo(at(c, "fifo"), 0600), 0);
    ck_assert_int_eq(open_at(c, 1, "", P9_O_RDONLY | P9_O_DIRECTORY), 0);
    read_directory(1, 8192);
    ck_assert_uint_eq(n_seen, 7);
    ck_assert_str_eq(seen[0].name, ".");
    ck_assert_str_eq(seen[1].name, "..");
    static const struct {
        const char *name;
        uint32_t qid;
        uint8_t type;
    } want[] = {
        {".", P9_QID_DIR, DT_DIR},       {"..", P9_QID_DIR, DT_DIR},
        {"f", P9_QID_FILE, DT_REG},      {"d", P9_QID_DIR, DT_DIR},
        {"out", P9_QID_SYMLINK, DT_LNK}, {"loop", P9_QID_SYMLINK, DT_LNK},
        {"fifo", P9_QID_FILE, DT_FIFO},
    };
    for (unsigned i = 0; i < 7; i++) {
        struct stat st;
        const struct seen *entry = find(want[i].name);
        ck_assert_ptr_nonnull(entry);
        ck_assert_uint_eq(entry->qid.type, want[i].qid);
        ck_assert_uint_eq(entry->type, want[i].type);
        /* '..' of the root is the root */
        ck_assert_int_eq(lstat(at(c, i == 1 ? "." : want[i].name), &st), 0);
        ck_assert_uint_eq(entry->qid.path, st.st_ino);
    }
}
END_TEST

START_TEST(pages_of_any_size_give_the_same)
{
    static struct seen whole[SEEN_MAX];

    make_files("d", 0, 300);
    ck_assert_int_eq(open_at(c, 1, "d", P9_O_RDONLY), 0);
    read_directory(1, 65536);
    ck_assert_uint_eq(n_seen, 303);
    memcpy(whole, seen, sizeof(whole));
    for (uint32_t count = 40; count < 9000; count = count * 3 / 2) {
        read_directory(1, count);
        ck_assert_uint_eq(n_seen, 303);
        for (size_t i = 0; i < n_seen; i++) {
            ck_assert_str_eq(seen[i].name, whole[i].name);
            ck_assert_uint_eq(seen[i].cookie, whole[i].cookie);
        }
    }
    for (uint32_t count = 0; count < 25; count++) /* no room for '.' */
        ck_assert_int_eq(call(c, P9_TREADDIR, "dqd", 1, (uint64_t)0, count), EINVAL);
    ck_assert_int_eq(call(c, P9_TREADDIR, "dqd", 1, (uint64_t)INT64_MAX, 100), 0);
    ck_assert_uint_eq(read_u32(&c->reply), 0);
    ck_assert_int_eq(call(c, P9_TREADDIR, "dqd", 1, UINT64_MAX, 100), EINVAL);
    ck_assert_int_eq(open_at(c, 2, "f", P9_O_RDONLY), 0);
    ck_assert_int_eq(call(c, P9_TREADDIR, "dqd", 2, (uint64_t)0, 100), ENOTDIR);
}
END_TEST

/* Larger than what a listing remembers. */
START_TEST(a_large_directory_is_whole)
{
    const unsigned n = 40000;
    static bool found[40000];

    make_files("d", 0, n);
    ck_assert_int_eq(open_at(c, 1, "d", P9_O_RDONLY), 0);
    read_directory(1, NINEP_MSIZE_DEFAULT);
    ck_assert_uint_eq(n_seen, n + 3);
    for (size_t i = 2; i < n_seen; i++) {
        unsigned number;
        if (sscanf(seen[i].name, "file-%u", &number) != 1)
            continue;
        ck_assert(!found[number]);
        found[number] = true;
    }
    for (unsigned i = 0; i < n; i++)
        ck_assert(found[i]);
}
END_TEST

START_TEST(a_position_means_the_same_elsewhere)
{
    static struct seen whole[SEEN_MAX];

    make_files("d", 0, 200);
    ck_assert_int_eq(open_at(c, 1, "d", P9_O_RDONLY), 0);
    read_directory(1, 65536);
    memcpy(whole, seen, sizeof(whole));

    /* Another host: the same names, made in another order. */
    ck_assert_int_eq(mkdir(at(c, "other"), 0755), 0);
    ck_assert_int_eq(mkdir(at(c, "other/e"), 0755), 0);
    for (unsigned i = 200; i-- > 0;)
        make_files("other", i, i + 1);
    client_serve(c, NULL);
    client_attach(c);
    ck_assert_int_eq(open_at(c, 1, "other", P9_O_RDONLY), 0);
    for (size_t from = 0; from < 203; from += 29) {
        n_seen = 0;
        read_on(1, whole[from].cookie, 1000);
        ck_assert_uint_eq(n_seen, 203 - from - 1);
        for (size_t i = 0; i < n_seen; i++)
            ck_assert_str_eq(seen[i].name, whole[from + 1 + i].name);
    }
}
END_TEST

START_TEST(the_order_never_changes)
{
    static const struct {
        const char *name;
        uint64_t hash;
    } want[] = {
        {"a", 0x78ba2f5d5edd41b0u},
        {"file-1", 0x62c7763ee39c44f1u},
        {"a name that is longer than eight", 0x168148d7f580f204u},
    };

    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(name_hash(want[i].name, strlen(want[i].name)), want[i].hash);
}
END_TEST

START_TEST(what_is_removed_on_the_way_hides_nobody)
{
    make_files("d", 0, 500);
    ck_assert_int_eq(open_at(c, 1, "d", P9_O_RDONLY), 0);
    ck_assert_int_eq(walk(c, 0, 2, "d"), 0);
    unsigned removed = 0;
    uint64_t cookie = 0;

    /* As "rm -r": what a page has is removed before the next. */
    for (;;) {
        n_seen = 0;
        if (!page(1, cookie, 700))
            break;
        cookie = seen[n_seen - 1].cookie;
        for (size_t i = 0; i < n_seen; i++)
            if (strncmp(seen[i].name, "file-", 5) == 0) {
                ck_assert_int_eq(call(c, P9_TUNLINKAT, "dsd", 2, seen[i].name, 0), 0);
                removed++;
            }
    }
    ck_assert_uint_eq(removed, 500);
}
END_TEST

START_TEST(a_beginning_shows_what_is_new)
{
    ck_assert_int_eq(open_at(c, 1, "d", P9_O_RDONLY), 0);
    read_directory(1, 4096);
    ck_assert_uint_eq(n_seen, 3);
    put(c, "d/new", "");
    read_directory(1, 4096);
    ck_assert_uint_eq(n_seen, 4);
    ck_assert_int_eq(unlink(at(c, "d/new")), 0);
    read_directory(1, 4096);
    ck_assert_uint_eq(n_seen, 3);
}
END_TEST

START_TEST(many_directories_are_read_in_turn)
{
    uint64_t cookies[10] = {0};
    size_t counts[10] = {0};

    for (unsigned i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%u", i);
        ck_assert_int_eq(mkdir(at(c, name), 0755), 0);
        make_files(name, 0, 50);
        ck_assert_int_eq(open_at(c, i + 1, name, P9_O_RDONLY), 0);
    }
    for (bool more = true; more;) {
        more = false;
        for (unsigned i = 0; i < 10; i++) {
            n_seen = 0;
            if (!page(i + 1, cookies[i], 300))
                continue;
            more = true;
            counts[i] += n_seen;
            cookies[i] = seen[n_seen - 1].cookie;
        }
    }
    for (unsigned i = 0; i < 10; i++)
        ck_assert_uint_eq(counts[i], 52);
}
END_TEST

START_TEST(hidden_names_are_not_listed)
{
    static const char *const names[] = {"nothing", "f", "d"};

    client_serve(c, &(struct ninep_options){
                        .restricted = true, .allowed_names = names, .n_allowed_names = 3});
    client_attach(c);
    put(c, "d/f2", "");
    ck_assert_int_eq(open_at(c, 1, "", P9_O_RDONLY), 0);
    read_directory(1, 4096);
    ck_assert_uint_eq(n_seen, 4);
    ck_assert_ptr_nonnull(find("f"));
    ck_assert_ptr_nonnull(find("d"));
    ck_assert_int_eq(open_at(c, 2, "d", P9_O_RDONLY), 0);
    read_directory(2, 4096);
    ck_assert_uint_eq(n_seen, 4);
    ck_assert_ptr_nonnull(find("f2"));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ninep lists");
    TCase *t = tcase_create("lists");

    tcase_add_checked_fixture(t, begin, end);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, every_name_is_there_once);
    tcase_add_test(t, pages_of_any_size_give_the_same);
    tcase_add_test(t, a_large_directory_is_whole);
    tcase_add_test(t, a_position_means_the_same_elsewhere);
    tcase_add_test(t, the_order_never_changes);
    tcase_add_test(t, what_is_removed_on_the_way_hides_nobody);
    tcase_add_test(t, a_beginning_shows_what_is_new);
    tcase_add_test(t, many_directories_are_read_in_turn);
    tcase_add_test(t, hidden_names_are_not_listed);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return sf_suite_run(suite());
}
