/* A guest that means harm. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/suite.h"
#include "plan9/9p/test_client.h"
#include "plan9/9p/test_source.h"

static struct client *c;
static mode_t secret_mode;

static void begin(void)
{
    struct stat st;

    c = client_new(NULL);
    put(c, "../secret", SOURCE_SECRET);
    ck_assert_int_eq(lstat(at(c, "../secret"), &st), 0);
    secret_mode = st.st_mode;
    client_attach(c);
}

static void end(void)
{
    client_free(c);
}

static void start_again(void)
{
    client_serve(c, NULL);
    client_attach(c);
}

/* Every message that has fields, as good as can be. */
static size_t good_message(unsigned i, uint8_t *ret, size_t room)
{
    switch (i) {
    case 0:
        return message(ret, room, P9_TVERSION, 1, "ds", 8192, P9_VERSION);
    case 1:
        return message(ret, room, P9_TATTACH, 1, "ddssd", 9, P9_NO_FID, "u", "a", 0);
    case 2:
        return message(ret, room, P9_TWALK, 1, "ddhss", 0, 9, 2, "d", "e");
    case 3:
        return message(ret, room, P9_TLOPEN, 1, "dd", 1, P9_O_RDWR);
    case 4:
        return message(ret, room, P9_TLCREATE, 1, "dsddd", 2, "new", P9_O_RDWR, 0644, 0);
    case 5:
        return message(ret, room, P9_TREAD, 1, "dqd", 3, (uint64_t)0, 5);
    case 6:
        return message(ret, room, P9_TWRITE, 1, "dqdn", 3, (uint64_t)0, 3, (size_t)3, "abc");
    case 7:
        return message(ret, room, P9_TCLUNK, 1, "d", 1);
    case 8:
        return message(ret, room, P9_TREMOVE, 1, "d", 1);
    case 9:
        return message(ret, room, P9_TGETATTR, 1, "dq", 1, UINT64_MAX);
    case 10:
        return message(ret, room, P9_TSETATTR, 1, "dddddqqqqq", 1, P9_SETATTR_MODE, 0600, 0, 0,
                       (uint64_t)0, (uint64_t)0, (uint64_t)0, (uint64_t)0, (uint64_t)0);
    case 11:
        return message(ret, room, P9_TREADDIR, 1, "dqd", 4, (uint64_t)0, 4096);
    case 12:
        return message(ret, room, P9_TSTATFS, 1, "d", 0);
    case 13:
        return message(ret, room, P9_TRENAME, 1, "dds", 1, 2, "g2");
    case 14:
        return message(ret, room, P9_TRENAMEAT, 1, "dsds", 0, "f", 2, "f");
    case 15:
        return message(ret, room, P9_TUNLINKAT, 1, "dsd", 0, "f", 0);
    case 16:
        return message(ret, room, P9_TLINK, 1, "dds", 2, 1, "f");
    case 17:
        return message(ret, room, P9_TSYMLINK, 1, "dssd", 0, "s", "t", 0);
    case 18:
        return message(ret, room, P9_TREADLINK, 1, "d", 5);
    case 19:
        return message(ret, room, P9_TMKDIR, 1, "dsdd", 0, "m", 0755, 0);
    case 20:
        return message(ret, room, P9_TMKNOD, 1, "dsdddd", 0, "n", S_IFREG | 0644, 0, 0, 0);
    case 21:
        return message(ret, room, P9_TLOCK, 1, "dbdqqds", 3, 0, 0, (uint64_t)0, (uint64_t)0, 1,
                       "g");
    case 22:
        return message(ret, room, P9_TGETLOCK, 1, "dbqqds", 3, 0, (uint64_t)0, (uint64_t)0, 1, "g");
    case 23:
        return message(ret, room, P9_TFLUSH, 1, "h", 1);
    case 24:
        return message(ret, room, P9_TFSYNC, 1, "dd", 3, 0);
    default:
        return 0;
    }
}

