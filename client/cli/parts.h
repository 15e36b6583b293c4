#ifndef CLI_PARTS_H
#define CLI_PARTS_H

/* Words of the command line that have an inner structure, as the library's structs. Each is filled
 * once and emptied with its _done(); all fail with INVALID_ARGUMENT, naming the word. */

#include "options.h"
#include "sandferry.h"

/* "KEY=VALUE" each. */
struct labels {
    struct sandferry_label *all;
    size_t n;
    char **texts; /* what the labels point into; owned */
};
bool labels_parse(struct labels *ret, const struct words *words, struct sf_error **err);
void labels_done(struct labels *l);

/* "CONTROLLER:OBJECT=VALUE" each; the object ends at the first "=". */
struct patches {
    struct sandferry_patch *all;
    size_t n;
    char **texts;
};
bool patches_parse(struct patches *ret, const struct words *words, struct sf_error **err);
void patches_done(struct patches *p);

/* What a container is to have, a word each. */

/* "PATH[,format=..][,partition=N][,fs=..][,option=..][,dest=..][,encrypted][,ro]" */
struct disk_word {
    struct sandferry_disk_spec spec;
    const char *destination; /* NULL: none was given */
    struct words options;
    char *text;
};
bool disk_word_parse(struct disk_word *ret, const char *word, struct sf_error **err);
void disk_word_done(struct disk_word *d);

/* "PATH,dest=..[,only=NAME..][,ro]" */
struct share_word {
    struct sandferry_share_spec spec;
    const char *destination; /* NULL: none was given */
    struct words names;
    char *text;
};
bool share_word_parse(struct share_word *ret, const char *word, struct sf_error **err);
void share_word_done(struct share_word *s);

/* "ADDRESS[/N]" or "MODEL[,PROPERTY=VALUE..]" */
struct device_word {
    struct sandferry_device_spec spec;
    struct words properties;
    char *text;
};
bool device_word_parse(struct device_word *ret, const char *word, struct sf_error **err);
void device_word_done(struct device_word *d);

/* "tap:NAME|bridge:NAME|fd:SOCKET|user[,address=..][,gateway=..][,route=DEST[@GATEWAY]][,mac=..]
 * [,mtu=N][,name=..]" */
struct nic_word {
    struct sandferry_nic_spec spec;
    struct words addresses;
    struct sandferry_route *routes;
    size_t n_routes;
    char *text;
};
bool nic_word_parse(struct nic_word *ret, const char *word, struct sf_error **err);
void nic_word_done(struct nic_word *n);

#define DISK_FORMATS "raw|qcow2|vpc|vhdx"

#endif
