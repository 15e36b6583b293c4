#include "plan9/fixture.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct sf_sandbox *sandbox;
struct plan9 *p;
struct sf_error *err;

const char *at(const char *path)
{
    static char paths[8][256];
    static unsigned next;

    next = (next + 1) % 8;
    snprintf(paths[next], sizeof(paths[next]), "%s%s%s", fake_host_root(), path[0] ? "/" : "",
             path);
    return paths[next];
}

static void write_file(const char *path)
{
    FILE *out = fopen(at(path), "w");

    ck_assert_ptr_nonnull(out);
    fputs(path, out);
    fclose(out);
}

void fixture_make(void)
{
    static const char *const directories[] = {"a", "b", "c"};
    char path[16];

    ck_assert(fake_host_make());
    fake_host_allow(fake_host_root());
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(mkdir(at(directories[i]), 0755), 0);
        snprintf(path, sizeof(path), "%s/one", directories[i]);
        write_file(path);
        snprintf(path, sizeof(path), "%s/two", directories[i]);
        write_file(path);
    }
    write_file("file");
    ck_assert_int_eq(symlink("file", at("link")), 0);
    ck_assert_int_eq(mkfifo(at("fifo"), 0600), 0);
    err = NULL;
    sandbox = fake_sandbox_new("s1");
    p = plan9_of(sandbox->controller);
}

void fixture_remove(void)
{
    fake_sandbox_free(sandbox);
    fake_host_remove();
    sf_error_free(err);
    err = NULL;
}

void expect(enum sf_code code, const char *text)
{
    ck_assert_ptr_nonnull(err);
    ck_assert_msg(sf_error_code(err) == code, "%s: %s", sf_code_name(sf_error_code(err)),
                  sf_error_message(err));
    ck_assert_msg(strstr(sf_error_message(err), text) != NULL, "'%s' is not in: %s", text,
                  sf_error_message(err));
    sf_error_free(err);
    err = NULL;
}

/* ---- Reservations ---- */

struct sf_share_request a_share(const char *path)
{
    return (struct sf_share_request){.host_path = at(path)};
}

const char *reserve(const struct sf_share_request *request)
{
    static char ids[16][SF_GUID_SIZE];
    static unsigned next;

    next = (next + 1) % 16;
    ck_assert_msg(plan9_reserve(p, request, ids[next], &err), "%s", SF_WHY(err));
    return ids[next];
}

const char *map(const char *id)
{
    const char *path = NULL;

    ck_assert_msg(plan9_map(p, id, &path, &err), "%s", SF_WHY(err));
    return path;
}

void release(const char *id)
{
    ck_assert_msg(plan9_release(p, id, &err), "%s", SF_WHY(err));
}

/* ---- The books ---- */

void books_are_right(void)
{
    size_t held = 0;

    for (size_t i = 0; i < p->n_shares; i++) {
        const struct share *sh = p->shares[i];
        uint32_t refs = 0;
        for (size_t k = 0; k < p->n_reservations; k++)
            refs += p->reservations[k]->share == sh;
        ck_assert_uint_gt(sh->refs, 0);
        ck_assert_uint_eq(sh->refs, refs);
        held += refs;
        ck_assert_uint_lt(sh->number, p->next_name);
        ck_assert(i == 0 || strcmp(p->shares[i - 1]->name, sh->name) < 0);
        ck_assert_uint_ne(sh->state, SHARE_REMOVED);
        ck_assert_uint_ne(sh->mount, MOUNT_UNMOUNTED);
        ck_assert(sh->state != SHARE_RESERVED || sh->mount == MOUNT_RESERVED);
    }
    ck_assert_uint_eq(held, p->n_reservations);
    for (size_t k = 1; k < p->n_reservations; k++)
        ck_assert(strcmp(p->reservations[k - 1]->id, p->reservations[k]->id) < 0);
}

void books_are_empty(void)
{
    ck_assert_uint_eq(p->n_shares, 0);
    ck_assert_uint_eq(p->n_reservations, 0);
}

/* ---- A guest's kernel ---- */

static uint8_t answer[1 << 18];

static void put(struct message *m, uint64_t value, unsigned size)
{
    for (; size > 0; size--, value >>= 8)
        m->data[m->size++] = (uint8_t)value;
}

struct message message(uint8_t type, const char *fmt, ...)
{
    struct message m = {.size = 4};
    va_list args;

    put(&m, type, 1);
    put(&m, type == TVERSION ? NOTAG : 1, 2);
    va_start(args, fmt);
    for (; *fmt != '\0'; fmt++) {
        if (*fmt == 's' || *fmt == 'r') {
            const char *text = va_arg(args, const char *);
            if (*fmt == 's')
                put(&m, strlen(text), 2);
            memcpy(m.data + m.size, text, strlen(text));
            m.size += strlen(text);
        } else {
            uint64_t value = *fmt == 'q' ? va_arg(args, uint64_t) : va_arg(args, unsigned);
            put(&m, value, *fmt == 'b' ? 1 : *fmt == 'w' ? 2 : *fmt == 'd' ? 4 : 8);
        }
    }
    va_end(args);
    size_t size = m.size;
    m.size = 0;
    put(&m, size, 4);
    m.size = size;
    return m;
}

