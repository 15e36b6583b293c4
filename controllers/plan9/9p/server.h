#ifndef NINEP_SERVER_H
#define NINEP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/reasons.h"

/*
 * A 9P2000.L server for one directory of the host and one client: a guest's kernel that mounts with
 * trans=fd. It does no I/O towards the guest: pieces of the stream come by ninep_input(), answers
 * go to a function of the caller. It believes nothing that the guest says, and waits for nothing
 * but the host's file system.
 *
 * The root. Every name is looked up alone, by openat2 beneath a directory that is held open; a fid
 * is a descriptor (O_PATH) and no path. Symbolic links are data: made, read, never followed. Only
 * regular files and directories are opened, and these through the descriptor that was looked at, so
 * nobody can put something else in its place in between. '..' is looked up from the root, by the
 * path that the kernel knows, and stays at the root. Device nodes are not made; FIFOs and sockets
 * are, but not opened.
 *
 * Who owns what. Numbers of users, groups and modes are those of the files: there is no mapping,
 * and the guest's root is root in the share. The server asks the host as the user it runs as; whom
 * of the guest's users it lets do what is for the guest's kernel to say, as with a disk. What the
 * guest makes gets the user who attached and the group that the message names, if the server may
 * give it away (root may); otherwise it stays the daemon's user's. The mode is as asked, whatever
 * the daemon's umask. Set-user-id bits are kept: other users of the host should not be able to
 * enter a shared directory.
 *
 * Locks are open file description locks on the host's file, one for all fids of it: the guest's
 * kernel has decided between its own processes before it asks, so that only others on the host are
 * in the way. A lock ends when its process gives it up on the fid that took it, or with that fid.
 * An exclusive lock on a file that the daemon may not write to keeps out the host's writers only.
 * The server never waits for a lock: it says "blocked", and the client asks again.
 *
 * Attributes beyond the usual ones (xattr) are answered with EOPNOTSUPP.
 *
 * Not thread-safe: one call at a time for a server. Nothing here takes a lock of the sandbox.
 */
struct ninep;

#define NINEP_MSIZE_MIN     4096u
#define NINEP_MSIZE_DEFAULT (128u * 1024)
#define NINEP_MSIZE_MAX     (256u * 1024)
#define NINEP_FIDS_MAX      16384u /* then ENFILE; sooner if the descriptors of the daemon end */
#define NINEP_LOCKS_MAX     4096u  /* ranges, in all; then ENOLCK */

struct ninep_options {
    bool read_only;                   /* EROFS for whatever would change something */
    bool restricted;                  /* directly beneath the root only allowed_names are there */
    const char *const *allowed_names; /* borrowed for the call */
    size_t n_allowed_names;
    uint32_t msize_max; /* bytes of a message; 0: NINEP_MSIZE_DEFAULT; at most NINEP_MSIZE_MAX */
};

/**
 * One answer, whole: bytes for the guest, in order.
 * Called inside of ninep_input(), which it must not call. @data is the server's, for the call.
 *
 * Return: false if it cannot be given to the guest: then the conversation has come to its end, and
 * ninep_input() fails.
 */
typedef bool (*ninep_send_fn)(void *context, const void *data, size_t size);

/**
 * ninep_new() - a server that nobody has talked to
 * @root_fd: the shared directory, O_PATH|O_DIRECTORY or open for reading; borrowed for the call
 * @send:    gets the answers; @context is the caller's, and outlives the server
 *
 * Return: NULL with INVALID_ARGUMENT for options that make no sense, FAILED_PRECONDITION if the
 * descriptor is no directory or the host lacks openat2 or /proc, RESOURCE_EXHAUSTED.
 */
struct ninep *ninep_new(int root_fd, const struct ninep_options *options, ninep_send_fn send,
                        void *context, struct sf_error **err);
void ninep_free(struct ninep *server); /* closes all files, gives up all locks. NULL is fine */
SF_DEFINE_CLEANUP(struct ninep, ninep_free)

