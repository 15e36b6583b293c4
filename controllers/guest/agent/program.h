#ifndef AGENT_PROGRAM_H
#define AGENT_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

/**
 * program_run() - run a program to its end; only in a job's child, for it blocks
 * @argv:      argv[0] is its path; NULL at the end
 * @fds:       its standard input, output and error; NULL: nothing, and what it says goes to words
 * @ret_words: the first that it said, NUL-terminated; "" with @fds
 *
 * Return: whether it ended with 0. If not and it said nothing, the words are how it ended.
 */
bool program_run(char *const argv[], const int *fds, char *ret_words, size_t room);

#endif
