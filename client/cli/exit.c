#include "exit.h"

enum exit_code exit_code_of(enum sf_code code)
{
    switch (code) {
    case SF_OK:
        return EXIT_OK;
    case SF_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case SF_FAILED_PRECONDITION:
        return EXIT_PRECONDITION;
    case SF_ALREADY_EXISTS:
        return EXIT_EXISTS;
    case SF_UNAVAILABLE:
        return EXIT_UNAVAILABLE;
    case SF_DEADLINE_EXCEEDED:
        return EXIT_TIMEOUT;
    case SF_UNAUTHENTICATED:
    case SF_PERMISSION_DENIED:
        return EXIT_DENIED;
    case SF_INVALID_ARGUMENT:
    case SF_DATA_LOSS:
        return EXIT_INVALID;
    case SF_UNIMPLEMENTED:
        return EXIT_UNKNOWN;
    case SF_RESOURCE_EXHAUSTED:
        return EXIT_EXHAUSTED;
    default:
        return EXIT_FAILED;
    }
}
