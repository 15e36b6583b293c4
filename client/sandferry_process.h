#ifndef SANDFERRY_PROCESS_H
#define SANDFERRY_PROCESS_H

/**
 * Processes of containers. One is known by its container's id and its exec id; the init process has
 * none. The third part of sandferry.h, which includes it; what holds for every function is said at
 * the heads of that file and of sandferry_guest.h.
 */

#include "sandferry.h"

#ifdef __cplusplus
extern "C" {
#endif

enum sandferry_process_stage {
    SANDFERRY_PROCESS_NOT_CREATED = 0, /**< recorded; the guest does not know of it */
    SANDFERRY_PROCESS_CREATED = 1,     /**< waits to be started */
    SANDFERRY_PROCESS_RUNNING = 2,     /**< has been started */
    SANDFERRY_PROCESS_TERMINATED = 3,  /**< its exit code is known */
};
const char *sandferry_process_stage_name(enum sandferry_process_stage stage); /**< static */

/** One process. New fields come at the end; made by the library alone. */
struct sandferry_process {
    const char *container_id, *exec_id;
    enum sandferry_process_stage stage;
    int32_t pid; /**< in the guest */
    bool terminal;
    uint32_t exit_code;    /**< 255 until it has ended; 128 + signal if that ended it */
    int64_t exited_at_ns;  /**< by the guest's clock */
    const char *spec;      /**< the OCI process as JSON; "": the init process */
    uint64_t stdin_offset; /**< bytes that it has been given */
    uint64_t stdout_offset, stderr_offset; /**< bytes that it has written */
    bool stdin_closed, waits_for_readers;
};

/** Several of them, sorted by container, then exec id. */
struct sandferry_processes {
    size_t n;
    const struct sandferry_process *const *all;
};

enum sandferry_stream { SANDFERRY_STDOUT = 1, SANDFERRY_STDERR = 2 };

struct sandferry_process_options {
    size_t size;
    uint32_t timeout_ms;
    const char *exec_id; /**< NULL: the init process */
};
#define SANDFERRY_PROCESS_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_process_options)

struct sandferry_exec_options {
    size_t size;
    uint32_t timeout_ms;
    const char *exec_id; /**< unique in the container; NULL: the daemon makes one */
    const char *spec;    /**< an OCI process as JSON; NULL: made from the next four */
    size_t n_args;
    const char *const *args; /**< program and arguments */
    size_t n_env;
    const char *const *env;        /**< "KEY=VALUE", besides or in place of the container's */
    const char *working_directory; /**< NULL: as the container's */
    const char *user;              /**< "UID" or "UID:GID"; NULL: as the container's */
    bool terminal;                 /**< it gets one: then all that it writes is stdout */
    uint32_t columns, rows;        /**< of the terminal; 0: unknown */
    bool input;                    /**< it has a standard input, for sandferry_process_write() */
    bool wait_for_readers; /**< at 32 KiB unread it waits, as at a pipe, so that nothing is ever
                                lost; else the oldest bytes go */
    bool record_only;      /**< leave the start to sandferry_process_start() */
};
#define SANDFERRY_EXEC_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_exec_options)

/**
 * sandferry_process_exec() - start a process in a container that runs
 * @ret: sandferry_process_free(); may be NULL
 *
 * It begins as the container's init process did, but for what the options say; it ends with that at
 * the latest. It goes along in a save and restore whatever it is doing, and stays listed after its
 * end, until sandferry_process_delete() or the end of the container.
 *
 * Return: false, also with SF_ALREADY_EXISTS, SF_INVALID_ARGUMENT or SF_FAILED_PRECONDITION (no
 * such program: in the words of the guest). Nothing is left then.
 */
bool sandferry_process_exec(struct sandferry *client, const char *sandbox, const char *container,
                            const struct sandferry_exec_options *options,
                            struct sandferry_process **ret, struct sf_error **err);

/**
 * sandferry_process_start() - start what sandferry_process_exec() has only recorded
 * @ret: sandferry_process_free(); may be NULL
 *
 * After a failure it is as recorded as before.
 */
bool sandferry_process_start(struct sandferry *client, const char *sandbox, const char *container,
                             const struct sandferry_process_options *options,
                             struct sandferry_process **ret, struct sf_error **err);

struct sandferry_process_delete_options {
    size_t size;
    uint32_t timeout_ms;
    const char *exec_id; /**< needed: an init process goes with its container */
    bool force;          /**< kill it first if it runs, and wait until it has ended */
};
#define SANDFERRY_PROCESS_DELETE_OPTIONS_INIT                                                      \
    SANDFERRY_SIZED_(struct sandferry_process_delete_options)

/**
 * sandferry_process_delete() - forget one that has ended, or was never started
 * @ret: as it was: sandferry_process_free(); may be NULL
 *
 * Return: false, also with SF_FAILED_PRECONDITION (it runs, and force is not set).
 */
bool sandferry_process_delete(struct sandferry *client, const char *sandbox, const char *container,
                              const struct sandferry_process_delete_options *options,
                              struct sandferry_process **ret, struct sf_error **err);

/**
 * sandferry_process_resize() - give its terminal another size; the process gets SIGWINCH
 * @columns, @rows: 1 to 65535
 *
 * Return: false, also with SF_FAILED_PRECONDITION (it has no terminal, or does not run).
 */
bool sandferry_process_resize(struct sandferry *client, const char *sandbox, const char *container,
                              uint32_t columns, uint32_t rows,
                              const struct sandferry_process_options *options,
                              struct sf_error **err);

/**
 * sandferry_process_list() - processes, those that have ended too
 * @container: of this one; NULL: of all
 * @ret:       sandferry_processes_free()
 */
bool sandferry_process_list(struct sandferry *client, const char *sandbox, const char *container,
                            const struct sandferry_call_options *options,
                            struct sandferry_processes **ret, struct sf_error **err);

/**
 * sandferry_process_signal() - send a signal
 * @signal: Linux number, 1 to 64
 *
 * Returns once the guest's kernel has it; what the process makes of it, sandferry_process_wait()
 * tells. A repeat sends it again.
 *
 * Return: false, also with SF_FAILED_PRECONDITION (it does not run).
 */
bool sandferry_process_signal(struct sandferry *client, const char *sandbox, const char *container,
                              uint32_t signal, const struct sandferry_process_options *options,
                              struct sf_error **err);

/**
 * sandferry_process_wait() - until it has ended; at once if it has
 * @ret: sandferry_process_free()
 *
 * A save of a sandbox that runs on does not disturb the wait. Where the sandbox leaves the host it
 * fails with SF_UNAVAILABLE: wait at the destination.
 */
bool sandferry_process_wait(struct sandferry *client, const char *sandbox, const char *container,
                            const struct sandferry_process_options *options,
                            struct sandferry_process **ret, struct sf_error **err);

/**
 * What a process wrote; valid until the callback returns.
 * @offset: of the first byte of @data in the stream
 * @lost:   how many bytes before @offset were wanted, and are not held any more
 *
 * Return: false: enough. The call ends without an error.
 */
typedef bool (*sandferry_output_fn)(void *context, uint64_t offset, const void *data, size_t size,
                                    uint64_t lost);

struct sandferry_read_options {
    size_t size;
    uint32_t timeout_ms;
    const char *exec_id;          /**< NULL: the init process */
    enum sandferry_stream stream; /**< 0: stdout */
    uint64_t offset;              /**< the first byte wanted; 0: the first that there was */
    bool follow;                  /**< wait for more at the present end */
};
#define SANDFERRY_READ_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_read_options)

/**
 * sandferry_process_read() - what a process wrote, from an offset on
 *
 * Ends with the stream, or at its present end. The daemon holds the last 256 KiB of each stream.
 * Offsets go on across a save and restore: whoever asks the destination for the offset after the
 * last byte seen gets every byte once. Where the sandbox leaves the host: SF_UNAVAILABLE. @each
 * must not use @client but for sandferry_cancel().
 */
bool sandferry_process_read(struct sandferry *client, const char *sandbox, const char *container,
                            const struct sandferry_read_options *options, sandferry_output_fn each,
                            void *context, struct sf_error **err);

/**
 * What an attached process wrote; valid until the callback returns.
 * @stream: which; the rest as for sandferry_output_fn
 *
 * Return: false: enough. The call ends without an error.
 */
typedef bool (*sandferry_attached_fn)(void *context, enum sandferry_stream stream, uint64_t offset,
                                      const void *data, size_t size, uint64_t lost);

struct sandferry_attach_options {
    size_t size;
    uint32_t timeout_ms;
    const char *exec_id;                   /**< NULL: the init process */
    uint64_t stdout_offset, stderr_offset; /**< the first byte wanted of each; 0: all there was */
};
#define SANDFERRY_ATTACH_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_attach_options)

/**
 * sandferry_process_attach() - all that a process writes, and how it ends
 * @ret: how it ended: sandferry_process_free(); NULL if @each had enough
 *
 * Any number of callers may be attached. As long as one is, the process waits for it rather than
 * that a byte is lost. Where the sandbox leaves the host: SF_UNAVAILABLE; attach at the
 * destination, with the offsets after the last bytes seen. @each must not use @client but for
 * sandferry_cancel().
 */
bool sandferry_process_attach(struct sandferry *client, const char *sandbox, const char *container,
                              const struct sandferry_attach_options *options,
                              sandferry_attached_fn each, void *context,
                              struct sandferry_process **ret, struct sf_error **err);

struct sandferry_write_options {
    size_t size;
    uint32_t timeout_ms;
    const char *exec_id; /**< NULL: the init process */
    bool close;          /**< no more comes after these bytes */
    bool at_offset;      /**< the bytes stand at offset; what it has been given before that is
                              passed over, so that a repeat after a lost answer is taken once */
    uint64_t offset;
};
#define SANDFERRY_WRITE_OPTIONS_INIT SANDFERRY_SIZED_(struct sandferry_write_options)

/**
 * sandferry_process_write() - give a process bytes to read
 * @size: at most 64 KiB; 0 with close set is fine
 * @ret_offset: how many it has been given in all; may be NULL
 *
 * Returns once the guest has taken them. A repeat gives them again, but for one with an offset.
 * SF_RESOURCE_EXHAUSTED: the process has not read what it was given before, and has got nothing of
 * this; try again later. SF_OUT_OF_RANGE: it has not been given so many bytes as the offset says.
 */
bool sandferry_process_write(struct sandferry *client, const char *sandbox, const char *container,
                             const void *data, size_t size,
                             const struct sandferry_write_options *options, uint64_t *ret_offset,
                             struct sf_error **err);

/* ---- Results: freed, and as JSON; see sandferry.h ---- */

void sandferry_process_free(struct sandferry_process *result);
void sandferry_processes_free(struct sandferry_processes *result);

char *sandferry_process_json(const struct sandferry_process *result);
char *sandferry_processes_json(const struct sandferry_processes *result);

#ifdef __cplusplus
}
#endif

#endif