/* What these ask for. */
static void hold_some(void)
{
    ck_assert_int_eq(walk(c, 0, 1, "f"), 0);
    ck_assert_int_eq(walk(c, 0, 2, "d"), 0);
    ck_assert_int_eq(open_at(c, 3, "f", P9_O_RDWR), 0);
    ck_assert_int_eq(open_at(c, 4, "d", P9_O_RDONLY), 0);
    ck_assert_int_eq(walk(c, 0, 5, "out"), 0);
}

static int answer_of(const uint8_t *bytes, size_t size)
{
    unsigned before = c->answers;

    ck_assert(client_input(c, bytes, size));
    ck_assert_uint_eq(c->answers, before + 1);
    struct reader r = {.data = c->answer, .size = c->answer_size};
    ck_assert_uint_eq(read_u32(&r), c->answer_size);
    uint8_t type = read_u8(&r);
    ck_assert_uint_eq(read_u16(&r), bytes[5] | bytes[6] << 8);
    ck_assert(type == P9_RLERROR || type == bytes[4] + 1);
    return type == P9_RLERROR ? (int)read_u32(&r) : 0;
}

static void set_size(uint8_t *bytes, size_t size)
{
    struct writer w = {.data = bytes, .room = 4};

    write_u32(&w, (uint32_t)size);
}

START_TEST(every_message_is_cut_and_stretched)
{
    uint8_t bytes[256];
    size_t size;

    hold_some();
    for (unsigned i = 0; (size = good_message(i, bytes, sizeof(bytes))) > 0; i++) {
        for (size_t cut = P9_HEADER; cut < size; cut++) {
            if (bytes[4] == P9_TFSYNC && cut == size - 4)
                continue; /* its older form */
            set_size(bytes, cut);
            ck_assert_int_eq(answer_of(bytes, cut), EPROTO);
        }
        bytes[size] = 0;
        set_size(bytes, size + 1);
        ck_assert_int_eq(answer_of(bytes, size + 1), EPROTO);
    }
    ck_assert_uint_eq(ninep_fids(c->s), 6); /* nothing of it was done */
    ck_assert(has(c, "f", "hello"));
    ck_assert(!exists(c, "m") && !exists(c, "n") && !exists(c, "s") && !exists(c, "d/new"));
    for (unsigned i = 0; (size = good_message(i, bytes, sizeof(bytes))) > 0; i++) {
        char name[32];
        ck_assert_int_eq(answer_of(bytes, size), 0);
        start_again();
        snprintf(name, sizeof(name), "d/f");
        if (!exists(c, "f") && exists(c, "d/f"))
            ck_assert_int_eq(rename(at(c, "d/f"), at(c, "f")), 0);
        unlink(at(c, "d/f")), unlink(at(c, "d/g2"));
        put(c, "f", "hello");
        hold_some();
    }
}
END_TEST

START_TEST(a_stream_may_be_cut_anywhere)
{
    uint8_t bytes[4096];
    size_t size = 0, one;

    hold_some();
    for (unsigned i = 9; i < 13; i++) {
        one = good_message(i, bytes + size, sizeof(bytes) - size);
        size += one;
    }
    for (size_t cut = 0; cut <= size; cut++) {
        unsigned before = c->answers;
        ck_assert(client_input(c, bytes, cut));
        ck_assert(client_input(c, bytes + cut, size - cut));
        ck_assert_uint_eq(c->answers, before + 4);
    }
    unsigned before = c->answers;
    for (size_t i = 0; i < size; i++)
        ck_assert(client_input(c, bytes + i, 1));
    ck_assert_uint_eq(c->answers, before + 4);
}
END_TEST

