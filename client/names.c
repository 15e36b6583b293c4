/* Names of enum values, and their numbers, which are the daemon's. */

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "sandferry/v1/sandbox.pb-c.h"

/* In the order of the numbers. A value that has no name here is of a newer daemon. */
static const char *name(const char *const *names, size_t n, unsigned value)
{
    static const char *const others[] = {"0", "1", "2",  "3",  "4",  "5",  "6",  "7",
                                         "8", "9", "10", "11", "12", "13", "14", "15"};
    if (value < n && names[value] != NULL)
        return names[value];
    return value < sizeof(others) / sizeof(*others) ? others[value] : "unknown";
}
#define NAME(names, value) name((names), sizeof(names) / sizeof(*(names)), (unsigned)(value))

#define SAME(ours, wire) static_assert((int)(ours) == (int)(wire), "numbers are the daemon's")
SAME(SANDFERRY_NEW, SANDFERRY__V1__SANDBOX_STATE__SANDBOX_STATE_NEW);
SAME(SANDFERRY_RUNNING, SANDFERRY__V1__SANDBOX_STATE__SANDBOX_STATE_RUNNING);
SAME(SANDFERRY_FROZEN, SANDFERRY__V1__SANDBOX_STATE__SANDBOX_STATE_FROZEN);
SAME(SANDFERRY_LOADED, SANDFERRY__V1__SANDBOX_STATE__SANDBOX_STATE_LOADED);
SAME(SANDFERRY_STOPPED, SANDFERRY__V1__SANDBOX_STATE__SANDBOX_STATE_STOPPED);
SAME(SANDFERRY_INVALID, SANDFERRY__V1__SANDBOX_STATE__SANDBOX_STATE_INVALID);
SAME(SANDFERRY_AFTER_STOP, SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_STOP);
SAME(SANDFERRY_AFTER_HOLD, SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_HOLD);
SAME(SANDFERRY_AFTER_RESUME, SANDFERRY__V1__AFTER_SAVE__AFTER_SAVE_RESUME);
SAME(SANDFERRY_DISK_FILE, SANDFERRY__V1__SCSI_DISK__TYPE__TYPE_VIRTUAL_DISK);
SAME(SANDFERRY_DISK_BLOCK_DEVICE, SANDFERRY__V1__SCSI_DISK__TYPE__TYPE_PASS_THRU);
SAME(SANDFERRY_FORMAT_RAW, SANDFERRY__V1__SCSI_DISK__FORMAT__FORMAT_RAW);
SAME(SANDFERRY_FORMAT_QCOW2, SANDFERRY__V1__SCSI_DISK__FORMAT__FORMAT_QCOW2);
SAME(SANDFERRY_FORMAT_VPC, SANDFERRY__V1__SCSI_DISK__FORMAT__FORMAT_VPC);
SAME(SANDFERRY_FORMAT_VHDX, SANDFERRY__V1__SCSI_DISK__FORMAT__FORMAT_VHDX);
SAME(SANDFERRY_DISK_ATTACHED, SANDFERRY__V1__SCSI_DISK_STAGE__SCSI_DISK_STAGE_ATTACHED);
SAME(SANDFERRY_DISK_EJECTED, SANDFERRY__V1__SCSI_DISK_STAGE__SCSI_DISK_STAGE_EJECTED);
SAME(SANDFERRY_DISK_DETACHED, SANDFERRY__V1__SCSI_DISK_STAGE__SCSI_DISK_STAGE_DETACHED);
SAME(SANDFERRY_MOUNT_MOUNTED, SANDFERRY__V1__SCSI_MOUNT_STAGE__SCSI_MOUNT_STAGE_MOUNTED);
SAME(SANDFERRY_MOUNT_UNMOUNTED, SANDFERRY__V1__SCSI_MOUNT_STAGE__SCSI_MOUNT_STAGE_UNMOUNTED);
SAME(SANDFERRY_SHARE_ADDED, SANDFERRY__V1__PLAN9_SHARE_STAGE__PLAN9_SHARE_STAGE_ADDED);
SAME(SANDFERRY_SHARE_INVALID, SANDFERRY__V1__PLAN9_SHARE_STAGE__PLAN9_SHARE_STAGE_INVALID);
SAME(SANDFERRY_SHARE_REMOVED, SANDFERRY__V1__PLAN9_SHARE_STAGE__PLAN9_SHARE_STAGE_REMOVED);
SAME(SANDFERRY_SHARE_MOUNT_MOUNTED, SANDFERRY__V1__PLAN9_MOUNT_STAGE__PLAN9_MOUNT_STAGE_MOUNTED);
SAME(SANDFERRY_SHARE_MOUNT_INVALID, SANDFERRY__V1__PLAN9_MOUNT_STAGE__PLAN9_MOUNT_STAGE_INVALID);
SAME(SANDFERRY_SHARE_MOUNT_UNMOUNTED,
     SANDFERRY__V1__PLAN9_MOUNT_STAGE__PLAN9_MOUNT_STAGE_UNMOUNTED);
