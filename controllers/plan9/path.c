/* What is at a path of this host. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan9/plan9.h"

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static bool type_of(int fd, const char *path, mode_t *ret, struct sf_error **err)
{
    struct stat at;

    if (fstat(fd, &at) < 0)
        return sf_fail(err, SF_UNAVAILABLE, "'%s': %s", path, strerror(errno));
    *ret = at.st_mode & S_IFMT;
    return true;
}

int open_root(const struct share_config *config, struct sf_error **err)
{
    SF_CLEANUP(close_fd) int fd = sf_path_open(config->path, O_PATH, err);
    mode_t type = 0;

    if (fd < 0 || !type_of(fd, config->path, &type, err))
        return -1;
    if (type != S_IFDIR) {
        sf_fail(err, SF_FAILED_PRECONDITION, "'%s' is not a directory", config->path);
        return -1;
    }
    int root = fd;
    fd = -1;
    return root;
}

/* The path becomes that of the directory, and its last part the one name. */
static bool split(struct share_config *config, struct sf_error **err)
{
    char *slash = strrchr(config->path, '/');
    char name[PLAN9_NAME_SIZE];

    if (strlen(slash + 1) >= sizeof(name))
        return sf_fail(err, SF_INVALID_ARGUMENT, "'%.200s': its name is too long", config->path);
    snprintf(name, sizeof(name), "%s", slash + 1);
    slash[slash == config->path ? 1 : 0] = '\0';
    config->restricted = true;
    return share_config_add_name(config, name, err);
}

/* A link would lead the guest, which follows it itself, to nowhere. */
static bool check_no_link(const struct share_config *config, struct sf_error **err)
{
    SF_CLEANUP(close_fd) int root = open_root(config, err);
    struct stat at;

    if (root < 0)
        return false;
    if (fstatat(root, config->names[0], &at, AT_SYMLINK_NOFOLLOW) < 0)
        return sf_fail(err, SF_UNAVAILABLE, "'%s/%s': %s", config->path, config->names[0],
                       strerror(errno));
    if (S_ISREG(at.st_mode))
        return true;
    sf_fail(err, SF_INVALID_ARGUMENT, "'%s/%s' is a link to a file; give the file itself",
            config->path, config->names[0]);
    return sf_fail_detail(err, SF_DETAIL_FIELD, "host_path", "must not be a link to a file");
}

bool resolve_file(struct share_config *config, bool *ret_file, struct sf_error **err)
{
    SF_CLEANUP(close_fd) int fd = sf_path_open(config->path, O_PATH, err);
    mode_t type = 0;

    if (fd < 0 || !type_of(fd, config->path, &type, err))
        return false;
    if (type == S_IFDIR)
        return true;
    if (type != S_IFREG) {
        sf_fail(err, SF_INVALID_ARGUMENT, "'%s' is neither a directory nor a file", config->path);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "host_path", "must be a directory or a file");
    }
    if (config->restricted) {
        sf_fail(err, SF_INVALID_ARGUMENT,
                "'%s' is a file; names can be allowed in a directory only", config->path);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "restricted", "must not be set for a file");
    }
    if (!split(config, err) || !check_no_link(config, err))
        return false;
    *ret_file = true;
    return true;
}
