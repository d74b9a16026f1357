/* What the simulated kernel answers about device nodes and about who asks. */
#ifndef FIRSTLIGHT_KERNEL_H
#define FIRSTLIGHT_KERNEL_H

#include <stdbool.h>
#include <sys/types.h>

/* open(2) of the node file `path`: a descriptor of /dev/null, or -1 with the errno that a kernel would give. */
int kernel_open(const char *path, int flags);

/* mknod(2) of `path`, chmod(2) and chown(2) of a node file; -1 with errno set. An owner of -1 stays as it is. */
int kernel_make_node(const char *path, mode_t mode, dev_t device);
int kernel_change_node(const char *path, mode_t mode, uid_t uid, gid_t gid);
enum { MODE_UNCHANGED = 07777777 };

/* access(2) of a node file. */
int kernel_access(const char *path, int mode);

/* The user that the machine says we are; -1 when the scenario leaves it to the real machine. */
long simulated_uid(void);
long simulated_gid(void);

/* The capabilities that this process has on the machine, and giving some of them up. */
unsigned long long capabilities(void);
bool capable(int capability);
void capabilities_drop(unsigned long long kept);

#endif