SAME(SANDFERRY_DEVICE_ASSIGNED, SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_ASSIGNED);
SAME(SANDFERRY_DEVICE_READY, SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_READY);
SAME(SANDFERRY_DEVICE_INVALID,
     SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_ASSIGNED_INVALID);
SAME(SANDFERRY_DEVICE_REMOVED, SANDFERRY__V1__VPCI_DEVICE_STAGE__VPCI_DEVICE_STAGE_REMOVED);
SAME(SANDFERRY_CONTAINER_CREATED, SANDFERRY__V1__CONTAINER_STAGE__CONTAINER_STAGE_CREATED);
SAME(SANDFERRY_CONTAINER_RUNNING, SANDFERRY__V1__CONTAINER_STAGE__CONTAINER_STAGE_RUNNING);
SAME(SANDFERRY_CONTAINER_STOPPED, SANDFERRY__V1__CONTAINER_STAGE__CONTAINER_STAGE_STOPPED);
SAME(SANDFERRY_CONTAINER_INVALID, SANDFERRY__V1__CONTAINER_STAGE__CONTAINER_STAGE_INVALID);
SAME(SANDFERRY_PROCESS_CREATED, SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_CREATED);
SAME(SANDFERRY_PROCESS_RUNNING, SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_RUNNING);
SAME(SANDFERRY_PROCESS_TERMINATED, SANDFERRY__V1__PROCESS_STAGE__PROCESS_STAGE_TERMINATED);
SAME(SANDFERRY_NIC_BRIDGE, SANDFERRY__V1__NETWORK_ENDPOINT_KIND__NETWORK_ENDPOINT_KIND_BRIDGE);
SAME(SANDFERRY_NIC_SOCKET, SANDFERRY__V1__NETWORK_ENDPOINT_KIND__NETWORK_ENDPOINT_KIND_SOCKET);
SAME(SANDFERRY_NIC_USER, SANDFERRY__V1__NETWORK_ENDPOINT_KIND__NETWORK_ENDPOINT_KIND_USER);
SAME(SANDFERRY_NETWORK_CONFIGURED, SANDFERRY__V1__NETWORK_STAGE__NETWORK_STAGE_CONFIGURED);
SAME(SANDFERRY_NETWORK_INVALID, SANDFERRY__V1__NETWORK_STAGE__NETWORK_STAGE_INVALID);
SAME(SANDFERRY_NETWORK_TORN_DOWN, SANDFERRY__V1__NETWORK_STAGE__NETWORK_STAGE_TORN_DOWN);

PUBLIC const char *sandferry_state_name(enum sandferry_state state)
{
    static const char *const names[] = {
        [SANDFERRY_STATE_UNSPECIFIED] = "unspecified",
        [SANDFERRY_NEW] = "new",
        [SANDFERRY_RUNNING] = "running",
        [SANDFERRY_FROZEN] = "frozen",
        [SANDFERRY_LOADED] = "loaded",
        [SANDFERRY_STOPPED] = "stopped",
        [SANDFERRY_INVALID] = "invalid",
    };
    return NAME(names, state);
}

PUBLIC const char *sandferry_disk_format_name(enum sandferry_disk_format format)
{
    static const char *const names[] = {
        [SANDFERRY_FORMAT_UNSPECIFIED] = "raw", [SANDFERRY_FORMAT_RAW] = "raw",
        [SANDFERRY_FORMAT_QCOW2] = "qcow2",     [SANDFERRY_FORMAT_VPC] = "vpc",
        [SANDFERRY_FORMAT_VHDX] = "vhdx",
    };
    return NAME(names, format);
}

