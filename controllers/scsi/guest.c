/* What the agent is asked about disks: the only file here that knows its language. */
#include "scsi/scsi.h"

#include <stdio.h>
#include <string.h>

#include "sandferry/v1/agent.pb-c.h"
#include "snapshot/validate.h"

#define MOUNT_MS 60000 /* a file system may have to be made first */

static void reply_free(Sandferry__V1__AgentReply *reply)
{
    if (reply != NULL)
        sandferry__v1__agent_reply__free_unpacked(reply, NULL);
}
SF_DEFINE_CLEANUP(Sandferry__V1__AgentReply, reply_free)

static bool ask(struct scsi *s, Sandferry__V1__AgentRequest *request,
                Sandferry__V1__AgentReply **ret, struct sf_error **err)
{
    struct sf_controller *owner;
    const struct sf_guest_offer *guest = sf_sandbox_offer(s->base.sandbox, SF_GUEST_OFFER, &owner);
    void *reply = NULL;

    if (guest == NULL)
        return sf_fail(err, SF_INTERNAL, "no controller offers '%s'", SF_GUEST_OFFER);
    if (!guest->call(owner, request, MOUNT_MS, &reply, err))
        return false;
    *ret = reply;
    return true;
}

bool guest_device_valid(const char *path)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";

    return strncmp(path, "/dev/", 5) == 0 && path[5] != '\0' &&
           path[5 + strspn(path + 5, letters)] == '\0';
}

/* The guest may have mounted it elsewhere than it was told: then it is not believed. */
static bool take_path(struct disk_mount *m, const char *path, const char *want,
                      struct sf_error **err)
{
    bool good = m->config.block_device ? guest_device_valid(path) : strcmp(path, want) == 0;

    if (!good || strlen(path) >= sizeof(m->guest_path))
        return sf_fail(err, SF_UNAVAILABLE, "the guest says that the disk is at '%.100s'", path);
    snprintf(m->guest_path, sizeof(m->guest_path), "%s", path);
    return true;
}

bool guest_mount(struct scsi *s, const struct disk *d, struct disk_mount *m, struct sf_error **err)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentMountDisk body = SANDFERRY__V1__AGENT_MOUNT_DISK__INIT;
    SF_CLEANUP(reply_freep) Sandferry__V1__AgentReply *reply = NULL;
    SF_CLEANUP(sf_freep) char *path = sf_guest_mount_path(d->slot, m->partition);
    char *options[SCSI_OPTIONS_MAX], name[16];

    if (path == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    for (unsigned i = 0; i < m->config.n_options; i++)
        options[i] = m->config.options[i];
    body.controller = d->slot / SCSI_LUNS;
    body.lun = d->slot % SCSI_LUNS;
    body.partition = m->partition;
    body.guest_path = path;
    body.read_only = m->config.read_only;
    body.encrypted = m->config.encrypted;
    body.options = options;
    body.n_options = m->config.n_options;
    body.ensure_filesystem = m->config.ensure_filesystem;
    body.filesystem = m->config.filesystem;
    body.block_device = m->config.block_device;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_MOUNT_DISK;
    request.mount_disk = &body;
    if (!ask(s, &request, &reply, err))
        return sf_fail_in(err, "disk '%s' ('%s')", disk_name(d, name), d->config.path);
    if (reply->body_case != SANDFERRY__V1__AGENT_REPLY__BODY_MOUNT_DISK)
        return sf_fail(err, SF_UNAVAILABLE, "the guest does not say where disk '%s' is",
                       disk_name(d, name));
    return take_path(m, reply->mount_disk->guest_path, path, err);
}

/* Of what was never mounted, too: the answer may have been lost. What is encrypted has a mapping
 * that goes with its mount point, whether anything is mounted there or not. */
bool guest_unmount(struct scsi *s, const struct disk *d, const struct disk_mount *m,
                   struct sf_error **err)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentUnmountDisk body = SANDFERRY__V1__AGENT_UNMOUNT_DISK__INIT;
    SF_CLEANUP(reply_freep) Sandferry__V1__AgentReply *reply = NULL;

    if (m->config.block_device && !m->config.encrypted)
        return true;
    SF_CLEANUP(sf_freep) char *path = sf_guest_mount_path(d->slot, m->partition);
    if (path == NULL)
        return sf_fail(err, SF_RESOURCE_EXHAUSTED, "no memory");
    body.guest_path = path;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_UNMOUNT_DISK;
    request.unmount_disk = &body;
    return ask(s, &request, &reply, err);
}

bool guest_eject(struct scsi *s, const struct disk *d, struct sf_error **err)
{
    Sandferry__V1__AgentRequest request = SANDFERRY__V1__AGENT_REQUEST__INIT;
    Sandferry__V1__AgentEjectDisk body = SANDFERRY__V1__AGENT_EJECT_DISK__INIT;
    SF_CLEANUP(reply_freep) Sandferry__V1__AgentReply *reply = NULL;

    body.controller = d->slot / SCSI_LUNS;
    body.lun = d->slot % SCSI_LUNS;
    request.body_case = SANDFERRY__V1__AGENT_REQUEST__BODY_EJECT_DISK;
    request.eject_disk = &body;
    return ask(s, &request, &reply, err);
}
