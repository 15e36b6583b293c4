/* How far the readers of a stream are, and how far the agent may go for that. */
#include "process/process.h"

/* Nobody reads: what the process wrote goes into the ring, and the oldest bytes go; but one that
 * waits for readers has to. Somebody reads: the slowest of those that must not lose a byte counts.
 * The ring has room for all that may come beyond that. */
static uint64_t may_take(const struct process *process, unsigned number)
{
    const struct ring *r = &process->out[number];
    uint64_t least =
        process->waits && process->readers[number] == NULL ? process->taken[number] : r->end;

    for (const struct reader *it = process->readers[number]; it != NULL; it = it->next)
        if ((process->waits || it->holds) && it->offset < least)
            least = it->offset;
    return least;
}

void output_settle(struct processes *p, struct process *process, unsigned number)
{
    uint64_t offset = may_take(process, number);

    if (p->still || process->state == PROCESS_NOT_CREATED || process->out[number].closed ||
        offset <= process->taken[number])
        return;
    if (guest_taken(p, process, number, offset))
        process->taken[number] = offset;
}

void outputs_settle(struct processes *p)
{
    for (size_t i = 0; i < p->n; i++)
        for (unsigned k = 0; k < 2; k++)
            output_settle(p, p->list[i], k);
}

void reader_add(struct process *process, unsigned number, struct reader *reader)
{
    reader->next = process->readers[number];
    process->readers[number] = reader;
}

void reader_remove(struct process *process, unsigned number, const struct reader *reader)
{
    struct reader **at = &process->readers[number];

    while (*at != NULL && *at != reader)
        at = &(*at)->next;
    if (*at != NULL)
        *at = reader->next;
}
