#ifndef QEMU_PROBE_H
#define QEMU_PROBE_H

#include <stdbool.h>

#include "base/error.h"
#include "qemu/run.h"

/* What one QEMU program can do on this host, found by running it. Never changes once found. */
struct probe {
    char *program;    /* path */
    char version[32]; /* "7.2.22" */
    bool kvm;         /* a kernel starts on KVM */
    char **machines;  /* NULL at the end: names and aliases */
    char **cpus;      /* NULL at the end */
};

/**
 * probe_qemu() - ask, once for each program and user; later answers are the first one
 * @name:   path, or name in PATH
 * @kernel: vmlinux, to see whether KVM runs it: some hosts have KVM that starts and then hangs. If
 * it is not there, whether KVM starts has to do
 *
 * Return: the process's own; NULL with FAILED_PRECONDITION if there is no such program, UNAVAILABLE
 * with its last words if it does not start. Thread-safe.
 */
const struct probe *probe_qemu(const char *name, const struct run_user *user, const char *kernel,
                               struct sf_error **err);

bool probe_has_machine(const struct probe *p, const char *name);
bool probe_has_cpu(const struct probe *p, const char *name);

#endif
