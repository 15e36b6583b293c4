#ifndef SERVER_HOST_H
#define SERVER_HOST_H

struct config;
struct paths;

/* Whom sf_setting() and sf_path_open() ask; both outlive every controller. Once, before there is
 * any: those two have no argument that could lead to the daemon. */
void host_use(const struct config *config, const struct paths *paths);

#endif
