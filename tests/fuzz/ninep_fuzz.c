/*
 * What a guest says to the 9P server. The first byte says how to take the others: as the stream
 * itself, or as what to make messages of (which get further). Whatever they are: each answer is
 * whole, nothing of the file beside the share is in it, that file is as it was; and what the guest
 * holds in the end is refused a journey, or the same after it.
 *
 * libFuzzer calls LLVMFuzzerTestOneInput(); replay.c calls it for the files of a corpus.
 */
#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan9/9p/private.h"
#include "plan9/9p/server.h"
#include "plan9/9p/test_source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[64], share[80], secret[80];

static bool take_answer(void *context, const void *data, size_t size)
{
    struct reader r = {.data = data, .size = size};

    (void)context;
    assert(size >= P9_HEADER && read_u32(&r) == size);
    assert(read_u8(&r) % 2 == 1);
    assert(memmem(data, size, SOURCE_SECRET, strlen(SOURCE_SECRET)) == NULL);
    return true;
}

static void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert(file != NULL);
    fputs(text, file);
    fclose(file);
}

/* The tree that messages of test_source.c have names for. */
static int make_tree(void)
{
    char path[128];

    snprintf(top, sizeof(top), "%s/ninep-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    bool ok = mkdtemp(top) != NULL;
    snprintf(share, sizeof(share), "%s/share", top);
    snprintf(secret, sizeof(secret), "%s/secret", top);
    put(secret, SOURCE_SECRET);
    ok = ok && mkdir(share, 0755) == 0;
    snprintf(path, sizeof(path), "%s/d", share);
    ok = ok && mkdir(path, 0755) == 0;
    snprintf(path, sizeof(path), "%s/d/e", share);
    ok = ok && mkdir(path, 0755) == 0;
    snprintf(path, sizeof(path), "%s/d/e/g", share);
    put(path, "deep");
    snprintf(path, sizeof(path), "%s/f", share);
    put(path, "hello");
    snprintf(path, sizeof(path), "%s/out", share);
    ok = ok && symlink("..", path) == 0;
    assert(ok);
    return open(share, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

static void check_outside(void)
{
    char found[64] = "";
    struct stat st;
    FILE *file = fopen(secret, "r");

    assert(file != NULL && fread(found, 1, sizeof(found) - 1, file) == strlen(SOURCE_SECRET));
    fclose(file);
    assert(strcmp(found, SOURCE_SECRET) == 0);
    assert(stat(top, &st) == 0 && st.st_nlink == 3); /* the share, and no other directory */
    assert(stat(secret, &st) == 0 && st.st_nlink == 1);
}

static void begin(struct ninep *s)
{
    static const uint8_t hello[] = "\x15\0\0\0\x64\xff\xff\0\0\1\0\x08\0"
                                   "9P2000.L"
                                   "\x17\0\0\0\x68\1\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0";
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    bool ok = ninep_input(s, hello, sizeof(hello), &err);
    assert(ok && ninep_fids(s) == 1);
}

static void talk(struct ninep *s, const uint8_t *data, size_t size, bool stream)
{
    struct source source = {.data = data, .size = size};
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    uint8_t bytes[2048];

    if (stream)
        ninep_input(s, data, size, &err);
    while (!stream && source.at < source.size) {
        size_t n = draw_message(&source, bytes);
        bool ok = ninep_input(s, bytes, n, &err);
        assert(ok);
    }
}

static void travel(struct ninep *s, int root, const struct ninep_options *options)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();
    SF_CLEANUP(ninep_state_done) struct ninep_state first = {0}, second = {0};
    SF_CLEANUP(ninep_freep) struct ninep *there = ninep_new(root, options, take_answer, NULL, &err);

    assert(there != NULL);
    ninep_check(s, "share", true, why);
    bool ok = ninep_export(s, &first, &err);
    assert(ok == (sf_reasons_count(why) == 0));
    if (!ok)
        return;
    ninep_rest(s);
    ninep_admit(&first, root, options, "share", why);
    ok = ninep_restore(there, &first, &err);
    assert(ok == (sf_reasons_count(why) == 0));
    if (!ok)
        return;
    ok = ninep_export(there, &second, &err);
    assert(ok && first.msize == second.msize && first.n_fids == second.n_fids);
    for (size_t i = 0; i < first.n_fids; i++) {
        const struct ninep_fid *a = &first.fids[i], *b = &second.fids[i];
        assert(a->fid == b->fid && strcmp(a->path, b->path) == 0 && a->flags == b->flags);
        assert(a->open == b->open && a->qid_path == b->qid_path && a->n_locks == b->n_locks);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"d", "f", "new"};
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    if (size == 0)
        return 0;
    const struct ninep_options options = {.read_only = data[0] & 2,
                                          .restricted = data[0] & 4,
                                          .allowed_names = names,
                                          .n_allowed_names = data[0] & 4 ? 3 : 0};
    int root = make_tree();
    struct ninep *s = ninep_new(root, &options, take_answer, NULL, &err);
    assert(s != NULL);
    begin(s);
    talk(s, data + 1, size - 1, data[0] & 1);
    travel(s, root, &options);
    ninep_free(s);
    check_outside();
    close(root);
    chmod(share, 0755); /* for who is not root */
    nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