int talk_part(uint64_t share, const struct message *m, size_t from)
{
    fake_line_say(sandbox, share, m->data + from, m->size - from, false);
    size_t size = fake_line_take(share, answer, sizeof(answer));
    ck_assert_uint_ge(size, 7);
    uint32_t says = 0, code = 0;
    memcpy(&says, answer, 4);
    ck_assert_uint_eq(says, size);
    memcpy(&code, answer + 7, 4);
    return answer[4] == 7 ? -(int)code : answer[4];
}

int talk(uint64_t share, const struct message *m)
{
    return talk_part(share, m, 0);
}

const uint8_t *answer_bytes(void)
{
    return answer + 7;
}

void open_file(uint64_t share, const char *name, uint32_t flags)
{
    const struct message all[] = {
        message(TVERSION, "ds", PLAN9_MSIZE, "9P2000.L"),
        message(TATTACH, "ddssd", 0, ~0u, "", "0", 0),
        message(TWALK, "ddws", 0, 1, 1, name),
        message(TLOPEN, "dd", 1, flags),
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        ck_assert_int_eq(talk(share, &all[i]), all[i].data[4] + 1);
}

void lock_file(uint64_t share, uint64_t start, uint64_t length)
{
    const struct message lock =
        message(TLOCK, "dbdqqds", 1, 1, 0, start, length, 117, "guest"); /* to write */

    ck_assert_int_eq(talk(share, &lock), TLOCK + 1);
    ck_assert_uint_eq(answer_bytes()[0], 0); /* it is had */
}

/* ---- Travelling ---- */

struct sf_bytes saved(void)
{
    struct sf_bytes section = {0};

    ck_assert_msg(p->base.cls->save(&p->base, &section, &err), "%s", SF_WHY(err));
    return section;
}

bool import(const struct sf_bytes *section)
{
    return p->base.cls->import(&p->base, section, PLAN9_SECTION_VERSION, &err);
}

char *reasons_of(bool (*ask)(struct sf_controller *c, struct sf_reasons *why,
                             struct sf_error **err))
{
    SF_CLEANUP(sf_reasons_freep) struct sf_reasons *why = sf_reasons_new();
    struct sf_text text = {0};

    sf_reasons_source(why, "plan9");
    ck_assert_msg(ask(&p->base, why, &err), "%s", SF_WHY(err));
    for (size_t i = 0; i < sf_reasons_kept(why); i++)
        sf_text_add(&text, "%s: %s\n", sf_reasons_get(why, i)->field, sf_reasons_get(why, i)->text);
    return sf_text_take(&text);
}

char *check(void)
{
    return reasons_of(p->base.cls->check);
}

char *admit(void)
{
    return reasons_of(p->base.cls->admit);
}

static void use(struct sf_sandbox *s)
{
    sandbox = s;
    p = plan9_of(s->controller);
}

struct sf_sandbox *to_another(void)
{
    struct sf_sandbox *old = sandbox;

    use(fake_sandbox_new("s2"));
    return old;
}

void back_to(struct sf_sandbox *s)
{
    fake_sandbox_free(sandbox);
    use(s);
}

const char *add(const char *path, bool read_only)
{
    struct sf_share_request q = a_share(path);

    q.read_only = read_only;
    const char *id = reserve(&q);
    map(id);
    return id;
}

void same(const struct sf_bytes *a, const struct sf_bytes *b)
{
    ck_assert_uint_eq(a->size, b->size);
    ck_assert(memcmp(a->data, b->data, a->size) == 0);
}

void no_reasons(char *(*ask)(void))
{
    SF_CLEANUP(sf_freep) char *reasons = ask();

    ck_assert_str_eq(reasons, "");
}

void one_reason(char *(*ask)(void), const char *field, const char *text, const char *more)
{
    SF_CLEANUP(sf_freep) char *reasons = ask();

    ck_assert_msg(strchr(reasons, '\n') == strrchr(reasons, '\n'), "%s", reasons);
    ck_assert_msg(strncmp(reasons, field, strlen(field)) == 0, "%s", reasons);
    ck_assert_msg(strstr(reasons, text) != NULL && strstr(reasons, more) != NULL, "%s", reasons);
}

struct sf_sandbox *two_shares(struct sf_bytes *ret)
{
    add("a", false);
    add("b/one", true);
    open_file(0, "one", O_RDWR);
    *ret = saved();
    struct sf_sandbox *source = to_another();
    ck_assert_msg(import(ret), "%s", SF_WHY(err));
    return source;
}