PUBLIC const char *sandferry_disk_stage_name(enum sandferry_disk_stage stage)
{
    static const char *const names[] = {
        [SANDFERRY_DISK_RESERVED] = "reserved",
        [SANDFERRY_DISK_ATTACHED] = "attached",
        [SANDFERRY_DISK_EJECTED] = "ejected",
        [SANDFERRY_DISK_DETACHED] = "detached",
    };
    return NAME(names, stage);
}

PUBLIC const char *sandferry_mount_stage_name(enum sandferry_mount_stage stage)
{
    static const char *const names[] = {
        [SANDFERRY_MOUNT_RESERVED] = "reserved",
        [SANDFERRY_MOUNT_MOUNTED] = "mounted",
        [SANDFERRY_MOUNT_UNMOUNTED] = "unmounted",
    };
    return NAME(names, stage);
}

PUBLIC const char *sandferry_share_stage_name(enum sandferry_share_stage stage)
{
    static const char *const names[] = {
        [SANDFERRY_SHARE_RESERVED] = "reserved",
        [SANDFERRY_SHARE_ADDED] = "added",
        [SANDFERRY_SHARE_INVALID] = "invalid",
        [SANDFERRY_SHARE_REMOVED] = "removed",
    };
    return NAME(names, stage);
}

PUBLIC const char *sandferry_share_mount_stage_name(enum sandferry_share_mount_stage stage)
{
    static const char *const names[] = {
        [SANDFERRY_SHARE_MOUNT_RESERVED] = "reserved",
        [SANDFERRY_SHARE_MOUNT_MOUNTED] = "mounted",
        [SANDFERRY_SHARE_MOUNT_INVALID] = "invalid",
        [SANDFERRY_SHARE_MOUNT_UNMOUNTED] = "unmounted",
    };
    return NAME(names, stage);
}

PUBLIC const char *sandferry_device_stage_name(enum sandferry_device_stage stage)
{
    static const char *const names[] = {
        [SANDFERRY_DEVICE_RESERVED] = "reserved", [SANDFERRY_DEVICE_ASSIGNED] = "assigned",
        [SANDFERRY_DEVICE_READY] = "ready",       [SANDFERRY_DEVICE_INVALID] = "invalid",
        [SANDFERRY_DEVICE_REMOVED] = "removed",
    };
    return NAME(names, stage);
}

/* As a patch has them. */
PUBLIC const char *sandferry_nic_kind_name(enum sandferry_nic_kind kind)
{
    static const char *const names[] = {
        [SANDFERRY_NIC_TAP] = "tap",
        [SANDFERRY_NIC_BRIDGE] = "bridge",
        [SANDFERRY_NIC_SOCKET] = "fd",
        [SANDFERRY_NIC_USER] = "user",
    };
    return NAME(names, kind);
}

PUBLIC const char *sandferry_network_stage_name(enum sandferry_network_stage stage)
{
    static const char *const names[] = {
        [SANDFERRY_NETWORK_NOT_CONFIGURED] = "not configured",
        [SANDFERRY_NETWORK_CONFIGURED] = "configured",
        [SANDFERRY_NETWORK_INVALID] = "invalid",
        [SANDFERRY_NETWORK_TORN_DOWN] = "torn down",
    };
    return NAME(names, stage);
}

PUBLIC const char *sandferry_container_stage_name(enum sandferry_container_stage stage)
{
    static const char *const names[] = {
        [SANDFERRY_CONTAINER_NOT_CREATED] = "not created",
        [SANDFERRY_CONTAINER_CREATED] = "created",
        [SANDFERRY_CONTAINER_RUNNING] = "running",
        [SANDFERRY_CONTAINER_STOPPED] = "stopped",
        [SANDFERRY_CONTAINER_INVALID] = "invalid",
    };
    return NAME(names, stage);
}

PUBLIC const char *sandferry_process_stage_name(enum sandferry_process_stage stage)
{
    static const char *const names[] = {
        [SANDFERRY_PROCESS_NOT_CREATED] = "not created",
        [SANDFERRY_PROCESS_CREATED] = "created",
        [SANDFERRY_PROCESS_RUNNING] = "running",
        [SANDFERRY_PROCESS_TERMINATED] = "terminated",
    };
    return NAME(names, stage);
}
