#include "rpc/echo_peer.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <grpc/byte_buffer.h>
#include <grpc/compression.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>

static void exec_server(const char *address, char *const tls[3], unsigned files)
{
    struct rlimit limit = {.rlim_cur = files, .rlim_max = files};

    if (files > 0)
        setrlimit(RLIMIT_NOFILE, &limit);
    if (tls != NULL)
        execl(ECHO_SERVER, "echo_server", address, tls[0], tls[1], tls[2], (char *)NULL);
    else
        execl(ECHO_SERVER, "echo_server", address, (char *)NULL);
    _exit(127);
}

int peer_reap(struct peer *p)
{
    int status = -1;

    waitpid(p->pid, &status, 0);
    close(p->in);
    close(p->out);
    close(p->err);
    return status;
}

void peer_release(struct peer *p)
{
    ck_assert_int_eq(write(p->in, "x", 1), 1);
}

bool peer_start_at(struct peer *p, const char *address, char *const tls[3], unsigned files,
                   char *ret_words, size_t room)
{
    int in[2], out[2], err[2];
    char line[64];

    ck_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 &&
              pipe2(err, O_CLOEXEC) == 0);
    p->pid = fork();
    if (p->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(err[1], 2);
        exec_server(address, tls, files);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    p->in = in[1];
    p->out = out[0];
    p->err = err[0];
    snprintf(p->address, sizeof(p->address), "%s", address);
    peer_line(p, line, sizeof(line));
    if (line[0] != '\0') {
        if (line[0] != 'r') /* a port */
            snprintf(p->address, sizeof(p->address), "127.0.0.1:%s", line);
        return true;
    }
    ssize_t n = read(p->err, ret_words, room - 1);
    ret_words[n > 0 ? n : 0] = '\0';
    peer_reap(p);
    return false;
}

void peer_start(struct peer *p, unsigned files)
{
    char address[100], words[256];

    snprintf(p->directory, sizeof(p->directory), "/tmp/sandferry-rpc-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(p->directory));
    snprintf(address, sizeof(address), "unix:%s/s", p->directory);
    ck_assert_msg(peer_start_at(p, address, NULL, files, words, sizeof(words)), "%s", words);
}

void peer_line(struct peer *p, char *ret, size_t room)
{
    size_t n = 0;

    while (n + 1 < room) {
        struct pollfd fd = {.fd = p->out, .events = POLLIN};
        ck_assert_msg(poll(&fd, 1, 10000) == 1, "the server says nothing");
        if (read(p->out, ret + n, 1) != 1 || ret[n] == '\n')
            break;
        n++;
    }
    ret[n] = '\0';
}

int peer_stop(struct peer *p)
{
    char path[100];

    kill(p->pid, SIGTERM);
    int status = peer_reap(p);
    snprintf(path, sizeof(path), "%s/s", p->directory);
    ck_assert_int_ne(access(path, F_OK), 0); /* its socket goes with it */
    ck_assert_int_eq(rmdir(p->directory), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

long peer_peak_kib(const struct peer *p)
{
    char path[64], line[128];
    long kib = -1;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)p->pid);
    FILE *in = fopen(path, "re");
    ck_assert_ptr_nonnull(in);
    while (fgets(line, sizeof(line), in) != NULL)
        sscanf(line, "VmHWM: %ld", &kib);
    fclose(in);
    return kib;
}

int raw_call(const char *address, const char *method, const void *data, size_t size, bool gzip,
             char *ret_words, size_t room)
{
    grpc_arg args[] = {
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)"grpc.default_compression_algorithm",
         .value.integer = gzip ? GRPC_COMPRESS_GZIP : GRPC_COMPRESS_NONE},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)"grpc.max_send_message_length",
         .value.integer = -1},
        {.type = GRPC_ARG_INTEGER,
         .key = (char *)"grpc.use_local_subchannel_pool",
         .value.integer = 1},
    };
    grpc_channel_args list = {.num_args = 3, .args = args};
    grpc_channel_credentials *plain = grpc_insecure_credentials_create();
    grpc_channel *channel = grpc_channel_create(address, plain, &list);
    grpc_completion_queue *queue = grpc_completion_queue_create_for_pluck(NULL);
    grpc_slice path = grpc_slice_from_copied_string(method);
    gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(20, GPR_TIMESPAN));
    grpc_call *call = grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue, path,
                                               NULL, deadline, NULL);
    grpc_slice slice = grpc_slice_from_copied_buffer(data, size);
    grpc_byte_buffer *out = grpc_raw_byte_buffer_create(&slice, 1), *in = NULL;
    grpc_metadata_array initial, trailing;
    grpc_status_code status = GRPC_STATUS_UNKNOWN;
    grpc_slice words = grpc_empty_slice();
    grpc_op ops[6] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},  {.op = GRPC_OP_SEND_MESSAGE},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT}, {.op = GRPC_OP_RECV_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_MESSAGE},           {.op = GRPC_OP_RECV_STATUS_ON_CLIENT}};

    grpc_metadata_array_init(&initial);
    grpc_metadata_array_init(&trailing);
    ops[1].data.send_message.send_message = out;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &initial;
    ops[4].data.recv_message.recv_message = &in;
    ops[5].data.recv_status_on_client.trailing_metadata = &trailing;
    ops[5].data.recv_status_on_client.status = &status;
    ops[5].data.recv_status_on_client.status_details = &words;
    ck_assert_int_eq(grpc_call_start_batch(call, ops, 6, call, NULL), GRPC_CALL_OK);
    grpc_completion_queue_pluck(queue, call, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    snprintf(ret_words, room, "%.*s", (int)GRPC_SLICE_LENGTH(words),
             (const char *)GRPC_SLICE_START_PTR(words));
    if (in != NULL)
        grpc_byte_buffer_destroy(in);
    grpc_byte_buffer_destroy(out);
    grpc_slice_unref(slice);
    grpc_slice_unref(path);
    grpc_slice_unref(words);
    grpc_metadata_array_destroy(&initial);
    grpc_metadata_array_destroy(&trailing);
    grpc_call_unref(call);
    grpc_completion_queue_shutdown(queue);
    grpc_completion_queue_destroy(queue);
    grpc_channel_destroy(channel);
    grpc_channel_credentials_release(plain);
    return (int)status;
}
