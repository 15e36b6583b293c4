/*
 * Reading directories.
 *
 * A cookie says where a client goes on, and has to mean the same after the VM has moved to another
 * host, whose file system keeps its directories in another order. So the order is our own: by a
 * hash of the name, then by the name. The cookie of an entry is its place in that order: its hash,
 * or one more than the cookie before it where two hashes are the same. What is made or removed
 * meanwhile shifts nobody else. ('.' is 1, '..' is 2.)
 *
 * A directory may be larger than we want to remember. A listing is the first entries after some
 * cookie; what comes after those is read from the directory again.
 */
#include "plan9/9p/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define LISTING_MAX  16384 /* entries */
#define SAME_HASH    64    /* names with one hash, at most: in truth, two are a wonder */
#define FIRST_COOKIE 3u
#define ENTRY_SIZE   (13 + 8 + 1 + 2) /* and the name */

struct listed {
    uint64_t hash, cookie;
    char *name; /* owned */
};

/* SipHash-2-4 with a key that never changes: it is what the cookies of saved sandboxes mean. The
 * guest chooses names, and should not find many with one hash. */
struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t turn(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static void sip_round(struct sip *s)
{
    s->v0 += s->v1, s->v1 = turn(s->v1, 13) ^ s->v0, s->v0 = turn(s->v0, 32);
    s->v2 += s->v3, s->v3 = turn(s->v3, 16) ^ s->v2;
    s->v0 += s->v3, s->v3 = turn(s->v3, 21) ^ s->v0;
    s->v2 += s->v1, s->v1 = turn(s->v1, 17) ^ s->v2, s->v2 = turn(s->v2, 32);
}

static void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    sip_round(s);
    s->v0 ^= word;
}

uint64_t name_hash(const char *name, size_t size)
{
    const uint64_t key0 = 0x73616e6466657272u, key1 = 0x7920726561646469u;
    struct sip s = {.v0 = key0 ^ 0x736f6d6570736575u,
                    .v1 = key1 ^ 0x646f72616e646f6du,
                    .v2 = key0 ^ 0x6c7967656e657261u,
                    .v3 = key1 ^ 0x7465646279746573u};
    uint64_t word = 0;

    for (size_t i = 0; i < size; i++) {
        word |= (uint64_t)(uint8_t)name[i] << 8 * (i % 8);
        if (i % 8 == 7) {
            sip_word(&s, word);
            word = 0;
        }
    }
    sip_word(&s, word | (uint64_t)size << 56);
    s.v2 ^= 0xff;
    for (unsigned i = 0; i < 4; i++)
        sip_round(&s);
    /* Room below for the dots, and above for names with the last hash. */
    return FIRST_COOKIE + (s.v0 ^ s.v1 ^ s.v2 ^ s.v3) % (INT64_MAX - 65536);
}

static int by_hash(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void listing_empty(struct listing *l)
{
    for (size_t i = 0; i < l->n_entries; i++)
        free(l->entries[i].name);
    free(l->entries);
    *l = (struct listing){0};
}

void listing_drop(struct ninep *s, const struct fid *f)
{
    for (unsigned i = 0; i < LISTINGS; i++)
        if (s->listings[i].of == f)
            listing_empty(&s->listings[i]);
}

/* Keeps the first ones. */
static void cut(struct listing *l)
{
    qsort(l->entries, l->n_entries, sizeof(l->entries[0]), by_hash);
    while (l->n_entries > LISTING_MAX)
        free(l->entries[--l->n_entries].name);
}

static int add_name(struct listing *l, const char *name, uint64_t oldest, bool *full)
{
    struct listed entry = {.hash = name_hash(name, strlen(name)), .name = (char *)(uintptr_t)name};

    if (entry.hash < oldest)
        return 0;
    if (*full && by_hash(&entry, &l->entries[LISTING_MAX - 1]) > 0)
        return 0;
    if (l->n_entries == 0 || (l->n_entries >= 64 && (l->n_entries & (l->n_entries - 1)) == 0)) {
        size_t room = l->n_entries == 0 ? 64 : 2 * l->n_entries;
        struct listed *more = realloc(l->entries, room * sizeof(*more));
        if (more == NULL)
            return ENOMEM;
        l->entries = more;
    }
    entry.name = strdup(name);
    if (entry.name == NULL)
        return ENOMEM;
    l->entries[l->n_entries++] = entry;
    if (l->n_entries == 2 * LISTING_MAX) {
        cut(l);
        *full = true;
    }
    return 0;
}

static bool listed(const struct ninep *s, bool root, int directory, const char *name)
{
    size_t size = strlen(name);

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || size > P9_NAME_MAX)
        return false;
    return !root || name_visible(s, directory, name);
}

