/*
 * pcifn nvme NODE         asks an NVMe controller who it is; prints its serial number
 * pcifn edu ADDRESS N     lets QEMU's edu device compute N!, through its registers; prints it
 *
 * Whoever runs them before and after a move can tell whether a container has its PCI functions.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int fail(const char *what)
{
    fprintf(stderr, "pcifn: %s: %s\n", what, strerror(errno));
    return 1;
}

/* ---- nvme ---- */

#define NVME_IDENTIFY       0x06
#define NVME_CONTROLLER     1
#define NVME_IDENTIFY_BYTES 4096
#define NVME_SERIAL_AT      4
#define NVME_SERIAL_BYTES   20

static int nvme(const char *node)
{
    static uint8_t answer[NVME_IDENTIFY_BYTES] __attribute__((aligned(NVME_IDENTIFY_BYTES)));
    struct nvme_admin_cmd command = {
        .opcode = NVME_IDENTIFY,
        .addr = (uintptr_t)answer,
        .data_len = sizeof(answer),
        .cdw10 = NVME_CONTROLLER,
    };
    int fd = open(node, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return fail(node);
    if (ioctl(fd, NVME_IOCTL_ADMIN_CMD, &command) != 0) /* wants CAP_SYS_ADMIN */
        return fail("identify");
    close(fd);

    int size = NVME_SERIAL_BYTES;
    while (size > 0 && answer[NVME_SERIAL_AT + size - 1] == ' ')
        size--;
    printf("nvme %.*s\n", size, (const char *)answer + NVME_SERIAL_AT);
    return 0;
}

/* ---- edu: docs/specs/edu of QEMU ---- */

#define EDU_BAR_BYTES 0x100000
#define EDU_ID        (0x00 / 4)
#define EDU_ID_VALUE  0x010000edu
#define EDU_LIVENESS  (0x04 / 4)
#define EDU_FACTORIAL (0x08 / 4)
#define EDU_STATUS    (0x20 / 4)
#define EDU_COMPUTING 1u
#define PROBE         0x5aa51234u
#define WAIT_NS       1000000

static volatile uint32_t *edu_registers(const char *address)
{
    char path[128];

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", address);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    void *bar = mmap(NULL, EDU_BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return bar != MAP_FAILED ? bar : NULL;
}

static int edu(const char *address, uint32_t n)
{
    volatile uint32_t *r = edu_registers(address);
    if (r == NULL)
        return fail(address);

    r[EDU_LIVENESS] = PROBE;
    if (r[EDU_ID] != EDU_ID_VALUE || r[EDU_LIVENESS] != ~PROBE) {
        fprintf(stderr, "pcifn: %s: id %08x, liveness %08x\n", address, r[EDU_ID], r[EDU_LIVENESS]);
        return 1;
    }
    r[EDU_FACTORIAL] = n;
    while (r[EDU_STATUS] & EDU_COMPUTING)
        nanosleep(&(struct timespec){.tv_nsec = WAIT_NS}, NULL);
    printf("edu %u! = %u\n", n, r[EDU_FACTORIAL]);
    return 0;
}

int main(int argc, char *argv[])
{
    if (argc == 3 && strcmp(argv[1], "nvme") == 0)
        return nvme(argv[2]);
    if (argc == 4 && strcmp(argv[1], "edu") == 0)
        return edu(argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
    fprintf(stderr, "usage: pcifn nvme NODE | pcifn edu ADDRESS N\n");
    return 2;
}
