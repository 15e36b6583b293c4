/*
 * The smallest controller: it keeps a text for each sandbox, serves it over gRPC, and brings it
 * along when the sandbox moves. Built from installed headers alone; copy this folder to begin one
 * of your own.
 */

#include <controller.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <base/bytes.h>
#include <base/error.h>
#include <base/text.h>

#include "note.pb-c.h"

#define NOTE_TEXT_MAX 1000

/* The daemon allocates one for each sandbox, zeroed. */
struct note {
    struct sf_controller base; /* first */
    char text[NOTE_TEXT_MAX + 1];
    unsigned version; /* counts changes, for those who watch */
};

static bool take_text(struct note *n, const char *text, size_t size, struct sf_error **err)
{
    if (size > NOTE_TEXT_MAX) {
        sf_fail(err, SF_INVALID_ARGUMENT, "text has %zu bytes; at most %d", size, NOTE_TEXT_MAX);
        return sf_fail_detail(err, SF_DETAIL_FIELD, "text", "at most %d bytes", NOTE_TEXT_MAX);
    }
    memcpy(n->text, text, size);
    n->text[size] = '\0';
    n->version++;
    return true;
}

/* ---- RPCs: under the sandbox's lock; the daemon has checked that the sandbox runs ---- */

static bool set_note(struct sf_controller *c, struct sf_call *call, const void *request,
                     void *reply, struct sf_error **err)
{
    const Sandferry__Example__V1__SetNoteRequest *r = request;
    (void)call;
    (void)reply;
    if (!take_text((struct note *)c, r->text, strlen(r->text), err))
        return false;
    sf_sandbox_event(c->sandbox, "note.changed", "the note on '%s' has changed",
                     sf_sandbox_id(c->sandbox)); /* wakes those who wait, too */
    return true;
}

static bool get_note(struct sf_controller *c, struct sf_call *call, const void *request,
                     void *reply, struct sf_error **err)
{
    Sandferry__Example__V1__GetNoteResponse *r = reply;
    (void)call;
    (void)request;
    r->text = strdup(((struct note *)c)->text); /* the daemon frees what hangs in the reply */
    return r->text != NULL || sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

static bool watch_note(struct sf_controller *c, struct sf_call *call, const void *request,
                       void *reply, struct sf_error **err)
{
    struct note *n = (struct note *)c;
    (void)request;
    (void)reply;
    for (;;) {
        /* The lock is given back while a message is sent: send a copy. */
        Sandferry__Example__V1__WatchNoteResponse message =
            SANDFERRY__EXAMPLE__V1__WATCH_NOTE_RESPONSE__INIT;
        char text[sizeof(n->text)];
        unsigned version = n->version;
        strcpy(text, n->text);
        message.text = text;
        if (!sf_call_send(call, &message, err))
            return false;
        while (n->version == version)
            if (!sf_call_wait(call, err))
                return false;
    }
}

/* ---- save and restore ---- */

static bool note_save(struct sf_controller *c, struct sf_bytes *ret, struct sf_error **err)
{
    Sandferry__Example__V1__NoteSection section = SANDFERRY__EXAMPLE__V1__NOTE_SECTION__INIT;
    section.text = ((struct note *)c)->text;
    uint8_t packed[NOTE_TEXT_MAX + 8];
    size_t size = sandferry__example__v1__note_section__pack(&section, packed);
    return sf_bytes_copy(ret, packed, size) || sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
}

/* Believes nothing: a snapshot comes from outside. */
static bool note_import(struct sf_controller *c, const struct sf_bytes *bytes, uint32_t version,
                        struct sf_error **err)
{
    (void)version; /* there is only one so far; the daemon refuses any other */
    Sandferry__Example__V1__NoteSection *section =
        sandferry__example__v1__note_section__unpack(NULL, bytes->size, bytes->data);
    if (section == NULL)
        return sf_fail(err, SF_INVALID_ARGUMENT, "not a NoteSection");
    size_t size = strlen(section->text);
    bool ok = sf_utf8_valid(section->text, size)
                  ? take_text((struct note *)c, section->text, size, err)
                  : sf_fail(err, SF_INVALID_ARGUMENT, "text is not UTF-8");
    sandferry__example__v1__note_section__free_unpacked(section, NULL);
    return ok;
}

/* ---- what it is ---- */

static const uint8_t files[] = {
#include "note_files.inc"
};

static const struct sf_method methods[] = {
    {"SetNote", set_note, SF_OPERATOR, 0},
    {"GetNote", get_note, SF_READER, SF_METHOD_READS},
    {"WatchNote", watch_note, SF_READER, SF_METHOD_READS | SF_METHOD_STREAM | SF_METHOD_WAITS},
    {0},
};

static const struct sf_service services[] = {
    {&sandferry__example__v1__note_service__descriptor, methods, files, sizeof(files)},
    {0},
};

/* clang-format off */
SF_CONTROLLER_EXPORT(
    .name            = "note",
    .instance_size   = sizeof(struct note),
    .section_version = 1,
    .section_oldest  = 1,
    .critical        = false, /* a daemon without this controller keeps the section as it is */
    .services        = services,

    .save   = note_save,
    .import = note_import)
/* clang-format on */
