#include <signal.h>

#include "cli.h"

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a write tells; see cli_main() */
    return cli_main(argc, argv, stdout, stderr);
}
