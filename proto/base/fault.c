#include "base/fault.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *armed;
static char *file;

static void replace(char **what, const char *with)
{
    pthread_mutex_lock(&lock);
    free(*what);
    *what = with != NULL ? strdup(with) : NULL;
    pthread_mutex_unlock(&lock);
}

void sf_fault_arm(const char *point)
{
    replace(&armed, point);
}

void sf_fault_file(const char *path)
{
    replace(&file, path);
}

static bool take_armed(const char *point)
{
    if (armed == NULL || strcmp(armed, point) != 0)
        return false;
    free(armed);
    armed = NULL;
    return true;
}

static bool take_from_file(const char *point)
{
    if (file == NULL)
        return false;
    FILE *in = fopen(file, "re");
    if (in == NULL)
        return false;

    char line[128] = "";
    bool read = fgets(line, sizeof(line), in) != NULL;
    fclose(in);
    line[strcspn(line, "\n")] = '\0';
    return read && strcmp(line, point) == 0 && unlink(file) == 0;
}

bool sf_fault(const char *point, struct sf_error **err)
{
    pthread_mutex_lock(&lock);
    bool fails = take_armed(point) || take_from_file(point);
    pthread_mutex_unlock(&lock);
    return fails ? sf_fail(err, SF_UNAVAILABLE, "fault asked for by a test") : true;
}
