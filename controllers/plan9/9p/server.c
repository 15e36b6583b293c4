/* A server: made, fed with bytes, freed. */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "plan9/9p/private.h"

/* What the guest may ask. */
struct message {
    message_fn *run;
    bool changes; /* something on the host: not on a share that is read-only */
};

/* clang-format off */
static const struct message messages[128] = {
    [P9_TSTATFS]      = { do_statfs,   false },
    [P9_TLOPEN]       = { do_lopen,    false }, /* looks at the flags */
    [P9_TLCREATE]     = { do_lcreate,  true  },
    [P9_TSYMLINK]     = { do_symlink,  true  },
    [P9_TMKNOD]       = { do_mknod,    true  },
    [P9_TRENAME]      = { do_rename,   true  },
    [P9_TREADLINK]    = { do_readlink, false },
    [P9_TGETATTR]     = { do_getattr,  false },
    [P9_TSETATTR]     = { do_setattr,  true  },
    [P9_TXATTRWALK]   = { do_xattr,    false },
    [P9_TXATTRCREATE] = { do_xattr,    false },
    [P9_TREADDIR]     = { do_readdir,  false },
    [P9_TFSYNC]       = { do_fsync,    false },
    [P9_TLOCK]        = { do_lock,     false },
    [P9_TGETLOCK]     = { do_getlock,  false },
    [P9_TLINK]        = { do_link,     true  },
    [P9_TMKDIR]       = { do_mkdir,    true  },
    [P9_TRENAMEAT]    = { do_renameat, true  },
    [P9_TUNLINKAT]    = { do_unlinkat, true  },
    [P9_TVERSION]     = { do_version,  false },
    [P9_TAUTH]        = { do_auth,     false },
    [P9_TATTACH]      = { do_attach,   false },
    [P9_TFLUSH]       = { do_flush,    false },
    [P9_TWALK]        = { do_walk,     false },
    [P9_TREAD]        = { do_read,     false },
    [P9_TWRITE]       = { do_write,    true  },
    [P9_TCLUNK]       = { do_clunk,    false },
    [P9_TREMOVE]      = { do_remove,   false }, /* ends the fid in any case */
};
/* clang-format on */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool take_names(struct ninep *s, const struct ninep_options *options, struct sf_error **err)
{
    char name[P9_NAME_MAX + 1];

    s->names = calloc(options->n_allowed_names + 1, sizeof(char *));
    if (s->names == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a 9P server");
    for (size_t i = 0; i < options->n_allowed_names; i++) {
        const char *given = options->allowed_names[i];
        if (name_take((struct span){given, strlen(given)}, name) != 0)
            return sf_fail(err, SF_INVALID_ARGUMENT, "'%.100s' is no name of a file", given);
        s->names[i] = strdup(given);
        if (s->names[i] == NULL)
            return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a 9P server");
        s->n_names++;
    }
    if (s->n_names > 0)
        qsort(s->names, s->n_names, sizeof(char *), by_text);
    return true;
}

static bool take_options(struct ninep *s, const struct ninep_options *options,
                         struct sf_error **err)
{
    struct rlimit limit;

    s->read_only = options->read_only;
    s->restricted = options->restricted;
    s->msize_max = options->msize_max != 0 ? options->msize_max : NINEP_MSIZE_DEFAULT;
    if (s->msize_max < NINEP_MSIZE_MIN || s->msize_max > NINEP_MSIZE_MAX)
        return sf_fail(err, SF_INVALID_ARGUMENT, "9P messages of %u bytes; from %u to %u",
                       s->msize_max, NINEP_MSIZE_MIN, NINEP_MSIZE_MAX);
    if (s->n_names > 0 && !s->restricted)
        return sf_fail(err, SF_INVALID_ARGUMENT, "names for a share that is not restricted");
    /* No guest takes the last quarter of the daemon's descriptors. */
    s->fd_limit = INT_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 4 < INT_MAX / 4)
        s->fd_limit = (int)(limit.rlim_cur - limit.rlim_cur / 4);
    return true;
}

