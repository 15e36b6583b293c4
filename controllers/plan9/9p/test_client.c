#include "test_client.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suite.h"

static bool take_answer(void *context, const void *data, size_t size)
{
    struct client *c = context;

    if (c->deaf)
        return false;
    ck_assert_uint_le(size, sizeof(c->answer));
    memcpy(c->answer, data, size);
    c->answer_size = size;
    c->answers++;
    return true;
}

const char *at(struct client *c, const char *name)
{
    static char paths[5][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 5];

    if (strncmp(name, "../", 3) == 0)
        snprintf(path, PATH_MAX, "%s/%s", c->top, name + 3);
    else
        snprintf(path, PATH_MAX, "%s/%s", c->root, name);
    return path;
}

void put(struct client *c, const char *name, const char *text)
{
    FILE *file = fopen(at(c, name), "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

bool exists(struct client *c, const char *name)
{
    struct stat st;

    return lstat(at(c, name), &st) == 0;
}

bool has(struct client *c, const char *name, const char *text)
{
    char found[4096] = "";
    FILE *file = fopen(at(c, name), "r");

    if (file == NULL)
        return false;
    size_t size = fread(found, 1, sizeof(found) - 1, file);
    fclose(file);
    return size == strlen(text) && memcmp(found, text, size) == 0;
}

void client_serve(struct client *c, const struct ninep_options *options)
{
    static const struct ninep_options plain;
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    ninep_free(c->s);
    c->s = ninep_new(c->root_fd, options != NULL ? options : &plain, take_answer, c, &err);
    ck_assert_msg(c->s != NULL, "%s", SF_WHY(err));
}

struct client *client_new(const struct ninep_options *options)
{
    struct client *c = calloc(1, sizeof(*c));

    ck_assert_ptr_nonnull(c);
    snprintf(c->top, sizeof(c->top), "/tmp/ninep-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(c->top));
    snprintf(c->root, sizeof(c->root), "%s/root", c->top);
    ck_assert_int_eq(mkdir(c->root, 0755), 0);
    ck_assert_int_eq(mkdir(at(c, "d"), 0755), 0);
    ck_assert_int_eq(mkdir(at(c, "d/e"), 0755), 0);
    put(c, "f", "hello");
    put(c, "d/e/g", "deep");
    put(c, "../secret", "secret");
    ck_assert_int_eq(symlink("..", at(c, "out")), 0);
    ck_assert_int_eq(symlink("loop", at(c, "loop")), 0);
    c->root_fd = open(c->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(c->root_fd, 0);
    client_serve(c, options);
    return c;
}

/* The guest may have made directories that nobody but root can read. */
static int open_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)where;
    if (type == FTW_D || type == FTW_DNR)
        chmod(path, 0700);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

void client_free(struct client *c)
{
    if (c == NULL)
        return;
    ninep_free(c->s);
    close(c->root_fd);
    for (unsigned depth = 0; geteuid() != 0 && depth < 16; depth++)
        nftw(c->top, open_one, 16, FTW_PHYS);
    nftw(c->top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(c);
}

static size_t message_of(uint8_t *ret, size_t room, unsigned type, unsigned tag, const char *format,
                         va_list args)
{
    struct writer w = {.data = ret, .room = room};

    write_u32(&w, 0);
    write_u8(&w, (uint8_t)type);
    write_u16(&w, (uint16_t)tag);
    for (; *format != '\0'; format++) {
        if (*format == 'b')
            write_u8(&w, (uint8_t)va_arg(args, unsigned));
        else if (*format == 'h')
            write_u16(&w, (uint16_t)va_arg(args, unsigned));
        else if (*format == 'd')
            write_u32(&w, va_arg(args, unsigned));
        else if (*format == 'q')
            write_u64(&w, va_arg(args, uint64_t));
        else if (*format == 's') {
            const char *text = va_arg(args, const char *);
            write_text(&w, text, strlen(text));
        } else {
            size_t size = va_arg(args, size_t);
            const uint8_t *bytes = va_arg(args, const uint8_t *);
            for (size_t i = 0; i < size; i++)
                write_u8(&w, bytes[i]);
        }
    }
    ck_assert(!w.full);
    struct writer size = {.data = ret, .room = room};
    write_u32(&size, (uint32_t)w.at);
    return w.at;
}

size_t message(uint8_t *ret, size_t room, unsigned type, unsigned tag, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    size_t size = message_of(ret, room, type, tag, format, args);
    va_end(args);
    return size;
}

bool client_input(struct client *c, const void *data, size_t size)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    /* A copy of just that size, so that nobody reads beyond it unseen. */
    uint8_t *copy = malloc(size > 0 ? size : 1);

    memcpy(copy, data, size);
    bool ok = ninep_input(c->s, copy, size, &err);
    free(copy);
    ck_assert(ok == (err == NULL));
    return ok;
}

int call(struct client *c, unsigned type, const char *format, ...)
{
    static uint8_t bytes[NINEP_MSIZE_MAX];
    va_list args;
    unsigned before = c->answers;

    va_start(args, format);
    size_t size = message_of(bytes, sizeof(bytes), type, ++c->tag, format, args);
    va_end(args);
    ck_assert(client_input(c, bytes, size));
    ck_assert_uint_eq(c->answers, before + 1);

    c->reply = (struct reader){.data = c->answer, .size = c->answer_size};
    ck_assert_uint_eq(read_u32(&c->reply), c->answer_size);
    uint8_t answer = read_u8(&c->reply);
    ck_assert_uint_eq(read_u16(&c->reply), c->tag);
    if (answer != P9_RLERROR) {
        ck_assert_uint_eq(answer, type + 1);
        return 0;
    }
    uint32_t problem = read_u32(&c->reply);
    ck_assert(read_all(&c->reply));
    ck_assert_uint_ne(problem, 0);
    return (int)problem;
}

void client_attach(struct client *c)
{
    ck_assert_int_eq(call(c, P9_TVERSION, "ds", NINEP_MSIZE_DEFAULT, P9_VERSION), 0);
    ck_assert_int_eq(call(c, P9_TATTACH, "ddssd", 0, P9_NO_FID, "root", "share", 0), 0);
}

int walk(struct client *c, uint32_t fid, uint32_t target, const char *path)
{
    uint8_t names[8192];
    struct writer w = {.data = names, .room = sizeof(names)};
    unsigned n = 0;

    for (size_t size; *path != '\0'; path += size + (path[size] == '/')) {
        size = strcspn(path, "/");
        write_text(&w, path, size);
        n++;
    }
    int problem = call(c, P9_TWALK, "ddhn", fid, target, n, w.at, names);
    if (problem == 0 && read_u16(&c->reply) != n)
        return ENOENT; /* as Linux sees it */
    return problem;
}

int open_at(struct client *c, uint32_t fid, const char *path, uint32_t flags)
{
    int problem = walk(c, 0, fid, path);
    if (problem != 0)
        return problem;
    problem = call(c, P9_TLOPEN, "dd", fid, flags);
    if (problem != 0)
        ck_assert_int_eq(clunk(c, fid), 0);
    return problem;
}

int make(struct client *c, uint32_t fid, const char *name, uint32_t flags, uint32_t mode)
{
    ck_assert_int_eq(walk(c, 0, fid, ""), 0);
    int problem = call(c, P9_TLCREATE, "dsddd", fid, name, flags, mode, 0);
    if (problem != 0)
        ck_assert_int_eq(clunk(c, fid), 0);
    return problem;
}

int clunk(struct client *c, uint32_t fid)
{
    return call(c, P9_TCLUNK, "d", fid);
}

int write_at(struct client *c, uint32_t fid, uint64_t offset, const char *text)
{
    int problem =
        call(c, P9_TWRITE, "dqdn", fid, offset, (unsigned)strlen(text), strlen(text), text);
    if (problem == 0)
        ck_assert_uint_eq(read_u32(&c->reply), strlen(text));
    return problem;
}

int read_at(struct client *c, uint32_t fid, uint64_t offset, uint32_t count)
{
    return call(c, P9_TREAD, "dqd", fid, offset, count);
}

const char *read_text_of(struct client *c)
{
    static char text[NINEP_MSIZE_MAX];
    uint32_t size = read_u32(&c->reply);
    struct span bytes = read_bytes(&c->reply, size);

    ck_assert(read_all(&c->reply));
    memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    return text;
}

struct qid read_qid(struct reader *r)
{
    struct qid qid = {.type = read_u8(r)};

    read_u32(r);
    qid.path = read_u64(r);
    return qid;
}
