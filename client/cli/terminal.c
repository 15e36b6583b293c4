#include "terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#define CTRL_P 16
#define CTRL_Q 17

void terminal_raw(struct terminal *t)
{
    if (t->raw || tcgetattr(STDIN_FILENO, &t->before) < 0)
        return;
    struct termios raw = t->before;
    cfmakeraw(&raw);
    t->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

void terminal_restore(struct terminal *t)
{
    if (t->raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &t->before);
    t->raw = false;
}

bool terminal_size(uint32_t *ret_columns, uint32_t *ret_rows)
{
    struct winsize size = {0};

    if ((ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 &&
         ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0) ||
        size.ws_col == 0 || size.ws_row == 0)
        return false;
    *ret_columns = size.ws_col;
    *ret_rows = size.ws_row;
    return true;
}

bool detach_keys_take(struct detach_keys *k, const uint8_t *data, size_t size, uint8_t *ret,
                      size_t *ret_size)
{
    size_t n = 0;

    for (size_t i = 0; i < size; i++) {
        if (k->begun && data[i] == CTRL_Q) {
            *ret_size = n;
            return true;
        }
        if (k->begun)
            ret[n++] = CTRL_P;
        k->begun = data[i] == CTRL_P;
        if (!k->begun)
            ret[n++] = data[i];
    }
    *ret_size = n;
    return false;
}
