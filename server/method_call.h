#ifndef SERVER_METHOD_CALL_H
#define SERVER_METHOD_CALL_H

#include <stdint.h>

struct rpc_call;
struct sf_sandbox;

/* One RPC of a controller, while its method runs under the sandbox's lock. */
struct sf_call {
    struct rpc_call *rpc;       /* borrowed */
    struct sf_sandbox *sandbox; /* borrowed */
    uint64_t seen;              /* changes of the sandbox that the method may know of */
};

#endif