/**
 * ninep_input() - the next bytes that the guest sent, cut anywhere
 *
 * Answers every message that is whole by now. What the guest asks for wrongly is an answer, too.
 *
 * Return: false if the stream makes no sense any more (INVALID_ARGUMENT: a length that cannot be)
 * or an answer could not be sent (UNAVAILABLE), or there is no memory for a piece of a message
 * (RESOURCE_EXHAUSTED). The caller then closes the connection; the server refuses all further input
 * with FAILED_PRECONDITION, and is good for ninep_free() only.
 */
bool ninep_input(struct ninep *server, const void *data, size_t size, struct sf_error **err);

/* For a list: what the guest holds. */
size_t ninep_fids(const struct ninep *server);
size_t ninep_open_files(const struct ninep *server);

/* ---- What travels: the fields of Plan9Fid, Plan9Lock and Plan9Share in snapshot.proto ---- */

struct ninep_lock {
    bool exclusive;
    uint64_t start, length; /* length 0: to the end of the file */
    uint32_t process;
    char *client; /* owned; UTF-8 */
};

struct ninep_fid {
    uint32_t fid;
    char *path;     /* owned; beneath the root, "" is the root; UTF-8 */
    uint32_t flags; /* as 9P2000.L has them, without those that make or empty a file */
    bool open;
    uint32_t qid_type;
    uint64_t qid_path;
    uint32_t user;
    struct ninep_lock *locks; /* owned; sorted by start, then process */
    size_t n_locks;
};

struct ninep_state {
    uint32_t msize;          /* 0: not agreed yet */
    struct sf_bytes partial; /* of a message */
    struct ninep_fid *fids;  /* owned; sorted by fid */
    size_t n_fids;
};

void ninep_state_done(struct ninep_state *state); /* frees what is in it, and empties */

/**
 * ninep_check() - add every reason why what the guest holds cannot be taken elsewhere
 * @share: begins each reason: "share '3'"
 * @still: the guest's processes stand still. While they run, a file that was deleted and is not
 * open may be one that the guest is just about to let go of: that is no reason yet.
 *
 * A file without a name (unlinked), one that was moved out of the share, is hidden by its
 * restriction, or has a name that no snapshot can hold. Each reason names fid and path. Changes
 * nothing.
 */
void ninep_check(const struct ninep *server, const char *share, bool still, struct sf_reasons *why);

/**
 * ninep_export() - what the guest holds, by name
 * @ret: the caller's, for ninep_state_done()
 *
 * Return: false with FAILED_PRECONDITION and a reason of ninep_check(), of a guest that stands
 * still. The server is
 * unchanged in either case and can go on.
 */
bool ninep_export(const struct ninep *server, struct ninep_state *ret, struct sf_error **err);

/**
 * ninep_admit() - add every reason why this state cannot be taken up here
 * @root_fd: the directory that would be served; as for ninep_new()
 *
 * Looks at each path, opens what was open as it was and closes it again, and asks for each lock
 * without taking it. Changes nothing. Missing, of another type, no permission, locked by somebody
 * else, and whatever is wrong with the state itself.
 */
void ninep_admit(const struct ninep_state *state, int root_fd, const struct ninep_options *options,
                 const char *share, struct sf_reasons *why);

/**
 * ninep_restore() - take up a state: open its files, take its locks
 * @server: new
 *
 * From here the guest's files have the qids that it knows, whatever their numbers on this host.
 * Answers nothing and runs nothing; ninep_input() goes on in the midst of the message that had
 * partly come.
 *
 * Return: false with INVALID_ARGUMENT for a state that makes no sense, FAILED_PRECONDITION for a
 * file or lock that cannot be had (ninep_admit() has all the reasons), RESOURCE_EXHAUSTED. The
 * server is then as it was.
 */
bool ninep_restore(struct ninep *server, const struct ninep_state *state, struct sf_error **err);

/**
 * ninep_rest() - give up the locks on the host, but keep them in the books
 *
 * For a source that has been saved and stays as it is: its locks must not be in the way of the
 * destination, which may serve the same directory. ninep_export() gives them as before. A repeat
 * does nothing.
 */
void ninep_rest(struct ninep *server);

/**
 * ninep_wake() - take the locks again
 *
 * Return: false with FAILED_PRECONDITION if somebody else has one of them by now; none is then
 * held. Without ninep_rest() before, it does nothing.
 */
bool ninep_wake(struct ninep *server, struct sf_error **err);

#endif