START_TEST(a_length_that_cannot_be_ends_it)
{
    static const uint32_t sizes[] = {0,          1,          6,          NINEP_MSIZE_DEFAULT + 1,
                                     0x7fffffff, 0x80000000, 0xfffffff9, 0xffffffff};

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL, *again = NULL;
        uint8_t bytes[16] = {0};
        start_again();
        set_size(bytes, sizes[i]);
        unsigned before = c->answers;
        ck_assert(!ninep_input(c->s, bytes, sizeof(bytes), &err));
        ck_assert_int_eq(sf_error_code(err), SF_INVALID_ARGUMENT);
        ck_assert_uint_eq(c->answers, before);
        ck_assert(!ninep_input(c->s, bytes, sizeof(bytes), &again));
        ck_assert_int_eq(sf_error_code(again), SF_FAILED_PRECONDITION);
    }
    start_again();
    ck_assert_int_eq(call(c, P9_TVERSION, "ds", NINEP_MSIZE_MIN, P9_VERSION), 0);
    uint8_t large[4] = {1, 16}; /* 4097: more than was agreed */
    ck_assert(!client_input(c, large, 4));
}
END_TEST

START_TEST(a_guest_that_takes_no_answer_is_left)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    uint8_t bytes[64];
    size_t size = good_message(12, bytes, sizeof(bytes));

    c->deaf = true;
    ck_assert(!ninep_input(c->s, bytes, size, &err));
    ck_assert_int_eq(sf_error_code(err), SF_UNAVAILABLE);
    c->deaf = false;
    ck_assert(!client_input(c, bytes, size));
}
END_TEST

START_TEST(lengths_within_a_message_are_believed_by_nobody)
{
    static const uint8_t seven[7];
    hold_some();
    ck_assert_int_eq(call(c, P9_TWRITE, "dqdn", 3, (uint64_t)0, 8, (size_t)7, seven), EPROTO);
    ck_assert_int_eq(call(c, P9_TWRITE, "dqdn", 3, (uint64_t)0, 6, (size_t)7, seven), EPROTO);
    ck_assert_int_eq(call(c, P9_TWRITE, "dqdn", 3, (uint64_t)0, ~0u, (size_t)7, seven), EPROTO);
    ck_assert_int_eq(call(c, P9_TMKDIR, "dhndd", 0, 65535, (size_t)7, seven, 0755, 0), EPROTO);
    ck_assert_int_eq(call(c, P9_TWALK, "ddh", 0, 9, 65535), EINVAL);
    ck_assert_int_eq(call(c, P9_TWALK, "ddh", 0, 9, 16), EPROTO);
    ck_assert_int_eq(call(c, P9_TREADDIR, "dqd", 4, (uint64_t)0, ~0u), 0);
    ck_assert_int_eq(call(c, P9_TREAD, "dqd", 3, (uint64_t)0, ~0u), 0);
    ck_assert(has(c, "f", "hello"));
}
END_TEST

START_TEST(what_is_no_question_is_refused)
{
    for (unsigned type = 0; type < 256; type++) {
        int problem = call(c, type, "");
        /* Those that have no fields are none, and the rest lacks some. */
        ck_assert_msg(problem == EOPNOTSUPP || problem == EPROTO, "%u: %d", type, problem);
        if (type % 2 == 1)
            ck_assert_int_eq(problem, EOPNOTSUPP);
    }
    ck_assert_uint_eq(ninep_fids(c->s), 1);
}
END_TEST

START_TEST(nothing_leads_out_by_names)
{
    static const char *const ways[] = {
        "..",  "../..",  "../secret",     "d/../../secret", "d/e/../../../secret",    "out/secret",
        "out", "out/..", "d/../out/root", "loop/x",         "../../../../etc/passwd",
    };
    struct stat root;

    ck_assert_int_eq(lstat(c->root, &root), 0);
    for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        int problem = walk(c, 0, 1, ways[i]);
        if (strcmp(ways[i], "..") == 0 || strcmp(ways[i], "../..") == 0) {
            ck_assert_int_eq(problem, 0);
            ck_assert_uint_eq(read_qid(&c->reply).path, root.st_ino); /* stays at the root */
            ck_assert_int_eq(clunk(c, 1), 0);
        } else if (strcmp(ways[i], "out") == 0) {
            ck_assert_uint_eq(read_qid(&c->reply).type, P9_QID_SYMLINK);
            ck_assert_int_eq(walk(c, 1, 2, "secret"), ENOTDIR);
            ck_assert_int_eq(walk(c, 1, 2, ".."), ENOTDIR);
            ck_assert_int_eq(call(c, P9_TLCREATE, "dsddd", 1, "x", P9_O_RDWR, 0644, 0), ENOTDIR);
            ck_assert_int_eq(clunk(c, 1), 0);
        } else {
            ck_assert_int_ne(problem, 0);
        }
    }
}
END_TEST

