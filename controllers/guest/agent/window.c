#include "guest/agent/window.h"

size_t window_room(const struct window *w)
{
    uint64_t under_way = w->sent - w->taken;
    uint64_t size = w->size > 0 && w->size < WINDOW_SIZE ? w->size : WINDOW_SIZE;
    uint64_t room = under_way < size ? size - under_way : 0;

    return room < WINDOW_CHUNK ? (size_t)room : WINDOW_CHUNK;
}

void window_sent(struct window *w, size_t size)
{
    w->sent += size;
}

void window_taken(struct window *w, uint64_t offset)
{
    if (offset > w->taken && offset <= w->sent)
        w->taken = offset;
}
