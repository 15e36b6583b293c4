#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli.h"

/* Each is the last thing in its file. */
extern const struct command command_create, command_ls, command_show, command_stop, command_rm,
    command_save, command_restore, command_resume, command_check, command_events, command_disk_add,
    command_disk_rm, command_disk_ls, command_share_add, command_share_rm, command_share_ls,
    command_device_add, command_device_rm, command_device_ls, command_pod_create, command_pod_rm,
    command_pod_ls, command_net_add, command_net_rm, command_net_ls, command_ctr_create,
    command_ctr_start, command_ctr_ls, command_ctr_logs, command_ctr_wait, command_ctr_kill,
    command_ctr_rm, command_ctr_ps, command_exec, command_attach, command_inspect, command_validate,
    command_completion;

#endif
