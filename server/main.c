/* sandferryd: options, controllers, listen, until told to stop. */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon.h"
#include "host.h"
#include "operations.h"
#include "rpc/rpc.h"
#include "service.h"

#define PEM_SIZE_MAX   (1u << 20)
#define LONG_CALLS     256 /* each that is attached to a process, follows or waits is one */
#define DRAIN_GRACE_MS 10000

enum { EXIT_USAGE = 2 };

/* ---- directories ---- */

/* With its parents, as `mkdir -p` does. */
static bool make_path(const char *path, struct sf_error **err)
{
    SF_CLEANUP(sf_freep) char *part = strdup(path);
    if (part == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(part, 0755);
        *slash = '/';
    }
    return mkdir(part, 0700) == 0 || errno == EEXIST ||
           sf_fail(err, SF_FAILED_PRECONDITION, "'%s' cannot be made: %s", path, strerror(errno));
}

static bool make_directories(const struct config *config, struct sf_error **err)
{
    SF_CLEANUP(sf_freep) char *sandboxes = sf_format("%s/sb", config_get(config, "run-dir"));
    if (sandboxes == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return make_path(config_get(config, "run-dir"), err) && make_path(sandboxes, err) &&
           make_path(config_get(config, "state-dir"), err);
}

/* ---- listening ---- */

static char *read_pem(const char *path, struct sf_error **err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        sf_fail(err, SF_FAILED_PRECONDITION, "'%s': %s", path, strerror(errno));
        return NULL;
    }
    char *text = calloc(1, PEM_SIZE_MAX + 1);
    bool ok = text != NULL && fread(text, 1, PEM_SIZE_MAX, file) > 0;
    fclose(file);
    if (ok)
        return text;
    free(text);
    sf_fail(err, SF_FAILED_PRECONDITION, "'%s' cannot be read, or is empty", path);
    return NULL;
}

static bool listen_with_tls(struct rpc_server *server, const char *address,
                            const struct config *config, struct sf_error **err)
{
    static const char *const names[] = {"tls-cert", "tls-key", "tls-client-ca"};
    char *pem[3] = {NULL};
    bool ok = true;

    for (size_t i = 0; ok && i < 3; i++) {
        const char *path = config_get(config, names[i]);
        if (path == NULL)
            ok = sf_fail(err, SF_INVALID_ARGUMENT,
                         "--listen %s needs --tls-cert, --tls-key and --tls-client-ca; --%s is "
                         "not given",
                         address, names[i]);
        else
            ok = (pem[i] = read_pem(path, err)) != NULL;
    }
    struct rpc_tls tls = {.certificate_pem = pem[0], .key_pem = pem[1], .client_ca_pem = pem[2]};
    int port;
    ok = ok && rpc_server_listen(server, address, &tls, false, &port, err);
    for (size_t i = 0; i < 3; i++)
        free(pem[i]);
    if (ok)
        sf_info("sandferryd: listens address='%s' port=%d", address, port);
    return ok;
}

static bool listen_plain(struct rpc_server *server, const char *address, bool insecure,
                         struct sf_error **err)
{
    int port = 0;
    if (!rpc_server_listen(server, address, NULL, insecure, &port, err))
        return false;
    if (strncmp(address, "unix:", 5) == 0)
        sf_info("sandferryd: listens address='%s'", address);
    else
        sf_warning("sandferryd: listens address='%s' port=%d without TLS: whoever can connect "
                   "rules this host, continuing",
                   address, port);
    return true;
}

static bool listen_all(struct rpc_server *server, const struct config *config,
                       struct sf_error **err)
{
    size_t n;
    const char *const *addresses = config_list(config, "listen", &n);
    bool insecure = config_flag(config, "insecure-tcp");

    for (size_t i = 0; i < n; i++) {
        bool plain = insecure || strncmp(addresses[i], "unix:", 5) == 0;
        if (!(plain ? listen_plain(server, addresses[i], insecure, err)
                    : listen_with_tls(server, addresses[i], config, err)))
            return false;
    }
    return true;
}

/* ---- its life ---- */

