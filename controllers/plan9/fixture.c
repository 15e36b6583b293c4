#include "plan9/fixture.h"

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
        ck_assert(sh->state == SHARE_ADDED || sh->mount == MOUNT_RESERVED);
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

struct sf_bytes saved(void)
{
    struct sf_bytes section = {0};

    ck_assert_msg(p->base.cls->save(&p->base, &section, &err), "%s", SF_WHY(err));
    return section;
}
