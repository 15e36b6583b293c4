#include "journal.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"
#include "snapshot/file.h"

#define RECORD_HEAD     "sandferry-record 1"
#define RECORD_SUFFIX   ".record"
#define SNAPSHOT_SUFFIX ".snapshot"
#define FILE_SIZE_MAX   (64u << 20)
#define DIGEST_SIZE     32
#define DIGEST_TEXT     (2 * DIGEST_SIZE + 1)

static const char *const words[] = {
    [JOURNAL_RUNNING] = "running", [JOURNAL_SAVED] = "saved",     [JOURNAL_HELD] = "held",
    [JOURNAL_STOPPED] = "stopped", [JOURNAL_DAMAGED] = "damaged",
};
static_assert(sizeof(words) / sizeof(*words) == JOURNAL_N_WORDS, "a word for each");

/* ---- files ---- */

static bool fail_file(struct sf_error **err, const char *what, const char *path)
{
    int reason = errno;
    return sf_fail(err, reason == ENOSPC ? SF_RESOURCE_EXHAUSTED : SF_UNAVAILABLE,
                   "'%s' cannot be %s: %s", path, what, strerror(reason));
}

static bool make_directory(const char *path, struct sf_error **err)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST || fail_file(err, "made", path);
}

/* ---- names ---- */

static bool put(const struct journal *j, const char *which, const char *id, const char *suffix,
                const struct sf_bytes *content, struct sf_error **err)
{
    SF_CLEANUP(sf_freep) char *path = sf_format("%s/%s/%s%s", j->directory, which, id, suffix);
    if (path == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return (sf_fault("journal: write", err) &&
            sf_file_write(path, content->data, content->size, 0600, err)) ||
           sf_fail_in(err, "journal");
}

static bool get(const struct journal *j, const char *id, const char *suffix, struct sf_bytes *ret,
                struct sf_error **err)
{
    SF_CLEANUP(sf_freep) char *path = sf_format("%s/sandboxes/%s%s", j->directory, id, suffix);
    if (path == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    return sf_file_read(path, FILE_SIZE_MAX, ret, err) || sf_fail_in(err, "journal");
}

static void drop(const struct journal *j, const char *which, const char *id, const char *suffix)
{
    SF_CLEANUP(sf_freep) char *path = sf_format("%s/%s/%s%s", j->directory, which, id, suffix);
    if (path != NULL && unlink(path) != 0 && errno != ENOENT)
        sf_warning("journal: '%s' cannot be removed: %s, continuing", path, strerror(errno));
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t size = strlen(name), end = strlen(suffix);
    return size > end && strcmp(name + size - end, suffix) == 0;
}

/* ---- records ---- */

static bool digest_text(const struct sf_bytes *content, char ret[DIGEST_TEXT])
{
    unsigned char digest[DIGEST_SIZE];
    if (EVP_Digest(content->data, content->size, digest, NULL, EVP_sha256(), NULL) != 1)
        return false;
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        snprintf(ret + 2 * i, 3, "%02x", digest[i]);
    return true;
}

bool journal_record(const struct journal *j, const char *id, enum journal_word word,
                    const struct sf_bytes *face, struct sf_error **err)
{
    char digest[DIGEST_TEXT], head[160];
    struct sf_bytes content = {0};

    if (!digest_text(face, digest))
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    int size = snprintf(head, sizeof(head), "%s %s %s\n", RECORD_HEAD, words[word], digest);
    bool ok = sf_bytes_copy(&content, head, (size_t)size) &&
              sf_bytes_append(&content, face->data, face->size);
    ok = ok ? put(j, "sandboxes", id, RECORD_SUFFIX, &content, err)
            : sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    sf_bytes_done(&content);
    return ok;
}

static enum journal_word word_of(const char *text)
{
    for (int word = 0; word < JOURNAL_DAMAGED; word++)
        if (strcmp(words[word], text) == 0)
            return (enum journal_word)word;
    return JOURNAL_DAMAGED;
}

/* Takes a record apart; *@ret_face points into it. */
static enum journal_word parse_record(const struct sf_bytes *record, struct sf_bytes *ret_face)
{
    char head[160] = "", word[16], told[DIGEST_TEXT], is[DIGEST_TEXT];
    const uint8_t *end = memchr(record->data, '\n', record->size);

    *ret_face = (struct sf_bytes){0};
    size_t size = end == NULL ? sizeof(head) : (size_t)(end - record->data);
    if (size >= sizeof(head))
        return JOURNAL_DAMAGED;
    memcpy(head, record->data, size);
    if (sscanf(head, RECORD_HEAD " %15s %64s", word, told) != 2)
        return JOURNAL_DAMAGED;

    struct sf_bytes face = {.data = record->data + size + 1, .size = record->size - size - 1};
    if (!digest_text(&face, is) || strcmp(is, told) != 0)
        return JOURNAL_DAMAGED;
    *ret_face = face;
    return word_of(word);
}

/* ---- opening, and sweeping up after a crash ---- */

static bool has_record(const char *directory, const char *snapshot)
{
    int stem = (int)(strlen(snapshot) - strlen(SNAPSHOT_SUFFIX));
    SF_CLEANUP(sf_freep)
    char *path = sf_format("%s/%.*s%s", directory, stem, snapshot, RECORD_SUFFIX);
    return path == NULL || access(path, F_OK) == 0;
}

/* A half-written file ends in neither suffix. */
static bool is_of_use(const char *directory, const char *name, bool needs_record)
{
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || ends_in(name, RECORD_SUFFIX))
        return true;
    return ends_in(name, SNAPSHOT_SUFFIX) && (!needs_record || has_record(directory, name));
}

static void sweep(const struct journal *j, const char *which, bool needs_record)
{
    SF_CLEANUP(sf_freep) char *directory = sf_format("%s/%s", j->directory, which);
    DIR *dir = directory == NULL ? NULL : opendir(directory);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (is_of_use(directory, entry->d_name, needs_record))
            continue;
        SF_CLEANUP(sf_freep) char *path = sf_format("%s/%s", directory, entry->d_name);
        if (path != NULL && unlink(path) == 0)
            sf_info("journal: swept up '%s'", path);
    }
    if (dir != NULL)
        closedir(dir);
}