START_TEST(a_directory_that_became_a_link_leads_nowhere)
{
    char outside[128];

    /* The fid is the directory's, wherever it is; the name is looked up anew. */
    snprintf(outside, sizeof(outside), "%s/outside", c->top);
    ck_assert_int_eq(mkdir(outside, 0755), 0);
    put(c, "../outside/g", SOURCE_SECRET);
    ck_assert_int_eq(walk(c, 0, 1, "d/e"), 0);
    ck_assert_int_eq(rename(at(c, "d/e"), at(c, "d/was-e")), 0);
    ck_assert_int_eq(symlink(outside, at(c, "d/e")), 0);
    ck_assert_int_eq(walk(c, 1, 2, "g"), 0);
    ck_assert_int_eq(call(c, P9_TLOPEN, "dd", 2, P9_O_RDONLY), 0);
    ck_assert_int_eq(read_at(c, 2, 0, 100), 0);
    ck_assert_str_eq(read_text_of(c), "deep");
    ck_assert_int_eq(walk(c, 0, 3, "d/e/g"), ENOENT);
    ck_assert_int_eq(walk(c, 1, 3, ".."), 0);
    ck_assert_int_eq(walk(c, 3, 4, "was-e"), 0);
    /* By path: rename and remove find it where it is now, and nothing outside. */
    ck_assert_int_eq(call(c, P9_TREMOVE, "d", 2), 0);
    ck_assert(has(c, "../outside/g", SOURCE_SECRET));
    ck_assert(!exists(c, "d/was-e/g"));
}
END_TEST

START_TEST(a_directory_moved_out_gives_no_way_up)
{
    ck_assert_int_eq(walk(c, 0, 1, "d/e"), 0);
    ck_assert_int_eq(rename(at(c, "d/e"), at(c, "../e")), 0); /* by the host */
    ck_assert_int_eq(walk(c, 1, 2, ".."), ENOENT);
    ck_assert_int_eq(walk(c, 1, 2, "../secret"), ENOENT);
    ck_assert_int_eq(call(c, P9_TRENAME, "dds", 1, 0, "back"), ENOENT);
    ck_assert_int_eq(call(c, P9_TREMOVE, "d", 1), ENOENT);
    ck_assert(exists(c, "../e"));
}
END_TEST

/* ---- Somebody on the host, or another guest, exchanges a directory and a link all the time. ----
 */

static atomic_bool stop;

static void *exchange(void *path)
{
    const char *a = path, *b = a + strlen(a) + 1;

    while (!atomic_load(&stop))
        syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
    return NULL;
}

