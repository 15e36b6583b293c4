#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "base/cleanup.h"

static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

void lease_done(struct lease *l)
{
    free(l->conversation);
    free(l->files);
    *l = (struct lease){0};
}

static bool copy_text(char *ret, size_t room, const char *text)
{
    return (size_t)snprintf(ret, room, "%s", text) < room;
}

static bool is_hex_digest(const char *text)
{
    return text[0] == '\0' || (strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64);
}

static bool from_json(struct lease *ret, json_t *object)
{
    const char *memory_id, *family_id, *digest, *sandbox, *conversation = NULL, *files = NULL;
    const char *clone_of = "";
    json_int_t size, generation;
    int ram_in_state = 0;

    if (json_unpack(object, "{s:s, s:s, s:I, s:I, s:s, s:s, s?s, s?s, s?s, s?b}", "memory_id",
                    &memory_id, "family_id", &family_id, "size_bytes", &size, "generation",
                    &generation, "state_sha256", &digest, "sandbox", &sandbox, "conversation",
                    &conversation, "files", &files, "clone_of", &clone_of, "ram_in_state",
                    &ram_in_state) != 0 ||
        size <= 0 || generation <= 0 || !sf_guid_valid(memory_id) || !sf_guid_valid(family_id) ||
        !is_hex_digest(digest) || (clone_of[0] != '\0' && !sf_guid_valid(clone_of)))
        return false;
    ret->ram_in_state = ram_in_state != 0;
    ret->size_bytes = (uint64_t)size;
    ret->generation = (uint64_t)generation;
    ret->conversation = conversation == NULL ? NULL : strdup(conversation);
    ret->files = files == NULL ? NULL : strdup(files);
    return copy_text(ret->memory_id, sizeof(ret->memory_id), memory_id) &&
           copy_text(ret->family_id, sizeof(ret->family_id), family_id) &&
           copy_text(ret->state_sha256, sizeof(ret->state_sha256), digest) &&
           copy_text(ret->sandbox, sizeof(ret->sandbox), sandbox) &&
           copy_text(ret->clone_of, sizeof(ret->clone_of), clone_of) &&
           (conversation == NULL || ret->conversation != NULL) &&
           (files == NULL || ret->files != NULL);
}

bool lease_read(int directory_fd, struct lease *ret, struct sf_error **err)
{
    json_error_t problem;
    int fd = openat(directory_fd, "lease", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    *ret = (struct lease){0};
    if (fd < 0)
        return sf_fail(err, SF_NOT_FOUND, "there is no lease: %s", strerror(errno));
    FILE *file = fdopen(fd, "r");
    if (file == NULL) {
        close(fd);
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    }
    SF_CLEANUP(json_decrefp) json_t *object = json_loadf(file, JSON_REJECT_DUPLICATES, &problem);
    fclose(file);
    if (object != NULL && from_json(ret, object))
        return true;
    lease_done(ret);
    return sf_fail(err, SF_DATA_LOSS, "its lease makes no sense");
}

static char *to_json(const struct lease *l)
{
    SF_CLEANUP(json_decrefp)
    json_t *object =
        json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:s*, s:s*}", "memory_id", l->memory_id,
                  "family_id", l->family_id, "size_bytes", (json_int_t)l->size_bytes, "generation",
                  (json_int_t)l->generation, "state_sha256", l->state_sha256, "sandbox", l->sandbox,
                  "conversation", l->conversation, "files", l->files);
    if (object != NULL && l->clone_of[0] != '\0')
        json_object_set_new(object, "clone_of", json_string(l->clone_of));
    if (object != NULL && l->ram_in_state)
        json_object_set_new(object, "ram_in_state", json_true());
    return object == NULL ? NULL : json_dumps(object, JSON_INDENT(1));
}

static bool write_all(int fd, const char *text)
{
    size_t size = strlen(text);

    while (size > 0) {
        ssize_t n = write(fd, text, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        text += n;
        size -= (size_t)n;
    }
    return true;
}

bool lease_write(int directory_fd, const struct lease *l, struct sf_error **err)
{
    SF_CLEANUP(sf_freep) char *text = to_json(l);
    if (text == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");

    SF_CLEANUP(closep)
    int fd = openat(directory_fd, "lease.new",
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && write_all(fd, text) && fsync(fd) == 0 &&
        renameat(directory_fd, "lease.new", directory_fd, "lease") == 0 && fsync(directory_fd) == 0)
        return true;
    return sf_fail(err, SF_UNAVAILABLE, "the lease of memory '%s' cannot be written: %s",
                   l->memory_id, strerror(errno));
}

static bool digest_all(EVP_MD_CTX *context, int fd)
{
    uint8_t buffer[65536];
    off_t at = 0;
    ssize_t n;

    while ((n = pread(fd, buffer, sizeof(buffer), at)) > 0) {
        if (EVP_DigestUpdate(context, buffer, (size_t)n) != 1)
            return false;
        at += n;
    }
    return n == 0;
}

bool lease_digest(int fd, char ret[65], struct sf_error **err)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
              digest_all(context, fd) && EVP_DigestFinal_ex(context, digest, &size) == 1 &&
              size == 32;

    EVP_MD_CTX_free(context);
    if (!ok)
        return sf_fail(err, SF_UNAVAILABLE, "the device state cannot be read: %s", strerror(errno));
    for (unsigned i = 0; i < size; i++)
        snprintf(ret + 2 * i, 3, "%02x", digest[i]);
    return true;
}