static bool lock_directory(struct journal *j, struct sf_error **err)
{
    SF_CLEANUP(sf_freep) char *path = sf_format("%s/lock", j->directory);
    if (path == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    j->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (j->lock < 0)
        return fail_file(err, "opened", path);
    return flock(j->lock, LOCK_EX | LOCK_NB) == 0 ||
           sf_fail(err, SF_FAILED_PRECONDITION,
                   "another sandferryd uses state directory '%s': --state-dir names another",
                   j->directory);
}

bool journal_open(struct journal *ret, const char *directory, struct sf_error **err)
{
    *ret = (struct journal){.directory = strdup(directory), .lock = -1};
    SF_CLEANUP(sf_freep) char *sandboxes = sf_format("%s/sandboxes", directory);
    SF_CLEANUP(sf_freep) char *given = sf_format("%s/given", directory);
    if (ret->directory == NULL || sandboxes == NULL || given == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");

    if (!make_directory(directory, err) || !lock_directory(ret, err) ||
        !make_directory(sandboxes, err) || !make_directory(given, err))
        return false;
    sweep(ret, "sandboxes", true);
    sweep(ret, "given", false);
    return true;
}

void journal_close(struct journal *j)
{
    if (j->lock >= 0)
        close(j->lock);
    free(j->directory);
    *j = (struct journal){.lock = -1};
}

/* ---- snapshots ---- */

bool journal_put_snapshot(const struct journal *j, const char *id, const struct sf_bytes *snapshot,
                          struct sf_error **err)
{
    return put(j, "sandboxes", id, SNAPSHOT_SUFFIX, snapshot, err);
}

bool journal_get_snapshot(const struct journal *j, const char *id, struct sf_bytes *ret,
                          struct sf_error **err)
{
    return get(j, id, SNAPSHOT_SUFFIX, ret, err);
}

bool journal_has_snapshot(const struct journal *j, const char *id)
{
    SF_CLEANUP(sf_freep)
    char *path = sf_format("%s/sandboxes/%s%s", j->directory, id, SNAPSHOT_SUFFIX);
    return path != NULL && access(path, F_OK) == 0;
}

void journal_drop_snapshot(const struct journal *j, const char *id)
{
    drop(j, "sandboxes", id, SNAPSHOT_SUFFIX);
}

void journal_forget(const struct journal *j, const char *id)
{
    drop(j, "sandboxes", id, RECORD_SUFFIX);
    drop(j, "sandboxes", id, SNAPSHOT_SUFFIX);
}

void journal_drop_given(const struct journal *j, const char *id)
{
    drop(j, "given", id, SNAPSHOT_SUFFIX);
}

/* Removes the oldest beyond the bound. */
static void bound_given(const struct journal *j)
{
    SF_CLEANUP(sf_freep) char *directory = sf_format("%s/given", j->directory);
    struct dirent **entries;
    int n = directory == NULL ? -1 : scandir(directory, &entries, NULL, NULL);
    if (n < 0)
        return;

    int oldest = -1, files = 0;
    struct timespec when = {0};
    for (int i = 0; i < n; i++) {
        SF_CLEANUP(sf_freep) char *path = sf_format("%s/%s", directory, entries[i]->d_name);
        struct stat info;
        if (entries[i]->d_name[0] == '.' || path == NULL || stat(path, &info) != 0)
            continue;
        files++;
        if (oldest < 0 || info.st_mtim.tv_sec < when.tv_sec ||
            (info.st_mtim.tv_sec == when.tv_sec && info.st_mtim.tv_nsec < when.tv_nsec)) {
            oldest = i;
            when = info.st_mtim;
        }
    }
    SF_CLEANUP(sf_freep)
    char *path =
        files > JOURNAL_GIVEN_MAX ? sf_format("%s/%s", directory, entries[oldest]->d_name) : NULL;
    if (path != NULL)
        unlink(path);
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
}

bool journal_give(const struct journal *j, const char *id, const struct sf_bytes *snapshot,
                  struct sf_error **err)
{
    if (!put(j, "given", id, SNAPSHOT_SUFFIX, snapshot, err))
        return false;
    bound_given(j);
    return true;
}

/* ---- walking ---- */

static int is_record(const struct dirent *entry)
{
    return ends_in(entry->d_name, RECORD_SUFFIX);
}

static bool visit(const struct journal *j, const char *name, journal_each_fn each, void *context,
                  struct sf_error **err)
{
    char id[SF_ID_SIZE];
    size_t size = strlen(name) - strlen(RECORD_SUFFIX);
    if (size >= sizeof(id))
        return true; /* nobody of ours wrote that */
    memcpy(id, name, size);
    id[size] = '\0';
    if (!sf_id_valid(id))
        return true;

    struct sf_bytes record = {0}, face = {0};
    if (!get(j, id, RECORD_SUFFIX, &record, err))
        return false;
    enum journal_word word = parse_record(&record, &face);
    bool ok = each(context, id, word, &face, err);
    sf_bytes_done(&record);
    return ok;
}

bool journal_walk(const struct journal *j, journal_each_fn each, void *context,
                  struct sf_error **err)
{
    SF_CLEANUP(sf_freep) char *directory = sf_format("%s/sandboxes", j->directory);
    struct dirent **entries;
    int n = directory == NULL ? -1 : scandir(directory, &entries, is_record, alphasort);
    if (n < 0)
        return sf_fail(err, SF_UNAVAILABLE, "journal: '%s' cannot be read: %s",
                       directory == NULL ? "?" : directory, strerror(errno));

    bool ok = true;
    for (int i = 0; i < n; i++) {
        ok = ok && visit(j, entries[i]->d_name, each, context, err);
        free(entries[i]);
    }
    free(entries);
    return ok;
}