START_TEST(no_race_leads_out)
{
    char paths[2 * PATH_MAX], outside[128];
    pthread_t thread;
    unsigned inside = 0;

    snprintf(outside, sizeof(outside), "%s/outside", c->top);
    ck_assert_int_eq(mkdir(outside, 0755), 0);
    put(c, "../outside/g", SOURCE_SECRET);
    ck_assert_int_eq(symlink(outside, at(c, "d/link")), 0);
    snprintf(paths, sizeof(paths), "%s", at(c, "d/e"));
    snprintf(paths + strlen(paths) + 1, PATH_MAX, "%s", at(c, "d/link"));
    atomic_store(&stop, false);
    ck_assert_int_eq(pthread_create(&thread, NULL, exchange, paths), 0);
    for (unsigned i = 0; i < 3000; i++) {
        if (walk(c, 0, 1, "d/e/g") == 0) {
            if (call(c, P9_TLOPEN, "dd", 1, P9_O_RDWR | (i % 7 == 0 ? P9_O_TRUNC : 0)) == 0) {
                ck_assert_int_eq(read_at(c, 1, 0, 100), 0);
                ck_assert_str_ne(read_text_of(c), SOURCE_SECRET);
                ck_assert_int_eq(write_at(c, 1, 0, "deep"), 0);
                inside++;
            }
            ck_assert_int_eq(clunk(c, 1), 0);
        }
        if (walk(c, 0, 2, "d/e") == 0) {
            call(c, P9_TMKDIR, "dsdd", 2, "made", 0755, 0);
            call(c, P9_TUNLINKAT, "dsd", 2, "made", P9_AT_REMOVEDIR);
            if (walk(c, 2, 3, "..") == 0)
                ck_assert_int_eq(clunk(c, 3), 0);
            ck_assert_int_eq(clunk(c, 2), 0);
        }
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    ck_assert_uint_gt(inside, 0);
    ck_assert(has(c, "../outside/g", SOURCE_SECRET));
    ck_assert(!exists(c, "../outside/made"));
}
END_TEST

START_TEST(a_fid_is_one_file_at_a_time)
{
    ck_assert_int_eq(walk(c, 0, 1, "f"), 0);
    ck_assert_int_eq(call(c, P9_TATTACH, "ddssd", 1, P9_NO_FID, "", "", 0), EINVAL);
    ck_assert_int_eq(walk(c, 0, 1, "d"), EINVAL);
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_int_eq(clunk(c, 1), 0);
        ck_assert_int_eq(open_at(c, 1, i % 2 ? "f" : "d", P9_O_RDONLY), 0);
        ck_assert_int_eq(read_at(c, 1, 0, 10), i % 2 ? 0 : EISDIR);
    }
    for (unsigned i = 0; i < 101; i++) /* in an order of their own */
        ck_assert_int_eq(walk(c, 0, i * 37 % 101 + 1000, "f"), 0);
    for (unsigned i = 0; i < 101; i++)
        ck_assert_int_eq(clunk(c, i * 53 % 101 + 1000), 0);
}
END_TEST

/* ---- Anything at all ---- */

static uint8_t noise[1 << 15];

static void make_noise(unsigned seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;

    for (size_t i = 0; i < sizeof(noise); i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        noise[i] = (uint8_t)(x >> 32);
    }
}

static bool contains(const uint8_t *data, size_t size, const char *text)
{
    return memmem(data, size, text, strlen(text)) != NULL;
}

/* Outside is as it was, and the guest has not heard of it. */
static void check_outside(void)
{
    struct stat st;

    ck_assert(has(c, "../secret", SOURCE_SECRET));
    ck_assert_int_eq(lstat(at(c, "../secret"), &st), 0);
    ck_assert_uint_eq(st.st_nlink, 1);
    ck_assert_uint_eq(st.st_mode, secret_mode);
    ck_assert_int_eq(lstat(c->top, &st), 0);
    ck_assert_uint_eq(st.st_nlink, 3); /* root, and nothing else */
}

START_TEST(random_bytes_do_no_harm)
{
    make_noise((unsigned)_i);
    for (size_t at_byte = 0; at_byte + 64 < sizeof(noise); at_byte += 64) {
        SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
        uint8_t *bytes = noise + at_byte;
        set_size(bytes, 7 + bytes[60] % 50); /* or nothing would get far */
        if (!ninep_input(c->s, bytes, 64, &err))
            start_again();
    }
    check_outside();
}
END_TEST

START_TEST(random_messages_do_no_harm)
{
    mode_t mask = umask(022);
    make_noise((unsigned)_i);
    struct source source = {.data = noise, .size = sizeof(noise)};
    unsigned done = 0, n = 0;

    while (source.at < source.size) {
        uint8_t bytes[2048];
        size_t size = draw_message(&source, bytes);
        done += answer_of(bytes, size) == 0;
        n++;
        ck_assert(!contains(c->answer, c->answer_size, SOURCE_SECRET));
        if (bytes[4] == P9_TVERSION)
            client_attach(c);
    }
    umask(mask);
    ck_assert_uint_gt(done, n / 20); /* it got somewhere */
    check_outside();
    ck_assert_int_eq(chmod(c->root, 0755), 0); /* for the removal */
}
END_TEST

