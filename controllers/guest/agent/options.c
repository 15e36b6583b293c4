#include "guest/agent/options.h"

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

/* clang-format off */
static const struct {
    const char *name;
    unsigned long set, clear;
} flags[] = {
    { "defaults",    0,              0              },
    { "ro",          MS_RDONLY,      0              },
    { "rw",          0,              MS_RDONLY      },
    { "nosuid",      MS_NOSUID,      0              },
    { "suid",        0,              MS_NOSUID      },
    { "nodev",       MS_NODEV,       0              },
    { "dev",         0,              MS_NODEV       },
    { "noexec",      MS_NOEXEC,      0              },
    { "exec",        0,              MS_NOEXEC      },
    { "sync",        MS_SYNCHRONOUS, 0              },
    { "async",       0,              MS_SYNCHRONOUS },
    { "dirsync",     MS_DIRSYNC,     0              },
    { "noatime",     MS_NOATIME,     0              },
    { "nodiratime",  MS_NODIRATIME,  0              },
    { "relatime",    MS_RELATIME,    0              },
    { "strictatime", MS_STRICTATIME, 0              },
    { "lazytime",    MS_LAZYTIME,    0              },
};
/* clang-format on */

bool options_add(struct options *ret, const char *option)
{
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (strcmp(flags[i].name, option) != 0)
            continue;
        ret->flags = (ret->flags & ~flags[i].clear) | flags[i].set;
        return true;
    }
    size_t used = strlen(ret->data), size = strlen(option);
    if (size == 0 || strchr(option, ',') != NULL || used + size + 2 > sizeof(ret->data))
        return false;
    snprintf(ret->data + used, sizeof(ret->data) - used, "%s%s", used > 0 ? "," : "", option);
    return true;
}
