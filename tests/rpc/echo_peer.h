#ifndef ECHO_PEER_H
#define ECHO_PEER_H

/* The echo server in a process of its own, and a client that can say what ours would never say. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct peer {
    pid_t pid;
    int in, out, err; /* its standard input; what it prints */
    char address[128];
    char directory[64];
};

/* Starts it on a unix socket in a directory of its own; @files: its limit of descriptors, 0: none.
 * Aborts the test if it does not come up. */
void peer_start(struct peer *p, unsigned files);
/* On @address; false: it refused, with its words in @ret_words. */
bool peer_start_at(struct peer *p, const char *address, char *const tls[3], unsigned files,
                   char *ret_words, size_t room);
/* The next line that it prints, within 10 s. */
void peer_line(struct peer *p, char *ret, size_t room);
int peer_reap(struct peer *p);     /* waits for its end; the status of waitpid() */
void peer_release(struct peer *p); /* ends a Work */
/* SIGTERM, and its exit status. Removes its directory. */
int peer_stop(struct peer *p);
long peer_peak_kib(const struct peer *p); /* VmHWM */

/* One unary call with any bytes. Return: the status code; its words in @ret_words. */
int raw_call(const char *address, const char *method, const void *data, size_t size, bool gzip,
             char *ret_words, size_t room);

#endif