static bool set_up_log(const struct config *config, struct sf_error **err)
{
    enum sf_log_level level;
    const char *name = config_get(config, "log-level");
    if (!sf_log_parse_level(name, &level))
        return sf_fail(err, SF_INVALID_ARGUMENT, "--log-level '%s': error, warning, info or debug",
                       name);
    sf_log_set_level(level);
    if (config_get(config, "fault-file") != NULL)
        sf_fault_file(config_get(config, "fault-file"));
    return true;
}

static bool open_daemon(struct daemon *d, struct sf_error **err)
{
    size_t n;
    const char *const *allow = config_list(&d->config, "allow", &n);

    requests_init(&d->requests);
    registry_init(&d->registry);
    host_use(&d->config, &d->paths);
    return events_init(&d->events, err) && make_directories(&d->config, err) &&
           journal_open(&d->journal, config_get(&d->config, "state-dir"), err) &&
           paths_init(&d->paths, allow, n, err) &&
           modules_load(&d->modules, config_get(&d->config, "controller-dir"), err);
}

static void close_daemon(struct daemon *d)
{
    registry_done(&d->registry);
    requests_done(&d->requests);
    events_done(&d->events);
    modules_done(&d->modules);
    paths_done(&d->paths);
    journal_close(&d->journal);
}

static void log_controllers(const struct modules *modules)
{
    struct sf_text text = {0};
    for (size_t i = 0; i < modules->n; i++)
        sf_text_add(&text, "%s%s", i == 0 ? "" : " ", modules->all[i].cls.name);
    SF_CLEANUP(sf_freep) char *names = sf_text_take(&text);
    sf_info("sandferryd: ready version=%s pid=%ld controllers='%s'", SANDFERRY_VERSION,
            (long)getpid(), names == NULL ? "" : names);
}

/* The socket is ours before the journal is touched; calls are taken once it is worked off. */
static bool serve(struct daemon *d, struct rpc_server *server, const sigset_t *signals,
                  struct sf_error **err)
{
    int signal = 0;

    if (!listen_all(server, &d->config, err) || !restore_all_from_journal(d, err))
        return false;
    if (!rpc_server_start(server, err)) {
        save_all_to_journal(d);
        return false;
    }
    log_controllers(&d->modules);
    while (sigwait(signals, &signal) != 0)
        ;
    sf_info("sandferryd: ends signal=%s", sigabbrev_np(signal));
    rpc_server_drain(server, DRAIN_GRACE_MS);
    save_all_to_journal(d);
    return true;
}

static bool run(struct daemon *d, const sigset_t *signals, struct sf_error **err)
{
    const struct rpc_options options = {.done = service_log, .long_workers = LONG_CALLS};
    struct service_bindings *bindings = NULL;

    struct rpc_server *server = rpc_server_new(&options, err);
    bool ok = server != NULL && service_add_all(d, server, &bindings, err) &&
              serve(d, server, signals, err);
    rpc_server_free(server);
    service_free(bindings);
    return ok;
}

static int run_daemon(struct daemon *d)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    sigset_t signals;

    /* Blocked here, before there are threads: only the sigwait() in serve() takes them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    umask(0077);

    bool ok = set_up_log(&d->config, &err) && open_daemon(d, &err);
    if (ok) {
        rpc_init();
        ok = run(d, &signals, &err);
        rpc_shutdown();
    }
    if (!ok)
        sf_error_log("sandferryd: %s", sf_error_message(err));
    close_daemon(d);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static struct daemon daemon = {.journal = {.lock = -1}};
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
    enum config_action action = CONFIG_RUN;
    int result = EXIT_SUCCESS;

    if (!config_parse(&daemon.config, argc, argv, &action, &err)) {
        fprintf(stderr, "sandferryd: %s\n", sf_error_message(err));
        result = EXIT_USAGE;
    } else if (action == CONFIG_HELP) {
        config_print_help(stdout);
    } else if (action == CONFIG_VERSION) {
        puts("sandferryd " SANDFERRY_VERSION);
    } else if (action == CONFIG_PRINT) {
        result = config_print(&daemon.config, stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
    } else {
        result = run_daemon(&daemon);
    }
    config_done(&daemon.config);
    return result;
}