/* What a guest holds after anything at all is the same after a journey, or does not go on it. */
START_TEST(random_states_travel)
{
    make_noise((unsigned)_i + 1000);
    struct source source = {.data = noise, .size = sizeof(noise)};
    unsigned travelled = 0;

    while (source.at < source.size) {
        SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
        SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();
        static const struct ninep_options plain;
        struct ninep_state first = {0}, second = {0};
        uint8_t bytes[2048];
        for (unsigned i = 0; i < 10; i++) {
            size_t size = draw_message(&source, bytes);
            answer_of(bytes, size);
            if (bytes[4] == P9_TVERSION)
                client_attach(c);
        }
        ck_assert_int_eq(chmod(c->root, 0755), 0); /* who is not root needs to get in */
        ninep_check(c->s, "share", true, why);
        bool exported = ninep_export(c->s, &first, &err);
        ck_assert(exported == (sf_reasons_count(why) == 0));
        if (!exported)
            continue;
        ninep_rest(c->s);
        ninep_admit(&first, c->root_fd, &plain, "share", why);
        struct ninep *source_server = c->s;
        c->s = NULL;
        client_serve(c, NULL);
        bool restored = ninep_restore(c->s, &first, &err);
        ck_assert_msg(restored == (sf_reasons_count(why) == 0), "%s", SF_WHY(err));
        if (restored) {
            ck_assert_msg(ninep_export(c->s, &second, &err), "%s", SF_WHY(err));
            ck_assert_uint_eq(first.n_fids, second.n_fids);
            for (size_t i = 0; i < first.n_fids; i++) {
                ck_assert_str_eq(first.fids[i].path, second.fids[i].path);
                ck_assert_uint_eq(first.fids[i].qid_path, second.fids[i].qid_path);
                ck_assert_uint_eq(first.fids[i].flags, second.fids[i].flags);
                ck_assert_uint_eq(first.fids[i].n_locks, second.fids[i].n_locks);
            }
            travelled++;
        } else {
            client_attach(c);
        }
        ninep_free(source_server);
        ninep_state_done(&first);
        ninep_state_done(&second);
    }
    ck_assert_uint_gt(travelled, 5);
    check_outside();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ninep hostile");
    TCase *t = tcase_create("hostile"), *random = tcase_create("random");

    tcase_add_checked_fixture(t, begin, end);
    tcase_add_checked_fixture(random, begin, end);
    tcase_set_timeout(t, 60);
    tcase_set_timeout(random, 60);
    tcase_add_test(t, every_message_is_cut_and_stretched);
    tcase_add_test(t, a_stream_may_be_cut_anywhere);
    tcase_add_test(t, a_length_that_cannot_be_ends_it);
    tcase_add_test(t, a_guest_that_takes_no_answer_is_left);
    tcase_add_test(t, lengths_within_a_message_are_believed_by_nobody);
    tcase_add_test(t, what_is_no_question_is_refused);
    tcase_add_test(t, nothing_leads_out_by_names);
    tcase_add_test(t, a_directory_that_became_a_link_leads_nowhere);
    tcase_add_test(t, a_directory_moved_out_gives_no_way_up);
    tcase_add_test(t, no_race_leads_out);
    tcase_add_test(t, a_fid_is_one_file_at_a_time);
    tcase_add_loop_test(random, random_bytes_do_no_harm, 0, 5);
    tcase_add_loop_test(random, random_messages_do_no_harm, 0, 5);
    tcase_add_loop_test(random, random_states_travel, 0, 5);
    suite_add_tcase(s, t);
    suite_add_tcase(s, random);
    return s;
}

int main(void)
{
    return sf_suite_run(suite());
}
