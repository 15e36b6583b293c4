/*
 * Bytes from outside. The first byte says what the others claim to be: a snapshot, or one of the
 * requests that a server takes. What passes the check has to unpack; what is a snapshot has to be
 * judged and shown, and what was read has to be written and read the same again.
 *
 * libFuzzer calls LLVMFuzzerTestOneInput(); replay.c calls it for the files of a corpus.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "google/protobuf/descriptor.pb-c.h"
#include "sandferry/v1/agent.pb-c.h"
#include "sandferry/v1/container.pb-c.h"
#include "sandferry/v1/disk.pb-c.h"
#include "sandferry/v1/sandbox.pb-c.h"
#include "snapshot/show.h"
#include "snapshot/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_again(const Sandferry__V1__SandboxSnapshot *s)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes first = {0}, second = {0};
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    if (!sf_snapshot_encode(s, &first, &err))
        return; /* too large */
    Sandferry__V1__SandboxSnapshot *t = sf_snapshot_decode(first.data, first.size, &err);
    assert(t != NULL);
    bool ok = sf_snapshot_encode(t, &second, &err);
    assert(ok && first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    sf_snapshot_free(t);
}

static void take_apart(const Sandferry__V1__SandboxSnapshot *s)
{
    const char *name;

    for (size_t i = 0; i < 100 && (name = sf_section_name(s, i)) != NULL; i++) {
        SF_CLEANUP(sf_bytes_done) struct sf_bytes section = {0};
        SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;
        uint32_t version;
        bool found = sf_section_get(s, name, &section, &version, &err);
        assert(found || s->n_extensions > 1); /* unsorted extensions need not be found */
    }
}

static void try_snapshot(const uint8_t *data, size_t size)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL, *why = NULL;
    SF_CLEANUP(sf_snapshot_freep)
    Sandferry__V1__SandboxSnapshot *s = sf_snapshot_decode(data, size, &err);

    assert((s == NULL) == (err != NULL));
    if (s == NULL)
        return;
    sf_snapshot_check(s, NULL, &why);
    free(sf_snapshot_to_tree(s));
    free(sf_snapshot_to_dot(s));
    free(sf_snapshot_to_json_text(s));
    take_apart(s);
    read_again(s);
}

static void try_message(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t size)
{
    SF_CLEANUP(sf_error_freep) struct sf_error *err = NULL;

    if (!sf_wire_check(type, data, size, &sf_wire_request, &err))
        return;
    ProtobufCMessage *m = protobuf_c_message_unpack(type, NULL, size, data);
    assert(m != NULL);
    json_t *json = sf_message_to_json(m);
    assert(json != NULL);
    json_decref(json);
    protobuf_c_message_free_unpacked(m, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &sandferry__v1__restore_sandbox_request__descriptor,
        &sandferry__v1__create_container_request__descriptor,
        &sandferry__v1__add_disk_request__descriptor,
        &sandferry__v1__agent_message__descriptor,
    };
    const unsigned n = sizeof(types) / sizeof(types[0]);

    if (size == 0)
        return 0;
    if (data[0] % (n + 1) == 0)
        try_snapshot(data + 1, size - 1);
    else
        try_message(types[data[0] % (n + 1) - 1], data + 1, size - 1);
    return 0;
}