static int read_names(const struct ninep *s, const struct fid *f, struct listing *l,
                      uint64_t oldest, bool *full)
{
    char buffer[16384] __attribute__((aligned(8)));
    struct stat st;
    ssize_t size;

    if (fstat(f->io, &st) != 0 || lseek(f->io, 0, SEEK_SET) != 0)
        return errno;
    bool root = is_root(s, &st);
    while ((size = getdents64(f->io, buffer, sizeof(buffer))) > 0) {
        for (ssize_t at = 0; at < size;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(buffer + at);
            int problem = listed(s, root, f->io, entry->d_name)
                              ? add_name(l, entry->d_name, oldest, full)
                              : 0;
            if (problem != 0)
                return problem;
            at += entry->d_reclen;
        }
    }
    return size < 0 ? errno : 0;
}

/* The first entries after @cookie. */
static int listing_fill(const struct ninep *s, const struct fid *f, struct listing *l,
                        uint64_t cookie)
{
    uint64_t oldest = cookie > SAME_HASH ? cookie - SAME_HASH : 0, last = FIRST_COOKIE - 1;
    bool full = false;

    listing_empty(l);
    int problem = read_names(s, f, l, oldest, &full);
    if (problem != 0) {
        listing_empty(l);
        return problem;
    }
    full = full || l->n_entries > LISTING_MAX;
    if (l->n_entries > 0)
        cut(l);
    for (size_t i = 0; i < l->n_entries; i++) {
        struct listed *entry = &l->entries[i];
        entry->cookie = entry->hash > last ? entry->hash : last + 1;
        last = entry->cookie;
    }
    l->of = f;
    l->from = cookie;
    l->to = full ? last : UINT64_MAX;
    return 0;
}

/* At offset 0 a client wants to see what is there now. */
static int listing_get(struct ninep *s, const struct fid *f, uint64_t cookie, struct listing **ret)
{
    struct listing *l = &s->listings[0];

    for (unsigned i = 0; i < LISTINGS; i++) {
        struct listing *other = &s->listings[i];
        if (other->of == f || (l->of != f && other->used < l->used))
            l = other;
    }
    if (l->of != f || cookie == 0 || cookie < l->from || cookie >= l->to) {
        int problem = listing_fill(s, f, l, cookie);
        if (problem != 0)
            return problem;
    }
    l->used = ++s->listings_used;
    *ret = l;
    return 0;
}

/* False: it does not fit. */
static bool write_entry(const struct ninep *s, struct writer *out, const char *name,
                        uint64_t cookie, const struct stat *st)
{
    size_t size = strlen(name);

    if (size + ENTRY_SIZE > out->room - out->at)
        return false;
    write_qid(out, qid_of(s, st));
    write_u64(out, cookie);
    write_u8(out, (uint8_t)IFTODT(st->st_mode));
    write_text(out, name, size);
    return true;
}

static bool write_dots(const struct ninep *s, const struct fid *f, uint64_t cookie,
                       struct writer *out)
{
    SF_CLEANUP(fd_close) int parent = -1;
    struct stat own, up;

    if (cookie >= 2 || fstat(f->io, &own) != 0)
        return true;
    if (parent_directory(s, f->fd, &parent) != 0 || fstat(parent, &up) != 0)
        up = own;
    return (cookie >= 1 || write_entry(s, out, ".", 1, &own)) && write_entry(s, out, "..", 2, &up);
}

static void write_entries(const struct ninep *s, const struct fid *f, const struct listing *l,
                          uint64_t cookie, struct writer *out, bool *fits)
{
    size_t low = 0, high = l->n_entries;
    struct stat st;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->entries[middle].cookie <= cookie)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t i = low; *fits && i < l->n_entries; i++) {
        const struct listed *entry = &l->entries[i];
        if (fstatat(f->io, entry->name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0)
            *fits = write_entry(s, out, entry->name, entry->cookie, &st);
    }
}

int do_readdir(struct ninep *s, struct reader *in, struct writer *out)
{
    struct fid *f = fid_find(s, read_u32(in));
    uint64_t cookie = read_u64(in);
    uint32_t count = read_u32(in);
    struct listing *l;

    if (!read_all(in))
        return EPROTO;
    if (f == NULL || f->io < 0)
        return EBADF;
    if (!S_ISDIR(f->type))
        return ENOTDIR;
    if (cookie > INT64_MAX)
        return EINVAL;
    if (count > s->msize - P9_HEADER - P9_IO)
        count = s->msize - P9_HEADER - P9_IO;

    struct writer page = {.data = out->data + out->at + P9_IO, .room = count};
    bool fits = write_dots(s, f, cookie, &page);
    while (fits) {
        int problem = listing_get(s, f, cookie, &l);
        if (problem != 0)
            return problem;
        size_t before = page.at;
        write_entries(s, f, l, cookie, &page, &fits);
        /* All that a listing knows may have gone since, and more may come after it. */
        if (l->to == UINT64_MAX || page.at > before)
            break;
        cookie = l->to;
    }
    if (page.at == 0 && !fits)
        return EINVAL;
    write_u32(out, (uint32_t)page.at);
    out->at += page.at;
    return 0;
}
