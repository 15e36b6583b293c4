#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H

#include <stdatomic.h>

#include "config.h"
#include "events.h"
#include "journal.h"
#include "modules.h"
#include "paths.h"
#include "registry.h"
#include "requests.h"

/* All that a daemon has. Made by main.c before there are threads; config and modules do not change
 * after, everything else has a lock of its own. */
struct daemon {
    struct config config;
    struct modules modules;
    struct paths paths;
    struct journal journal;
    struct registry registry;
    struct requests requests;
    struct events events;
    atomic_uint next_scratch; /* names directories of CheckRestore */
};

#endif
