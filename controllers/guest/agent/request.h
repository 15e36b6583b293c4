#ifndef AGENT_REQUEST_H
#define AGENT_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#define AGENT_PROTOCOL_VERSION 1

/* One message from the host: taken apart and handed on. @data: borrowed until the first answer. */
void request_take(const uint8_t *data, size_t size);

#endif
