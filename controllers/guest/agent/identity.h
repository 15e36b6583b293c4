#ifndef AGENT_IDENTITY_H
#define AGENT_IDENTITY_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest/agent/files.h"
#include "guest/agent/outcome.h"
#include "sandferry/v1/agent.pb-c.h"

/*
 * Who the guest is: a machine-id and a hostname, which the host gives a new guest, and gives anew
 * to a clone. The file is written in place: containers have it bind-mounted at /etc/machine-id.
 */
#define IDENTITY_DIR    RUN_DIR "/identity"
#define IDENTITY_FILE   IDENTITY_DIR "/machine-id"
#define MACHINE_ID_SIZE 32 /* hexadecimal digits; a newline follows in the file */
#define HOSTNAME_SIZE   65 /* with the NUL */

void identity_set(uint64_t id, const Sandferry__V1__AgentSetIdentity *request);

/* Bytes for the kernel's random number generator, credited, and used at once: clones of one guest
 * must not draw the same numbers. None is no error, and does nothing. */
bool identity_reseed(const ProtobufCBinaryData *entropy, struct outcome *o);

/* Answers @id with what the guest is now; with the outcome alone if that is no success. */
void identity_tell(uint64_t id, const struct outcome *o, bool reseeded);

bool machine_id_valid(const char *text);
bool hostname_valid(const char *text);
/* @path: made, or overwritten in place. errno on failure. */
bool machine_id_write(const char *path, const char *machine_id);
/* "" if there is none. */
void machine_id_read(const char *path, char ret[MACHINE_ID_SIZE + 1]);

#endif
