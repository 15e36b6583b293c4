/*
 * pcicheck ADDRESS [hold]: maps the first memory range of the PCI device at ADDRESS and says the
 * number that stands at its beginning, in hexadecimal; QEMU's edu says 010000ed there. With "hold"
 * it keeps the mapping, and nothing else, until it is ended.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char path[256];
    if (argc < 2)
        return 2;

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", argv[1]);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    volatile const uint32_t *memory =
        fd >= 0 ? mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (memory == MAP_FAILED) {
        perror(path);
        return 1;
    }
    close(fd);
    printf("%08x\n", memory[0]);
    fflush(stdout);
    if (argc > 2 && strcmp(argv[2], "hold") == 0)
        pause();
    return 0;
}