static bool take_root(struct ninep *s, int root_fd, struct sf_error **err)
{
    char path[PATH_MAX];
    struct stat st;

    s->root = fd_copy(root_fd);
    if (s->root < 0 || fstat(s->root, &st) != 0)
        return sf_fail(err, SF_FAILED_PRECONDITION, "no descriptor of a directory: %s",
                       strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return sf_fail(err, SF_FAILED_PRECONDITION, "not a directory");
    s->root_device = st.st_dev;
    s->root_inode = st.st_ino;
    SF_CLEANUP(fd_close) int same = lookup(s->root, "", O_DIRECTORY);
    if (same < 0)
        return sf_fail(err, SF_FAILED_PRECONDITION, "openat2 does not work here: %s",
                       strerror(errno));
    int problem = path_of(s, same, path);
    if (problem != 0)
        return sf_fail(err, SF_FAILED_PRECONDITION, "/proc/self/fd does not work here: %s",
                       strerror(problem));
    return true;
}

struct ninep *ninep_new(int root_fd, const struct ninep_options *options, ninep_send_fn send,
                        void *context, struct sf_error **err)
{
    SF_CLEANUP(ninep_freep) struct ninep *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for a 9P server");
        return NULL;
    }
    s->root = -1;
    s->send = send;
    s->context = context;
    if (!take_names(s, options, err) || !take_options(s, options, err) ||
        !take_root(s, root_fd, err))
        return NULL;
    s->in = malloc(s->msize_max);
    s->out = malloc(s->msize_max);
    if (s->in == NULL || s->out == NULL) {
        sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory for 9P messages of %u bytes", s->msize_max);
        return NULL;
    }
    return SF_STEAL(s);
}

void ninep_free(struct ninep *server)
{
    if (server == NULL)
        return;
    fid_remove_all(server);
    fd_close(&server->root);
    for (size_t i = 0; i < server->n_names; i++)
        free(server->names[i]);
    free(server->names);
    free(server->fids);
    free(server->known);
    free(server->known_paths);
    free(server->in);
    free(server->out);
    free(server);
}

static void begin(struct writer *out, uint8_t type, uint16_t tag)
{
    out->at = 0;
    out->full = false;
    write_u32(out, 0); /* the size, when it is known */
    write_u8(out, type);
    write_u16(out, tag);
}

static int run_message(struct ninep *s, uint8_t type, struct reader *in, struct writer *out)
{
    const struct message *m = type < 128 ? &messages[type] : NULL;

    if (m == NULL || m->run == NULL)
        return EOPNOTSUPP;
    if (s->msize == 0 && type != P9_TVERSION)
        return EPROTO; /* no version yet */
    if (m->changes && s->read_only)
        return EROFS;
    return m->run(s, in, out);
}

static bool answer(struct ninep *s, const struct writer *out, struct sf_error **err)
{
    struct writer size = {.data = out->data, .room = out->at};

    write_u32(&size, (uint32_t)out->at);
    if (s->send(s->context, out->data, out->at))
        return true;
    s->over = true;
    return sf_fail(err, SF_UNAVAILABLE, "the guest does not take its answers");
}

static bool run(struct ninep *s, struct sf_error **err)
{
    struct reader in = {.data = s->in, .size = s->in_size, .at = 4};
    struct writer out = {.data = s->out, .room = s->msize != 0 ? s->msize : s->msize_max};
    uint8_t type = read_u8(&in);
    uint16_t tag = read_u16(&in);

    begin(&out, (uint8_t)(type + 1), tag);
    int problem = run_message(s, type, &in, &out);
    if (problem == 0 && out.full)
        problem = EMSGSIZE;
    if (problem != 0) {
        begin(&out, P9_RLERROR, tag);
        write_u32(&out, (uint32_t)problem);
    }
    return answer(s, &out, err);
}

static uint32_t message_size(const struct ninep *s)
{
    struct reader r = {.data = s->in, .size = s->in_size};

    return read_u32(&r);
}

static bool size_valid(const struct ninep *s)
{
    uint32_t size = message_size(s), most = s->msize != 0 ? s->msize : s->msize_max;

    return size >= P9_HEADER && size <= most;
}

/* What the message still lacks, or its length. */
static size_t wanted(const struct ninep *s)
{
    return s->in_size < 4 ? 4 - s->in_size : message_size(s) - s->in_size;
}

bool ninep_input(struct ninep *server, const void *data, size_t size, struct sf_error **err)
{
    const uint8_t *at = data;

    if (server->over)
        return sf_fail(err, SF_FAILED_PRECONDITION, "the conversation in 9P has ended");
    while (size > 0) {
        size_t want = wanted(server), take = want < size ? want : size;
        memcpy(server->in + server->in_size, at, take);
        server->in_size += take;
        at += take;
        size -= take;
        if (server->in_size == 4 && !size_valid(server)) {
            server->over = true;
            return sf_fail(err, SF_INVALID_ARGUMENT, "a 9P message of %u bytes",
                           message_size(server));
        }
        if (server->in_size < 4 || wanted(server) > 0)
            continue;
        bool sent = run(server, err);
        server->in_size = 0;
        if (!sent)
            return false;
    }
    return true;
}
