/* What a checked snapshot costs, beside bare protobuf-c in the same run. Microseconds, medians. */

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "snapshot/encode.h"
#include "snapshot/file.h"
#include "snapshot/snapshot.h"

#define ROUNDS 2001

typedef Sandferry__V1__SandboxSnapshot snapshot;

static struct sf_bytes bytes;
static snapshot *loaded;

static void must(bool ok, struct sf_error *err)
{
    if (ok)
        return;
    fprintf(stderr, "bench: %s\n", err != NULL ? sf_error_message(err) : "no memory");
    exit(1);
}

static void load(void)
{
    struct sf_error *err = NULL;
    snapshot *s = sf_snapshot_load(bytes.data, bytes.size, NULL, &err);
    must(s != NULL, err);
    sf_snapshot_free(s);
}

static void bare_load(void)
{
    snapshot *s = sandferry__v1__sandbox_snapshot__unpack(NULL, bytes.size, bytes.data);
    must(s != NULL, NULL);
    sf_snapshot_free(s);
}

static void encode(void)
{
    SF_CLEANUP(sf_bytes_done) struct sf_bytes out = {0};
    struct sf_error *err = NULL;
    must(sf_snapshot_encode(loaded, &out, &err), err);
}

static void bare_encode(void)
{
    uint8_t *out = malloc(sandferry__v1__sandbox_snapshot__get_packed_size(loaded));
    must(out != NULL, NULL);
    sandferry__v1__sandbox_snapshot__pack(loaded, out);
    free(out);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void measure(const char *what, void (*ours)(void), void (*bare)(void))
{
    static int64_t times[2][ROUNDS];

    for (int i = 0; i < ROUNDS; i++)
        for (int k = 0; k < 2; k++) {
            int64_t begin = sf_clock_monotonic_ns();
            (k == 0 ? ours : bare)();
            times[k][i] = sf_clock_monotonic_ns() - begin;
        }
    for (int k = 0; k < 2; k++)
        qsort(times[k], ROUNDS, sizeof(times[k][0]), by_value);
    double us = (double)times[0][ROUNDS / 2] / 1000, peer = (double)times[1][ROUNDS / 2] / 1000;
    printf("%-44s %9.1f us  bare protobuf-c %7.1f us  ratio %5.1f\n", what, us, peer, us / peer);
}

int main(void)
{
    struct sf_error *err = NULL;

    must(sf_file_read(GOLDEN, 1u << 20, &bytes, &err), err);
    loaded = sf_snapshot_load(bytes.data, bytes.size, NULL, &err);
    must(loaded != NULL, err);
    measure("snapshot: decode, validate, verify digest", load, bare_load);
    measure("snapshot: encode", encode, bare_encode);
    sf_snapshot_free(loaded);
    sf_bytes_done(&bytes);
    return 0;
}
