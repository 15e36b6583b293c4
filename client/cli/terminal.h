#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

/* Our own terminal. */
struct terminal {
    bool raw; /* and so to be put back */
    struct termios before;
};

/* Each key goes to the process, as it is. Standard input that is no terminal is left alone. */
void terminal_raw(struct terminal *t);
void terminal_restore(struct terminal *t); /* a repeat does nothing */

/* Of standard output, or input. False: neither is a terminal. */
bool terminal_size(uint32_t *ret_columns, uint32_t *ret_rows);

/* Ctrl-P Ctrl-Q among what is typed. A Ctrl-P is held back until the next key. */
struct detach_keys {
    bool begun;
};

/**
 * detach_keys_take() - what of some typed bytes the process gets
 * @ret: room for size + 1 bytes
 *
 * Return: true: detach; *@ret_size bytes were typed before.
 */
bool detach_keys_take(struct detach_keys *k, const uint8_t *data, size_t size, uint8_t *ret,
                      size_t *ret_size);

#endif
