/* /proc/self/status as the simulated machine shows it. */
#ifndef FIRSTLIGHT_STATUS_H
#define FIRSTLIGHT_STATUS_H

#include <stdbool.h>

/* Whether the path is this process's own status file on a machine that says who we are. */
bool is_own_status(const char *path);

/* A descriptor of that file with the machine's user, groups and capabilities written into it. */
int open_status(const char *path);

#endif
