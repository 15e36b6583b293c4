#ifndef CLI_EXIT_H
#define CLI_EXIT_H

#include "base/error.h"

/* How the command ends. Fixed: scripts depend on it. --help and the manual page print this table.
 */
// clang-format off
#define EXIT_CODES(CODE)                                                                           \
    CODE(EXIT_OK,            0, "done")                                                            \
    CODE(EXIT_FAILED,        1, "failed in another way than those below")                          \
    CODE(EXIT_USAGE,         2, "the command line is wrong")                                       \
    CODE(EXIT_NOT_FOUND,     3, "there is no such sandbox, container, reservation or file")        \
    CODE(EXIT_PRECONDITION,  4, "right, but not now; each reason is printed")                      \
    CODE(EXIT_EXISTS,        5, "there is one already")                                            \
    CODE(EXIT_UNAVAILABLE,   6, "the daemon cannot be reached, or is stopping: try again")         \
    CODE(EXIT_TIMEOUT,       7, "it took longer than --timeout")                                   \
    CODE(EXIT_DENIED,        8, "the daemon does not let this caller")                             \
    CODE(EXIT_INVALID,       9, "the request or the snapshot is wrong; each field is printed")     \
    CODE(EXIT_UNKNOWN,      10, "a version, or a controller, that is not known here or there")     \
    CODE(EXIT_EXHAUSTED,    11, "no memory, disk, slot, or a limit")                               \
    CODE(EXIT_WAIT_FAILED, 125, "exec, attach or wait itself failed; others are the process's own")
// clang-format on

#define EXIT_MEMBER(name, number, text) name = (number),
enum exit_code { EXIT_CODES(EXIT_MEMBER) };
#undef EXIT_MEMBER

enum exit_code exit_code_of(enum sf_code code);

#endif
