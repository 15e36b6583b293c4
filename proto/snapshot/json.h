#ifndef SF_JSON_H
#define SF_JSON_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * sf_message_to_json() - any message as proto3's JSON mapping has it
 *
 * lowerCamelCase; 64-bit numbers as strings; bytes in base64; enums by name; Timestamp and Duration
 * as text; fields with their default left out. A number that is no value of its enum stays one.
 *
 * Return: the caller's, to be given back with json_decref(); NULL: no memory.
 */
json_t *sf_message_to_json(const ProtobufCMessage *m);

#ifdef __cplusplus
}
#endif

#endif
